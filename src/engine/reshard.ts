/**
 * Changes the number of shards, with all windows.
 *
 * One engine does it while nobody else owns a shard. It claims all shards, runs each to the same position of the log and the
 * same time, dispatches what is in the outboxes, and divides the states by automation. The new states are written beside the
 * old ones, and one step puts them in their place. Until then the old shards are complete, and after it the new ones are; so
 * it can end at any point, and the next engine starts over or finds it done. Events are accepted all the time.
 */

import { Core } from "../core/machine/core.ts";
import { divideState, StatesDiffer } from "../core/machine/divide-state.ts";
import type { LogPosition } from "../core/machine/log-entry.ts";
import type { Micros } from "../core/model/time.ts";
import { Outage } from "../retry/outage.ts";
import { breathe, chunksOf, finishInSlices } from "../retry/slices.ts";
import { comparePositions, startOfLog } from "../store/position.ts";
import type { ShardLayout } from "../store/shard-layout.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Loop, LostOwnership } from "./loop.ts";
import type { EngineStore, NewShard, OutboxEntry, ReshardStore, ShardStore } from "./ports.ts";
import { restore } from "./restore.ts";
import type { ShardPorts, ShardSettings } from "./shard.ts";
import { shardOf } from "./shard-of.ts";

export type ReshardPorts = Omit<ShardPorts, "store"> & { readonly engines: EngineStore };

export interface ReshardSettings extends Omit<ShardSettings, "shard" | "shardCount"> {
  /** The name of this engine. It owns no shard now. */
  readonly name: string;
  readonly layout: ShardLayout;
  /** The number of shards to change to. */
  readonly count: number;
}

/** How often to look whether a shard's owner has released it. */
const claimEveryMs = 50;
const fieldsPerWrite = 500;

/** A shard as this engine has claimed it. */
interface Claimed {
  readonly shard: number;
  readonly store: ShardStore;
  readonly epoch: number;
}

/**
 * Changes the number of shards, unless another engine is about to.
 *
 * @returns whether it is done
 * @throws LostOwnership if another engine took a shard or the change; RedisUnreachable; any of them leaves the old shards as
 *   they were, and the next attempt starts over
 */
export async function reshard(
  ports: ReshardPorts,
  settings: ReshardSettings,
  stop: AbortSignal,
): Promise<boolean> {
  const { engines, clock, logger } = ports;
  const { name, layout, leaseMs, count } = settings;
  const change = engines.reshard(layout, name);
  const claim = await change.claim(leaseMs);
  if ("heldMs" in claim) return false;

  const ended = new AbortController();
  const signal = AbortSignal.any([stop, ended.signal]);
  const claimed: Claimed[] = [];
  const renewing = keepLeases(ports, change, claim.epoch, { leaseMs, claimed, ended });
  logger.info({ from: layout.count, to: count }, "Changing the number of shards");
  const started = clock.now();
  try {
    for (let shard = 0; shard < layout.count; shard += 1) {
      const store = engines.shard(shard, layout, name);
      claimed.push({ shard, store, epoch: await claimFrom(store, settings, ports, signal) });
    }
    const shards = await bringTogether(ports, settings, claimed, signal);
    const outcome = await replaceShards(change, claim.epoch, settings, claimed, shards, signal);
    if (outcome === "fenced" || outcome === "undispatched") {
      throw new LostOwnership(`changing the number of shards was refused: ${outcome}`);
    }
    const fields = { from: layout.count, to: count, ms: Math.round(clock.now() - started) };
    if (outcome === "replaced") logger.info(fields, "Changed the number of shards");
    else logger.info(fields, "The change of the number of shards was withdrawn");
    return true;
  } catch (error) {
    if (error instanceof Outage || error instanceof LostOwnership) throw error;
    // What looks like a fault may come from shards that another engine has replaced in the meantime.
    if (!(await change.renew(claim.epoch, leaseMs)))
      throw new LostOwnership("another engine made the change");
    // Otherwise no shard would run until the fault is fixed.
    const level = error instanceof StatesDiffer ? "warn" : "error";
    logger[level]({ err: error }, "Cannot change the number of shards; it stays as it is");
    await change.refuse(claim.epoch, error instanceof Error ? error.message : String(error));
    return true;
  } finally {
    ended.abort();
    await renewing;
    await releaseAll(ports, change, claim.epoch, claimed);
  }
}

/**
 * Claims a shard. Its owner releases it within moments, once it knows of the change; one that does not is hung, or of a
 * version that knows of no changes. It is fenced off then.
 */
async function claimFrom(
  store: ShardStore,
  { leaseMs }: ReshardSettings,
  { clock }: ReshardPorts,
  signal: AbortSignal,
): Promise<number> {
  const patienceEnds = clock.now() + leaseMs;
  for (;;) {
    throwIfEnded(signal);
    const claim = await store.claim(leaseMs, { force: clock.now() >= patienceEnds });
    if ("epoch" in claim) return claim.epoch;
    await clock.sleep(claimEveryMs, signal);
  }
}

/** Runs all shards to the same position and time, and dispatches their outboxes. @returns the position and the time */
async function bringTogether(
  { queue, clock, logger, metrics, tracer }: ReshardPorts,
  settings: ReshardSettings,
  claimed: readonly Claimed[],
  signal: AbortSignal,
): Promise<{ position: LogPosition; watermark: Micros; readCount: number }> {
  const { layout } = settings;
  const running: { readonly loop: Loop; readonly core: Core }[] = [];
  const dispatchers: Dispatcher[] = [];
  let position = startOfLog;
  let readCount = 0;
  try {
    for (const { shard, store, epoch } of claimed) {
      throwIfEnded(signal);
      const { core, cursor } = await restore(store, { ...settings, shard, shardCount: layout.count }, logger);
      const dispatcher = new Dispatcher(shard, { store, queue, clock, logger });
      dispatcher.start();
      dispatchers.push(dispatcher);
      const dispatch = (added: readonly OutboxEntry[]) => dispatcher.dispatch(added);
      const ports = { store, clock, metrics, dispatch, ...(tracer === undefined ? {} : { tracer }) };
      running.push({ core, loop: new Loop(core, cursor, ports, { shard, shardCount: layout.count, epoch }) });
      if (comparePositions(cursor.position, position) > 0) ({ position, readCount } = cursor);
    }
    for (const { loop } of running) {
      throwIfEnded(signal);
      await loop.runTo(position, 0);
    }
    // A time that one of them has reached at this position is one before which no further entry was received.
    const watermark = Math.max(...running.map(({ core }) => core.watermark));
    for (const { loop } of running) {
      throwIfEnded(signal);
      await loop.runTo(position, watermark);
    }
    return { position, watermark, readCount };
  } finally {
    await Promise.all(dispatchers.map((dispatcher) => dispatcher.stop()));
  }
}

/** Writes the states of the new shards and puts them in the place of the old ones. */
async function replaceShards(
  change: ReshardStore,
  changeEpoch: number,
  settings: ReshardSettings,
  claimed: readonly Claimed[],
  { position, watermark, readCount }: { position: LogPosition; watermark: Micros; readCount: number },
  signal: AbortSignal,
) {
  const { count } = settings;
  const states: Map<string, string>[] = [];
  for (const { store } of claimed) {
    throwIfEnded(signal);
    const fields = new Map<string, string>();
    for (const [field, value] of (await store.load()).state) {
      await breathe();
      fields.set(field, value);
    }
    states.push(fields);
  }
  const divided = await finishInSlices(divideState(states, count, (id) => shardOf(id, count)));
  const shards: NewShard[] = [];
  for (const [shard, state] of divided.entries()) {
    throwIfEnded(signal);
    // Also shows that the new shard will be able to start.
    const core = await finishInSlices(Core.restoreInSteps(state, settings));
    for (const field of core.unusedFields()) state.delete(field);
    const parts = chunksOf([...state], fieldsPerWrite);
    for (const [index, fields] of (parts.length === 0 ? [[]] : parts).entries()) {
      throwIfEnded(signal);
      if (!(await change.write(changeEpoch, shard, fields, { isFirst: index === 0 }))) {
        throw new LostOwnership("another engine changes the number of shards");
      }
    }
    shards.push({
      cursor: { position, watermark, readCount, commitCount: 0 },
      nextDeadline: core.nextDeadline(),
    });
  }
  const oldEpochs = claimed.map(({ epoch }) => epoch);
  return change.replace(changeEpoch, oldEpochs, shards);
}

/** Renews the leases until the change ends. Ends it if one of them is lost. */
async function keepLeases(
  { clock, logger }: ReshardPorts,
  change: ReshardStore,
  epoch: number,
  options: { leaseMs: number; claimed: readonly Claimed[]; ended: AbortController },
): Promise<void> {
  const { leaseMs, claimed, ended } = options;
  for (;;) {
    await clock.sleep(leaseMs / 3, ended.signal);
    if (ended.signal.aborted) return;
    try {
      const renewals = [change, ...claimed.map(({ store }) => store)].map((lease, index) =>
        lease.renew(index === 0 ? epoch : (claimed[index - 1]?.epoch ?? 0), leaseMs),
      );
      const renewed = await Promise.all(renewals);
      if (renewed.includes(false)) ended.abort();
    } catch (error) {
      // The change does not end here: its last step shows whether this engine still owns all shards.
      logger.warn({ err: error }, "Could not renew the leases of the shards to change; retrying");
    }
  }
}

async function releaseAll(
  { logger }: ReshardPorts,
  change: ReshardStore,
  epoch: number,
  claimed: readonly Claimed[],
): Promise<void> {
  const releases = [
    change.release(epoch),
    ...claimed.map(async ({ store, epoch }) => {
      await store.release(epoch);
      store.interrupt();
    }),
  ];
  for (const { status, reason } of (await Promise.allSettled(releases)) as PromiseRejectedResult[]) {
    if (status === "rejected") {
      logger.warn({ err: reason }, "Could not release a lease; it expires by itself");
      return;
    }
  }
}

function throwIfEnded(signal: AbortSignal): void {
  if (signal.aborted) throw new LostOwnership("this engine stopped changing the number of shards");
}
