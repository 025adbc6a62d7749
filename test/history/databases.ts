/** The databases that can hold a history: an SQLite file, and a private PostgreSQL if its server is installed. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { HistoryOptions } from "../../src/history/connections.ts";
import { freePort } from "../support/free-port.ts";

export interface TestDatabase {
  /** Options that open one workspace of this database. */
  options(workspace: string): HistoryOptions;
  /** Stops the server, if there is one, in the middle of its work; `restartServer` starts it on the same port and files. */
  stopServer?(): Promise<void>;
  restartServer?(): Promise<void>;
  remove(): Promise<void>;
}

export interface DatabaseKind {
  readonly name: "SQLite" | "PostgreSQL";
  /** Why it cannot be tested on this machine, or null. */
  readonly missing: string | null;
  start(): Promise<TestDatabase>;
}

const installed = "/usr/lib/postgresql";
const version = existsSync(installed)
  ? readdirSync(installed).sort((a, b) => Number(b) - Number(a))[0]
  : undefined;
const binaries = version === undefined ? null : join(installed, version, "bin");
const hasServer = binaries !== null && existsSync(join(binaries, "initdb"));

export const databaseKinds: readonly DatabaseKind[] = [
  {
    name: "SQLite",
    missing: null,
    async start() {
      const directory = mkdtempSync(join(tmpdir(), "tripline-sqlite-"));
      return {
        options: (workspace) => ({ path: join(directory, "history", "events.sqlite"), workspace }),
        remove: async () => rmSync(directory, { recursive: true, force: true }),
      };
    },
  },
  {
    name: "PostgreSQL",
    missing: hasServer ? null : `no server in ${installed}; on Debian: apt-get install postgresql`,
    start: startPostgres,
  },
];

async function startPostgres(): Promise<TestDatabase> {
  const directory = mkdtempSync(join(tmpdir(), "tripline-postgres-"));
  const userCommand: string[] = [];
  // PostgreSQL refuses to run as root. Debian's package creates a user for it.
  if (process.getuid?.() === 0) {
    const [uid, gid] = ["-u", "-g"].map((flag) => Number(execFileSync("id", [flag, "postgres"])));
    chownSync(directory, uid ?? 0, gid ?? 0);
    userCommand.push("setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups");
  }
  const command = (name: string, ...rest: string[]): [string, string[]] => {
    const [file = "", ...args] = [...userCommand, join(binaries ?? "", name), ...rest];
    return [file, args];
  };
  const files = join(directory, "data");
  const initialized = ["-D", files, "-U", "tripline", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
  execFileSync(...command("initdb", ...initialized), { cwd: directory, stdio: "pipe" });

  const port = await freePort();
  const url = `postgres://tripline@127.0.0.1:${port}/postgres`;
  const settings = [
    `port=${port}`,
    "listen_addresses=127.0.0.1",
    `unix_socket_directories=${directory}`,
    "fsync=off",
  ];
  const launch = async () => {
    const server = spawn(
      ...command("postgres", "-D", files, ...settings.flatMap((setting) => ["-c", setting])),
      {
        cwd: directory,
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    await untilReady(server, url);
    return server;
  };
  let server = await launch();
  const killWithParent = () => void server.kill("SIGQUIT");
  process.on("exit", killWithParent);
  const end = async (signal: NodeJS.Signals) => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = new Promise((resolve) => server.once("exit", resolve));
    server.kill(signal);
    await exited;
  };
  return {
    options: (workspace) => ({ url, workspace }),
    stopServer: () => end("SIGQUIT"),
    async restartServer() {
      server = await launch();
    },
    async remove() {
      await end("SIGINT");
      process.off("exit", killWithParent);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Resolves once a client can connect; rejects with what the server printed if it ends before that. */
function untilReady(server: ChildProcess, url: string): Promise<void> {
  let printed = "";
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(`postgres ended before it was ready:\n${printed}`));
    server.once("exit", fail);
    server.once("error", reject);
    server.stderr?.on("data", async (chunk: Buffer) => {
      const wasReady = isReady(printed);
      printed += chunk.toString();
      if (wasReady || !isReady(printed)) return;
      server.off("exit", fail);
      const client = new pg.Client({ connectionString: url });
      try {
        await client.connect();
        // Disconnect before a test may stop the server: nothing would catch an error that the client raises later.
        await client.end();
        resolve();
      } catch (error) {
        reject(error);
      }
    });
  });
}

function isReady(printed: string): boolean {
  return printed.includes("ready to accept connections");
}
