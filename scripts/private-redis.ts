/**
 * A private Redis server for `npm start`: on a free local port, with its data below `.tripline/`. It stops when this
 * process ends.
 *
 * That includes `kill -9`: a small shell holds a pipe from this process and stops Redis when the pipe closes. Redis
 * flushes each write to disk before it answers (`appendfsync always`), so an acknowledged event survives a power
 * failure. If Redis crashes, it is restarted on the same port.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { CommandFailure } from "../src/cli/failure.ts";

export interface PrivateRedis {
  readonly url: string;
  stop(): Promise<void>;
}

/** The contents of `running.json`: the processes that use a directory. */
interface RunningProcesses {
  readonly owner: number;
  readonly redis: number;
  /** For commands that run while the server does. */
  readonly url: string;
}

const startTimeoutMs = 30_000; // a long append-only file takes a while to load
const stopTimeoutMs = 10_000;
const relaunchDelayMs = 1_000;

/**
 * Starts Redis with its data in `directory`.
 *
 * @param warn called when Redis has stopped and is restarted
 * @throws CommandFailure if another live process uses that directory, or Redis does not start
 */
export async function startPrivateRedis(
  directory: string,
  warn: (text: string) => void,
): Promise<PrivateRedis> {
  makePrivate(dirname(directory));
  makePrivate(directory);
  const runningFile = join(directory, "running.json");
  await stopPredecessor(runningFile);

  const port = await freePort();
  // Other users of this machine can reach the port, but not the file with the password.
  const password = randomBytes(24).toString("hex");
  const url = `redis://:${password}@127.0.0.1:${port}`;
  const launch = async (): Promise<RedisProcess> => {
    const next = startServer(directory, port, password);
    const running: RunningProcesses = { owner: process.pid, redis: next.redis.pid ?? 0, url };
    rmSync(runningFile, { force: true }); // an older one may be readable by others
    writeFileSync(runningFile, JSON.stringify(running), { mode: 0o600 });
    await untilReady(next, url);
    return next;
  };

  const stopping = new AbortController();
  let server = await launch();
  const supervise = async (): Promise<void> => {
    for (;;) {
      await server.ended;
      if (stopping.signal.aborted) return;
      warn("redis-server stopped; restarting it");
      try {
        server = await launch();
      } catch (error) {
        warn(`redis-server failed to restart; trying again: ${String(error)}`);
        await sleep(relaunchDelayMs);
      }
    }
  };
  const supervised = supervise();

  return {
    url,
    stop: async () => {
      stopping.abort();
      server.redis.kill("SIGTERM");
      await supervised;
      rmSync(runningFile, { force: true });
    },
  };
}

/** Creates a folder that only its owner can enter; one of an older version may be open to others. */
function makePrivate(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
}

interface RedisProcess {
  readonly redis: ChildProcess;
  readonly watchdog: ChildProcess;
  output: string;
  readonly ended: Promise<void>;
}

function startServer(directory: string, port: number, password: string): RedisProcess {
  // Detached: Ctrl-C goes to every process of the terminal, and Redis must run until the server has stopped.
  const redis = spawn(
    "redis-server",
    [
      // The password comes from standard input, because everyone can read the parameters of a process.
      ...["-", "--port", String(port), "--bind", "127.0.0.1", "--dir", directory],
      ...["--appendonly", "yes", "--appendfsync", "always", "--save", ""],
    ],
    { detached: true, stdio: ["pipe", "pipe", "pipe"] },
  );
  redis.stdin.on("error", () => {}); // it did not start, which its end reports
  redis.stdin.end(`requirepass ${password}\n`);
  const watchdog = spawn("sh", ["-c", `read -r _; kill -TERM ${redis.pid}`], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const ended = once(redis, "exit").then(() => void watchdog.kill("SIGKILL"));
  const server: RedisProcess = { redis, watchdog, output: "", ended };
  for (const stream of [redis.stdout, redis.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      server.output = `${server.output}${chunk}`.slice(-4_000);
    });
  }
  return server;
}

async function untilReady(server: RedisProcess, url: string): Promise<void> {
  const probe = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
  probe.on("error", () => {}); // it is not ready yet
  const ended = server.ended.then(() => {
    throw new CommandFailure(`redis-server stopped while starting. Its output:\n${server.output}`);
  });
  const timeout = sleep(startTimeoutMs, undefined, { ref: false }).then(() => {
    throw new CommandFailure(
      `redis-server did not answer within ${startTimeoutMs / 1_000} s. Its output:\n${server.output}`,
    );
  });
  try {
    await Promise.race([probe.ping(), ended, timeout]);
  } finally {
    probe.disconnect();
    timeout.catch(() => {});
    ended.catch(() => {});
  }
}

/** Stops a Redis that a killed process left behind: two must never write to the same directory. */
async function stopPredecessor(runningFile: string): Promise<void> {
  const running = readRunning(runningFile);
  if (running === null) return;
  if (running.owner !== process.pid && commandOf(running.owner).includes("start.ts")) {
    throw new CommandFailure(
      `Tripline is already running in this folder (process ${running.owner}). Stop it first: kill ${running.owner}`,
    );
  }
  const isRedis = () => commandOf(running.redis).includes("redis-server");
  if (isRedis()) process.kill(running.redis, "SIGTERM");
  for (const deadline = Date.now() + stopTimeoutMs; isRedis(); await sleep(50)) {
    if (Date.now() < deadline) continue;
    throw new CommandFailure(
      `The redis-server of an earlier run (process ${running.redis}) does not stop. Kill it: kill -9 ${running.redis}`,
    );
  }
}

function readRunning(file: string): RunningProcesses | null {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    const { owner, redis } = value as Partial<RunningProcesses>;
    return Number.isInteger(owner) && Number.isInteger(redis) ? (value as RunningProcesses) : null;
  } catch {
    return null; // missing, or truncated by a crash
  }
}

/** The command line of a live process. It shows if the id now belongs to another program. */
function commandOf(pid: number): string {
  const listing = `/proc/${pid}/cmdline`; // small Linux images have no ps
  if (existsSync("/proc/self")) return existsSync(listing) ? readFileSync(listing, "utf8") : "";
  return spawnSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8" }).stdout ?? "";
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
