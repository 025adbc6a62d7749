/** How long random tests search: TRIPLINE_RUNS=100000 searches longer, TRIPLINE_TEST_SEED repeats a search. */

import { expect } from "vitest";
import fc, { seed } from "./fast-check.ts";

export { seed };
export const numRuns = Number(process.env["TRIPLINE_RUNS"] ?? 300);

/** Tests a property on random cases. `expectSame` shrinks a failing case, not fast-check. */
export function search<Drawn>(drawn: fc.Arbitrary<Drawn>, holds: (drawn: Drawn) => void): void {
  let heldCount = 0;
  const counted = (value: Drawn): void => {
    holds(value);
    heldCount += 1;
  };
  fc.assert(fc.property(drawn, counted), { numRuns, seed, endOnFailure: true });
  // A search that draws nothing would find no failure.
  expect(heldCount).toBe(numRuns);
}

/** How many milliseconds a test may take, even in a long search. */
export const searchTimeoutMs = 60_000 + numRuns * 500;
