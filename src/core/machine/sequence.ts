/**
 * Choices of a sequence: one firing for each step, in the order in which they happened.
 *
 * A firing is known here only by when it happened and by what caused it. Firings that happened at the same time are in
 * order whichever way they are arranged, so that the order in which they arrived decides nothing.
 */

import type { Micros } from "../model/time.ts";

/** What a choice needs to know about a firing. Firings of several steps that one event caused have the same `order`. */
export interface Happening {
  readonly happened: Micros;
  readonly order: number;
}

/** A window of event time: a choice spans at most this long. Null means no limit. */
type Span = Micros | null;

/**
 * Chooses one firing for each step, so that they happened in the order of the steps, within `within`, and no two were
 * caused by one event.
 *
 * The choice is exact: if there is one, one is found. Of several, it takes the one that ends last, then the latest firing
 * of each step, from the last step to the first. But firings that happened at the very end of the choice are used only if
 * earlier ones do not suffice: the others stay for the next choice.
 *
 * @param steps the firings of each step, ascending by `happened`
 * @param around only choices that may include a firing of this time are looked for
 * @returns the firings in the order of the steps, or null
 */
export function chooseInOrder<F extends Happening>(
  steps: readonly (readonly F[])[],
  within: Span,
  around: Micros,
): F[] | null {
  if (steps.some((firings) => firings.length === 0)) return null;
  for (const end of timesOf(steps.at(-1) ?? []).reverse()) {
    if (end < around) return null;
    if (within !== null && end > around + within) continue;
    const notBefore = within === null ? null : end - within;
    // If the most steps at this instant do not suffice, fewer do not either.
    const most = chooseAt(steps, steps.length, end, steps.length, "as many as possible")?.length ?? 0;
    if (chooseBefore(steps, steps.length - most, end, notBefore) === null) continue;
    for (let count = 1; count <= most; count++) {
      const chosen = chooseBefore(steps, steps.length - count, end, notBefore);
      const last = chosen === null ? null : chooseAt(steps, steps.length, end, count);
      if (chosen !== null && last !== null) return [...chosen, ...last];
    }
  }
  return null;
}

/**
 * The choice for the first steps that begins latest.
 *
 * Whatever happens after all of these firings, no other choice for these steps can serve it better: what comes later fits
 * with this one if it fits with any.
 */
export function latestStart<F extends Happening>(steps: readonly (readonly F[])[]): F[] | null {
  return chooseBefore(steps, steps.length, Number.POSITIVE_INFINITY, null);
}

/**
 * Chooses for the first `count` steps among the firings before `before`, as late as possible. Going back in time, as many
 * steps as possible are taken at each instant: to be further along can only help with what is left.
 */
function chooseBefore<F extends Happening>(
  steps: readonly (readonly F[])[],
  count: number,
  before: Micros,
  notBefore: Span,
): F[] | null {
  const chosen: F[] = [];
  let instant = before;
  for (let left = count; left > 0; ) {
    const latest = steps[left - 1]?.findLast(({ happened }) => happened < instant);
    if (latest === undefined || (notBefore !== null && latest.happened < notBefore)) return null;
    instant = latest.happened;
    const taken = chooseAt(steps, left, instant, left, "as many as possible") ?? [];
    chosen.unshift(...taken);
    left -= taken.length;
  }
  return chosen;
}

/**
 * Assigns firings of one instant to the `count` steps before `end`, each with a different cause. Of several assignments, it
 * takes the one with the first causes, from the last step to the first.
 */
function chooseAt<F extends Happening>(
  steps: readonly (readonly F[])[],
  end: number,
  instant: Micros,
  count: number,
  enough: "all" | "as many as possible" = "all",
): F[] | null {
  const candidates: F[][] = [];
  for (let step = end - 1; step >= end - count; step--) {
    candidates.push((steps[step] ?? []).filter(({ happened }) => happened === instant));
    if (isAssignable(candidates)) continue;
    if (enough === "all") return null;
    candidates.pop();
    break;
  }
  const chosen: F[] = [];
  for (const [index, firings] of candidates.entries()) {
    const rest = candidates.slice(index + 1);
    const choice = firings.find(
      (firing) => isUnused(firing, chosen) && isAssignable(rest, [...chosen, firing]),
    );
    if (choice !== undefined) chosen.push(choice);
  }
  return chosen.reverse();
}

/**
 * True when every step can be assigned one of its candidates, each with a different cause: a matching in a bipartite graph,
 * found with augmenting paths.
 */
function isAssignable(
  candidates: readonly (readonly Happening[])[],
  used: readonly Happening[] = [],
): boolean {
  const stepOfCause = new Map<number, number>();
  const assign = (step: number, tried: Set<number>): boolean => {
    for (const { order } of candidates[step] ?? []) {
      if (tried.has(order)) continue;
      tried.add(order);
      const holder = stepOfCause.get(order);
      if (holder !== undefined && !assign(holder, tried)) continue;
      stepOfCause.set(order, step);
      return true;
    }
    return false;
  };
  return candidates.every((_, step) => assign(step, new Set(used.map(({ order }) => order))));
}

function isUnused({ order }: Happening, used: readonly Happening[]): boolean {
  return used.every((other) => other.order !== order);
}

/** The different times of firings, ascending. */
function timesOf(firings: readonly Happening[]): Micros[] {
  return [...new Set(firings.map(({ happened }) => happened))];
}
