/** Pairs the firings that a case expects with those that it got. */

import type { Micros } from "../core/model/time.ts";
import type { ExpectedFiring } from "./case.ts";
import { type Difference, differencesOf } from "./differences.ts";
import type { GotFiring } from "./got-firing.ts";

/** An expected firing and the one that was got in its place; one of them alone when it has no counterpart. */
export interface Pair {
  readonly expected: ExpectedFiring | null;
  readonly got: GotFiring | null;
  /** Of the two; empty when they agree. */
  readonly differences: readonly Difference[];
  /** Actions that could not be rendered: a failure, whatever was expected. */
  readonly problems: readonly string[];
}

export function isGood({ expected, got, differences, problems }: Pair): boolean {
  return expected !== null && got !== null && differences.length === 0 && problems.length === 0;
}

/**
 * First pairs what agrees in everything, then, of the rest, what is most alike. Every firing is in one pair.
 *
 * @param start of the case, from which times are told
 */
export function pairFirings(
  expected: readonly ExpectedFiring[],
  got: readonly GotFiring[],
  start: Micros,
): Pair[] {
  const pairs: Pair[] = [];
  const left = new Set(got);
  const byInstant = Map.groupBy(got, ({ at }) => at);
  const missing: ExpectedFiring[] = [];
  // Those that say most choose first, so that one which says little does not take another's counterpart.
  for (const one of expected.toSorted((a, b) => fieldCount(b) - fieldCount(a))) {
    const same = byInstant
      .get(one.at)
      ?.find((firing) => left.has(firing) && differencesOf(one, firing, start).length === 0);
    if (same === undefined) missing.push(one);
    else {
      left.delete(same);
      pairs.push(pairOf(one, same, start));
    }
  }
  for (const [one, firing] of alike(missing, [...left])) {
    left.delete(firing);
    missing.splice(missing.indexOf(one), 1);
    pairs.push(pairOf(one, firing, start));
  }
  pairs.push(...missing.map((one) => pairOf(one, null, start)));
  pairs.push(...[...left].map((firing) => pairOf(null, firing, start)));
  return pairs;
}

function pairOf(expected: ExpectedFiring | null, got: GotFiring | null, start: Micros): Pair {
  const differences = expected === null || got === null ? [] : differencesOf(expected, got, start);
  const problems = (got?.requests ?? []).flatMap((request) =>
    "problem" in request ? [request.problem] : [],
  );
  return { expected, got, differences, problems };
}

/** The most alike first. Only within one automation: that another one fired instead is two facts, not one. */
function alike(
  expected: readonly ExpectedFiring[],
  got: readonly GotFiring[],
): [ExpectedFiring, GotFiring][] {
  if (expected.length * got.length > comparisonCountMax) return [];
  const candidates = expected.flatMap((one) =>
    got.flatMap((firing) => {
      const score = likeness(one, firing);
      return score === 0 ? [] : [{ one, firing, score, distance: Math.abs(one.at - firing.at) }];
    }),
  );
  candidates.sort((a, b) => b.score - a.score || a.distance - b.distance);
  const taken = new Set<unknown>();
  return candidates.flatMap(({ one, firing }): [ExpectedFiring, GotFiring][] => {
    if (taken.has(one) || taken.has(firing)) return [];
    taken.add(one).add(firing);
    return [[one, firing]];
  });
}

/** 0 when they are no counterparts: two firings with nothing but the automation in common. */
function likeness(one: ExpectedFiring, firing: GotFiring): number {
  if (one.automation !== firing.automation) return 0;
  const sameLabels = JSON.stringify(sorted(one.labels)) === JSON.stringify(sorted(firing.labels));
  const sameState = one.state === firing.state;
  if (one.at === firing.at) return 4 + (sameLabels ? 2 : 0) + (sameState ? 1 : 0);
  return sameLabels && sameState ? 3 : 0;
}

function sorted(labels: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}

function fieldCount({ event, late, requests }: ExpectedFiring): number {
  return [event, late, requests].filter((field) => field !== undefined).length;
}

/** Where nearly everything is wrong, likeness says nothing any more. */
const comparisonCountMax = 100_000;
