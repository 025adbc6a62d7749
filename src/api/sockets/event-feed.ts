/**
 * The live part of the event feed: new events of a workspace's log, for any number of subscribers.
 *
 * Each subscriber asks for what follows its own position. Subscribers at the end of the log share one reader, whose
 * latest stretches are kept for those close behind. A subscriber further behind reads the log on its own until it
 * catches up. So no one waits for a slow subscriber, a slow subscriber loses nothing, and memory stays bounded.
 */

import type { LogPosition } from "../../core/machine/log-entry.ts";
import type { Event } from "../../core/model/event.ts";
import { receivedEvent } from "../../core/model/event.ts";
import { seenFor } from "../../core/model/limits.ts";
import type { Log, LogBatch } from "../../store/log.ts";
import { comparePositions, positionBefore, receivedAt, startOfLog } from "../../store/position.ts";

/** The events of the log after one position, up to and including another. */
export interface Stretch {
  readonly after: LogPosition;
  readonly position: LogPosition;
  readonly events: readonly FeedEvent[];
}

/** An event on its way to subscribers. It is serialized once for all of them. */
export class FeedEvent {
  readonly position: LogPosition;
  readonly event: Event;
  #message: string | null = null;

  constructor(position: LogPosition, event: Event) {
    this.position = position;
    this.event = event;
  }

  get message(): string {
    this.#message ??= eventMessage(receivedEvent(this.event));
    return this.#message;
  }
}

/** An event as a WebSocket message. */
export function eventMessage(event: ReturnType<typeof receivedEvent>): string {
  return JSON.stringify({ type: "event", event });
}

const entriesPerRead = 500;
const blockMs = 5_000;
const keptStretchesMax = 32;
const keptLengthMax = 4 * 1024 * 1024;

export class EventFeed {
  readonly #log: Log;
  readonly #reader: Log;
  readonly #firsts = new FirstPositions();
  readonly #kept: { readonly stretch: Stretch; readonly length: number }[] = [];
  #keptLength = 0;
  /** The position of the shared reader. */
  #head: LogPosition = startOfLog;
  #reading: Promise<void> | null = null;
  #recalling: Promise<void> | null = null;

  constructor(log: Log) {
    this.#log = log;
    this.#reader = log.reader();
  }

  /**
   * Waits for the events after a position. Repeats of an event are left out.
   *
   * @returns a stretch that starts at `after`; it may hold no events
   * @throws RedisUnreachable; and the signal's reason once it is aborted
   */
  async next(after: LogPosition, signal: AbortSignal): Promise<Stretch> {
    this.#recalling ??= this.#recall();
    await this.#recalling.catch((error: unknown) => {
      this.#recalling = null;
      throw error;
    });
    for (let position = after; ; ) {
      signal.throwIfAborted();
      const known = this.#keptAfter(position);
      if (known !== null) return { ...known, after };
      if (comparePositions(position, this.#head) < 0) {
        const batch = await this.#log.readBatch(position, { count: entriesPerRead });
        if (batch.readCount > 0) return { ...this.#stretchOf(position, batch), after };
        // Nothing follows, so Redis lost the entries up to the head.
        position = this.#head;
        continue;
      }
      if (this.#reading === null) {
        this.#head = position;
        this.#reading = this.#read().finally(() => {
          this.#reading = null;
        });
      }
      await unlessAborted(this.#reading, signal);
    }
  }

  /** Stops the reader. The log stays open. */
  close(): void {
    this.#reader.close();
  }

  async #read(): Promise<void> {
    const batch = await this.#reader.readBatch(this.#head, { count: entriesPerRead, blockMs });
    if (batch.readCount === 0) return;
    this.#kept.push({ stretch: this.#stretchOf(this.#head, batch), length: batch.length });
    this.#keptLength += batch.length;
    this.#head = batch.position;
    while (
      this.#kept.length > 1 &&
      (this.#kept.length > keptStretchesMax || this.#keptLength > keptLengthMax)
    ) {
      this.#keptLength -= this.#kept.shift()?.length ?? 0;
    }
  }

  #keptAfter(position: LogPosition): Stretch | null {
    const kept = this.#kept.find(
      ({ stretch }) =>
        comparePositions(stretch.after, position) <= 0 && comparePositions(position, stretch.position) < 0,
    );
    if (kept === undefined) return null;
    const { stretch } = kept;
    if (stretch.after === position) return stretch;
    return {
      ...stretch,
      events: stretch.events.filter((event) => comparePositions(event.position, position) > 0),
    };
  }

  #stretchOf(after: LogPosition, { entries, position }: LogBatch): Stretch {
    const events = entries.flatMap((entry) =>
      entry.kind === "event" && this.#firsts.isFirst(entry.event.id, entry.position)
        ? [new FeedEvent(entry.position, entry.event)]
        : [],
    );
    return { after, position, events };
  }

  /** Reads the latest events of the log, so that their repeats are recognized. */
  async #recall(): Promise<void> {
    let last = await this.#log.lastPosition();
    const oldest = positionBefore(receivedAt(last) - seenFor);
    // Not the events themselves, which may be large.
    const sightings: { readonly id: string; readonly position: LogPosition }[] = [];
    for (let readCount = 0; readCount < recalledMax; ) {
      const batch = await this.#log.readBack(last, oldest, entriesPerRead);
      if (batch.readCount === 0) break;
      readCount += batch.readCount;
      for (const entry of batch.entries) {
        if (entry.kind === "event") sightings.push({ id: entry.event.id, position: entry.position });
      }
      last = `(${batch.position}`;
    }
    for (const { id, position } of sightings.reverse()) this.#firsts.isFirst(id, position);
  }
}

/** How many entries the first subscription reads back. That takes a moment. */
const recalledMax = 10_000;

/** At least this many event ids are remembered. */
const knownMin = 50_000;

/** The first position of each recent event. There are two generations, and forgetting drops the older one. */
export class FirstPositions {
  #young = new Map<string, LogPosition>();
  #old = new Map<string, LogPosition>();

  /** Records an event at a position. Returns false if the event also stands further back in the log. */
  isFirst(id: string, position: LogPosition): boolean {
    const first = this.#young.get(id) ?? this.#old.get(id);
    if (first !== undefined) return comparePositions(position, first) <= 0;
    if (this.#young.size >= knownMin) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(id, position);
    return true;
  }
}

/** Waits for `promise`. If the signal is aborted first, throws its reason. */
async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

interface Use {
  readonly feed: EventFeed;
  userCount: number;
}

/** The feeds of a server, one for each workspace with subscribers. */
export class EventFeeds {
  readonly #uses = new Map<string, Use>();

  /** Runs `work` with the workspace's feed. The feed is closed when its last user is done. */
  async using<T>(workspace: string, log: Log, work: (feed: EventFeed) => Promise<T>): Promise<T> {
    const use = this.#uses.get(workspace) ?? { feed: new EventFeed(log), userCount: 0 };
    this.#uses.set(workspace, use);
    use.userCount += 1;
    try {
      return await work(use.feed);
    } finally {
      use.userCount -= 1;
      if (use.userCount === 0) {
        this.#uses.delete(workspace);
        use.feed.close();
      }
    }
  }
}
