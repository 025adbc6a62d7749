/** Lists in answers that may have thousands of items, written as JSON in slices. */

import { mapInSlices } from "../../retry/slices.ts";

/** The items as a JSON list. @param viewOf what is written of each */
export async function jsonList<T>(items: Iterable<T>, viewOf: (item: T) => unknown): Promise<string> {
  const written = await mapInSlices(items, (item) => JSON.stringify(viewOf(item)));
  return `[${written.join(",")}]`;
}

/**
 * An answer that holds long lists, as JSON.
 *
 * @param fields all others
 * @param lists each as `jsonList` has written it, by name
 */
export function jsonWithLists(fields: object, lists: Readonly<Record<string, string>>): string {
  const written = [
    ...Object.entries(fields).map(([name, value]) => [name, JSON.stringify(value)]),
    ...Object.entries(lists),
  ];
  return `{${written.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
}

/** The headers of what was written here. */
export const jsonHeaders = { "Content-Type": "application/json" };
