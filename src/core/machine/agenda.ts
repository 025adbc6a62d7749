/** The deadlines of a core, and those that are postponed because it is not known whether people could post. */

import { type Deadline, Deadlines, type Waiter } from "./deadlines.ts";
import type { Gap, Reachability } from "./gaps.ts";

const never = Number.POSITIVE_INFINITY;

/** Postponed deadlines wait for the next beat. Until then none of them is due, so nobody wakes up for them. */
export class Agenda {
  readonly #reachability: Reachability;
  readonly #deadlines = new Deadlines();
  #postponed = new Deadlines();
  /** When the postponed deadlines are due again; `never` if there are none. */
  #resumption = never;

  constructor(reachability: Reachability) {
    this.#reachability = reachability;
  }

  /** When the next deadline is due; null if there is none. */
  get nextDue(): number | null {
    const due = this.#deadlines.nextDue;
    if (this.#resumption === never) return due;
    return Math.min(due ?? never, this.#resumption);
  }

  /** The rank of the next one. */
  get nextRank(): number {
    return this.#isResumptionNext ? 0 : this.#deadlines.nextRank;
  }

  push(waiter: Waiter, deadline: Deadline): void {
    this.#deadlines.push(waiter, deadline);
  }

  /** Lets a deadline that is due wait until a beat has come. */
  postpone(waiter: Waiter, deadline: Deadline, now: number): void {
    this.#postponed.push(waiter, deadline);
    this.#resumption = Math.min(this.#resumption, this.#reachability.nextLook(now));
  }

  /** @returns the gap that the beat ends; null if it ends none */
  beat(at: number): Gap | null {
    const gap = this.#reachability.beat(at);
    // Not at once: other entries of this time may follow, before a restart or after it.
    if (this.#resumption !== never) this.#resumption = this.#reachability.nextLook(at);
    return gap;
  }

  /** Lets the waiter of the next deadline meet it. */
  meetNext(): void {
    if (this.#isResumptionNext) this.#resume();
    else this.#deadlines.meetNext();
  }

  /** The postponed deadlines keep their places in the order, as if the core had been restored now. */
  #resume(): void {
    const postponed = this.#postponed;
    this.#postponed = new Deadlines();
    this.#resumption = never;
    postponed.moveTo(this.#deadlines);
  }

  get #isResumptionNext(): boolean {
    return this.#resumption !== never && this.#resumption <= (this.#deadlines.nextDue ?? never);
  }
}
