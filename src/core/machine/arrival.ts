/**
 * Arrivals: the events that the core still needs, each stored once no matter how many windows refer to it.
 *
 * State refers to an event by its log position. The event itself is kept as long as anything refers to it.
 */

import { parseExactJson } from "../json/exact-json.ts";
import { assert } from "../model/assert.ts";
import { type Event, eventOf, type WireEvent } from "../model/event.ts";
import type { Micros } from "../model/time.ts";
import type { TraceContext } from "../model/trace-context.ts";
import type { LogPosition } from "./log-entry.ts";
import type { Cells } from "./state.ts";

/** An event and its position in the log. As JSON, only the position. */
export class Arrival {
  readonly event: Event;
  readonly position: LogPosition;

  constructor(event: Event, position: LogPosition) {
    this.event = event;
    this.position = position;
  }

  toJSON(): LogPosition {
    return this.position;
  }
}

interface StoredEvent {
  readonly wire: WireEvent;
  readonly received: Micros;
  readonly lineage: readonly string[];
  readonly trace?: TraceContext;
}

export class Arrivals {
  readonly #held = new Map<LogPosition, { arrival: Arrival; referenceCount: number }>();
  readonly #cells: Cells;

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  /** Adds a reference to an arrival. The arrival is kept until every reference is released. */
  hold(arrival: Arrival): void {
    const held = this.#held.get(arrival.position);
    if (held !== undefined) {
      held.referenceCount++;
      return;
    }
    this.#held.set(arrival.position, { arrival, referenceCount: 1 });
    const { wire, received, lineage, trace } = arrival.event;
    const stored: StoredEvent = { wire, received, lineage, ...(trace === null ? {} : { trace }) };
    this.#cells.write(`e:${arrival.position}`, stored);
  }

  release(arrival: Arrival | null): void {
    if (arrival === null) return;
    const held = this.#held.get(arrival.position);
    assert(held !== undefined, "an arrival must be held before it is released");
    held.referenceCount--;
    if (held.referenceCount > 0) return;
    this.#held.delete(arrival.position);
    this.#cells.write(`e:${arrival.position}`, null);
  }

  /** Restores a stored event. The state that refers to it then calls `restored`. */
  restore(position: LogPosition, json: string): void {
    const { wire, received, lineage, trace = null } = parseExactJson(json) as StoredEvent;
    const arrival = new Arrival(eventOf(wire, received, lineage, trace), position);
    this.#held.set(position, { arrival, referenceCount: 0 });
  }

  /** Adds a reference to the restored event at a position, and returns the event. */
  restored(position: LogPosition): Arrival {
    const held = this.#held.get(position);
    assert(held !== undefined, `the state refers to the event at ${position}, which it does not hold`);
    held.referenceCount++;
    return held.arrival;
  }
}
