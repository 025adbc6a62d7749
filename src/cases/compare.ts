/** Pairs the firings that a case expects with the actual ones. */

import type { Micros } from "../core/model/time.ts";
import type { ExpectedFiring } from "./case.ts";
import { type Difference, differencesOf } from "./differences.ts";
import type { GotFiring } from "./got-firing.ts";

/** An expected firing and the actual one in its place. One of them is null when the other has no counterpart. */
export interface Pair {
  readonly expected: ExpectedFiring | null;
  readonly got: GotFiring | null;
  /** The differences between the two. Empty when they agree. */
  readonly differences: readonly Difference[];
  /** Actions that could not be rendered. They fail the case whatever was expected. */
  readonly problems: readonly string[];
}

export function isGood({ expected, got, differences, problems }: Pair): boolean {
  return expected !== null && got !== null && differences.length === 0 && problems.length === 0;
}

/**
 * Pairs firings that agree completely first, and then the most similar of the rest. Every firing is in exactly one pair.
 *
 * @param start the start of the case; times are shown relative to it
 */
export function pairFirings(
  expected: readonly ExpectedFiring[],
  got: readonly GotFiring[],
  start: Micros,
): Pair[] {
  const pairs: Pair[] = [];
  const unpaired = new Set(got);
  const byInstant = Map.groupBy(got, ({ at }) => at);
  const missing: ExpectedFiring[] = [];
  // The most specific expectations choose first, so that an unspecific one does not take the counterpart of another.
  for (const expectation of expected.toSorted((a, b) => fieldCount(b) - fieldCount(a))) {
    const same = byInstant
      .get(expectation.at)
      ?.find((firing) => unpaired.has(firing) && differencesOf(expectation, firing, start).length === 0);
    if (same === undefined) missing.push(expectation);
    else {
      unpaired.delete(same);
      pairs.push(pairOf(expectation, same, start));
    }
  }
  for (const [expectation, firing] of mostSimilar(missing, [...unpaired])) {
    unpaired.delete(firing);
    missing.splice(missing.indexOf(expectation), 1);
    pairs.push(pairOf(expectation, firing, start));
  }
  pairs.push(...missing.map((expectation) => pairOf(expectation, null, start)));
  pairs.push(...[...unpaired].map((firing) => pairOf(null, firing, start)));
  return pairs;
}

function pairOf(expected: ExpectedFiring | null, got: GotFiring | null, start: Micros): Pair {
  const differences = expected === null || got === null ? [] : differencesOf(expected, got, start);
  const inRequests = (got?.requests ?? []).flatMap((request) =>
    "problem" in request ? [request.problem] : [],
  );
  const problems = [...inRequests, ...(got?.problems ?? [])];
  return { expected, got, differences, problems };
}

/** Pairs the most similar first, and only within one automation: a missing firing and one of another are two failures. */
function mostSimilar(
  expected: readonly ExpectedFiring[],
  got: readonly GotFiring[],
): [ExpectedFiring, GotFiring][] {
  if (expected.length * got.length > comparisonCountMax) return [];
  const candidates = expected.flatMap((expectation) =>
    got.flatMap((firing) => {
      const score = similarity(expectation, firing);
      const distance = Math.abs(expectation.at - firing.at);
      return score === 0 ? [] : [{ expectation, firing, score, distance }];
    }),
  );
  candidates.sort((a, b) => b.score - a.score || a.distance - b.distance);
  const paired = new Set<unknown>();
  return candidates.flatMap(({ expectation, firing }): [ExpectedFiring, GotFiring][] => {
    if (paired.has(expectation) || paired.has(firing)) return [];
    paired.add(expectation).add(firing);
    return [[expectation, firing]];
  });
}

/** How similar two firings are. 0 when they have at most the automation in common: then they are not counterparts. */
function similarity(expected: ExpectedFiring, firing: GotFiring): number {
  if (expected.automation !== firing.automation) return 0;
  const sameLabels = JSON.stringify(sorted(expected.labels)) === JSON.stringify(sorted(firing.labels));
  const sameState = expected.state === firing.state;
  if (expected.at === firing.at) return 4 + (sameLabels ? 2 : 0) + (sameState ? 1 : 0);
  return sameLabels && sameState ? 3 : 0;
}

function sorted(labels: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}

function fieldCount({ event, late, requests, notifications }: ExpectedFiring): number {
  return [event, late, requests, notifications].filter((field) => field !== undefined).length;
}

/** With more comparisons than this, nearly everything is wrong, and similarity no longer means anything. */
const comparisonCountMax = 100_000;
