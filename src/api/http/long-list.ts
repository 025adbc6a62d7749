/** Lists in answers that may have thousands of items, written as JSON in slices. */

import { mapInSlices } from "../../retry/slices.ts";

/** The items as a JSON list. @param viewOf what is written of each */
export async function jsonList<T>(items: Iterable<T>, viewOf: (item: T) => unknown): Promise<string> {
  const written = await mapInSlices(items, (item) => JSON.stringify(viewOf(item)));
  return `[${written.join(",")}]`;
}

/** The headers of what was written here. */
export const jsonHeaders = { "Content-Type": "application/json" };
