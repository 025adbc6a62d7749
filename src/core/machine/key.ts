/** Keys: the values of the `for_each` labels. A trigger is evaluated separately for each key. */

import type { Event } from "../model/event.ts";

/** The values, in the order of the sorted labels. */
export type Key = readonly string[];

/** The labels of a key, sorted and without duplicates. */
export function keyLabels(...lists: readonly (readonly string[])[]): string[] {
  return [...new Set(lists.flat())].sort((a, b) => (a < b ? -1 : 1));
}

export function keyOf(labels: readonly string[], event: Event): Key {
  return labels.map((label) => labelValue(label, event) ?? "");
}

export function labelsOf(labels: readonly string[], key: Key): Record<string, string> {
  return Object.fromEntries(labels.map((label, index) => [label, key[index] ?? ""]));
}

/**
 * The value of a label of the primary resource, or, for `related:<role>:<label>`, of the first related resource in that
 * role. If no related resource has the role, the whole text is an ordinary label of the primary resource. The role may
 * contain colons; the label may not.
 */
function labelValue(label: string, event: Event): string | undefined {
  if (label.startsWith("related:") && label.lastIndexOf(":") > "related:".length) {
    const lastColon = label.lastIndexOf(":");
    const role = label.slice("related:".length, lastColon);
    const related = event.related.find((resource) => resource.get("prefect.resource.role") === role);
    if (related !== undefined) return related.get(label.slice(lastColon + 1));
  }
  return event.resource.get(label);
}
