/** How far random tests search: TRIPLINE_RUNS=100000 searches longer, TRIPLINE_TEST_SEED repeats a search. */

import { expect } from "vitest";
import fc, { seed } from "./fast-check.ts";

export { seed };
export const numRuns = Number(process.env["TRIPLINE_RUNS"] ?? 300);

/** Tests a property on cases drawn at random. Cases are made small by `expectSame`, not by fast-check. */
export function search<Drawn>(drawn: fc.Arbitrary<Drawn>, holds: (drawn: Drawn) => void): void {
  let heldCount = 0;
  const counted = (any: Drawn): void => {
    holds(any);
    heldCount += 1;
  };
  fc.assert(fc.property(drawn, counted), { numRuns, seed, endOnFailure: true });
  // A search that draws nothing would find nothing wrong.
  expect(heldCount).toBe(numRuns);
}

/** Milliseconds that a test may take, also when it is told to search for long. */
export const searchTimeoutMs = 60_000 + numRuns * 500;
