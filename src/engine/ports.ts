/**
 * The interfaces between the engine and the outside: a store, a queue, a logger and metrics. The clock is in `src/retry`.
 *
 * The engine reaches Redis and time only through these, so that a simulator can run the same code with faults.
 */

import type { StateChange } from "../core/machine/core.ts";
import type { LogPosition } from "../core/machine/log-entry.ts";
import type { Automation } from "../core/model/automation.ts";
import type { Invocation } from "../core/model/invocation.ts";
import type { Micros } from "../core/model/time.ts";
import type { CountedSecond } from "../store/activity.ts";
import type { EngineInfo, Engines } from "../store/engines.ts";
import type { NewEvent } from "../store/entry.ts";
import type { LogBatch, TimedBatch } from "../store/log-reader.ts";
import type { OpenWindowsReport } from "../store/open-counts.ts";
import type { ShardLayout } from "../store/shard-layout.ts";

/** How far a shard has committed. */
export interface Cursor {
  /** The last entry consumed. */
  readonly position: LogPosition;
  readonly watermark: Micros;
  /** The number of entries consumed since the start of the log. */
  readonly readCount: number;
  /** The number of commits. */
  readonly commitCount: number;
}

/** Everything that follows from some entries; written in one step. */
export interface Commit {
  readonly epoch: number;
  readonly changes: readonly StateChange[];
  /** Events that the firings cause. */
  readonly events: readonly NewEvent[];
  readonly invocations: readonly Invocation[];
  /** The new cursor. Its commit count must be one above the stored one. */
  readonly cursor: Cursor;
  /** The next time at which time alone changes something, so that others can see when an engine is late. */
  readonly nextDeadline?: Micros | null;
  /** What to count with it; each second once. */
  readonly counted?: readonly CountedSecond[];
}

/**
 * - `committed`: everything was written.
 * - `fenced`: nothing was written; the shard has another owner now.
 * - `out of step`: nothing was written; the store does not have the previous commit, because it lost its last second or
 *   never received it. Memory is ahead of the store and must be discarded.
 */
export type CommitOutcome = "committed" | "fenced" | "out of step";

export interface CommitResult {
  readonly outcome: CommitOutcome;
  /** Where each invocation is in the outbox, in order; empty unless it was committed. */
  readonly positions: readonly string[];
}

export type ReadResult = TimedBatch;

export interface StoredShard {
  /** Null if this shard has never committed. */
  readonly cursor: Cursor | null;
  /** The fields of the state, in any order; one may come twice. Empty without a cursor. Can be read once. */
  readonly state: Iterable<readonly [field: string, value: string]>;
}

/** Where a shard starts that has never committed. */
export interface Origin {
  readonly position: LogPosition;
  readonly readCount: number;
  /** The automations that exist at `position`. */
  readonly automations: readonly Automation[];
  readonly now: Micros;
  /** Whether entries before `position` were trimmed, so that this shard never saw them. */
  readonly trimmed: boolean;
}

export interface OutboxEntry {
  readonly position: string;
  /** Null if it cannot be read. */
  readonly invocation: Invocation | null;
}

export type Claim = { readonly epoch: number } | { readonly heldMs: number };

/** The part of the store that belongs to one shard. Every method may throw `RedisUnreachable`. */
export interface ShardStore {
  /**
   * Claims the shard, even if this owner already has it. Otherwise returns for how long another owner still holds it.
   *
   * @param options.force takes it from another owner, too, who can commit nothing from then on
   */
  claim(leaseMs: number, options?: { readonly force?: boolean }): Promise<Claim>;
  /** Renews the lease. @returns false if another owner has claimed the shard since */
  renew(epoch: number, leaseMs: number): Promise<boolean>;
  /** Releases the shard at once; does nothing if another owner has it. */
  release(epoch: number): Promise<void>;
  /** Reads what was committed. */
  load(): Promise<StoredShard>;
  origin(): Promise<Origin>;
  /** The position of the newest entry of the log. */
  lastPosition(): Promise<LogPosition>;
  /** Reads the entries after a position. If there are none, waits for up to `blockMs`. */
  read(after: LogPosition, options: { count: number; blockMs: number }): Promise<ReadResult>;
  /** Reads backward from `last` to `first`, newest first. */
  readBack(last: LogPosition, first: LogPosition, count: number): Promise<LogBatch>;
  commit(commit: Commit): Promise<CommitResult>;
  /**
   * Writes how many windows are open, and which are unresolved, for people to read.
   *
   * @returns false if another owner has claimed the shard since; then nothing was written
   */
  writeOpenWindows(epoch: number, report: OpenWindowsReport): Promise<boolean>;
  /** The oldest entries of the outbox. A commit that failed may be among them only if it cannot be lost any more. */
  outbox(count: number): Promise<OutboxEntry[]>;
  clearOutbox(positions: readonly string[]): Promise<void>;
  /** Makes a waiting read fail with `RedisUnreachable`. */
  interrupt(): void;
}

/** An engine that is alive. */
export type EngineMember = Pick<EngineInfo, "name" | "wants">;

/** What an engine needs to know of the others to share the shards with them. */
export interface EngineView extends Omit<Engines, "members"> {
  readonly members: readonly EngineMember[];
}

/** The part of the store that all engines of a workspace share. Every method may throw `RedisUnreachable`. */
export interface EngineStore {
  /** Says that an engine is alive, for `ttlMs`, and returns what the others say. */
  beat(member: EngineMember, ttlMs: number): Promise<EngineView>;
  /** Says that an engine ends. */
  leave(name: string): Promise<void>;
  /** @param owner identifies the engine as the owner of the shard */
  shard(shard: number, layout: ShardLayout, owner: string): ShardStore;
  reshard(layout: ShardLayout, owner: string): ReshardStore;
}

/** How the new shards of a layout begin. */
export interface NewShard {
  readonly cursor: Cursor;
  readonly nextDeadline: Micros | null;
}

/**
 * - `replaced`: the workspace has the new layout.
 * - `fenced`: another engine claimed an old shard or the change; nothing was written.
 * - `withdrawn`: nobody asks for the change any more; nothing was written.
 * - `undispatched`: an outbox is not empty; nothing was written.
 */
export type ReplaceOutcome = "replaced" | "fenced" | "withdrawn" | "undispatched";

/** The part of the store that changes the number of shards. Every method may throw `RedisUnreachable`. */
export interface ReshardStore {
  /** Claims the change: one engine at a time carries it out. */
  claim(leaseMs: number): Promise<Claim>;
  renew(epoch: number, leaseMs: number): Promise<boolean>;
  release(epoch: number): Promise<void>;
  /**
   * Writes a part of the state of a new shard. The first part replaces what an earlier attempt has left.
   *
   * @returns false if another engine has claimed the change since
   */
  write(
    epoch: number,
    shard: number,
    fields: readonly (readonly [field: string, value: string])[],
    options: { readonly isFirst: boolean },
  ): Promise<boolean>;
  /**
   * Replaces the shards, in one step.
   *
   * @param oldEpochs under which the old shards were claimed
   */
  replace(epoch: number, oldEpochs: readonly number[], shards: readonly NewShard[]): Promise<ReplaceOutcome>;
  /** Gives up for good. Whoever asked for the change is shown the reason. */
  refuse(epoch: number, reason: string): Promise<void>;
}

/**
 * Where the engine puts actions to run. `DeliveryQueue` in `src/delivery` is the real one.
 *
 * @example
 * const added: Invocation[] = [];
 * const queue: ActionQueue = { addInvocations: async (invocations) => void added.push(...invocations) };
 */
export interface ActionQueue {
  /** Adds invocations. One whose id was added before is ignored, so adding all of them again is harmless. */
  addInvocations(invocations: readonly Invocation[]): Promise<void>;
}

export interface EngineLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Called as things happen; each method may be left out. */
export interface EngineMetrics {
  /** The shard was taken over or given up. */
  owned?(shard: number, owned: boolean): void;
  /** The shard was taken over: its state is loaded and its log is being read. */
  takenOver?(shard: number): void;
  openWindows?(shard: number, count: number): void;
  /** A commit has succeeded. @param commit.entryCount how many log entries it consumed */
  committed?(shard: number, commit: { readonly ms: number; readonly entryCount: number }): void;
  /** A firing or resolution is committed. @param firing.triggered the log time at which it was due */
  fired?(
    shard: number,
    firing: { readonly automation: Automation; readonly state: string; readonly triggered: Micros },
  ): void;
  /** A log entry was skipped because it cannot be read. */
  malformed?(): void;
}
