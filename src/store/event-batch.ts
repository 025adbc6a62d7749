/** Reads events from the log as the JSON texts that it holds, for a reader that needs no more. */

import type { LogPosition } from "../core/machine/log-entry.ts";
import type { Micros } from "../core/model/time.ts";
import { blockMsMax, callRedis, type RedisConnection } from "./connection.ts";
import { decodeLineage, fieldOf } from "./entry.ts";
import type { EntrySource } from "./passed-entries.ts";
import { receivedAt } from "./position.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

/** An event in the log. */
export interface LoggedEvent {
  readonly position: LogPosition;
  readonly received: Micros;
  /** The event as JSON, as the log holds it. */
  readonly text: string;
}

/** The events among consecutive entries. */
export interface EventBatch {
  readonly events: readonly LoggedEvent[];
  /** The position of the last entry read; where reading started if there was none. */
  readonly position: LogPosition;
  /** How many entries were read. */
  readonly readCount: number;
  /** Whether nothing that follows was in the log when it was read, or has been passed on yet. */
  readonly isAtEnd: boolean;
}

/** The log that is read. */
export interface EventSource {
  readonly redis: RedisConnection;
  /** Its key. */
  readonly log: string;
  /** A connection that may wait. */
  readonly forBlocking: () => RedisConnection;
  /** After how many characters a batch ends. */
  readonly lengthMax: number;
  readonly onMalformed: (position: LogPosition, error: unknown) => void;
  /** Has what another reader has read; null if none passes it on. */
  readonly passed: EntrySource | null;
}

const entriesPerPart = 1_000;

const readEventsScript = new Script(scripts.readEvents);

/**
 * Reads the events after a position. One with an invalid lineage is left out, as by every other reader; whether a text is an
 * event is for the caller to find out.
 *
 * @param options.blockMs how long to wait for an entry if there is none
 * @throws RedisUnreachable
 */
export async function readEventBatch(
  source: EventSource,
  after: LogPosition,
  { count, blockMs = 0 }: { count: number; blockMs?: number },
): Promise<EventBatch> {
  const batch = passedBatch(source, after, count) ?? (await readAll(source, after, count));
  const block = Math.min(Math.ceil(blockMs), blockMsMax);
  if (batch.readCount > 0 || block === 0) return batch;
  const found = await callRedis(() =>
    source.forBlocking().xread("COUNT", 1, "BLOCK", block, "STREAMS", source.log, after),
  );
  return found === null ? batch : readAll(source, after, count);
}

/** What another reader has passed on; null if it has not. */
function passedBatch(source: EventSource, after: LogPosition, count: number): EventBatch | null {
  const passed = source.passed?.take(after, count);
  if (passed == null) return null;
  const events: LoggedEvent[] = [];
  for (const [position, fields] of passed.entries) {
    if (fieldOf(fields, "kind") !== "event") continue;
    const text = fieldOf(fields, "body") ?? "";
    addEvent(source, events, { position, text, lineage: fieldOf(fields, "lineage") ?? "" });
  }
  const position = passed.entries.at(-1)?.[0] ?? after;
  return { events, position, readCount: passed.entries.length, isAtEnd: passed.isLast };
}

/** Reads what there is, in parts: Redis does nothing else while it reads one. */
async function readAll(source: EventSource, after: LogPosition, count: number): Promise<EventBatch> {
  const events: LoggedEvent[] = [];
  let position = after;
  let readCount = 0;
  let isAtEnd = false;
  for (let left = source.lengthMax; readCount < count && left > 0 && !isAtEnd; ) {
    const partCount = Math.min(entriesPerPart, count - readCount);
    const parameters = [position, partCount, left];
    const found = await callRedis(() => readEventsScript.run(source.redis, [source.log], parameters));
    const part = batchOf(source, position, found as string[]);
    for (const event of part.events) {
      events.push(event);
      left -= event.text.length;
    }
    position = part.position;
    readCount += part.readCount;
    isAtEnd = part.readCount < partCount;
  }
  return { events, position, readCount, isAtEnd };
}

/** @param texts position, body and lineage of each entry */
function batchOf(
  source: EventSource,
  after: LogPosition,
  texts: readonly string[],
): Omit<EventBatch, "isAtEnd"> {
  const events: LoggedEvent[] = [];
  let position = after;
  for (let at = 0; at < texts.length; at += 3) {
    position = texts[at] ?? position;
    addEvent(source, events, { position, text: texts[at + 1] ?? "", lineage: texts[at + 2] ?? "" });
  }
  return { events, position, readCount: texts.length / 3 };
}

function addEvent(
  { onMalformed }: EventSource,
  events: LoggedEvent[],
  { position, text, lineage }: { position: LogPosition; text: string; lineage: string },
): void {
  if (text === "") return;
  try {
    if (lineage !== "") decodeLineage(lineage);
    events.push({ position, received: receivedAt(position), text });
  } catch (error) {
    onMalformed(position, error);
  }
}
