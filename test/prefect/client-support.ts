/** The real `prefect` package, in its own virtual environment, connected to a server of the tests. */

import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Finished, type Running, root } from "../cli/support.ts";
import { fencesOf } from "../docs/fences.ts";
import type { ContractServer } from "./contract-support.ts";

const environment = resolve(root, process.env["TRIPLINE_PREFECT_VENV"] ?? ".tripline/prefect-venv");
const bin = join(environment, "bin");

/** The Python of an old client's environment; null if it is not installed. */
export function oldPython(version: string): string | null {
  const path = join(`${environment}-${version}`, "bin", "python");
  return existsSync(path) ? path : null;
}

/** The text of a program in docs/prefect.md, marked `run: <name>`. */
export function documentedProgram(name: string): string {
  const found = fencesOf("docs/prefect.md").find(({ note }) => note === `run: ${name}`);
  if (found === undefined) throw new Error(`docs/prefect.md has no block "run: ${name}"`);
  return found.text;
}

/** The path of a program in the virtual environment; null if it is not installed. */
export function installed(program: string): string | null {
  const path = join(bin, program);
  return existsSync(path) ? path : null;
}

/** The title, with the reason if its tests are skipped. */
export function titled(title: string, program: string): string {
  if (installed(program) !== null) return title;
  return `${title} (skipped: no ${program} in ${bin}; npm run prefect:setup installs it)`;
}

/** A test's time limit. Importing Prefect takes a second, or on a busy machine half a minute. */
export const timeout = 300_000;

export const prefectMissing = installed("prefect") === null;

export interface Output extends Finished {
  readonly stdout: string;
  readonly stderr: string;
}

/** A user of Prefect who does not know Tripline: only PREFECT_API_URL names the server. */
export class PrefectUser {
  readonly server: ContractServer;
  readonly #settings: Readonly<Record<string, string>>;

  /** @param settings of Prefect's client, in addition to the URL */
  constructor(server: ContractServer, settings: Readonly<Record<string, string>> = {}) {
    this.server = server;
    this.#settings = {
      PREFECT_API_URL: server.api,
      PREFECT_HOME: join(server.sandbox.folder, "prefect-home"),
      // Only for the tests: no telemetry, and no wrapped lines.
      DO_NOT_TRACK: "1",
      COLUMNS: "400",
      ...settings,
    };
  }

  /** Starts `prefect`. */
  start(...words: string[]): Running {
    return this.#run("prefect", words);
  }

  /** Starts a program of test/prefect/programs. */
  startProgram(name: string, ...words: string[]): Running {
    return this.#run("python", [join(import.meta.dirname, "programs", name), ...words]);
  }

  /** Runs `prefect` to its end. */
  async tryPrefect(...words: string[]): Promise<Output> {
    return output(this.start(...words));
  }

  /** Runs `prefect`, and expects it to succeed. @returns what it printed */
  async prefect(...words: string[]): Promise<string> {
    return succeeded(await this.tryPrefect(...words));
  }

  /** Runs a program of test/prefect/programs, and expects it to succeed. @returns what it printed */
  async program(name: string, ...words: string[]): Promise<string> {
    return succeeded(await output(this.startProgram(name, ...words)));
  }

  /** Runs a Python program, and expects it to succeed. @returns what it printed */
  async runFile(path: string): Promise<string> {
    return succeeded(await output(this.#run("python", [path])));
  }

  #run(program: string, words: readonly string[]): Running {
    return this.server.sandbox.run(join(bin, program), words, this.#settings);
  }
}

async function output(running: Running): Promise<Output> {
  const finished = await running.ended;
  return { ...finished, stdout: running.stdout, stderr: running.stderr };
}

function succeeded({ code, stdout, stderr }: Output): string {
  if (code !== 0) throw new Error(`It ended with ${code} and printed:\n${stdout}${stderr}`);
  return stdout;
}

/** The version of a package in the virtual environment, for titles; "?" if it is unknown. */
export function versionOf(name: string): string {
  const lib = join(bin, "..", "lib");
  const sites = existsSync(lib) ? readdirSync(lib).map((python) => join(lib, python, "site-packages")) : [];
  const infos = sites.filter(existsSync).flatMap((site) => readdirSync(site));
  const pattern = new RegExp(`^${name}-(.+)\\.dist-info$`);
  return infos.map((info) => pattern.exec(info)?.[1]).find((version) => version !== undefined) ?? "?";
}
