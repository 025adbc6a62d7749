/**
 * The loop: read, apply, commit, again and again, until it is stopped or loses its shard.
 *
 * While one batch is being committed, the next is read and applied. There is never more than one commit in flight.
 * After any failure the core must be discarded, because it may be ahead of what is stored.
 */

import { firingEvent, invocationsOf, loopCutEvent, tracesOf } from "../core/machine/consequence.ts";
import type { Core } from "../core/machine/core.ts";
import type { Firing } from "../core/machine/firing.ts";
import { gapEvent } from "../core/machine/gaps.ts";
import { changedAutomationOf, type LogEntry, type LogPosition } from "../core/machine/log-entry.ts";
import { isCanary } from "../core/model/canary.ts";
import { type Micros, millisecond } from "../core/model/time.ts";
import type { Clock } from "../retry/clock.ts";
import { breathe } from "../retry/slices.ts";
import { blockMsMax } from "../store/connection.ts";
import { comparePositions } from "../store/position.ts";
import { passOnTracer, type Tracer, type TraceSpan } from "../telemetry/tracer.ts";
import { ActivityTally } from "./activity-tally.ts";
import type { Commit, Cursor, EngineMetrics, OutboxEntry, ReadResult, ShardStore } from "./ports.ts";
import { shardOf } from "./shard-of.ts";

/** The shard has another owner, or the store is not in the state that memory expects. Nothing was written. */
export class LostOwnership extends Error {
  override readonly name = "LostOwnership";
}

export interface LoopPorts {
  readonly store: ShardStore;
  readonly clock: Clock;
  readonly metrics: EngineMetrics;
  readonly tracer?: Tracer;
  /** Called after each commit that added to the outbox, with what it added. */
  readonly dispatch: (added: readonly OutboxEntry[]) => void;
}

export interface LoopSettings {
  readonly shard: number;
  readonly shardCount: number;
  readonly epoch: number;
}

const batchCountMin = 16;
const batchCountMax = 2_048;
const batchLengthMax = 8_000_000; // characters; memory holds several copies of a batch
const batchMsMax = 50; // a batch that takes longer is read in smaller parts
const stepMsMax = 20; // then what was applied is committed, and others may run: leases, requests
const deadlinesPerStep = 20; // then it is checked how long the step has taken
const firingsPerStepMax = 100; // each is an event, and a job for each action

/** How long what fires nothing may wait for its commit, which costs as much as applying dozens of events. */
const commitDelayMs = 20;

/** At the end of the log, entries that follow each other this closely are read together. */
const gatherMs = 1;

/**
 * Runs a core over the log of its shard.
 *
 * @example
 * const { core, cursor } = await restore(store, settings, logger);
 * const loop = new Loop(core, cursor, { store, clock, metrics, dispatch }, { shard, shardCount, epoch });
 * await loop.run(signal);
 */
export class Loop {
  readonly #core: Core;
  readonly #ports: LoopPorts;
  readonly #settings: LoopSettings;
  #position: LogPosition;
  #readCount: number;
  #commitCount: number;
  #entriesSinceCommit = 0;
  #committing: Promise<void> | null = null;
  /** Since when there is something to commit. */
  #changedAt: number | null = null;
  readonly #activity = new ActivityTally();
  #batchCount = batchCountMin;

  constructor(core: Core, cursor: Cursor, ports: LoopPorts, settings: LoopSettings) {
    this.#core = core;
    this.#ports = ports;
    this.#settings = settings;
    this.#position = cursor.position;
    this.#readCount = cursor.readCount;
    this.#commitCount = cursor.commitCount;
  }

  /**
   * Runs until `signal` is aborted, and then commits what was applied.
   *
   * @throws LostOwnership, RedisUnreachable
   */
  async run(signal: AbortSignal): Promise<void> {
    let blockMs = 0;
    while (!signal.aborted) {
      const options = { count: this.#batchCount, blockMs };
      const batch = await this.#ports.store.read(this.#position, options).catch((error: unknown) => {
        if (signal.aborted) return null; // the read was interrupted
        throw error;
      });
      if (batch === null) break;
      if (batch.readCount > 0) {
        await this.#consume(batch);
        blockMs = 0; // there may be more
      } else blockMs = await this.#idle(batch.now);
      const isTrickle = batch.readCount > 0 && batch.readCount < batchCountMin;
      if (isTrickle && this.#committing === null) await this.#ports.clock.sleep(gatherMs, signal);
    }
    await this.#commit();
    await this.#committing;
  }

  /**
   * Consumes the log up to a position and no further, and then advances to a time; commits everything.
   *
   * @param position of an entry of the log, not before the cursor
   * @param watermark a time before which no later entry will be received
   * @throws LostOwnership, RedisUnreachable
   */
  async runTo(position: LogPosition, watermark: Micros): Promise<void> {
    while (comparePositions(this.#position, position) < 0) {
      const batch = await this.#ports.store.read(this.#position, { count: this.#batchCount, blockMs: 0 });
      if (batch.readCount === 0) throw new LostOwnership(`the log ends before ${position}`);
      if (comparePositions(batch.position, position) <= 0) await this.#consume(batch);
      else {
        const entries = batch.entries.filter((entry) => comparePositions(entry.position, position) <= 0);
        await this.#consume({ ...batch, entries, position, readCount: entries.length });
      }
    }
    await this.#advanceInSteps(watermark);
    this.#core.advance(watermark);
    await this.#commit();
    await this.#committing;
  }

  /** Applies a batch and starts its commit. */
  async #consume(batch: ReadResult): Promise<void> {
    const { clock } = this.#ports;
    const started = clock.now();
    let stepStarted = started;
    let waitedMs = 0;
    for (const entry of batch.entries) {
      // Before an entry, because the last ones are committed below.
      if (clock.now() - stepStarted > stepMsMax) {
        const waiting = clock.now();
        await this.#commit();
        await breathe();
        stepStarted = clock.now();
        waitedMs += stepStarted - waiting;
      }
      if (this.#isDue(entry.received)) {
        const advanced = await this.#advanceInSteps(entry.received, stepStarted);
        waitedMs += advanced.waitedMs;
        stepStarted = advanced.stepStarted;
      }
      if (this.#concerns(entry)) this.#apply(entry);
      this.#position = entry.position;
      this.#readCount += 1;
      this.#entriesSinceCommit += 1;
    }
    this.#position = batch.position;
    const malformedCount = batch.readCount - batch.entries.length;
    this.#readCount += malformedCount;
    this.#entriesSinceCommit += malformedCount;
    const isTooLarge = clock.now() - started - waitedMs > batchMsMax || batch.length > batchLengthMax;
    const isFull = batch.readCount === this.#batchCount;
    if (isTooLarge) this.#batchCount = Math.max(Math.floor(this.#batchCount / 2), batchCountMin);
    else if (isFull) this.#batchCount = Math.min(this.#batchCount * 2, batchCountMax);
    this.#changedAt ??= clock.now();
    if (isFull || isTooLarge) await this.#commit();
    else await this.#commitWhenDue();
  }

  #apply(entry: LogEntry): void {
    const isNew = this.#core.apply(entry);
    // Every shard reads all events, and one counts them.
    if (isNew && entry.kind === "event" && this.#settings.shard === 0)
      this.#activity.addEvent(entry.received);
  }

  /** Advances time when there is nothing to read. @returns how many milliseconds the next read may wait for entries */
  async #idle(now: Micros): Promise<number> {
    if (this.#committing !== null) {
      await this.#committing;
      this.#committing = null;
      return 0;
    }
    if (this.#isDue(now)) {
      await this.#advanceInSteps(now);
      this.#changedAt ??= this.#ports.clock.now();
    }
    const delayMs = await this.#commitWhenDue();
    if (this.#committing !== null) return 0;
    const next = this.#core.nextDeadline();
    const deadlineMs = next === null ? blockMsMax : Math.ceil((next - now) / millisecond);
    return Math.min(Math.max(Math.min(deadlineMs, delayMs), 1), blockMsMax);
  }

  /** Commits what has changed if it has fired something, or has waited long enough. @returns how long it may still wait */
  async #commitWhenDue(): Promise<number> {
    if (this.#changedAt === null) return blockMsMax;
    const delayMs = Math.ceil(this.#changedAt + commitDelayMs - this.#ports.clock.now());
    if (delayMs > 0 && this.#core.firingCount === 0) return delayMs;
    await this.#commit();
    return blockMsMax;
  }

  /**
   * Advances to `time`. Commits whenever a step has taken long enough, or has led to many firings: a million windows may
   * end at the same moment, and all their firings in one commit would block Redis, and this process until then.
   */
  async #advanceInSteps(
    time: Micros,
    started = this.#ports.clock.now(),
  ): Promise<{ stepStarted: number; waitedMs: number }> {
    const { clock } = this.#ports;
    let stepStarted = started;
    let waitedMs = 0;
    while (!this.#core.advanceSome(time, deadlinesPerStep)) {
      if (clock.now() - stepStarted <= stepMsMax && this.#core.firingCount < firingsPerStepMax) continue;
      const waiting = clock.now();
      await this.#commit();
      stepStarted = clock.now();
      waitedMs += stepStarted - waiting;
    }
    return { stepStarted, waitedMs };
  }

  /** Whether any deadline has passed. */
  #isDue(now: Micros): boolean {
    const due = this.#core.nextDeadline();
    return due !== null && due <= now;
  }

  /** Whether an entry matters to this shard: any but a change to an automation of another one. */
  #concerns(entry: LogEntry): boolean {
    const id = changedAutomationOf(entry);
    return id === null || shardOf(id, this.#settings.shardCount) === this.#settings.shard;
  }

  /** Waits for the commit in flight, then starts one with everything that has changed since, if anything has. */
  async #commit(): Promise<void> {
    const { firings, loopCuts, gaps, dirty } = this.#core.drain();
    this.#changedAt = null;
    const entryCount = this.#entriesSinceCommit;
    if (entryCount === 0 && firings.length === 0 && loopCuts.length === 0 && dirty.length === 0) return;
    this.#entriesSinceCommit = 0;
    await this.#committing;
    this.#commitCount += 1;
    this.#activity.addFirings(firings);
    const spans = firings.map((firing) => this.#startSpan(firing));
    const commit: Commit = {
      epoch: this.#settings.epoch,
      changes: dirty,
      events: [
        ...firings.flatMap((firing, index) =>
          // One line a minute in everybody's feed is enough: that of its event.
          isCanary(firing.automation.id)
            ? []
            : [{ event: firingEvent(firing), lineage: firing.lineage, trace: spans[index]?.trace }],
        ),
        ...loopCuts.map((cut) => ({
          event: loopCutEvent(cut),
          lineage: cut.event.lineage,
          trace: cut.event.trace,
        })),
        // Every shard sees the same gaps, and one reports them.
        ...(this.#settings.shard === 0 ? gaps : []).map((gap) => ({ event: gapEvent(gap) })),
      ],
      invocations: firings.flatMap((firing, index) => invocationsOf(firing, spans[index]?.trace)),
      cursor: {
        position: this.#position,
        watermark: this.#core.watermark,
        readCount: this.#readCount,
        commitCount: this.#commitCount,
      },
      nextDeadline: this.#core.nextDeadline(),
      counted: this.#activity.take(),
    };
    this.#committing = this.#send(commit, firings, entryCount);
    const endSpans = (error?: string) => {
      for (const span of spans) span.end(error);
    };
    this.#committing.then(
      () => endSpans(),
      () => endSpans("the commit failed; the firing will be derived again"), // the error is thrown where it is awaited
    );
  }

  /** A firing's span lasts until the end of its commit. An event that is only evaluated has no span. */
  #startSpan(firing: Firing): TraceSpan {
    const { tracer = passOnTracer } = this.#ports;
    const { id, name } = firing.automation;
    return tracer.start("firing", {
      kind: "internal",
      ...tracesOf(firing),
      attributes: {
        "tripline.automation.id": id,
        "tripline.automation.name": name,
        "tripline.firing.id": firing.id,
        "tripline.firing.state": firing.state,
        "tripline.event.id": firing.event?.id,
        "tripline.shard": this.#settings.shard,
      },
    });
  }

  async #send(commit: Commit, firings: readonly Firing[], entryCount: number): Promise<void> {
    const { store, clock, metrics, dispatch } = this.#ports;
    const { shard } = this.#settings;
    const started = clock.now();
    const { outcome, positions } = await store.commit(commit);
    if (outcome !== "committed") throw new LostOwnership(`the commit was refused: ${outcome}`);
    metrics.committed?.(shard, { ms: clock.now() - started, entryCount });
    for (const firing of firings) metrics.fired?.(shard, firing);
    if (positions.length === 0) return;
    dispatch(
      positions.map((position, index) => ({ position, invocation: commit.invocations[index] ?? null })),
    );
  }
}
