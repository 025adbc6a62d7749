/**
 * Arrivals: the events that the core still needs, each stored once however many windows refer to it.
 *
 * State refers to an event by its log position; the event itself is kept as long as something refers to it.
 */

import { assert } from "../model/assert.ts";
import { type Event, eventOf, type WireEvent } from "../model/event.ts";
import type { Micros } from "../model/time.ts";
import type { TraceContext } from "../model/trace-context.ts";
import type { LogPosition } from "./log-entry.ts";
import type { Cells } from "./state.ts";

/** An event at its place in the log. As JSON it is that place. */
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

  /** One more reference to an arrival: it stays until as many are released. */
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

  /** Takes back a stored event; whatever refers to it asks for it with `restored`. */
  restore(position: LogPosition, json: string): void {
    const { wire, received, lineage, trace = null } = JSON.parse(json) as StoredEvent;
    const arrival = new Arrival(eventOf(wire, received, lineage, trace), position);
    this.#held.set(position, { arrival, referenceCount: 0 });
  }

  /** The stored event at a position, held once more. */
  restored(position: LogPosition): Arrival {
    const held = this.#held.get(position);
    assert(held !== undefined, `the state refers to the event at ${position}, which it does not hold`);
    held.referenceCount++;
    return held.arrival;
  }
}
