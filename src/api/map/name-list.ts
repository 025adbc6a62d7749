/** Names with counts, to find those that a pattern matches among many. */

import type { Glob } from "../../core/model/glob.ts";
import { breath } from "../../retry/slices.ts";
import { indexOfFirst } from "../../store/index-of-first.ts";

/** Names that are compared with patterns that have a wildcard, over all patterns: about a second of work. */
const comparedMax = 2_000_000;

/** How many names are compared between two looks at the time. */
const comparedPerBreath = 100;

export class NameList {
  readonly #counts: ReadonlyMap<string, number>;
  readonly #sorted: readonly string[];
  readonly #isComplete: boolean;
  #comparedCount = 0;

  /** @param isComplete false if there are other names: then it is not known what is missing */
  constructor(counts: ReadonlyMap<string, number>, isComplete: boolean) {
    this.#counts = counts;
    this.#sorted = [...counts.keys()].sort();
    this.#isComplete = isComplete;
  }

  /** The counts of the names that the pattern matches, together; null if that is not known, or too much to look at. */
  async countOf(pattern: Glob): Promise<number | null> {
    if (pattern.literal !== null) return this.#counts.get(pattern.literal) ?? (this.#isComplete ? 0 : null);
    if (!this.#isComplete) return null;
    let sum = 0;
    for await (const name of this.#matching(pattern)) {
      if (name === null) return null;
      sum += this.#counts.get(name) ?? 0;
    }
    return sum;
  }

  /** Whether the pattern matches one of the names; null if that is not known, or too much to look at. */
  async has(pattern: Glob): Promise<boolean | null> {
    if (pattern.literal !== null && this.#counts.has(pattern.literal)) return true;
    if (pattern.literal === null)
      for await (const name of this.#matching(pattern)) return name === null ? null : true;
    return this.#isComplete ? false : null;
  }

  /** The names that the pattern matches; null at the end if there was too much to look at. */
  async *#matching(pattern: Glob): AsyncGenerator<string | null> {
    const { prefix } = pattern;
    for (let at = indexOfFirst(this.#sorted, (name) => name >= prefix); at < this.#sorted.length; at += 1) {
      const name = this.#sorted[at] ?? "";
      if (!name.startsWith(prefix)) return;
      this.#comparedCount += 1;
      if (this.#comparedCount > comparedMax) return void (yield null);
      if (this.#comparedCount % comparedPerBreath === 0) await breath();
      if (pattern.matches(name)) yield name;
    }
  }
}
