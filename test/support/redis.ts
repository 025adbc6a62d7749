/** A private redis-server for one suite: on a free port, with its own directory, which `stop` removes. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./free-port.ts";

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** Ends the server and removes its files. */
  stop(): Promise<void>;
  /** Ends the server as a power cut would: nothing more is written. */
  kill9(): Promise<void>;
  /** Starts it again on the same port and files, after `kill9` or in place of a running one. */
  restart(): Promise<void>;
}

export interface TestRedisOptions {
  /** Without it nothing survives a restart. */
  readonly appendOnly?: "always" | "everysec";
}

export async function startRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), "tripline-redis-"));
  const persistence =
    options.appendOnly === undefined
      ? ["--appendonly", "no"]
      : ["--appendonly", "yes", "--appendfsync", options.appendOnly];
  const common = [
    "--bind",
    "127.0.0.1",
    "--dir",
    directory,
    "--save",
    "",
    "--daemonize",
    "no",
    ...persistence,
  ];

  let port = 0;
  let server: ChildProcess | null = null;
  for (let attempt = 1; server === null; attempt += 1) {
    port = await freePort();
    // Another suite may take the port before this server binds it.
    server = await launch([...common, "--port", String(port)]).catch((error: unknown) => {
      if (attempt === 5) throw error;
      return null;
    });
  }
  let running = server;
  const killWithParent = () => void running.kill("SIGKILL");
  process.on("exit", killWithParent);

  const end = async (signal: NodeJS.Signals) => {
    if (running.exitCode !== null || running.signalCode !== null) return;
    const exited = new Promise((resolve) => running.once("exit", resolve));
    running.kill(signal);
    await exited;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill9: () => end("SIGKILL"),
    async restart() {
      await end("SIGTERM");
      running = await launch([...common, "--port", String(port)]);
    },
    async stop() {
      await end("SIGKILL");
      process.off("exit", killWithParent);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Resolves once the server accepts commands; rejects with its output if it ends before that. */
export function launch(
  settings: readonly string[],
  isReady = "Ready to accept connections",
): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    const server = spawn("redis-server", settings, { stdio: ["ignore", "pipe", "pipe"] });
    let printed = "";
    const look = (chunk: Buffer) => {
      printed += chunk.toString();
      if (!printed.includes(isReady)) return;
      server.off("exit", fail);
      server.stdout.removeAllListeners("data").resume();
      resolve(server);
    };
    const fail = () => reject(new Error(`redis-server ended before it was ready:\n${printed}`));
    server.stdout.on("data", look);
    server.stderr.on("data", look);
    server.once("error", reject);
    server.once("exit", fail);
  });
}
