/** Seen ids: the same event counts once, whoever sends it again. */

import type { Micros } from "../model/time.ts";

interface Sighting {
  readonly id: string;
  readonly at: Micros;
}

/**
 * The ids seen within a span of log time, at most so many of them.
 *
 * An id is known while its latest sighting lies within the span, so that reading back the log over that span rebuilds
 * exactly what was known. Sightings stand in a queue beside the map, because stepping through a map from its oldest
 * entry walks over every entry that was deleted there.
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

  /** Notes a sighting. Times of sightings never go back. */
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
