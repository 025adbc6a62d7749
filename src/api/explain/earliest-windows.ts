/** The windows that are judged next, of which there may be a million. */

import type { OpenWindow } from "../../core/machine/node.ts";
import { breathe } from "../../retry/slices.ts";

/** Whether an absence has fired and has not ended: only such windows, only others, or both. */
export type UnresolvedFilter = "true" | "false" | "any";

export interface WindowFilter {
  readonly unresolved: UnresolvedFilter;
  /** A text that a value of the key contains, in any case; empty for all windows. */
  readonly search: string;
}

/**
 * @param limit how many to return at most
 * @param isWanted which windows count
 * @returns those with the earliest deadlines, in their order, and how many there are in all
 */
export async function earliestWindows<W extends OpenWindow>(
  windows: Iterable<W>,
  limit: number,
  isWanted: (window: W) => boolean = () => true,
): Promise<{ readonly count: number; readonly windows: readonly W[] }> {
  let count = 0;
  let earliest: W[] = [];
  const sort = (): void => {
    earliest.sort((a, b) => deadlineOf(a) - deadlineOf(b));
    earliest = earliest.slice(0, limit);
  };
  for (const window of windows) {
    await breathe();
    if (!isWanted(window)) continue;
    count++;
    earliest.push(window);
    // Not one by one, because each would move those after it; and not all at the end, which would take long.
    if (earliest.length > 2 * limit) sort();
  }
  sort();
  return { count, windows: earliest };
}

/** Which windows a filter wants. */
export function windowsWanted({ unresolved, search }: WindowFilter): (window: OpenWindow) => boolean {
  const contains = containing(search);
  return (window) =>
    (unresolved === "any" || window.unresolved === (unresolved === "true")) &&
    contains(Object.values(window.labels));
}

/** Whether one of some values contains a text, in any case. An empty text is in all keys, also in those without values. */
export function containing(search: string): (values: readonly string[]) => boolean {
  const wanted = search.toLowerCase();
  return (values) => wanted === "" || values.some((value) => value.toLowerCase().includes(wanted));
}

/** A window without a deadline comes last. */
function deadlineOf({ deadline }: OpenWindow): number {
  return deadline ?? Number.MAX_SAFE_INTEGER;
}
