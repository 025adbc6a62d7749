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

/** What waits for a deadline. */
export interface Waiter {
  /** Breaks ties in the same way after every restart: the trigger that waits, for example. */
  readonly place: string;
  /** Called when log time has reached a deadline, which may have become obsolete. */
  meet(deadline: Deadline): void;
}

export interface Deadline {
  readonly due: Micros;
  readonly rank: number;
  /** Breaks ties. For settled events, the order of their evaluation. */
  readonly order: number;
  /** For a window, its key. Breaks the ties that are left among deadlines of one waiter. */
  readonly key: string;
}

/**
 * A binary heap, as one list for each field: a million deadlines would be a million objects.
 *
 * A deadline that has become obsolete stays in it; its waiter checks and does nothing.
 */
export class Deadlines {
  readonly #dues: number[] = [];
  readonly #ranks: number[] = [];
  readonly #orders: number[] = [];
  readonly #keys: string[] = [];
  readonly #waiters: Waiter[] = [];

  /** When the next one is due; null if there is none. */
  get nextDue(): Micros | null {
    return this.#dues[0] ?? null;
  }

  /** The rank of the next one. */
  get nextRank(): number {
    return this.#ranks[0] ?? 0;
  }

  push(waiter: Waiter, { due, rank, order, key }: Deadline): void {
    let at = this.#dues.length;
    this.#write(at, due, rank, order, key, waiter);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(due, rank, order, key, waiter, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#write(at, due, rank, order, key, waiter);
  }

  /** Adds all of them to others. These must not be used afterward. */
  moveTo(others: Deadlines): void {
    for (const [index, due] of this.#dues.entries()) {
      const [rank, order] = [this.#ranks[index] as number, this.#orders[index] as number];
      others.push(this.#waiters[index] as Waiter, { due, rank, order, key: this.#keys[index] as string });
    }
  }

  /** Takes the next one out and lets its waiter meet it. */
  meetNext(): void {
    const waiter = this.#waiters[0];
    if (waiter === undefined) return;
    const deadline = {
      due: this.#dues[0] ?? 0,
      rank: this.#ranks[0] ?? 0,
      order: this.#orders[0] ?? 0,
      key: this.#keys[0] ?? "",
    };
    this.#removeFirst();
    waiter.meet(deadline);
  }

  #removeFirst(): void {
    const due = this.#dues.pop() ?? 0;
    const rank = this.#ranks.pop() ?? 0;
    const order = this.#orders.pop() ?? 0;
    const key = this.#keys.pop() ?? "";
    const waiter = this.#waiters.pop();
    const { length } = this.#dues;
    if (waiter === undefined || length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#isBeforeAt(child + 1, child)) child++;
      if (this.#isBefore(due, rank, order, key, waiter, child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#write(at, due, rank, order, key, waiter);
  }

  #write(at: number, due: Micros, rank: number, order: number, key: string, waiter: Waiter): void {
    this.#dues[at] = due;
    this.#ranks[at] = rank;
    this.#orders[at] = order;
    this.#keys[at] = key;
    this.#waiters[at] = waiter;
  }

  #move(from: number, to: number): void {
    this.#dues[to] = this.#dues[from] as number;
    this.#ranks[to] = this.#ranks[from] as number;
    this.#orders[to] = this.#orders[from] as number;
    this.#keys[to] = this.#keys[from] as string;
    this.#waiters[to] = this.#waiters[from] as Waiter;
  }

  #isBeforeAt(a: number, b: number): boolean {
    return this.#isBefore(
      this.#dues[a] as number,
      this.#ranks[a] as number,
      this.#orders[a] as number,
      this.#keys[a] as string,
      this.#waiters[a] as Waiter,
      b,
    );
  }

  /** Whether a deadline comes before the one at a place. */
  #isBefore(due: Micros, rank: number, order: number, key: string, waiter: Waiter, other: number): boolean {
    const otherDue = this.#dues[other] as number;
    if (due !== otherDue) return due < otherDue;
    const otherRank = this.#ranks[other] as number;
    if (rank !== otherRank) return rank < otherRank;
    const otherOrder = this.#orders[other] as number;
    if (order !== otherOrder) return order < otherOrder;
    const { place } = this.#waiters[other] as Waiter;
    if (waiter.place !== place) return waiter.place < place;
    return key < (this.#keys[other] as string);
  }
}
