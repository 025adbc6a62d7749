/** What the naive evaluator knows of beats: the times at which people could post. Times are log time. */

import { day, type Micros, second } from "../../../src/core/model/time.ts";
import type { Window } from "./node.ts";

const tolerance = 5 * second;
const longestGap = day;

export class Beats {
  readonly #gaps: { readonly from: Micros; readonly to: Micros }[] = [];
  #last: Micros | null = null;

  add(at: Micros): void {
    const from = this.#last ?? at;
    if (at - from > tolerance && at - from <= longestGap) this.#gaps.push({ from, to: at });
    this.#last = at;
  }

  /** The end of a window, if the time in which nobody could post does not count. */
  endOf({ start, end }: Window): Micros {
    for (let moved = end; ; ) {
      let next = end;
      // A gap that begins before the end counts as a whole: the end is after it.
      for (const { from, to } of this.#gaps)
        if (from < moved) next += Math.max(0, to - Math.max(from, start));
      if (next === moved) return moved;
      moved = next;
    }
  }

  /** When events are too late for a window; never, while nobody can post since before its end. */
  latestEndOf(window: Window, now: Micros): Micros {
    const last = this.#last;
    const end = this.endOf(window);
    if (last === null || last >= end) return end;
    return now - last > tolerance && now - last <= longestGap ? Infinity : end;
  }

  /** When a window is judged: not before it is known that people could post after its end. */
  judgedAt(window: Window, lateness: Micros, now: Micros): Micros {
    const last = this.#last;
    const end = this.endOf(window);
    const due = end + lateness;
    if (last === null) return due;
    if (last < end) return Math.max(due, last + longestGap + 1);
    return now <= last ? Math.max(due, last + 1) : due;
  }
}
