/** What a shard has to count with its next commit: events, firings and resolutions, by the second in which they came. */

import type { Firing } from "../core/machine/firing.ts";
import { isCanary } from "../core/model/canary.ts";
import { type Micros, second } from "../core/model/time.ts";
import { type ActivityKind, type CountedSecond, nothingCounted } from "../store/activity.ts";

export class ActivityTally {
  readonly #seconds = new Map<number, Record<ActivityKind, number>>();
  /** Most events come in the same second as the one before. */
  #latest: Record<ActivityKind, number> = { ...nothingCounted };
  #latestSecond: number | null = null;

  /** @param received when the log received the event */
  addEvent(received: Micros): void {
    this.#at(received).events += 1;
  }

  /** Counts what has fired when it became known. The canary's firings are the server's own. */
  addFirings(firings: readonly Firing[]): void {
    for (const { automation, state, triggered } of firings) {
      if (isCanary(automation.id)) continue;
      this.#at(triggered)[state === "Triggered" ? "firings" : "resolutions"] += 1;
    }
  }

  /** Takes what was added since the last call. */
  take(): CountedSecond[] {
    const taken = Array.from(this.#seconds, ([time, counts]) => ({ second: time, ...counts }));
    this.#seconds.clear();
    this.#latestSecond = null;
    return taken;
  }

  #at(time: Micros): Record<ActivityKind, number> {
    const key = Math.floor(time / second);
    if (key === this.#latestSecond) return this.#latest;
    this.#latestSecond = key;
    this.#latest = this.#seconds.get(key) ?? { ...nothingCounted };
    this.#seconds.set(key, this.#latest);
    return this.#latest;
  }
}
