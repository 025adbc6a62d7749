/** Deadlines: what time alone brings about, in the one order in which it is brought about. */

import type { Micros } from "../model/time.ts";

/** What comes first when several things are due at one instant. */
export const rank = { windowEnd: 0, tick: 1, settledEvent: 2, follower: 3, forget: 4 } as const;

export interface Deadline {
  readonly due: Micros;
  readonly rank: number;
  /** Breaks ties; for settled events, the order of their evaluation. */
  readonly order: number;
  /** Breaks the ties that are left, the same after every restart: who waits, and for which key. */
  readonly owner: string;
  meet(): void;
}

/** A binary heap. A deadline that no longer holds is not taken out: whoever meets it looks first. */
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
