/** How many windows are open, without visiting them. */

import { type Micros, second } from "../model/time.ts";

/** The end of a window that stays open until its state changes. */
export const openForever = Number.POSITIVE_INFINITY;
/** In the place of an end: the state is not an open window. */
export const notOpen = Number.NEGATIVE_INFINITY;

/**
 * The number of open windows by when they end.
 *
 * Windows that end within the same second stop counting together, at its end. The number is for people.
 */
export class OpenCount {
  #endless = 0;
  readonly #bySecond = new Map<number, number>();

  /** @param end when the window ends by itself; it has changed from `before` */
  change(before: Micros, end: Micros): void {
    if (before === end) return;
    this.#add(before, -1);
    this.#add(end, 1);
  }

  count(now: Micros): number {
    let count = this.#endless;
    for (const [time, windows] of this.#bySecond) {
      if (time * second > now) count += windows;
    }
    return count;
  }

  #add(end: Micros, change: number): void {
    if (end === openForever) this.#endless += change;
    else if (end !== notOpen) {
      const time = Math.ceil(end / second);
      const windows = (this.#bySecond.get(time) ?? 0) + change;
      if (windows === 0) this.#bySecond.delete(time);
      else this.#bySecond.set(time, windows);
    }
  }
}
