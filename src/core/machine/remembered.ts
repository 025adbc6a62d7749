/**
 * The firings that a composite remembers for one key: a list for each child, ascending by when they happened.
 *
 * After the composite has fired it forgets what it used and everything that happened before the newest of that. What
 * happened at that same time and was not used stays, so that the order of its arrival makes no difference.
 */

import { rememberedFiringsMax } from "../model/limits.ts";
import type { Micros } from "../model/time.ts";
import type { Fired } from "./node.ts";
import { latestStart } from "./sequence.ts";

/** The firings of each child, ascending by `happened`, then by `order`. */
export type Remembered = readonly (readonly Fired[])[];

/** Adds a firing of a child in its place. */
export function withFiring(remembered: Remembered, childIndex: number, firing: Fired): Remembered {
  const firings = remembered[childIndex] ?? [];
  const place = firings.findLastIndex((other) => !isBefore(firing, other)) + 1;
  return remembered.with(childIndex, firings.toSpliced(place, 0, firing));
}

/** What is left after a firing of the composite. */
export function withoutUsed(remembered: Remembered, used: readonly Fired[]): Remembered {
  const newest = newestOf([used]);
  const causes = new Set(used.map(({ order }) => order));
  return keepIf(remembered, ({ happened, order }) => happened >= newest && !causes.has(order));
}

export function withoutOlderThan(remembered: Remembered, time: Micros): Remembered {
  return keepIf(remembered, ({ happened }) => happened >= time);
}

/**
 * For a compound: its firings count if they are the latest of their child. Those before are kept as well, for when several
 * happen at the same time: all of one time, because each may be used by a firing of its own.
 */
export function latestOnly(remembered: Remembered): Remembered {
  return remembered.map((firings) => {
    const latest = startOfTime(firings, firings.length - 1);
    return firings.slice(startOfTime(firings, latest - 1)).slice(-rememberedFiringsMax);
  });
}

/** The index of the first of the firings that happened at the same time as one of them; 0 if there is no such. */
function startOfTime(firings: readonly Fired[], index: number): number {
  const time = firings[index]?.happened;
  return Math.max(
    0,
    firings.findIndex(({ happened }) => happened === time),
  );
}

/**
 * For a sequence: bounds how many firings of a step are remembered.
 *
 * Of what has settled, only one choice for the first step, one for the first two and so on can matter to anything that
 * arrives in time: the one that begins latest. These firings stay. Of the others, the oldest are forgotten.
 *
 * @param settled no event that occurred before this time will arrive in time
 */
export function withinBounds(remembered: Remembered, settled: Micros): Remembered {
  if (remembered.every((firings) => firings.length <= rememberedFiringsMax)) return remembered;
  const before = keepIf(remembered, ({ happened }) => happened < settled);
  const needed = new Set(
    remembered.flatMap((_, index) => latestStart(before.slice(0, index + 1))?.map(({ id }) => id) ?? []),
  );
  return remembered.map((firings) => {
    let surplus = firings.length - rememberedFiringsMax;
    return surplus <= 0 ? firings : firings.filter(({ id }) => needed.has(id) || surplus-- <= 0);
  });
}

/** When the newest of the firings happened. */
export function newestOf(remembered: Remembered): Micros {
  let newest = Number.NEGATIVE_INFINITY;
  for (const firings of remembered) {
    for (const { happened } of firings) newest = Math.max(newest, happened);
  }
  return newest;
}

function keepIf(remembered: Remembered, isKept: (firing: Fired) => boolean): Remembered {
  return remembered.map((firings) => firings.filter(isKept));
}

/** In the order in which they happened, then in which they were computed. */
export function isBefore(a: Fired, b: Fired): boolean {
  return a.happened < b.happened || (a.happened === b.happened && a.order < b.order);
}
