/**
 * A Redis of our own: on a free port of this machine, its data below `.tripline/`, and gone when we are.
 *
 * However this process ends, also by `kill -9`, Redis is told to stop: a small shell holds a pipe from us and acts
 * when it closes. Redis flushes each write to disk before it answers (`appendfsync always`), so that an event once
 * acknowledged is still there after a power cut. If Redis itself dies it is started again, on the same port.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { CommandFailure } from "../src/cli/failure.ts";

export interface PrivateRedis {
  readonly url: string;
  stop(): Promise<void>;
}

/** What `running.json` says of the processes that use a directory. */
interface Running {
  readonly owner: number;
  readonly redis: number;
  /** For commands that are run beside the server. */
  readonly url: string;
}

const startPatienceMs = 30_000; // a long append-only file takes a while to load
const stopPatienceMs = 10_000;
const relaunchDelayMs = 1_000;

/**
 * Starts Redis with its data in `directory`.
 *
 * @param note told when Redis had to be started again
 * @throws CommandFailure when another live process uses that directory, or Redis does not start
 */
export async function startPrivateRedis(
  directory: string,
  note: (text: string) => void,
): Promise<PrivateRedis> {
  mkdirSync(directory, { recursive: true });
  const runningFile = join(directory, "running.json");
  await settlePredecessor(runningFile);

  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const launch = async (): Promise<Server> => {
    const next = startServer(directory, port);
    const running: Running = { owner: process.pid, redis: next.redis.pid ?? 0, url };
    writeFileSync(runningFile, JSON.stringify(running));
    await untilReady(next, url);
    return next;
  };

  const stopping = new AbortController();
  let server = await launch();
  const supervise = async (): Promise<void> => {
    for (;;) {
      await server.ended;
      if (stopping.signal.aborted) return;
      note("redis-server has ended; starting it again");
      try {
        server = await launch();
      } catch (error) {
        note(`redis-server does not start again: ${String(error)}`);
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

interface Server {
  readonly redis: ChildProcess;
  readonly watchdog: ChildProcess;
  output: string;
  readonly ended: Promise<void>;
}

function startServer(directory: string, port: number): Server {
  // Detached: Ctrl-C goes to the whole terminal, and Redis must outlive us while we stop in order.
  const redis = spawn(
    "redis-server",
    [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", directory],
      ...["--appendonly", "yes", "--appendfsync", "always", "--save", ""],
    ],
    { detached: true, stdio: ["ignore", "pipe", "pipe"] },
  );
  const watchdog = spawn("sh", ["-c", `read -r _; kill -TERM ${redis.pid}`], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const ended = once(redis, "exit").then(() => void watchdog.kill("SIGKILL"));
  const server: Server = { redis, watchdog, output: "", ended };
  for (const stream of [redis.stdout, redis.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      server.output = `${server.output}${chunk}`.slice(-4_000);
    });
  }
  return server;
}

async function untilReady(server: Server, url: string): Promise<void> {
  const probe = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: null });
  probe.on("error", () => {}); // it is not there yet
  const ended = server.ended.then(() => {
    throw new CommandFailure(`redis-server ended while it started. It said:\n${server.output}`);
  });
  const late = sleep(startPatienceMs, undefined, { ref: false }).then(() => {
    throw new CommandFailure(
      `redis-server did not answer within ${startPatienceMs / 1_000} s. It said:\n${server.output}`,
    );
  });
  try {
    await Promise.race([probe.ping(), ended, late]);
  } finally {
    probe.disconnect();
    late.catch(() => {});
    ended.catch(() => {});
  }
}

/** Waits for, or ends, a Redis that a killed predecessor left behind: two must never write to one directory. */
async function settlePredecessor(runningFile: string): Promise<void> {
  const running = readRunning(runningFile);
  if (running === null) return;
  if (running.owner !== process.pid && commandOf(running.owner).includes("start.ts")) {
    throw new CommandFailure(
      `Tripline is already running here (process ${running.owner}). Stop it first: kill ${running.owner}`,
    );
  }
  const isRedis = () => commandOf(running.redis).includes("redis-server");
  if (isRedis()) process.kill(running.redis, "SIGTERM");
  for (const deadline = Date.now() + stopPatienceMs; isRedis(); await sleep(50)) {
    if (Date.now() < deadline) continue;
    throw new CommandFailure(
      `An old redis-server (process ${running.redis}) does not stop. End it: kill -9 ${running.redis}`,
    );
  }
}

function readRunning(file: string): Running | null {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    const { owner, redis } = value as Partial<Running>;
    return Number.isInteger(owner) && Number.isInteger(redis) ? (value as Running) : null;
  } catch {
    return null; // none, or one that a crash cut short
  }
}

/** The command line of a live process, so that a number that now belongs to another program misleads nobody. */
function commandOf(pid: number): string {
  const listing = `/proc/${pid}/cmdline`; // a small Linux image has no ps
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
