/** Remembers the ids of events, so that an event that is sent twice counts once. */

import type { Micros } from "../model/time.ts";

interface Sighting {
  readonly id: string;
  readonly at: Micros;
}

/**
 * The ids seen within a span of log time, up to a maximum number.
 *
 * An id is known while its latest sighting lies within the span, so reading the log over that span rebuilds exactly the
 * same set. Sightings are kept in a queue beside the map, because iterating over a map from its oldest entry visits every
 * entry that was deleted there.
 */
export class SeenIds {
  readonly #latest = new Map<string, Sighting>();
  readonly #span: Micros;
  readonly #countMax: number;
  #queue: Sighting[] = [];
  #head = 0;

  constructor(span: Micros, countMax: number) {
    this.#span = span;
    this.#countMax = countMax;
  }

  /** Records a sighting. Its time must not be earlier than that of any other. */
  see(id: string, at: Micros): void {
    const sighting = { id, at };
    this.#latest.set(id, sighting);
    this.#queue.push(sighting);
    this.#forget(at);
  }

  knows(id: string, at: Micros): boolean {
    const seen = this.#latest.get(id);
    return seen !== undefined && at - seen.at <= this.#span;
  }

  #forget(at: Micros): void {
    for (;;) {
      const oldest = this.#queue[this.#head];
      if (oldest === undefined) break;
      const isSuperseded = this.#latest.get(oldest.id) !== oldest;
      if (!isSuperseded) {
        if (at - oldest.at <= this.#span && this.#latest.size <= this.#countMax) break;
        this.#latest.delete(oldest.id);
      }
      this.#head++;
    }
    if (this.#head > 1_024 && this.#head > this.#queue.length / 2) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
  }
}
