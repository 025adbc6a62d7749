/** The engine of a process: it runs every shard of a workspace that it can claim. */

import { randomUUID } from "node:crypto";
import type { LogPosition } from "../core/machine/log-entry.ts";
import type { Micros } from "../core/model/time.ts";
import { systemClock } from "../retry/clock.ts";
import { callRedis, connect, type RedisConnection } from "../store/connection.ts";
import { workspaceKeys } from "../store/keys.ts";
import { LogReader } from "../store/log-reader.ts";
import { SharedReader } from "../store/shared-reader.ts";
import { passOnTracer, type Tracer } from "../telemetry/tracer.ts";
import { version } from "../version.ts";
import type { ActionQueue, EngineLogger, EngineMetrics } from "./ports.ts";
import { RedisShardStore } from "./redis-shard-store.ts";
import { runShard } from "./shard.ts";

export type { ActionQueue, EngineLogger, EngineMetrics } from "./ports.ts";

export interface EngineOptions {
  readonly redisUrl: string;
  readonly workspace: string;
  readonly queue: ActionQueue;
  readonly logger: EngineLogger;
  readonly metrics?: EngineMetrics;
  /** Records a span for each firing. Without one, a firing passes on the trace of its event. */
  readonly tracer?: Tracer;
  /** The number of shards that the workspace's automations are divided into; fixed at its first start. Default 1. */
  readonly shards?: number;
  /** How long a shard waits for a new owner after its owner died. Default 10 s. */
  readonly leaseMs?: number;
  /** The lateness of triggers that do not set their own. */
  readonly latenessDefault?: Micros;
  /** The maximum number of event ids to remember. */
  readonly seenCountMax?: number;
}

export interface Engine {
  /** Resolves once each shard has an owner, in this process or another. */
  readonly ready: Promise<void>;
  /** Commits what was applied, dispatches it, and releases every shard. */
  stop(): Promise<void>;
}

/** The workspace has a different number of shards than the settings ask for. */
export class ShardCountChanged extends Error {
  override readonly name = "ShardCountChanged";
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
 * @throws ShardCountChanged if the workspace was first started with a different number of shards
 * @throws RangeError if the number of shards is not a positive integer
 */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { redisUrl, workspace, queue, logger, metrics = {}, shards = 1, leaseMs = leaseMsDefault } = options;
  const { latenessDefault, seenCountMax, tracer = passOnTracer } = options;
  const onLost = (error: Error) =>
    logger.warn({ err: error }, "The engine lost its connection to Redis; reconnecting");
  const redis = connect(redisUrl, { name: `tripline-engine/${version}`, onLost });
  try {
    await fixShardCount(redis, workspace, shards);
  } catch (error) {
    redis.disconnect();
    throw error;
  }

  // One for all shards, so that each entry is read and decoded once.
  const onMalformed = (position: LogPosition, reason: string) => {
    metrics.malformed?.();
    logger.error({ position, reason }, "Skipped a log entry that cannot be read");
  };
  const reader = new SharedReader(new LogReader(redis, workspace, onMalformed));
  const stop = new AbortController();
  const owner = randomUUID();
  const running: Promise<void>[] = [];
  const owned: Promise<void>[] = [];
  for (let shard = 0; shard < shards; shard += 1) {
    const store = new RedisShardStore(redis, { workspace, shard, owner, onMalformed, reader });
    const settings = {
      shard,
      shardCount: shards,
      leaseMs,
      ...(latenessDefault === undefined ? {} : { latenessDefault }),
      ...(seenCountMax === undefined ? {} : { seenCountMax }),
    };
    const ports = { store, queue, clock: systemClock, logger, metrics, tracer };
    const hasOwner = Promise.withResolvers<void>();
    owned.push(hasOwner.promise);
    const ended = runShard(ports, settings, stop.signal, hasOwner.resolve).finally(() => {
      store.interrupt();
      hasOwner.resolve();
    });
    running.push(ended);
  }
  return {
    ready: Promise.all(owned).then(() => {}),
    async stop() {
      stop.abort();
      await Promise.all(running);
      reader.close();
      redis.disconnect();
    },
  };
}

/** Stores the number of shards at the first start, and checks it at every later one. */
async function fixShardCount(redis: RedisConnection, workspace: string, shards: number): Promise<void> {
  if (!Number.isInteger(shards) || shards < 1) {
    throw new RangeError(`The number of shards must be a positive integer, not ${shards}`);
  }
  const key = workspaceKeys(workspace).shardCount;
  await callRedis(() => redis.setnx(key, shards));
  const fixed = Number(await callRedis(() => redis.get(key)));
  if (fixed === shards) return;
  throw new ShardCountChanged(
    `Workspace ${workspace} has ${fixed} shards, but the settings ask for ${shards}. The number cannot change after the ` +
      `first start, because open windows are divided among the shards. Start with --shards ${fixed}.`,
  );
}
