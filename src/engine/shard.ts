/**
 * A shard's life in this process: wait for the lease, restore, run the loop, and start over when anything fails.
 *
 * Starting over is always right, because nothing that matters is in memory alone.
 */

import type { Clock } from "../retry/clock.ts";
import { keepRunning, keepTrying } from "../retry/keep-trying.ts";
import { passOnTracer, type Tracer } from "../telemetry/tracer.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Loop, LostOwnership } from "./loop.ts";
import type { ActionQueue, EngineLogger, EngineMetrics, ShardStore } from "./ports.ts";
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

/** Redis is asked for the lease this often while it is unavailable: a shard should not wait for long once it is back. */
const claimRetryMsMax = 500;

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
  const { clock, logger } = ports;
  const { shard } = settings;
  const liveOnce = async () => {
    const epoch = await claimShard(ports, settings, stop, settled);
    if (epoch === null) return; // stopped
    try {
      await own(ports, settings, epoch, stop, settled);
    } catch (error) {
      if (!(error instanceof LostOwnership)) throw error;
      if (!stop.aborted) logger.warn({ shard, reason: error.message }, "Lost the shard");
    }
  };
  // A Redis that is full gives the shard away and then takes no commit. To restore again and again without a pause would
  // only burden it. A fault may come from an entry of the log and be met again: another owner, or a better version of the
  // program, goes on from the same place.
  await keepRunning(
    async () => {
      while (!stop.aborted) await liveOnce();
    },
    {
      signal: stop,
      clock,
      onFailure: ({ kind, error, count, waitMs }) => {
        const fields = { shard, err: error, waitMs };
        if (kind === "fault")
          logger.error(fields, "The shard stopped because of a program error; restarting it");
        else if (count === 1) logger.warn(fields, "Redis unavailable; retrying");
      },
    },
  );
}

/** Waits until the shard is this process's own. @returns its epoch; null when stopped */
async function claimShard(
  { store, clock, logger }: ShardPorts,
  { shard, leaseMs }: ShardSettings,
  stop: AbortSignal,
  settled: () => void,
): Promise<number | null> {
  for (let isWaiting = false; !stop.aborted; isWaiting = true) {
    const claim = await keepTrying(() => store.claim(leaseMs), {
      signal: stop,
      maxMs: claimRetryMsMax,
      clock,
      onFailure: ({ error, count }) => {
        if (count === 1) logger.warn({ shard, err: error }, "Redis unavailable; retrying");
      },
    });
    if ("epoch" in claim) return claim.epoch;
    if (!isWaiting) logger.info({ shard }, "Another process owns the shard; waiting to take over");
    settled();
    await clock.sleep(Math.min(Math.max(claim.heldMs, 1), leaseMs / 3), stop);
  }
  return null;
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
    logger.info({ shard, epoch, position: cursor.position }, "Took over the shard");
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
      .catch((error: unknown) =>
        logger.warn({ shard, err: error }, "Could not release the shard's lease; it expires by itself"),
      );
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
      logger.warn({ err: error }, "Could not renew the shard's lease");
    }
  }
}
