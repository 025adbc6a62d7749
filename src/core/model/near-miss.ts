/** Suggestions for misspelled words. */

export interface NearMiss {
  readonly word: string;
  /** 0 when only case, or `-` in place of `_`, differs. */
  readonly distance: number;
}

/** The candidate most similar to `word`, or null when none is similar enough to be suggested. */
export function nearMiss(word: string, candidates: Iterable<string>): NearMiss | null {
  let best: NearMiss | null = null;
  for (const candidate of candidates) {
    if (candidate === word) continue;
    const distance = editDistance(simple(word), simple(candidate));
    const limit = Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3));
    if (distance <= limit && (best === null || distance < best.distance))
      best = { word: candidate, distance };
  }
  return best;
}

/** How many letters to add, remove, replace or swap with their neighbor to turn one word into the other. */
export function editDistance(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > lengthDifferenceMax) return Number.POSITIVE_INFINITY;
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = previous[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      let cost = Math.min(row[j - 1]! + 1, previous[j]! + 1, replaced);
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      if (swapped) cost = Math.min(cost, beforePrevious[j - 2]! + 1);
      row.push(cost);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[to.length]!;
}

function simple(word: string): string {
  return word.toLowerCase().replaceAll(/[-\s]/g, "_");
}

/** A larger difference is not a misspelling. The limit also keeps the work small when a key is very long. */
const lengthDifferenceMax = 8;
