/**
 * A shard's life in this process: wait for the lease, restore, run the loop, and start over when anything fails.
 *
 * Starting over is always right, because nothing that matters is in memory alone.
 */

import { RedisUnreachable } from "../store/connection.ts";
import { passOnTracer, type Tracer } from "../telemetry/tracer.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Loop, LostOwnership } from "./loop.ts";
import type { ActionQueue, Clock, EngineLogger, EngineMetrics, ShardStore } from "./ports.ts";
import { type RestoreSettings, restore } from "./restore.ts";

export interface ShardPorts {
  readonly store: ShardStore;
  readonly queue: ActionQueue;
  readonly clock: Clock;
  readonly logger: EngineLogger;
  readonly metrics: EngineMetrics;
  readonly tracer?: Tracer;
}

export interface ShardSettings extends RestoreSettings {
  /** How long the shard stays ours without a sign of life. */
  readonly leaseMs: number;
}

const unreachableRetryMs = 250;
/** After so long as an owner it was a new failure, and no repetition of the last. */
const steadyMs = 10_000;
const refusedRetryMsMax = 5_000;
const faultRetryMsMin = 250;
const faultRetryMsMax = 30_000;

/**
 * Runs a shard until `stop` is aborted; then gives it up at once.
 *
 * @param settled called when the shard is first known to be owned, by this process or another
 */
export async function runShard(
  ports: ShardPorts,
  settings: ShardSettings,
  stop: AbortSignal,
  settled: () => void = () => {},
): Promise<void> {
  const { store, clock, logger } = ports;
  const { shard, leaseMs } = settings;
  let faultRetryMs = faultRetryMsMin;
  let refusedRetryMs = unreachableRetryMs;
  let condition: "running" | "waiting" | "unreachable" = "running";
  while (!stop.aborted) {
    const started = clock.now();
    let isOwner = false;
    try {
      const claim = await store.claim(leaseMs);
      if ("heldMs" in claim) {
        if (condition !== "waiting") logger.info({ shard }, "The shard has an owner; waiting to take over");
        condition = "waiting";
        settled();
        await clock.sleep(Math.min(Math.max(claim.heldMs, 1), leaseMs / 3), stop);
        continue;
      }
      condition = "running";
      isOwner = true;
      await own(ports, settings, claim.epoch, stop, settled);
    } catch (error) {
      if (stop.aborted) return;
      if (error instanceof LostOwnership) {
        logger.warn({ shard, reason: error.message }, "Lost the shard");
      } else if (error instanceof RedisUnreachable) {
        if (condition !== "unreachable") logger.warn({ shard, err: error }, "Lost Redis; waiting for it");
        condition = "unreachable";
        // A Redis that is full gives the shard away, and then takes no commit: to restore at once, again and again, would
        // only burden it.
        const isRefused = isOwner && clock.now() - started < steadyMs;
        refusedRetryMs = isRefused ? Math.min(refusedRetryMs * 2, refusedRetryMsMax) : unreachableRetryMs;
        await clock.sleep(refusedRetryMs, stop);
      } else {
        // It may have been an entry of the log, and be met again: another owner, or a better version of the program,
        // goes on from the same place.
        logger.error({ shard, err: error }, "The shard stopped on a fault of the program; starting it over");
        if (clock.now() - started > faultRetryMsMax) faultRetryMs = faultRetryMsMin;
        await clock.sleep(faultRetryMs, stop);
        faultRetryMs = Math.min(faultRetryMs * 2, faultRetryMsMax);
      }
    }
  }
}

async function own(
  ports: ShardPorts,
  settings: ShardSettings,
  epoch: number,
  stop: AbortSignal,
  restored: () => void,
): Promise<void> {
  const { store, queue, clock, logger, metrics, tracer = passOnTracer } = ports;
  const { shard, shardCount, leaseMs } = settings;
  const ended = new AbortController();
  const signal = AbortSignal.any([stop, ended.signal]);
  const interrupt = () => store.interrupt();
  signal.addEventListener("abort", interrupt);
  const keeping = keepLease(ports, epoch, leaseMs, ended);
  const dispatcher = new Dispatcher(store, queue, clock, logger);
  dispatcher.start();
  try {
    const { core, cursor } = await restore(store, settings, logger);
    logger.info({ shard, epoch, position: cursor.position }, "Own the shard");
    metrics.owned?.(shard, true);
    restored();
    const dispatch = () => dispatcher.wake();
    const loop = new Loop(
      core,
      cursor,
      { store, clock, metrics, dispatch, tracer },
      { shard, shardCount, epoch },
    );
    await loop.run(signal);
    if (!stop.aborted) throw new LostOwnership("the lease was lost");
  } finally {
    signal.removeEventListener("abort", interrupt);
    ended.abort();
    metrics.owned?.(shard, false);
    await Promise.all([keeping, dispatcher.stop()]);
    // When Redis cannot be reached the lease runs out by itself.
    await store
      .release(epoch)
      .catch((error: unknown) => logger.warn({ shard, err: error }, "Could not release"));
  }
}

/** Renews the lease until it is lost, which ends the ownership, or the ownership ends. */
async function keepLease(
  { store, clock, logger }: ShardPorts,
  epoch: number,
  leaseMs: number,
  ended: AbortController,
): Promise<void> {
  for (;;) {
    await clock.sleep(leaseMs / 3, ended.signal);
    if (ended.signal.aborted) return;
    try {
      if (!(await store.renew(epoch, leaseMs))) ended.abort();
    } catch (error) {
      // Not the end: a commit says for sure whether the shard is still ours.
      logger.warn({ err: error }, "Could not renew the lease");
    }
  }
}
