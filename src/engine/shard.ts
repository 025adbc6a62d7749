/**
 * Runs a shard in this process: waits for the lease, restores the core, runs the loop, and starts over after any failure.
 *
 * Starting over is always safe, because everything that matters is stored.
 */

import type { Clock } from "../retry/clock.ts";
import { keepRunning, keepTrying } from "../retry/keep-trying.ts";
import { passOnTracer, type Tracer } from "../telemetry/tracer.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Loop, LostOwnership } from "./loop.ts";
import type { ActionQueue, EngineLogger, EngineMetrics, OutboxEntry, ShardStore } from "./ports.ts";
import { reportOpenWindows } from "./report-open-windows.ts";
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
  /** How long the shard keeps its owner without a renewal. */
  readonly leaseMs: number;
}

/** The longest wait between claims while Redis is unavailable. It is short, so that shards resume soon after Redis does. */
const claimRetryMsMax = 500;

/**
 * Runs a shard until `stop` is aborted, and then releases it at once.
 *
 * @param onOwned called once it is known that the shard has an owner, this process or another; may be called again
 */
export async function runShard(
  ports: ShardPorts,
  settings: ShardSettings,
  stop: AbortSignal,
  onOwned: () => void = () => {},
): Promise<void> {
  const { clock, logger } = ports;
  const { shard } = settings;
  const claimAndOwn = async () => {
    const epoch = await claimShard(ports, settings, stop, onOwned);
    if (epoch === null) return; // stopped
    try {
      await own(ports, settings, epoch, stop, onOwned);
    } catch (error) {
      if (!(error instanceof LostOwnership)) throw error;
      if (!stop.aborted) logger.warn({ shard, reason: error.message }, "Lost the shard; claiming it again");
    }
  };
  // The waits matter. A Redis that is full grants the lease but rejects the commit, and restoring over and over would only
  // add load. An entry of the log may cause the same fault again, until a fixed version continues from the same place.
  await keepRunning(
    async () => {
      while (!stop.aborted) await claimAndOwn();
    },
    {
      signal: stop,
      clock,
      onFailure: ({ kind, error, count, waitMs }) => {
        const fields = { shard, err: error, waitMs };
        if (kind === "fault")
          logger.error(fields, "The shard stopped because of an internal error; restarting it");
        else if (count === 1) logger.warn(fields, "Redis unavailable; retrying");
      },
    },
  );
}

/** Waits until this process owns the shard. @returns the epoch; null if stopped */
async function claimShard(
  { store, clock, logger }: ShardPorts,
  { shard, leaseMs }: ShardSettings,
  stop: AbortSignal,
  onOwned: () => void,
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
    onOwned();
    await clock.sleep(Math.min(Math.max(claim.heldMs, 1), leaseMs / 3), stop);
  }
  return null;
}

/** Runs the loop until it is stopped. @throws LostOwnership, RedisUnreachable */
async function own(
  ports: ShardPorts,
  settings: ShardSettings,
  epoch: number,
  stop: AbortSignal,
  onOwned: () => void,
): Promise<void> {
  const { store, queue, clock, logger, metrics, tracer = passOnTracer } = ports;
  const { shard, shardCount } = settings;
  const ended = new AbortController();
  const signal = AbortSignal.any([stop, ended.signal]);
  const interrupt = () => store.interrupt();
  signal.addEventListener("abort", interrupt);
  const renewing = keepLease(ports, settings, epoch, ended);
  const dispatcher = new Dispatcher(shard, { store, queue, clock, logger });
  dispatcher.start();
  let reporting: Promise<void> | null = null;
  try {
    const { core, cursor } = await restore(store, settings, logger);
    logger.info({ shard, epoch, position: cursor.position }, "Took over the shard");
    metrics.owned?.(shard, true);
    metrics.takenOver?.(shard);
    onOwned();
    reporting = reportOpenWindows(ports, core, { shard, epoch }, signal);
    const dispatch = (added: readonly OutboxEntry[]) => dispatcher.dispatch(added);
    const loop = new Loop(
      core,
      cursor,
      { store, clock, metrics, dispatch, tracer },
      { shard, shardCount, epoch },
    );
    await loop.run(signal);
    if (!stop.aborted) throw new LostOwnership("another process claimed the lease");
  } finally {
    signal.removeEventListener("abort", interrupt);
    ended.abort();
    metrics.owned?.(shard, false);
    await Promise.all([renewing, reporting, dispatcher.stop()]);
    await store
      .release(epoch)
      .catch((error: unknown) =>
        logger.warn({ shard, err: error }, "Could not release the shard's lease; it expires by itself"),
      );
  }
}

/** Renews the lease until the ownership ends. Ends the ownership if the lease is lost. */
async function keepLease(
  { store, clock, logger }: ShardPorts,
  { shard, leaseMs }: ShardSettings,
  epoch: number,
  ended: AbortController,
): Promise<void> {
  for (;;) {
    await clock.sleep(leaseMs / 3, ended.signal);
    if (ended.signal.aborted) return;
    try {
      if (!(await store.renew(epoch, leaseMs))) ended.abort();
    } catch (error) {
      // The ownership does not end here: the next commit shows whether this process still owns the shard.
      logger.warn({ shard, err: error }, "Could not renew the shard's lease; retrying");
    }
  }
}
