/** A clock for tests: it stands still until `pass`, which stops at each timer on the way. */

import type { Clock } from "../../src/retry/clock.ts";

interface Timer {
  readonly due: number;
  readonly order: number;
  readonly ring: () => void;
}

export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  random(): number {
    return 1;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const timer: Timer = { due: this.#now + Math.max(ms, 0), order: this.#order++, ring: resolve };
      this.#timers.add(timer);
      signal?.addEventListener("abort", () => {
        this.#timers.delete(timer);
        resolve();
      });
    });
  }

  /** Lets `ms` milliseconds pass. Everything that a timer starts is done before the next timer rings. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await quiet();
      const next = this.#next();
      if (next === null || next.due > end) break;
      this.#now = Math.max(this.#now, next.due);
      this.#timers.delete(next);
      next.ring();
    }
    this.#now = Math.max(this.#now, end);
    await quiet();
  }

  /** Lets `ms` milliseconds pass at once, as while a computation blocks the thread: no timer rings meanwhile. */
  block(ms: number): void {
    this.#now += ms;
  }

  #next(): Timer | null {
    let next: Timer | null = null;
    for (const timer of this.#timers) {
      if (next === null || timer.due < next.due || (timer.due === next.due && timer.order < next.order)) {
        next = timer;
      }
    }
    return next;
  }
}

/** Resolves when every promise that can settle without I/O or a timer has done so. */
function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
