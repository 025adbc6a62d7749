/** The engine: it runs its share of the shards of a workspace. A process may start several, each a member of its own. */

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { threadId } from "node:worker_threads";
import type { LogPosition } from "../core/machine/log-entry.ts";
import type { Micros } from "../core/model/time.ts";
import { systemClock } from "../retry/clock.ts";
import { callRedis, connect, type RedisConnection } from "../store/connection.ts";
import { readLayout } from "../store/engines.ts";
import { workspaceKeys } from "../store/keys.ts";
import { LogReader } from "../store/log-reader.ts";
import type { EntrySink, EntrySource } from "../store/passed-entries.ts";
import { SharedReader } from "../store/shared-reader.ts";
import { passOnTracer, type Tracer } from "../telemetry/tracer.ts";
import { version } from "../version.ts";
import type { ActionQueue, EngineLogger, EngineMetrics } from "./ports.ts";
import { RedisEngineStore } from "./redis-engine-store.ts";
import { runShards } from "./run-shards.ts";

export type { ActionQueue, EngineLogger, EngineMetrics } from "./ports.ts";

export interface EngineOptions {
  readonly redisUrl: string;
  readonly workspace: string;
  readonly queue: ActionQueue;
  readonly logger: EngineLogger;
  readonly metrics?: EngineMetrics;
  /** Records a span for each firing. Without one, a firing passes on the trace of its event. */
  readonly tracer?: Tracer;
  /** The number of shards that the workspace's automations are divided into, if this is its first start. Default 1. */
  readonly shards?: number;
  /** How long a shard waits for a new owner after its owner died. Default 10 s. */
  readonly leaseMs?: number;
  /** The lateness of triggers that do not set their own. */
  readonly latenessDefault?: Micros;
  /** The maximum number of event ids to remember. */
  readonly seenCountMax?: number;
  /** How many replicas of Redis must have what an engine writes before it acts on it. Default 0. */
  readonly replicaCount?: number;
  /** Gets what is read of the log, for other threads. */
  readonly passOn?: EntrySink | null;
  /** Has what another thread has read of the log. */
  readonly passed?: EntrySource | null;
}

export interface Engine {
  /** Identifies it among all engines, also those of this process. */
  readonly name: string;
  /** Resolves once each shard has an owner, in this process or another. */
  readonly ready: Promise<void>;
  /** Commits what was applied, dispatches it, and releases every shard. */
  stop(): Promise<void>;
}

const leaseMsDefault = 10_000;

/**
 * Starts the engine. From then on it tolerates Redis outages.
 *
 * @example
 * const engine = await startEngine({ redisUrl, workspace: "default", queue, logger });
 * await engine.ready;
 * // …
 * await engine.stop();
 *
 * @throws RedisUnreachable if Redis is unavailable now
 * @throws RangeError if the number of shards is not a positive integer
 */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { redisUrl, workspace, queue, logger, metrics = {}, shards = 1, leaseMs = leaseMsDefault } = options;
  const { latenessDefault, seenCountMax, replicaCount = 0, tracer = passOnTracer } = options;
  const onLost = (error: Error) =>
    logger.warn({ err: error }, "The engine lost its connection to Redis; reconnecting");
  const redis = connect(redisUrl, { name: `tripline-engine/${version}`, onLost });
  try {
    await fixShardCount(redis, workspace, { shards, logger });
  } catch (error) {
    redis.disconnect();
    throw error;
  }

  // One for all shards, so that each entry is read and decoded once.
  const onMalformed = (position: LogPosition, reason: string) => {
    metrics.malformed?.();
    logger.error({ position, reason }, "Skipped a log entry that cannot be read");
  };
  const { passOn, passed } = options;
  const reader = new SharedReader(new LogReader(redis, workspace, { onMalformed, passOn, passed }));
  const engines = new RedisEngineStore(redis, {
    workspace,
    firstCount: shards,
    onMalformed,
    reader,
    replicaCount,
  });
  const settings = {
    name: engineName(),
    leaseMs,
    ...(latenessDefault === undefined ? {} : { latenessDefault }),
    ...(seenCountMax === undefined ? {} : { seenCountMax }),
  };
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const ports = { engines, queue, clock: systemClock, logger, metrics, tracer };
  const running = runShards(ports, settings, stop.signal, ready.resolve).finally(ready.resolve);
  return {
    name: settings.name,
    ready: ready.promise,
    async stop() {
      stop.abort();
      await running;
      reader.close();
      redis.disconnect();
    },
  };
}

let startedCount = 0;

/** Says where the engine runs, for people, and is unique: the host, the process, the thread, and which of its engines. */
function engineName(): string {
  startedCount += 1;
  const random = randomUUID().slice(0, 8);
  return `${hostname()}/${process.pid}/${threadId}.${startedCount}/${random}`;
}

/** Stores the number of shards at the first start. A later start with another number has no effect. */
async function fixShardCount(
  redis: RedisConnection,
  workspace: string,
  { shards, logger }: { shards: number; logger: EngineLogger },
): Promise<void> {
  if (!Number.isInteger(shards) || shards < 1) {
    throw new RangeError(`The number of shards must be a positive integer, not ${shards}`);
  }
  const key = workspaceKeys(workspace).shardCount;
  await callRedis(() => redis.setnx(key, shards));
  const layout = await readLayout(redis, workspace);
  // One shard is the default, which asks for nothing.
  if (layout === null || layout.count === shards || shards === 1) return;
  const remedy = `tripline shards set ${shards}`;
  logger.warn(
    { shards: layout.count, setting: shards, remedy },
    "The workspace has another number of shards than the settings, which count at its first start only",
  );
}
