/** `tripline listen`: a webhook receiver on this machine, to see what arrives. */

import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { styleText } from "node:util";
import { Command, InvalidArgumentError } from "commander";
import type { Webhook } from "standardwebhooks";
import { webhookOf } from "../delivery/http/request.ts";
import { CommandFailure } from "./failure.ts";
import { untilStopped } from "./stop.ts";

interface ListenOptions {
  readonly port: number;
  readonly host: string;
  readonly secret?: string;
  readonly json?: boolean;
  readonly status: number;
  readonly fail: number;
}

/** One request as it arrived, and what was said to it. */
interface Delivery {
  readonly received: string;
  readonly method: string;
  readonly path: string;
  readonly webhook_id: string | null;
  readonly webhook_timestamp: string | null;
  /** How often this webhook-id has arrived, this time included. */
  readonly arrival: number;
  readonly signature: Signature;
  readonly body: unknown;
  readonly answered: number;
}

type Signature = "valid" | "missing" | "unsigned" | "unchecked" | `invalid: ${string}`;

export function listenCommand(): Command {
  return new Command("listen")
    .description("Receive webhooks, check their signatures (Standard Webhooks) and print what arrives.")
    .option("-p, --port <port>", "where to listen; 0 takes a free port", wholeNumber, 4300)
    .option("--host <host>", "the address to listen on", "127.0.0.1")
    .option("-s, --secret <secret>", "check signatures with this secret, as it stands in the rule")
    .option("--json", "print each delivery as one line of JSON")
    .option("--status <code>", "answer each request with this status", wholeNumber, 200)
    .option(
      "--fail <count>",
      "answer the first requests with 500 (or --status), and then with 200",
      wholeNumber,
      0,
    )
    .action(listen);
}

async function listen(options: ListenOptions): Promise<void> {
  const stopped = untilStopped();
  const webhook = options.secret === undefined ? null : verifierOf(options.secret);
  const arrivals = new Map<string, number>();
  let requestCount = 0;

  const server = createServer(async (request, response) => {
    const body = await buffer(request).catch(() => null);
    if (body === null) return; // the sender has given up
    requestCount += 1;
    const failing = options.fail === 0 ? options.status : options.status === 200 ? 500 : options.status;
    const answered = options.fail === 0 || requestCount <= options.fail ? failing : 200;
    response.writeHead(answered).end();

    const id = headerOf(request, "webhook-id");
    const arrival = (arrivals.get(id ?? "") ?? 0) + 1;
    if (id !== null) arrivals.set(id, arrival);
    const delivery: Delivery = {
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
    console.log(options.json === true ? JSON.stringify(delivery) : forPeople(delivery));
  });

  const listening = once(server, "listening");
  server.listen(options.port, options.host);
  try {
    await listening;
  } catch (error) {
    const remedy = "choose another with --port";
    throw new CommandFailure(
      `Cannot listen on ${options.host}:${options.port}: ${(error as Error).message}; ${remedy}.`,
    );
  }
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  if (options.json !== true) {
    console.log(`Listening on http://${options.host}:${port}/ (Ctrl-C to stop)`);
  } else {
    console.error(`listening on http://${options.host}:${port}/`);
  }

  await stopped;
  server.close();
  server.closeAllConnections();
}

function verifierOf(secret: string): Webhook {
  try {
    return webhookOf(secret);
  } catch (error) {
    throw new CommandFailure(`--secret is not valid: ${(error as Error).message}`);
  }
}

function signatureOf(request: IncomingMessage, body: Buffer, webhook: Webhook | null): Signature {
  const signed = headerOf(request, "webhook-signature") !== null;
  if (webhook === null) return signed ? "unchecked" : "unsigned";
  if (!signed) return "missing";
  const headers = Object.fromEntries(
    ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => [
      name,
      headerOf(request, name) ?? "",
    ]),
  );
  try {
    webhook.verify(body, headers, { jsonParse: false });
    return "valid";
  } catch (error) {
    return `invalid: ${(error as Error).message}`;
  }
}

function headerOf(request: IncomingMessage, name: string): string | null {
  const value = request.headers[name];
  return typeof value === "string" ? value : null;
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function forPeople(delivery: Delivery): string {
  const { received, method, path, webhook_id: id, arrival, signature, body, answered } = delivery;
  const clock = new Date(received).toTimeString().slice(0, 8);
  const again = arrival > 1 ? styleText("yellow", `  (arrival ${arrival} of this id)`) : "";
  const colour = signature === "valid" ? "green" : /^(missing|invalid)/.test(signature) ? "red" : "dim";
  const lines = [
    `${styleText("bold", `${clock}  ${method} ${path}`)}  answered ${answered}`,
    `  webhook-id  ${id ?? "none"}${again}`,
    `  signature   ${styleText(colour, signatureTexts[signature] ?? signature)}`,
  ];
  const text = typeof body === "string" ? body : JSON.stringify(body, null, 2);
  if (text !== "") lines.push(...text.split("\n").map((line) => `  ${line}`));
  return `\n${lines.join("\n")}`;
}

const signatureTexts: Readonly<Record<string, string>> = {
  unsigned: "none",
  unchecked: "there is one; check it with --secret",
  missing: "MISSING, though a secret was given",
};

function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("It should be a whole number.");
  return Number(text);
}
