/** Tells a difference between two versions from the noise of the machine. */

import { median } from "./figures.ts";

export interface Difference {
  /** The median of the new values beside that of the old ones. */
  readonly ratio: number;
  /** How likely a difference as large as this one is if nothing has changed. */
  readonly probability: number;
  readonly verdict: "better" | "worse" | "no clear difference";
}

/** A difference that is less likely by chance than this is taken to be real, if it is also large enough to matter. */
const probabilityMax = 0.01;
const smallestRatio = 1.03;

/** With more ways to divide the values than this, as many are drawn. */
const divisionsMax = 20_000;

/**
 * A permutation test: if the versions do not differ, it does not matter which of them a value came from. So the values are
 * divided at random, and the difference counted as large only if few divisions show one as large.
 *
 * @param before the values of the old version, all positive
 * @param after those of the new one, measured in turns with the others
 */
export function compareValues(
  before: readonly number[],
  after: readonly number[],
  { lowerIsBetter = false }: { readonly lowerIsBetter?: boolean } = {},
): Difference {
  const ratio = median(after) / median(before);
  const logs = [...before, ...after].map(Math.log);
  const shown = Math.abs(meanOf(logs.slice(before.length)) - meanOf(logs.slice(0, before.length)));
  const random = seededRandom();
  let asLarge = 0;
  for (let draw = 0; draw < divisionsMax; draw++) {
    shuffle(logs, random);
    const difference = meanOf(logs.slice(before.length)) - meanOf(logs.slice(0, before.length));
    if (Math.abs(difference) >= shown - 1e-12) asLarge += 1;
  }
  const probability = (asLarge + 1) / (divisionsMax + 1);
  const isReal = probability <= probabilityMax && (ratio > smallestRatio || ratio < 1 / smallestRatio);
  if (!isReal) return { ratio, probability, verdict: "no clear difference" };
  return { ratio, probability, verdict: ratio > 1 !== lowerIsBetter ? "better" : "worse" };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function shuffle(values: number[], random: () => number): void {
  for (let last = values.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [values[last], values[other]] = [values[other] as number, values[last] as number];
  }
}

/** The same draws every time, so that the same values give the same verdict. */
function seededRandom(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state / 2 ** 32;
  };
}
