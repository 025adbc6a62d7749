/**
 * Runs this engine's share of the shards of a workspace.
 *
 * A few times a second the engine says that it is alive and reads who else is. It claims the shards of its share that are
 * free, and hands over a shard that is another's by now as soon as the other asks for it: after the batch in flight is
 * committed and dispatched. What engines see may differ for a moment; safe is what the leases and epochs of the shards make
 * safe, here it is only decided who should try.
 */

import type { Micros } from "../core/model/time.ts";
import type { Clock } from "../retry/clock.ts";
import { Outage } from "../retry/outage.ts";
import { type ShardLayout, sameLayout } from "../store/shard-layout.ts";
import { passOnTracer, type Tracer } from "../telemetry/tracer.ts";
import { LostOwnership } from "./loop.ts";
import type { ActionQueue, EngineLogger, EngineMetrics, EngineStore, EngineView } from "./ports.ts";
import { reshard } from "./reshard.ts";
import { runShard } from "./shard.ts";
import { shareShards } from "./share-shards.ts";

export interface RunShardsPorts {
  readonly engines: EngineStore;
  readonly queue: ActionQueue;
  readonly clock: Clock;
  readonly logger: EngineLogger;
  readonly metrics: EngineMetrics;
  readonly tracer?: Tracer;
}

export interface RunShardsSettings {
  /** Identifies this engine among all that ever run. */
  readonly name: string;
  /** How long a shard keeps its owner without a renewal, and how long an engine counts as alive without a beat. */
  readonly leaseMs: number;
  readonly latenessDefault?: Micros;
  readonly seenCountMax?: number;
}

const beatMsMax = 250;
/** While a shard is about to be handed over to this engine, which then begins at once. */
const eagerBeatMs = 50;
/** How many leases long an engine keeps a shard that it took because its own engine did not. */
const keptLeases = 10;

interface RunningShard {
  readonly layout: ShardLayout;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  /** Not handed over before this time. */
  readonly keptUntil: number;
}

/**
 * Runs this engine's share of the shards until `stop` is aborted, and then releases them at once.
 *
 * @param onReady called once each shard has an owner, in this process or another
 */
export function runShards(
  ports: RunShardsPorts,
  settings: RunShardsSettings,
  stop: AbortSignal,
  onReady: () => void = () => {},
): Promise<void> {
  return new ShardRunner(ports, settings, onReady).run(stop);
}

class ShardRunner {
  readonly #ports: RunShardsPorts;
  readonly #settings: RunShardsSettings;
  readonly #onReady: () => void;
  readonly #beatMs: number;
  readonly #running = new Map<number, RunningShard>();
  /** Since when nobody has owned a shard. */
  readonly #freeSince = new Map<number, number>();
  #change: Promise<void> | null = null;
  #stop: AbortSignal = new AbortController().signal;
  #wakeUp = new AbortController();
  #layout: ShardLayout | null = null;
  readonly #hasOwner = new Set<number>();
  #wants: readonly number[] = [];
  #share = "";
  /** After an outage every engine counts as dead; the first to be back waits for the others, which still run their shards. */
  #claimsFrom = Number.NEGATIVE_INFINITY;

  constructor(ports: RunShardsPorts, settings: RunShardsSettings, onReady: () => void) {
    this.#ports = { tracer: passOnTracer, ...ports };
    this.#settings = settings;
    this.#onReady = onReady;
    this.#beatMs = Math.min(beatMsMax, settings.leaseMs / 4);
  }

  async run(stop: AbortSignal): Promise<void> {
    const { engines, clock, logger } = this.#ports;
    const { name, leaseMs } = this.#settings;
    this.#stop = stop;
    let failureCount = 0;
    let isFirst = true;
    while (!stop.aborted) {
      this.#wakeUp = new AbortController();
      let waitMs = this.#beatMs;
      try {
        const view = await engines.beat({ name, wants: this.#wants }, leaseMs);
        if (view.joined && !isFirst) this.#claimsFrom = clock.now() + 2 * this.#beatMs;
        isFirst = false;
        failureCount = 0;
        if (!stop.aborted) waitMs = this.#act(view);
      } catch (error) {
        failureCount += 1;
        if (error instanceof Outage) {
          if (failureCount === 1) logger.warn({ err: error }, "Redis unavailable; retrying");
        } else logger.error({ err: error }, "Could not share the shards with other engines; retrying");
      }
      await clock.sleep(waitMs, AbortSignal.any([stop, this.#wakeUp.signal]));
    }
    // At once, so that the others know whose the shards are that are released now.
    const leaving = engines
      .leave(name)
      .catch((error: unknown) =>
        logger.warn({ err: error }, "Could not say that this engine ends; it counts as dead after a lease"),
      );
    for (const running of this.#running.values()) running.stop.abort();
    const ends = [...this.#running.values()].map(({ ended }) => ended);
    await Promise.all([leaving, this.#change, ...ends]);
  }

  /** Starts and ends shards. @returns when to look again */
  #act(view: EngineView): number {
    const { logger } = this.#ports;
    const { layout, wantedCount } = view;
    if (this.#layout === null || !sameLayout(this.#layout, layout)) {
      this.#layout = layout;
      this.#freeSince.clear();
      this.#wants = [];
    }
    for (const running of this.#running.values()) {
      if (!sameLayout(running.layout, layout)) running.stop.abort();
    }
    this.#noteOwners(view);
    if (wantedCount !== null && wantedCount !== layout.count) return this.#startChange(layout, wantedCount);
    // While it lasts, it owns the shards in this engine's name.
    if (this.#change !== null) return this.#beatMs;
    const wants = this.#adjust(view);
    const isNews = wants.join() !== this.#wants.join();
    this.#wants = wants;
    if (isNews) {
      if (wants.length > 0) logger.info({ shards: wants }, "Waiting for shards that other engines own");
      return 1; // the owners wait for this beat
    }
    if (wants.length > 0) return Math.min(eagerBeatMs, this.#beatMs);
    // A shard is taken over as soon as the lease of its dead owner has expired.
    const expiries = view.leases.flatMap((lease) =>
      lease === null || lease.owner === this.#settings.name || lease.heldMs < 0 ? [] : [lease.heldMs + 1],
    );
    return Math.min(this.#beatMs, ...expiries);
  }

  /** Brings what runs here closer to this engine's share. @returns the shards that it waits for */
  #adjust({ layout, members, leases }: EngineView): number[] {
    const { clock, logger } = this.#ports;
    const { name, leaseMs } = this.#settings;
    const now = clock.now();
    const owners = leases.map((lease) => lease?.owner ?? null);
    const share = shareShards(
      members.map((member) => member.name),
      owners,
    );
    const wants: number[] = [];
    for (const [shard, owner] of owners.entries()) {
      const running = this.#running.get(shard);
      const isMine = share[shard] === name;
      const isFree = owner === null;
      if (!isFree) this.#freeSince.delete(shard);
      else if (!this.#freeSince.has(shard)) this.#freeSince.set(shard, now);
      if (owner !== null && owner !== name) {
        running?.stop.abort(); // it has lost the shard, or waits for it; the next beats see sooner when it is free
        if (isMine) wants.push(shard);
      } else if (running !== undefined) {
        if (isMine || running.stop.signal.aborted || now < running.keptUntil) continue;
        const next = members.find((member) => member.name === share[shard]);
        const isWanted = next?.wants.includes(shard) === true;
        if (isWanted) logger.info({ shard, to: next.name }, "Handing over the shard");
        if (isWanted || isFree) running.stop.abort();
      } else if (isMine) {
        if (now >= this.#claimsFrom) this.#start(shard, layout, now);
      } else if (isFree && now - (this.#freeSince.get(shard) ?? now) > leaseMs) {
        logger.warn({ shard, engine: share[shard] }, "An engine does not claim its shard; taking it instead");
        this.#start(shard, layout, now + keptLeases * leaseMs);
      }
    }
    const mine = share.flatMap((owner, shard) => (owner === name ? [shard] : []));
    const text = `${members.length} ${mine.join()}`;
    if (text !== this.#share) logger.info({ engines: members.length, shards: mine }, "Share of the shards");
    this.#share = text;
    return wants;
  }

  #start(shard: number, layout: ShardLayout, keptUntil: number): void {
    const { engines, ...ports } = this.#ports;
    const { name, ...settings } = this.#settings;
    const store = engines.shard(shard, layout, name);
    const stop = new AbortController();
    const noteOwner = () => this.#noteOwner(shard, layout);
    const ended = runShard(
      { ...ports, store },
      { ...settings, shard, shardCount: layout.count },
      stop.signal,
      noteOwner,
    ).finally(() => {
      store.interrupt();
      this.#running.delete(shard);
      this.#wakeUp.abort();
    });
    this.#running.set(shard, { layout, stop, ended, keptUntil });
    this.#freeSince.delete(shard);
  }

  /** Ends all shards of this engine, and then changes their number, unless another engine does. */
  #startChange(layout: ShardLayout, count: number): number {
    for (const running of this.#running.values()) running.stop.abort();
    if (this.#running.size > 0 || this.#change !== null) return this.#beatMs;
    const { logger } = this.#ports;
    this.#change = reshard(this.#ports, { ...this.#settings, layout, count }, this.#stop)
      .then((isDone) => {
        if (isDone) this.#wakeUp.abort();
      })
      .catch((error: unknown) => {
        if (this.#stop.aborted) return;
        const isExpected = error instanceof Outage || error instanceof LostOwnership;
        const message = "Could not change the number of shards; retrying";
        if (isExpected) logger.warn({ err: error }, message);
        else logger.error({ err: error }, message);
      })
      .finally(() => {
        this.#change = null;
      });
    return this.#beatMs;
  }

  /** Notes which shards others own. */
  #noteOwners({ layout, leases }: EngineView): void {
    for (const [shard, lease] of leases.entries()) {
      if (lease !== null && lease.owner !== this.#settings.name) this.#noteOwner(shard, layout);
    }
  }

  #noteOwner(shard: number, layout: ShardLayout): void {
    this.#hasOwner.add(shard);
    if (this.#hasOwner.size >= layout.count) this.#onReady();
  }
}
