/** The server that a command talks to, and what is printed when it refuses or is not there. */

import type { Command } from "commander";
import type { AutomationView } from "../client/index.ts";
import { NotAllowed, NotFound, Refused, Tripline, TriplineError, Unreachable } from "../client/index.ts";
import { isUuid } from "../core/model/event.ts";
import { CommandFailure } from "./failure.ts";

export interface ConnectionOptions {
  readonly url?: string;
}

const urlDefault = "http://127.0.0.1:4200/api";

/** A wrong address should be told soon; a server that is busy or restarting is waited for longer. */
const awayPatienceMs = 3_000;

/** Adds the option that names the server. The key comes from the environment only: options can be seen by others. */
export function addConnection(command: Command): Command {
  return command
    .option("-u, --url <url>", `the server's API (TRIPLINE_API_URL, PREFECT_API_URL; default ${urlDefault})`)
    .addHelpText("after", "\nA key is taken from TRIPLINE_API_KEY or PREFECT_API_KEY.");
}

function urlOf(options: ConnectionOptions, env: NodeJS.ProcessEnv): string {
  return options.url ?? firstSet(env["TRIPLINE_API_URL"], env["PREFECT_API_URL"]) ?? urlDefault;
}

export function connectTo(options: ConnectionOptions, env: NodeJS.ProcessEnv = process.env): Tripline {
  const url = urlOf(options, env);
  const key = firstSet(env["TRIPLINE_API_KEY"], env["PREFECT_API_KEY"]) ?? null;
  try {
    return new Tripline({ url, key, awayPatienceMs });
  } catch (error) {
    throw failureOf(error);
  }
}

/** Runs a command against its server. @throws CommandFailure in place of the client's errors */
export async function asking<T>(
  options: ConnectionOptions,
  ask: (tripline: Tripline) => Promise<T>,
): Promise<T> {
  const tripline = connectTo(options);
  try {
    return await ask(tripline);
  } catch (error) {
    const url = urlOf(options, process.env).replace(/\/+$/, "");
    if (error instanceof NotFound && !/\/api(?:$|\/)/.test(url)) {
      const remedy = `An API's address has /api in it: is it ${url}/api?`;
      throw new CommandFailure(`There is no such thing at ${url}. ${remedy}`, 1, { cause: error });
    }
    throw failureOf(error);
  }
}

/** The automation with this name or id. @throws CommandFailure when there is none, or more than one */
export async function automationCalled(tripline: Tripline, nameOrId: string): Promise<AutomationView> {
  const [first, ...others] = await tripline.automations.list({ names: [nameOrId] });
  if (first === undefined && isUuid(nameOrId)) return tripline.automations.get(nameOrId);
  if (first === undefined) {
    throw new CommandFailure(
      `There is no automation ${JSON.stringify(nameOrId)}; tripline automations ls lists them.`,
    );
  }
  if (others.length === 0) return first;
  const ids = [first, ...others].map(({ id }) => `  ${id}`).join("\n");
  throw new CommandFailure(
    `Several automations are called ${JSON.stringify(nameOrId)}; say which by its id:\n${ids}`,
  );
}

function failureOf(error: unknown): unknown {
  if (!(error instanceof TriplineError)) return error;
  return new CommandFailure(messageOf(error), 1, { cause: error });
}

function messageOf(error: TriplineError): string {
  if (error instanceof Unreachable) {
    return `${error.message}. Start a server with: npm start\nor name another with --url or TRIPLINE_API_URL.`;
  }
  if (error instanceof NotAllowed) {
    const remedy = error.status === 401 ? "\nSet TRIPLINE_API_KEY to a key of: tripline keys create" : "";
    return `The server refused it (${error.status}): ${error.message}${remedy}`;
  }
  if (!(error instanceof Refused)) return error.message;
  if (error.mistakes.length === 0) return `The server refused it (${error.status}): ${error.message}`;
  const lines = error.message.split("\n").map((line) => `  ${line}`);
  return `The server refused it (${error.status}); nothing was changed:\n${lines.join("\n")}`;
}

function firstSet(...values: (string | undefined)[]): string | undefined {
  return values.find((value) => value !== undefined && value !== "");
}
