/** The engine as a process runs it: every shard of a workspace that it can claim. */

import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type { Micros } from "../core/model/time.ts";
import { systemClock } from "../retry/clock.ts";
import { connect, reaching } from "../store/connection.ts";
import { workspaceKeys } from "../store/keys.ts";
import { passOnTracer, type Tracer } from "../telemetry/tracer.ts";
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
  /** Records a span for each firing. By default a firing passes on the trace of its event. */
  readonly tracer?: Tracer;
  /** Among how many shards the workspace's automations are divided; fixed at its first start. Default 1. */
  readonly shards?: number;
  /** How long a shard waits for a new owner when its own has died. Default 10 s. */
  readonly leaseMs?: number;
  /** The lateness of triggers that name none. */
  readonly latenessDefault?: Micros;
  /** How many event ids are known at most. */
  readonly seenCountMax?: number;
}

export interface Engine {
  /** Resolves when each shard has an owner, here or elsewhere. */
  readonly ready: Promise<void>;
  /** Commits what was applied, dispatches it, and gives up every shard. */
  stop(): Promise<void>;
}

/** The workspace is divided into another number of shards than the settings ask for. */
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
 * @throws RedisUnreachable when Redis is unavailable at the start
 * @throws ShardCountChanged when the workspace was started with another number of shards
 */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { redisUrl, workspace, queue, logger, metrics = {}, shards = 1, leaseMs = leaseMsDefault } = options;
  const { latenessDefault, seenCountMax, tracer = passOnTracer } = options;
  const onTrouble = (error: Error) =>
    logger.warn({ err: error }, "The engine lost its connection to Redis; reconnecting");
  const redis = connect(redisUrl, { name: "tripline-engine", onTrouble });
  try {
    await fixShardCount(redis, workspace, shards);
  } catch (error) {
    redis.disconnect();
    throw error;
  }

  const stop = new AbortController();
  const owner = randomUUID();
  const running: Promise<void>[] = [];
  const settling: Promise<void>[] = [];
  for (let shard = 0; shard < shards; shard += 1) {
    const onMalformed = (position: string, reason: string) => {
      metrics.malformed?.(shard);
      logger.error({ shard, position, reason }, "Skipped a log entry that cannot be read");
    };
    const store = new RedisShardStore(redis, { workspace, shard, owner, onMalformed });
    const settings = {
      shard,
      shardCount: shards,
      leaseMs,
      ...(latenessDefault === undefined ? {} : { latenessDefault }),
      ...(seenCountMax === undefined ? {} : { seenCountMax }),
    };
    const ports = { store, queue, clock: systemClock, logger, metrics, tracer };
    const settled = Promise.withResolvers<void>();
    settling.push(settled.promise);
    const ended = runShard(ports, settings, stop.signal, settled.resolve).finally(() => {
      store.interrupt();
      settled.resolve();
    });
    running.push(ended);
  }
  return {
    ready: Promise.all(settling).then(() => {}),
    async stop() {
      stop.abort();
      await Promise.all(running);
      redis.disconnect();
    },
  };
}

async function fixShardCount(redis: Redis, workspace: string, shards: number): Promise<void> {
  if (!Number.isInteger(shards) || shards < 1) {
    throw new RangeError(`The number of shards is ${shards}; it should be a whole number from 1`);
  }
  const key = workspaceKeys(workspace).shardCount;
  await reaching(() => redis.setnx(key, shards));
  const fixed = Number(await reaching(() => redis.get(key)));
  if (fixed === shards) return;
  throw new ShardCountChanged(
    `Workspace ${workspace} has ${fixed} shards, but the settings ask for ${shards}. The number is fixed at the first start, ` +
      `because open windows are divided among the shards. Start with --shards ${fixed}`,
  );
}
