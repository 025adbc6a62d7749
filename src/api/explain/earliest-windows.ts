/** The windows of an automation that are judged next, of which there may be a million. */

import type { OpenWindow } from "../../core/machine/node.ts";
import { breathe } from "../../retry/slices.ts";

/**
 * @param limit how many to return at most
 * @returns those with the earliest deadlines, in their order, and how many there are in all
 */
export async function earliestWindows(
  windows: Iterable<OpenWindow>,
  limit: number,
): Promise<{ readonly count: number; readonly windows: readonly OpenWindow[] }> {
  let count = 0;
  let earliest: OpenWindow[] = [];
  const sort = (): void => {
    earliest.sort((a, b) => deadlineOf(a) - deadlineOf(b));
    earliest = earliest.slice(0, limit);
  };
  for (const window of windows) {
    await breathe();
    count++;
    earliest.push(window);
    // Not one by one, because each would move those after it; and not all at the end, which would take long.
    if (earliest.length > 2 * limit) sort();
  }
  sort();
  return { count, windows: earliest };
}

/** A window without a deadline comes last. */
function deadlineOf({ deadline }: OpenWindow): number {
  return deadline ?? Number.MAX_SAFE_INTEGER;
}
