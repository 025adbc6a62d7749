/** The server that a command talks to, and the message when it refuses or does not answer. */

import { type Command, Option } from "commander";
import { apiUrlDefault, withoutTrailingSlashes } from "../client/http.ts";
import type { AutomationView, HttpOptions } from "../client/index.ts";
import { NotAllowed, NotFound, Refused, Tripline, TriplineError, Unreachable } from "../client/index.ts";
import { isUuid } from "../core/model/event.ts";
import { nearMiss } from "../core/model/near-miss.ts";
import { CommandFailure } from "./failure.ts";
import { readWorkspace } from "./settings.ts";

export interface ConnectionOptions {
  readonly url?: string;
  readonly workspace?: string;
}

/** A wrong address should be reported soon; a server that is busy or restarting is given longer. */
const awayPatienceMs = 3_000;

const group = "Server:";

/** Adds the options that name the server. The key comes from the environment only: others can see options. */
export function addConnection(command: Command): Command {
  return command
    .addOption(
      new Option(
        "-u, --url <url>",
        `the server's API (default: TRIPLINE_API_URL, PREFECT_API_URL, or ${apiUrlDefault})`,
      ).helpGroup(group),
    )
    .addOption(
      new Option("--workspace <name>", "a workspace of a server that has several")
        .argParser(readWorkspace)
        .helpGroup(group),
    )
    .addHelpText("after", "\nThe API key is read from TRIPLINE_API_KEY or PREFECT_API_KEY.");
}

function urlOf({ url, workspace }: ConnectionOptions, env: NodeJS.ProcessEnv): string {
  const base = url ?? firstSet(env["TRIPLINE_API_URL"], env["PREFECT_API_URL"]) ?? apiUrlDefault;
  if (workspace === undefined) return base;
  if (base.includes("/workspaces/")) {
    throw new CommandFailure(
      `${base} names a workspace already. Leave out --workspace, or give the address of the API alone.`,
      2,
    );
  }
  // The path is that of Prefect Cloud; Tripline has no accounts, so any name stands for one.
  return `${withoutTrailingSlashes(base)}/accounts/tripline/workspaces/${encodeURIComponent(workspace)}`;
}

/** A client for the server that the options or the environment name. @throws CommandFailure for an invalid address */
export function connectTo(
  options: ConnectionOptions,
  settings: Pick<HttpOptions, "patienceMs" | "awayPatienceMs" | "timeoutMs"> = {},
  env: NodeJS.ProcessEnv = process.env,
): Tripline {
  const url = urlOf(options, env);
  const key = firstSet(env["TRIPLINE_API_KEY"], env["PREFECT_API_KEY"]) ?? null;
  try {
    return new Tripline({ url, key, awayPatienceMs, onHistoryBehind: warnOnce(), ...settings });
  } catch (error) {
    throw failureOf(error);
  }
}

/** Does something with the server. @throws CommandFailure in place of the client's errors */
export async function withServer<T>(
  options: ConnectionOptions,
  use: (tripline: Tripline) => Promise<T>,
): Promise<T> {
  const tripline = connectTo(options);
  try {
    return await use(tripline);
  } catch (error) {
    const url = withoutTrailingSlashes(urlOf(options, process.env));
    if (error instanceof NotFound && !/\/api(?:$|\/)/.test(url)) {
      const remedy = `The address of an API contains /api. Try --url ${url}/api`;
      throw new CommandFailure(`Not found at ${url}. ${remedy}`, 1, { cause: error });
    }
    // What the server answers for a path that it does not have.
    if (error instanceof NotFound && error.message === "Not Found" && options.workspace !== undefined) {
      const name = JSON.stringify(options.workspace);
      throw new CommandFailure(
        `The server has no workspace ${name}, or your key belongs to another. It serves those of its own --workspace.`,
        1,
        { cause: error },
      );
    }
    throw failureOf(error);
  }
}

/** The fewest characters that may stand for a whole id. */
const idBeginningLengthMin = 4;

/** The automation with this name, this id, or an id that begins so. @throws CommandFailure unless there is exactly one */
export async function findAutomation(tripline: Tripline, nameOrId: string): Promise<AutomationView> {
  const named = await tripline.automations.list({ names: [nameOrId] });
  if (named.length === 0 && isUuid(nameOrId)) return tripline.automations.get(nameOrId);
  const all = named.length > 0 ? named : await tripline.automations.list();
  const wanted = nameOrId.toLowerCase();
  const found =
    named.length > 0 || wanted.length < idBeginningLengthMin
      ? named
      : all.filter(({ id }) => id.startsWith(wanted));
  const [first, ...others] = found;
  if (first === undefined) {
    const near = nearMiss(
      nameOrId,
      all.map(({ name }) => name),
    );
    const remedy =
      near === null
        ? "List them with: tripline automations ls"
        : `Did you mean ${JSON.stringify(near.word)}?`;
    throw new CommandFailure(`No automation is called ${JSON.stringify(nameOrId)}. ${remedy}`);
  }
  if (others.length === 0) return first;
  const ids = found.map(({ id, name }) => `  ${id}  ${name}`).join("\n");
  throw new CommandFailure(
    `${JSON.stringify(nameOrId)} stands for ${found.length} automations. Give the whole id of one:\n${ids}`,
  );
}

function warnOnce(): (seconds: number) => void {
  let hasWarned = false;
  return (seconds) => {
    if (hasWarned) return;
    hasWarned = true;
    const text = `Warning: the server's history is ${seconds} s behind; newer events are missing here. See /api/ready.`;
    process.stderr.write(`${text}\n`);
  };
}

function failureOf(error: unknown): unknown {
  if (!(error instanceof TriplineError)) return error;
  return new CommandFailure(messageOf(error), 1, { cause: error });
}

function messageOf(error: TriplineError): string {
  if (error instanceof Unreachable) {
    return `${error.message}. Start a server with: tripline serve\nor name another with --url or TRIPLINE_API_URL.`;
  }
  if (error instanceof NotAllowed) {
    const remedy =
      error.status === 401
        ? "Set TRIPLINE_API_KEY to a key. Make one with: tripline keys create"
        : "Use a key that has the scope. List keys with: tripline keys ls";
    return `The server refused the request (${error.status}): ${error.message}\n${remedy}`;
  }
  if (!(error instanceof Refused)) return error.message;
  if (error.mistakes.length === 0)
    return `The server refused the request (${error.status}): ${error.message}`;
  const lines = error.message.split("\n").map((line) => `  ${line}`);
  return `The server refused the request (${error.status}), and nothing was changed:\n${lines.join("\n")}`;
}

function firstSet(...values: (string | undefined)[]): string | undefined {
  return values.find((value) => value !== undefined && value !== "");
}
