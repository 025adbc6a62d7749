/**
 * Reads a log once for everyone who follows it: the shards of an engine, the recorder, the subscribers of a feed.
 *
 * Each of them asks for what follows its own position. Those at the end of the log share one read, and its latest batches
 * are kept for those close behind. One that is further behind reads the log on its own until it catches up. So no one waits
 * for a slow follower, a slow follower loses nothing, and memory stays bounded.
 */

import type { LogPosition } from "../core/machine/log-entry.ts";
import { blockMsMax } from "./connection.ts";
import { indexOfFirst } from "./index-of-first.ts";
import type { LogBatch, LogReader, TimedBatch, WholeBatch } from "./log-reader.ts";
import { comparePositions } from "./position.ts";

export interface FollowOptions {
  /** At most how many entries. */
  readonly count: number;
  /** How long to wait for an entry if there is none, in milliseconds. */
  readonly blockMs: number;
  /** Ends the wait: the read then throws its reason. */
  readonly signal?: AbortSignal;
  /** Who reads. If all say so, what all have passed is forgotten at once. */
  readonly follower?: object;
}

/** Where a follower was when it last read. */
interface FollowerPlace {
  readonly position: LogPosition;
  readonly at: number;
}

/** A batch and where it begins. */
interface KeptBatch extends WholeBatch {
  readonly after: LogPosition;
}

type ReadAlone = (after: LogPosition, options: { count: number }) => Promise<LogBatch>;

const entriesPerRead = 1_000;
const keptBatchesMax = 32;
const keptLengthMax = 4 * 1024 * 1024;
/** Nothing is kept for a follower that has not read for so long. */
const followerMsMax = 1_000;

export class SharedReader {
  readonly #reader: Pick<LogReader, "readBatch" | "readTimed" | "forget" | "close">;
  /** How one that is behind reads. */
  readonly #readAlone: ReadAlone;
  readonly #kept: KeptBatch[] = [];
  #keptLength = 0;
  readonly #followers = new Map<object, FollowerPlace>();
  /** Up to where the log has been read for all. */
  #head: LogPosition | null = null;
  #waiting: Promise<void> | null = null;
  #looking: Promise<TimedBatch> | null = null;
  /** Counts how often it has forgotten everything. What was asked before that may come from a master that is none any more. */
  #generation = 0;

  /**
   * @param reader used by this one alone, and closed with it
   * @param readAlone how a follower reads that is far behind; default: with the same reader
   */
  constructor(
    reader: Pick<LogReader, "readBatch" | "readTimed" | "forget" | "close">,
    readAlone: ReadAlone = (after, options) => reader.readBatch(after, options),
  ) {
    this.#reader = reader;
    this.#readAlone = readAlone;
  }

  /**
   * Reads the entries after a position, at most `count`; fewer once it has read many characters.
   *
   * @returns an empty batch with the store's time if there is nothing to read, even after the wait
   * @throws RedisUnreachable; the signal's reason once it is aborted
   */
  async read(after: LogPosition, { count, blockMs, signal, follower }: FollowOptions): Promise<TimedBatch> {
    if (follower !== undefined) this.#passedBy(follower, after);
    for (let left = blockMs; ; ) {
      signal?.throwIfAborted();
      const known = this.#keptAfter(after, count);
      if (known !== null) return { ...known, now: 0 };
      if (this.#head !== null && comparePositions(after, this.#head) < 0) {
        const batch = await this.#readAlone(after, { count });
        if (batch.readCount > 0) return { ...batch, now: 0 };
        this.forget(); // nothing follows, so Redis lost the entries up to the head
        continue;
      }
      this.#head = after;
      if (left > 0) {
        const started = performance.now();
        this.#waiting ??= this.#wait(after);
        await within(this.#waiting, left, signal);
        left -= performance.now() - started;
        if (this.#head !== after) continue;
      }
      this.#looking ??= this.#look(after);
      const { position, readCount, now } = await this.#looking;
      if (readCount === 0 && position === after) {
        return { entries: [], position, readCount, length: 0, now };
      }
    }
  }

  /** Forgets what was read. Call it before starting over from what Redis holds: it may have lost entries that were read. */
  forget(): void {
    this.#kept.length = 0;
    this.#keptLength = 0;
    this.#head = null;
    this.#looking = null;
    this.#generation += 1;
    this.#reader.forget();
  }

  /** Ends a wait under way with RedisUnreachable, and closes the connection for waits. */
  close(): void {
    this.#waiting = null;
    this.#reader.close();
  }

  /** Waits for an entry at the end of the log. */
  #wait(after: LogPosition): Promise<void> {
    const options = { count: entriesPerRead, blockMs: blockMsMax };
    const generation = this.#generation;
    const waiting = this.#reader
      .readBatch(after, options)
      .then(
        (batch) => this.#keep(after, batch, generation),
        (error: unknown) => this.#fail(error),
      )
      .finally(() => {
        if (this.#waiting === waiting) this.#waiting = null;
      });
    waiting.catch(() => {}); // whoever waits gets the error; maybe no one does any more
    return waiting;
  }

  #look(after: LogPosition): Promise<TimedBatch> {
    const generation = this.#generation;
    const looking = this.#reader
      .readTimed(after, entriesPerRead)
      .then(
        (batch) => {
          this.#keep(after, batch, generation);
          return batch;
        },
        (error: unknown) => this.#fail(error),
      )
      .finally(() => {
        if (this.#looking === looking) this.#looking = null;
      });
    return looking;
  }

  #keep(after: LogPosition, batch: WholeBatch, generation: number): void {
    if (batch.readCount === 0 || this.#head === null || generation !== this.#generation) return;
    const begins = comparePositions(after, this.#head);
    // A wait and a look may both read the same entries, and the head may have been moved meanwhile.
    if (begins > 0 || comparePositions(batch.position, this.#head) <= 0) return;
    const kept = begins === 0 ? { ...batch, after } : partOf({ ...batch, after }, this.#head, entriesPerRead);
    this.#kept.push(kept);
    this.#keptLength += kept.length;
    this.#head = kept.position;
    while (
      this.#kept.length > 1 &&
      (this.#kept.length > keptBatchesMax || this.#keptLength > keptLengthMax)
    ) {
      this.#dropOldest();
    }
  }

  #dropOldest(): void {
    this.#keptLength -= this.#kept.shift()?.length ?? 0;
  }

  /**
   * Forgets what all followers have passed. Otherwise thousands of decoded events would outlive the collections of young
   * objects, be copied and marked, and only then be collected: that took a sixth of the time of a server.
   */
  #passedBy(follower: object, position: LogPosition): void {
    const now = performance.now();
    this.#followers.set(follower, { position, at: now });
    let least = position;
    for (const [other, place] of this.#followers) {
      if (now - place.at > followerMsMax) this.#followers.delete(other);
      else if (comparePositions(place.position, least) < 0) least = place.position;
    }
    while (this.#kept[0] !== undefined && comparePositions(this.#kept[0].position, least) <= 0)
      this.#dropOldest();
  }

  #keptAfter(position: LogPosition, count: number): KeptBatch | null {
    const kept = this.#kept.find(
      (batch) =>
        comparePositions(batch.after, position) <= 0 && comparePositions(position, batch.position) < 0,
    );
    return kept === undefined ? null : partOf(kept, position, count);
  }

  /** Redis may be without its last entries when it is back. */
  #fail(error: unknown): never {
    this.forget();
    throw error;
  }
}

/** At most `count` entries of a batch, from a position on. */
function partOf(batch: KeptBatch, after: LogPosition, count: number): KeptBatch {
  if (batch.after === after && batch.readCount <= count) return batch;
  const isAfter = (position: LogPosition) => comparePositions(position, after) > 0;
  const from = indexOfFirst(batch.entries, ({ position }) => isAfter(position));
  const positions = batch.entries.slice(from, from + count).map(({ position }) => position);
  const malformedAfter = batch.malformed.filter(isAfter);
  if (malformedAfter.length > 0) {
    positions.push(...malformedAfter);
    positions.sort(comparePositions);
  }
  const readCount = Math.min(count, positions.length);
  const isAll = from + count >= batch.entries.length && readCount === positions.length;
  const position = isAll ? batch.position : (positions[readCount - 1] ?? batch.position);
  const malformed = malformedAfter.filter((each) => comparePositions(each, position) <= 0);
  const following = batch.entries.slice(from, from + readCount - malformed.length);
  const length = Math.ceil((batch.length * readCount) / batch.readCount);
  return { after, entries: following, malformed, position, readCount, length };
}

/** Waits for `promise`, but not longer than that. If the signal is aborted first, throws its reason. */
async function within(promise: Promise<void>, ms: number, signal: AbortSignal | undefined): Promise<void> {
  const ended = Promise.withResolvers<void>();
  const timer = setTimeout(ended.resolve, ms);
  const abort = () => ended.reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([promise, ended.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
