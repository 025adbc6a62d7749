/** The events of a Proactive trigger that wait until their time has settled, and the order in which they are then taken. */

import type { Micros } from "../model/time.ts";
import { type Arrival, type StoredReference, type StoredState, writeState } from "./arrival.ts";
import { keyOf } from "./key.ts";
import { type EventRole, keyText } from "./node.ts";

export interface SettlingEvent {
  readonly arrival: Arrival;
  /** When it occurred, or, if its sender's clock is ahead, a later time at which it may have. */
  readonly at: Micros;
  readonly role: EventRole;
}

/** The event (before version 3, its position), the role, and the time that it waits for if that is not `occurred`. */
type StoredSettling = [arrival: StoredReference | string, isExpected: 0 | 1, isAfter: 0 | 1, at?: Micros];

/** What is stored of an event that waits. Of the event itself, memory keeps only the text from then on. */
export function storedSettling({ arrival, at, role }: SettlingEvent): string {
  const text = writeState((refer): StoredSettling => {
    const stored: StoredSettling = [refer(arrival), role.expected ? 1 : 0, role.after ? 1 : 0];
    if (at !== arrival.event.occurred) stored.push(at);
    return stored;
  });
  arrival.compact();
  return text;
}

/** Reads an event that waits as any version has stored it. */
export function restoredSettling(state: StoredState): SettlingEvent {
  const [reference, isExpected, isAfter, at] = state.header as StoredSettling;
  const arrival = state.arrival(reference);
  const role = { expected: isExpected === 1, after: isAfter === 1 };
  return { arrival, at: at ?? arrival.event.occurred, role };
}

type Placed = readonly [order: number, event: SettlingEvent];

export class SettlingEvents {
  readonly #byOrder = new Map<number, SettlingEvent>();
  /** The orders of the events that occurred at each instant: mostly there is one. */
  readonly #atInstant = new Map<Micros, number | number[]>();

  get size(): number {
    return this.#byOrder.size;
  }

  /** @param order the event's place among all events that were ever evaluated */
  add(order: number, event: SettlingEvent): void {
    this.#byOrder.set(order, event);
    const together = this.#atInstant.get(event.at);
    if (together === undefined) this.#atInstant.set(event.at, order);
    else if (typeof together === "number") this.#atInstant.set(event.at, [together, order]);
    else together.push(order);
  }

  /** Takes out the events of an instant, in the order in which they are evaluated. */
  take(instant: Micros): Placed[] {
    const orders = [this.#atInstant.get(instant) ?? []].flat();
    this.#atInstant.delete(instant);
    const together = orders.flatMap((order): Placed[] => {
      const event = this.#byOrder.get(order);
      this.#byOrder.delete(order);
      return event === undefined ? [] : [[order, event]];
    });
    return inSettlingOrder(together);
  }

  /** Takes out all events. */
  clear(): Placed[] {
    const all = [...this.#byOrder];
    this.#byOrder.clear();
    this.#atInstant.clear();
    return all;
  }

  /** The events of each key, in the order in which they occurred. */
  byKey(labels: readonly string[]): Map<string, [SettlingEvent, ...SettlingEvent[]]> {
    const byKey = new Map<string, [SettlingEvent, ...SettlingEvent[]]>();
    const inOrder = [...this.#byOrder.values()].sort((a, b) => a.at - b.at);
    for (const event of inOrder) {
      const text = keyText(keyOf(labels, event.arrival.event));
      const known = byKey.get(text);
      if (known === undefined) byKey.set(text, [event]);
      else known.push(event);
    }
    return byKey;
  }
}

/**
 * The order in which events of one instant are evaluated, whichever arrived first: what opens a window before what counts
 * in one. An event that follows another still comes after it. Where nothing else decides, their ids do.
 */
function inSettlingOrder(together: readonly Placed[]): Placed[] {
  if (together.length <= 1) return [...together];
  const sorted = together.toSorted(([, a], [, b]) => {
    const [rankA, rankB] = [openingRank(a.role), openingRank(b.role)];
    if (rankA !== rankB) return rankA - rankB;
    return a.arrival.event.id < b.arrival.event.id ? -1 : 1;
  });
  const byId = new Map(sorted.map((placed) => [placed[1].arrival.event.id, placed]));
  const ordered = new Set<Placed>();
  for (const placed of sorted) {
    // Its leaders in this instant, if they have not been taken yet, from the first of them.
    const chain = new Set<Placed>();
    for (let next: Placed | undefined = placed; next !== undefined; ) {
      if (ordered.has(next) || chain.has(next)) break;
      chain.add(next);
      next = byId.get(next[1].arrival.event.follows ?? "");
    }
    for (const link of [...chain].reverse()) ordered.add(link);
  }
  return [...ordered];
}

/** An event that only opens windows comes first, one that only counts last. */
function openingRank({ expected, after }: EventRole): number {
  return after ? (expected ? 1 : 0) : 2;
}
