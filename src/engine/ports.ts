/**
 * What the engine needs of the world: a store, a queue, a clock and someone to tell.
 *
 * The loop reaches Redis and time through these alone, so that a simulator can drive the same code with faults.
 */

import type { StateChange } from "../core/machine/core.ts";
import type { LogEntry, LogPosition } from "../core/machine/log-entry.ts";
import type { Automation } from "../core/model/automation.ts";
import type { Invocation } from "../core/model/invocation.ts";
import type { Micros } from "../core/model/time.ts";
import type { NewEvent } from "../store/entry.ts";

/** How far a shard has come, as committed. */
export interface Cursor {
  /** The last entry consumed. */
  readonly position: LogPosition;
  readonly watermark: Micros;
  /** How many entries have been consumed, from the log's first on. */
  readonly readCount: number;
  /** How many commits there have been. */
  readonly commitCount: number;
}

/** Everything that follows from some entries, to be written in one step. */
export interface Commit {
  readonly epoch: number;
  readonly changes: readonly StateChange[];
  /** Events that the firings cause. */
  readonly events: readonly NewEvent[];
  readonly invocations: readonly Invocation[];
  /** The cursor as it will be. Its commit count must be one above what the store holds. */
  readonly cursor: Cursor;
}

/**
 * - `committed`: all of it is written.
 * - `fenced`: nothing is; the shard has had another owner since.
 * - `out of step`: nothing is; the store does not hold the commit before this one (it lost its last second, or never
 *   got it). Memory is ahead of the store and must be dropped.
 */
export type CommitOutcome = "committed" | "fenced" | "out of step";

export interface ReadBatch {
  readonly entries: readonly LogEntry[];
  /** The last entry read, malformed ones included; where reading started when there was none. */
  readonly position: LogPosition;
  readonly readCount: number;
  /** How much text was read. */
  readonly length: number;
}

export interface ReadResult extends ReadBatch {
  /**
   * The store's time, in whole milliseconds. When no entry was read: any later entry will have been received at this
   * time or after (as long as the store's clock does not step back).
   */
  readonly now: Micros;
  /** How many entries the log has had; null when it was not asked for. */
  readonly entryCount: number | null;
}

export interface StoredShard {
  /** null: this shard has never been committed. */
  readonly cursor: Cursor | null;
  readonly state: ReadonlyMap<string, string>;
}

/** Where a shard starts that has never been committed. */
export interface Origin {
  readonly position: LogPosition;
  readonly readCount: number;
  /** The automations that exist at `position`. */
  readonly automations: readonly Automation[];
  readonly now: Micros;
  /** The entries before `position` were trimmed unread. */
  readonly trimmed: boolean;
}

export interface OutboxEntry {
  readonly position: string;
  /** null: it cannot be read. */
  readonly invocation: Invocation | null;
}

/** One shard's part of the store. Every method may throw `RedisUnreachable`. */
export interface ShardStore {
  /** Takes the shard, also from an earlier self; or says for how long another owner still holds it. */
  claim(leaseMs: number): Promise<{ readonly epoch: number } | { readonly heldMs: number }>;
  /** Prolongs the lease. @returns false when another has taken the shard since */
  renew(epoch: number, leaseMs: number): Promise<boolean>;
  /** Gives the shard up at once; does nothing when another has it. */
  release(epoch: number): Promise<void>;
  load(): Promise<StoredShard>;
  origin(): Promise<Origin>;
  /** The newest position of the log. */
  lastPosition(): Promise<LogPosition>;
  /** Reads on; when there is nothing, waits for at most `blockMs`. */
  read(after: LogPosition, options: { count: number; blockMs: number }): Promise<ReadResult>;
  /** Reads back from `last` to `first`, newest first. */
  readBack(last: LogPosition, first: LogPosition, count: number): Promise<ReadBatch>;
  commit(commit: Commit): Promise<CommitOutcome>;
  /** The oldest entries of the outbox. */
  outbox(count: number): Promise<OutboxEntry[]>;
  clearOutbox(positions: readonly string[]): Promise<void>;
  /** Ends a read that waits, with `RedisUnreachable`. */
  interrupt(): void;
}

export interface ActionQueue {
  /** Adds all of them; one whose id was added before is ignored. */
  addInvocations(invocations: readonly Invocation[]): Promise<void>;
}

export interface EngineLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Told as things happen; each may be left out. */
export interface EngineMetrics {
  owned?(shard: number, owned: boolean): void;
  /** How many entries of the log the shard has yet to consume. */
  lag?(shard: number, entriesBehind: number): void;
  openWindows?(shard: number, count: number): void;
  /** A commit is durable; `firings` are those in it. */
  committed?(shard: number, commit: { readonly ms: number; readonly entryCount: number }): void;
  fired?(shard: number, firing: { readonly automation: Automation; readonly state: string }): void;
  malformed?(shard: number): void;
}
