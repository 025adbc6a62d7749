/** A clock for tests: it stands still until `pass`, which stops at each timer on the way. */

import type { WallClock } from "../../src/retry/clock.ts";

interface Timer {
  readonly due: number;
  readonly order: number;
  readonly ring: () => void;
  isOff: boolean;
}

export interface VirtualClockOptions {
  /** Resolves when every promise that can settle without a timer of this clock has done so. */
  readonly settle?: () => Promise<void>;
}

export class VirtualClock implements WallClock {
  /** How often a timer has rung. */
  ringCount = 0;
  readonly #settle: () => Promise<void>;
  #now = 0;
  #order = 0;
  readonly #timers = new TimerHeap();

  constructor({ settle = afterTurn }: VirtualClockOptions = {}) {
    this.#settle = settle;
  }

  now(): number {
    return this.#now;
  }

  timeOfDay(): number {
    return this.#now;
  }

  random(): number {
    return 1;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const stop = () => {
        timer.isOff = true;
        resolve();
      };
      const timer: Timer = {
        due: this.#now + Math.max(ms, 0),
        order: this.#order++,
        ring: () => {
          signal?.removeEventListener("abort", stop);
          resolve();
        },
        isOff: false,
      };
      this.#timers.add(timer);
      signal?.addEventListener("abort", stop, { once: true });
    });
  }

  /** Lets `ms` milliseconds pass. Everything that a timer starts is done before the next timer rings. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await this.#settle();
      const next = this.#timers.takeDue(end);
      if (next === null) break;
      this.#now = Math.max(this.#now, next.due);
      this.ringCount += 1;
      next.ring();
    }
    this.#now = Math.max(this.#now, end);
    await this.#settle();
  }

  /** Lets `ms` milliseconds pass at once, as while a computation blocks the thread: no timer rings meanwhile. */
  block(ms: number): void {
    this.#now += ms;
  }
}

/** Timers in the order in which they ring: a binary heap. */
class TimerHeap {
  readonly #timers: Timer[] = [];

  add(timer: Timer): void {
    const timers = this.#timers;
    let index = timers.length;
    for (let parent = (index - 1) >> 1; index > 0; parent = (index - 1) >> 1) {
      if (!isBefore(timer, timers[parent]!)) break;
      timers[index] = timers[parent]!;
      index = parent;
    }
    timers[index] = timer;
  }

  /** Removes the next timer if it rings by this time. */
  takeDue(end: number): Timer | null {
    for (;;) {
      const next = this.#timers[0];
      if (next === undefined || (!next.isOff && next.due > end)) return null;
      this.#removeFirst();
      if (!next.isOff) return next;
    }
  }

  #removeFirst(): void {
    const timers = this.#timers;
    const last = timers.pop()!;
    if (timers.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= timers.length) break;
      if (child + 1 < timers.length && isBefore(timers[child + 1]!, timers[child]!)) child += 1;
      if (!isBefore(timers[child]!, last)) break;
      timers[index] = timers[child]!;
      index = child;
    }
    timers[index] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.due < b.due || (a.due === b.due && a.order < b.order);
}

/** For code that also waits for turns of the event loop. */
function afterTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** For code that waits only for promises: much faster. Node runs this once no promise is left to settle. */
export function onceSettled(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
