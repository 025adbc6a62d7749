/**
 * Arrivals: the events that the core still needs.
 *
 * What waits or is remembered is kept as text, as it is stored, and read again when it is needed: a parsed event takes ten
 * times the space. A short text is part of each state that refers to the event. A long one is stored once, no matter how
 * many windows refer to it, and kept as long as anything does.
 */

import { assert } from "../model/assert.ts";
import type { Event } from "../model/event.ts";
import type { LogPosition } from "./log-entry.ts";
import type { Cells } from "./state.ts";
import { decodeStoredEvent, encodeStoredEvent } from "./stored-event.ts";

/** How long the text of an event may be that is stored with each state that refers to it. */
const shortLengthMax = 1_000;

/** An event and its position in the log. */
export class Arrival {
  readonly position: LogPosition;
  /** How many parts of the state refer to this event, which is stored apart; 0 if it is stored with each of them. */
  referenceCount = 0;
  #event: Event | null;
  #text: string | null;

  private constructor(event: Event | null, text: string | null, position: LogPosition) {
    this.#event = event;
    this.#text = text;
    this.position = position;
  }

  static of(event: Event, position: LogPosition): Arrival {
    return new Arrival(event, null, position);
  }

  /** @param text as `text` returned it, or as an older version stored the event */
  static stored(text: string, position: LogPosition): Arrival {
    return new Arrival(null, text, position);
  }

  get event(): Event {
    this.#event ??= decodeStoredEvent(this.#text ?? "", this.position);
    return this.#event;
  }

  get text(): string {
    this.#text ??= encodeStoredEvent(this.event, this.position);
    return this.#text;
  }

  /** Keeps only the text. */
  compact(): void {
    if (this.text !== "") this.#event = null;
  }
}

/** What a stored state holds in the place of an event: the number of the line that has it, or where it is stored apart. */
export type StoredReference = number | readonly [LogPosition] | null;

export class Arrivals {
  readonly #apart = new Map<LogPosition, Arrival>();
  readonly #cells: Cells;

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  /** Adds a reference to an arrival. One that is stored apart is kept until every reference is released. */
  hold(arrival: Arrival | null): void {
    if (arrival === null || !this.#cells.isStored) return;
    if (arrival.referenceCount === 0) {
      // An old version stored short ones apart as well.
      if (this.#apart.get(arrival.position) !== arrival && arrival.text.length <= shortLengthMax) return;
      this.#apart.set(arrival.position, arrival);
      this.#cells.write(`e:${arrival.position}`, () => arrival.text);
    }
    arrival.referenceCount++;
  }

  release(arrival: Arrival | null): void {
    if (arrival === null || arrival.referenceCount === 0) return;
    arrival.referenceCount--;
    if (arrival.referenceCount > 0) return;
    this.#apart.delete(arrival.position);
    this.#cells.write(`e:${arrival.position}`, null);
  }

  /** Restores an event that is stored apart. Whatever refers to it then holds it. */
  restore(position: LogPosition, text: string): void {
    this.#apart.set(position, Arrival.stored(text, position));
  }

  /** The positions of restored events that nothing refers to. */
  *unused(): Iterable<LogPosition> {
    for (const [position, { referenceCount }] of this.#apart) if (referenceCount === 0) yield position;
  }

  /** The event that is stored apart at a position. */
  at(position: LogPosition): Arrival {
    const arrival = this.#apart.get(position);
    assert(arrival !== undefined, `the state refers to the event at ${position}, which it does not hold`);
    return arrival;
  }

  /** Reads a state with the events that it refers to. */
  read(text: string): StoredState {
    return new StoredState(text, this);
  }
}

/**
 * Writes a state with the events that it refers to: a line of JSON, and one for each event that is not stored apart.
 *
 * @param header makes the JSON of the state, in which `refer` gives what stands in the place of each event
 */
export function writeState(header: (refer: (arrival: Arrival | null) => StoredReference) => unknown): string {
  const lines: string[] = [""];
  const known: Arrival[] = [];
  const json = JSON.stringify(
    header((arrival) => {
      if (arrival === null) return null;
      if (arrival.referenceCount > 0) return [arrival.position];
      const index = known.indexOf(arrival);
      if (index !== -1) return index + 1;
      lines.push(`${arrival.position} ${arrival.text}`);
      return known.push(arrival);
    }),
  );
  if (lines.length === 1) return json;
  lines[0] = json;
  return lines.join("\n");
}

/** A stored state of any version. */
export class StoredState {
  readonly header: unknown;
  readonly #lines: readonly string[];
  readonly #arrivals: Arrivals;
  readonly #known: Arrival[] = [];

  constructor(text: string, arrivals: Arrivals) {
    this.#arrivals = arrivals;
    const end = text.indexOf("\n");
    this.header = JSON.parse(end === -1 ? text : text.slice(0, end));
    this.#lines = end === -1 ? [] : text.slice(end + 1).split("\n");
  }

  /** @param reference what stands in the place of an event; before version 3, its position */
  arrival(reference: StoredReference | LogPosition): Arrival {
    if (typeof reference === "string") return this.#arrivals.at(reference);
    if (typeof reference === "object") return this.#arrivals.at(reference?.[0] ?? "");
    const index = reference - 1;
    const known = this.#known[index];
    if (known !== undefined) return known;
    const line = this.#lines[index];
    assert(line !== undefined, "a state holds the events that it refers to");
    const space = line.indexOf(" ");
    const arrival = Arrival.stored(line.slice(space + 1), line.slice(0, space));
    this.#known[index] = arrival;
    return arrival;
  }

  /** As `arrival`; null for null. */
  arrivalOrNull(reference: StoredReference | LogPosition): Arrival | null {
    return reference === null ? null : this.arrival(reference);
  }
}
