/** The texts of events on their way to the log. */

import type { WireEvent } from "../core/model/event.ts";
import { encodeEvent, type NewEvent } from "./entry.ts";
import { encodeJson } from "./json.ts";

/** The texts of valid events as they are stored: each is the JSON of a `WireEvent` without a line break, followed by one. */
export interface EventLines {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** Events that share a lineage and a trace. Both may be empty. */
export interface EventGroup extends EventLines {
  readonly lineage: string;
  readonly trace: string;
}

/** How many events one step appends, and about how many bytes, so that it does not keep Redis from all else for long. */
export const eventsPerStep = 1_000;
export const stepLengthMax = 1_000_000;

const encoder = new TextEncoder();
const newline = 0x0a;

/** The texts of events that have neither a lineage nor a trace. */
export function linesOf(events: readonly WireEvent[]): EventLines {
  const lines = events.map((event) => `${encodeJson(event)}\n`);
  return { bytes: encoder.encode(lines.join("")), count: events.length };
}

/** Several lists of lines in one. */
export function joinLines(parts: readonly EventLines[]): EventLines {
  const joined = new Uint8Array(parts.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let length = 0;
  for (const { bytes } of parts) {
    joined.set(bytes, length);
    length += bytes.length;
  }
  return { bytes: joined, count: parts.reduce((sum, { count }) => sum + count, 0) };
}

/** Encodes events, in the order given, step by step. */
export function* stepsOfEvents(events: readonly NewEvent[]): Generator<EventGroup[]> {
  for (let next = 0; next < events.length; ) {
    const groups: EventGroup[] = [];
    let lines: string[] = [];
    let shared = { lineage: "", trace: "" };
    const endGroup = (): void => {
      if (lines.length === 0) return;
      groups.push({ bytes: encoder.encode(lines.join("")), count: lines.length, ...shared });
      lines = [];
    };
    let length = 0;
    const end = Math.min(events.length, next + eventsPerStep);
    for (; next < end && length < stepLengthMax; next++) {
      const [body, lineage, trace] = encodeEvent(events[next] as NewEvent);
      if (lineage !== shared.lineage || trace !== shared.trace) endGroup();
      shared = { lineage, trace };
      lines.push(`${body}\n`);
      length += body.length;
    }
    endGroup();
    yield groups;
  }
}

/** Cuts lines into those of each step. */
export function* stepsOfLines(lines: EventLines): Generator<EventLines> {
  const { bytes, count } = lines;
  if (count <= eventsPerStep && bytes.length <= stepLengthMax) {
    yield lines;
    return;
  }
  for (let start = 0; start < bytes.length; ) {
    let end = start;
    let taken = 0;
    for (; taken < eventsPerStep && end < bytes.length && end - start < stepLengthMax; taken++) {
      end = bytes.indexOf(newline, end) + 1;
    }
    yield { bytes: bytes.subarray(start, end), count: taken };
    start = end;
  }
}
