/**
 * Reads the entries of a log, for one that follows it.
 *
 * Commands that read a stream know no limit of size, and an event may have 1.5 MB. Behind the end of the log a script reads
 * in small parts until it has read enough. A reader that was at the end a moment ago needs none: whatever follows was
 * appended since, and cannot be much. So the plain command is used there, which costs Redis a fifth.
 */

import type { LogEntry, LogPosition } from "../core/machine/log-entry.ts";
import type { Micros } from "../core/model/time.ts";
import { breath } from "../retry/slices.ts";
import {
  blockMsMax,
  callRedis,
  closeConnection,
  duplicateForBlocking,
  type RedisConnection,
} from "./connection.ts";
import { decodeEntry, type StoredEntry } from "./entry.ts";
import { type EventBatch, readEventBatch } from "./event-batch.ts";
import { workspaceKeys } from "./keys.ts";
import type { EntrySink, EntrySource } from "./passed-entries.ts";
import { comparePositions } from "./position.ts";
import { type RedisTime, wholeMilliseconds } from "./redis-time.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";
import { transact } from "./transaction.ts";

/** Called for each entry that is skipped because it cannot be read. */
export type OnMalformed = (position: LogPosition, reason: string) => void;

/** Consecutive entries. */
export interface LogBatch {
  /** Without malformed entries. */
  readonly entries: readonly LogEntry[];
  /** The position of the last entry read, including malformed ones; where reading started if there was none. */
  readonly position: LogPosition;
  /** How many entries were read, including malformed ones. */
  readonly readCount: number;
  /** How many characters were read. */
  readonly length: number;
}

/** A batch that also says where the malformed entries are, so that a part of it can be taken. */
export interface WholeBatch extends LogBatch {
  readonly malformed: readonly LogPosition[];
}

/** A batch, and what time it was if it is empty. */
export interface TimedBatch extends LogBatch {
  /**
   * The store's time, in whole milliseconds; meaningful only if no entry was read. Any later entry will be received at this
   * time or after it, unless the store's clock steps back.
   */
  readonly now: Micros;
}

/** What a reader has to do with others of the same log, in other threads. */
export interface ReaderOptions {
  readonly onMalformed?: OnMalformed | undefined;
  /** Gets what this one reads from Redis. */
  readonly passOn?: EntrySink | null | undefined;
  /** Has what another one has read. */
  readonly passed?: EntrySource | null | undefined;
}

/** After how many characters a batch ends. */
const batchLengthMax = 8_000_000;

/** How many entries are read with a command that knows no limit of size, except at the end of the log. */
const entriesPerPart = 100;

/** How many are read at the end of a wait that did not begin at the end of the log. What follows them is read next. */
const entriesPerWait = 20;

/** For how long a reader that was at the end of the log may assume that little was appended since. */
const endMsMax = 200;

const readLogScript = new Script(scripts.readLog);

export class LogReader {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #onMalformed: OnMalformed | undefined;
  readonly #passOn: EntrySink | null;
  readonly #passed: EntrySource | null;
  #blockingConnection: RedisConnection | null = null;
  /** Where the log ended when this reader last saw its end, and when that was. */
  #end: { readonly position: LogPosition; readonly seenAt: number } | null = null;
  #malformedCount = 0;

  constructor(redis: RedisConnection, workspace: string, options: ReaderOptions = {}) {
    this.#redis = redis;
    this.#key = workspaceKeys(workspace).log;
    this.#onMalformed = options.onMalformed;
    this.#passOn = options.passOn ?? null;
    this.#passed = options.passed ?? null;
  }

  /** How many entries this reader has skipped because they could not be read. */
  get malformedCount(): number {
    return this.#malformedCount;
  }

  /**
   * Reads the entries after a position. It stops early once it has read many characters, so that a batch of large events
   * stays small.
   *
   * @param options.blockMs how long to wait for an entry if there is none. The wait has its own connection, so only one
   *   read may wait at a time
   * @throws RedisUnreachable
   */
  async readBatch(
    after: LogPosition,
    { count, blockMs = 0 }: { count: number; blockMs?: number },
  ): Promise<WholeBatch> {
    const block = Math.min(Math.ceil(blockMs), blockMsMax);
    const batch = new DecodedBatch(after);
    if (this.#passed !== null && (await this.#takePassed(this.#passed, batch, count))) return batch;
    if (block > 0) {
      const wantedCount = this.#isAtEnd(after) ? count : Math.min(entriesPerWait, count);
      const found = await callRedis(() =>
        this.#forBlocking().xread("COUNT", wantedCount, "BLOCK", block, "STREAMS", this.#key, after),
      );
      await this.#decodeAll(found?.[0]?.[1] ?? [], batch, wantedCount);
      if (batch.readCount < wantedCount) return batch;
    }
    if (batch.readCount < count && batch.length < batchLengthMax)
      await this.#readOn(batch, count - batch.readCount);
    return batch;
  }

  /**
   * Like `readBatch` without a wait. If there is nothing to read, also returns what time it is.
   *
   * @throws RedisUnreachable
   */
  async readTimed(after: LogPosition, count: number): Promise<WholeBatch & TimedBatch> {
    if (!this.#isAtEnd(after)) {
      const batch = await this.readBatch(after, { count });
      if (batch.readCount > 0) return { ...batch, now: 0 };
    }
    const batch = new DecodedBatch(after);
    if (this.#passed !== null && (await this.#takePassed(this.#passed, batch, count))) {
      return { ...batch, now: 0 };
    }
    // One transaction, so that no entry can arrive after the read and before the time is read.
    const [found, time] = await transact<[[key: string, entries: StoredEntry[]][] | null, RedisTime]>(
      this.#redis,
      (step) => step.xread("COUNT", count, "STREAMS", this.#key, after).time(),
    );
    await this.#decodeAll(found?.[0]?.[1] ?? [], batch, count);
    return { ...batch, now: wholeMilliseconds(time) };
  }

  /** Like `readBatch`, for a reader that needs only the events, and those as texts. @throws RedisUnreachable */
  readEvents(after: LogPosition, options: { count: number; blockMs?: number }): Promise<EventBatch> {
    const source = {
      redis: this.#redis,
      log: this.#key,
      forBlocking: () => this.#forBlocking(),
      lengthMax: batchLengthMax,
      onMalformed: (position: LogPosition, error: unknown) => this.#skip(position, error),
      passed: this.#passed,
    };
    return readEventBatch(source, after, options);
  }

  /**
   * Reads backward from `last` to `first`, both inclusive, newest first. Like `readBatch`, it may stop early.
   *
   * @returns at most `count` entries, without malformed ones. If `readCount` is 0, there are no more
   * @throws RedisUnreachable
   */
  async readBack(last: LogPosition, first: LogPosition, count: number): Promise<LogBatch> {
    const batch = new DecodedBatch(last);
    for (let from = last; ; from = `(${batch.position}`) {
      const partCount = Math.min(entriesPerPart, count - batch.readCount);
      const found = await callRedis(() => this.#redis.xrevrange(this.#key, from, first, "COUNT", partCount));
      await this.#decodeEach(found, batch);
      if (found.length < partCount || batch.readCount >= count || batch.length >= batchLengthMax)
        return batch;
    }
  }

  /** Forgets what it has passed on, and what was passed to it: Redis may have lost it. */
  forget(): void {
    this.#passOn?.forget();
    this.#passed?.forget();
  }

  /** Closes the connection for blocking reads. A read that is waiting fails with `RedisUnreachable`. */
  close(): void {
    const connection = this.#blockingConnection;
    this.#blockingConnection = null;
    if (connection !== null) closeConnection(connection);
  }

  #isAtEnd(position: LogPosition): boolean {
    if (this.#end === null || performance.now() - this.#end.seenAt > endMsMax) return false;
    return comparePositions(position, this.#end.position) >= 0;
  }

  /** Adds what another reader has read. @returns whether there was anything */
  async #takePassed(source: EntrySource, batch: DecodedBatch, count: number): Promise<boolean> {
    const passed = source.take(batch.position, count);
    if (passed === null) return false;
    await this.#decodeEach(passed.entries, batch);
    return true;
  }

  /** Reads what there is after the end of a batch, until it is large. */
  async #readOn(batch: DecodedBatch, count: number): Promise<void> {
    const parameters = [batch.position, count, batchLengthMax];
    const found = await callRedis(() => readLogScript.run(this.#redis, [this.#key], parameters));
    // If it is large, it may have ended before the log does.
    const wantedCount = batch.length >= batchLengthMax ? 0 : count;
    await this.#decodeAll(found as StoredEntry[], batch, wantedCount);
  }

  /** @param wantedCount how many were asked for: if there are fewer, the log ends there */
  async #decodeAll(stored: readonly StoredEntry[], batch: DecodedBatch, wantedCount: number): Promise<void> {
    const seenAt = performance.now();
    this.#passOn?.pass(batch.position, stored);
    await this.#decodeEach(stored, batch);
    if (stored.length < wantedCount && batch.length < batchLengthMax) {
      this.#end = { position: batch.position, seenAt };
    }
  }

  async #decodeEach(stored: readonly StoredEntry[], batch: DecodedBatch): Promise<void> {
    for (const entry of stored) {
      const pause = breath(); // to wait for null would cost a tenth of the decoding
      if (pause !== null) await pause;
      this.#decode(entry, batch);
    }
  }

  #decode(entry: StoredEntry, batch: DecodedBatch): void {
    const [position, fields] = entry;
    batch.position = position;
    batch.readCount += 1;
    for (const text of fields) batch.length += text.length;
    try {
      batch.entries.push(decodeEntry(entry));
    } catch (error) {
      batch.malformed.push(position);
      this.#skip(position, error);
    }
  }

  #skip(position: LogPosition, error: unknown): void {
    this.#malformedCount += 1;
    this.#onMalformed?.(position, error instanceof Error ? error.message : String(error));
  }

  // A blocking read delays every other command on its connection.
  #forBlocking(): RedisConnection {
    this.#blockingConnection ??= duplicateForBlocking(this.#redis);
    return this.#blockingConnection;
  }
}

/** A batch that is being decoded. */
class DecodedBatch implements WholeBatch {
  readonly entries: LogEntry[] = [];
  readonly malformed: LogPosition[] = [];
  position: LogPosition;
  readCount = 0;
  length = 0;

  constructor(after: LogPosition) {
    this.position = after;
  }
}
