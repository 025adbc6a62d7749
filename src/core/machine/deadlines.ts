/** Deadlines: what happens because time passes, in a fixed order. */

import type { Micros } from "../model/time.ts";

/**
 * The order of deadlines that are due at the same instant.
 *
 * An event settles once time has *passed* it, because others of the same time may arrive until then. So those that settle at
 * an instant occurred before a window that ends there.
 */
export const rank = {
  settledEvent: 0,
  windowEnd: 1,
  tick: 2,
  aheadOfTick: 3,
  follower: 4,
  forget: 5,
} as const;

export interface Deadline {
  readonly due: Micros;
  readonly rank: number;
  /** Breaks ties. For settled events, the order of their evaluation. */
  readonly order: number;
  /** Breaks the remaining ties in the same way after every restart: the trigger that waits, and the key. */
  readonly owner: string;
  meet(): void;
}

/** A binary heap. A deadline that has become obsolete stays in it; its `meet` checks and does nothing. */
export class Deadlines {
  readonly #heap: Deadline[] = [];

  get next(): Deadline | null {
    return this.#heap[0] ?? null;
  }

  push(deadline: Deadline): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(deadline);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(deadline, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = deadline;
  }

  pop(): Deadline | null {
    const heap = this.#heap;
    const first = heap[0];
    const moved = heap.pop();
    if (first === undefined || moved === undefined || heap.length === 0) return first ?? null;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      if (left === undefined) break;
      const takeRight = right !== undefined && isBefore(right, left);
      const child = takeRight ? right : left;
      if (!isBefore(child, moved)) break;
      heap[at] = child;
      at = 2 * at + (takeRight ? 2 : 1);
    }
    heap[at] = moved;
    return first;
  }
}

function isBefore(a: Deadline, b: Deadline): boolean {
  if (a.due !== b.due) return a.due < b.due;
  if (a.rank !== b.rank) return a.rank < b.rank;
  if (a.order !== b.order) return a.order < b.order;
  return a.owner < b.owner;
}
