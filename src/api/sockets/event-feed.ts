/**
 * The live part of the event feed: new events of a workspace's log, for any number of subscribers.
 *
 * Each subscriber asks for what follows its own position. They share a reader (src/store/shared-reader.ts), so no one waits
 * for a slow subscriber, a slow subscriber loses nothing, and memory stays bounded.
 */

import type { LogEntry, LogPosition } from "../../core/machine/log-entry.ts";
import type { Event } from "../../core/model/event.ts";
import { receivedEvent } from "../../core/model/event.ts";
import { seenFor } from "../../core/model/limits.ts";
import type { Log } from "../../store/log.ts";
import { comparePositions, positionBefore, receivedAt } from "../../store/position.ts";
import { SharedReader } from "../../store/shared-reader.ts";

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

export class EventFeed {
  readonly #log: Log;
  readonly #reader: SharedReader;
  readonly #firsts = new FirstPositions();
  /** By entry, for as long as the reader keeps it; null for a repeat. */
  readonly #events = new WeakMap<LogEntry, FeedEvent | null>();
  /** Up to where repeats are recognized: every event of the latest entries before it is known. */
  #knownTo: LogPosition | null = null;
  #recalling: Promise<void> | null = null;

  constructor(log: Log) {
    this.#log = log;
    this.#reader = new SharedReader(log.reader(), (after, options) => log.readBatch(after, options));
  }

  /**
   * Waits for the events after a position. Repeats of an event are left out.
   *
   * @returns a stretch that starts at `after`; it may hold no events
   * @throws RedisUnreachable; and the signal's reason once it is aborted
   */
  async next(after: LogPosition, signal: AbortSignal): Promise<Stretch> {
    await this.#knowUpTo(after);
    for (;;) {
      const { entries, position, readCount } = await this.#reader.read(after, {
        count: entriesPerRead,
        blockMs,
        signal,
      });
      if (readCount === 0) continue;
      const events = entries.flatMap((entry) => this.#eventsOf(entry));
      if (!this.#knows(position)) this.#knownTo = position;
      return { after, position, events };
    }
  }

  /** Stops the reader. The log stays open. */
  close(): void {
    this.#reader.close();
  }

  #eventsOf(entry: LogEntry): FeedEvent[] {
    if (entry.kind !== "event") return [];
    let event = this.#events.get(entry);
    if (event === undefined) {
      const isFirst = this.#firsts.isFirst(entry.event.id, entry.position);
      event = isFirst ? new FeedEvent(entry.position, entry.event) : null;
      this.#events.set(entry, event);
    }
    return event === null ? [] : [event];
  }

  #knows(position: LogPosition): boolean {
    return this.#knownTo !== null && comparePositions(position, this.#knownTo) <= 0;
  }

  /** One who joins may be ahead of all others. What lies between them may be repeated after it. */
  async #knowUpTo(position: LogPosition): Promise<void> {
    while (!this.#knows(position)) {
      this.#recalling ??= this.#recall(position).finally(() => {
        this.#recalling = null;
      });
      await this.#recalling;
    }
  }

  /** Reads back over the latest events before a position, so that their repeats are recognized. */
  async #recall(position: LogPosition): Promise<void> {
    const oldest = positionBefore(receivedAt(position) - seenFor);
    const first = this.#knows(oldest) ? `(${this.#knownTo}` : oldest;
    // Not the events themselves, which may be large.
    const sightings: { readonly id: string; readonly position: LogPosition }[] = [];
    let last = position;
    for (let readCount = 0; readCount < recalledMax; ) {
      const batch = await this.#log.readBack(last, first, entriesPerRead);
      if (batch.readCount === 0) break;
      readCount += batch.readCount;
      for (const entry of batch.entries) {
        if (entry.kind === "event") sightings.push({ id: entry.event.id, position: entry.position });
      }
      last = `(${batch.position}`;
    }
    for (const sighting of sightings.reverse()) this.#firsts.isFirst(sighting.id, sighting.position);
    if (!this.#knows(position)) this.#knownTo = position;
  }
}

/** How many entries a subscription reads back at most. That takes a moment. */
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
