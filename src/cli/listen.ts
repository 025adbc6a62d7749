/** `tripline listen`: receives webhooks on this machine and prints them. */

import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { Command } from "commander";
import type { Webhook } from "standardwebhooks";
import { parseExactJson } from "../core/json/exact-json.ts";
import { webhooksOf } from "../delivery/http/request.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { readWholeNumber } from "./option-values.ts";
import { addJson } from "./output/output.ts";
import { paint } from "./output/style.ts";
import { printable } from "./output/text.ts";
import { untilStopped } from "./stop.ts";

interface ListenOptions {
  readonly port: number;
  readonly host: string;
  readonly secret?: string;
  readonly json?: boolean;
  readonly status: number;
  readonly fail: number;
}

/** One request as it arrived, and how it was answered. */
interface ReceivedRequest {
  readonly received: string;
  readonly method: string;
  readonly path: string;
  readonly webhook_id: string | null;
  readonly webhook_timestamp: string | null;
  /** How many times this webhook-id has arrived, including this time. */
  readonly arrival: number;
  readonly signature: SignatureVerdict;
  readonly body: unknown;
  readonly answered: number;
}

type SignatureVerdict = "valid" | "missing" | "unsigned" | "unchecked" | `invalid: ${string}`;

export function listenCommand(): Command {
  const command = new Command("listen")
    .description(
      "Receive webhooks on this machine, check their signatures (Standard Webhooks) and print them.",
    )
    .option(
      "-p, --port <port>",
      "the port to listen on; 0 takes a free one",
      readWholeNumber(0, 65_535),
      4300,
    )
    .option("--host <host>", "the address to listen on", "127.0.0.1")
    .option("-s, --secret <secret>", "check signatures with this secret, as it is written in the rule")
    .option("--status <code>", "answer each request with this status", readWholeNumber(200, 599), 200)
    .option(
      "--fail <count>",
      "answer this many requests with 500 (or --status), then with 200",
      readWholeNumber(0, 1_000_000),
      0,
    );
  addJson(command, "print each request as one line of JSON");
  addExamples(command, [
    ["tripline listen", "prints what arrives"],
    ["tripline listen --fail 2", "fails twice: watch the retries"],
    ["tripline listen --status 410", "refuses everything for good"],
  ]);
  return command.action(listen);
}

async function listen(options: ListenOptions): Promise<void> {
  const stopped = untilStopped();
  const webhook = options.secret === undefined ? null : verifiersOf(options.secret);
  const arrivals = new Map<string, number>();
  let requestCount = 0;

  const server = createServer(async (request, response) => {
    const body = await buffer(request).catch(() => null);
    if (body === null) return; // the sender gave up
    requestCount += 1;
    const failing = options.fail === 0 ? options.status : options.status === 200 ? 500 : options.status;
    const answered = options.fail === 0 || requestCount <= options.fail ? failing : 200;
    response.writeHead(answered).end();

    const id = headerOf(request, "webhook-id");
    const arrival = (arrivals.get(id ?? "") ?? 0) + 1;
    if (id !== null) arrivals.set(id, arrival);
    const received: ReceivedRequest = {
      received: new Date().toISOString(),
      method: request.method ?? "",
      path: request.url ?? "",
      webhook_id: id,
      webhook_timestamp: headerOf(request, "webhook-timestamp"),
      arrival: id === null ? 1 : arrival,
      signature: signatureOf(request, body, webhook),
      body: jsonOrText(body.toString()),
      answered,
    };
    console.log(options.json === true ? JSON.stringify(received) : textOf(received));
  });

  const listening = once(server, "listening");
  server.listen(options.port, options.host);
  try {
    await listening;
  } catch (error) {
    throw new CommandFailure(
      `Cannot listen on ${options.host}:${options.port}: ${(error as Error).message}. Choose another with --port.`,
      1,
      { cause: error },
    );
  }
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  if (options.json !== true) {
    console.log(`Listening on http://${options.host}:${port}/ (Ctrl-C to stop)`);
  } else {
    console.error(`Listening on http://${options.host}:${port}/`);
  }

  await stopped;
  server.close();
  server.closeAllConnections();
}

function verifiersOf(secret: string): readonly Webhook[] {
  try {
    return webhooksOf(secret);
  } catch (error) {
    throw new CommandFailure(`--secret is not valid: ${(error as Error).message}`, 2, { cause: error });
  }
}

function signatureOf(
  request: IncomingMessage,
  body: Buffer,
  webhooks: readonly Webhook[] | null,
): SignatureVerdict {
  const signed = headerOf(request, "webhook-signature") !== null;
  if (webhooks === null) return signed ? "unchecked" : "unsigned";
  if (!signed) return "missing";
  const headers = Object.fromEntries(
    ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => [
      name,
      headerOf(request, name) ?? "",
    ]),
  );
  let verdict: SignatureVerdict = "missing";
  for (const webhook of webhooks) {
    try {
      webhook.verify(body, headers, { jsonParse: false });
      return "valid";
    } catch (error) {
      verdict = `invalid: ${(error as Error).message}`;
    }
  }
  return verdict;
}

function headerOf(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === "string" ? value : null;
}

function jsonOrText(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    return text;
  }
}

function textOf({
  method,
  path,
  webhook_id: id,
  arrival,
  signature,
  body,
  ...rest
}: ReceivedRequest): string {
  const clock = new Date(rest.received).toTimeString().slice(0, 8);
  const arrivalNote = arrival > 1 ? paint(`  (arrival ${arrival} of this id)`, "yellow") : "";
  const style = signature === "valid" ? "green" : /^(missing|invalid)/.test(signature) ? "red" : "dim";
  const lines = [
    `${paint(`${clock}  ${printable(`${method} ${path}`)}`, "bold")}  answered ${rest.answered}`,
    `  webhook-id  ${printable(id ?? "none")}${arrivalNote}`,
    `  signature   ${paint(printable(signatureTexts[signature] ?? signature), style)}`,
  ];
  const text = typeof body === "string" ? body : JSON.stringify(body, null, 2);
  if (text !== "") lines.push(...text.split("\n").map((line) => `  ${printable(line)}`));
  return `\n${lines.join("\n")}`;
}

const signatureTexts: Readonly<Record<string, string>> = {
  unsigned: "none",
  unchecked: "not checked; give the secret with --secret",
  missing: "MISSING, though --secret was given",
};
