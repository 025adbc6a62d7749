/** Keys: the values of the `for_each` labels, which separate the evaluations of one trigger. */

import type { Event } from "../model/event.ts";

/** Values in the order of the sorted labels. */
export type Key = readonly string[];

/** The labels of a key in their one order, each once. */
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
 * The value of a label of the primary resource, or with `related:<role>:<label>` of the first related resource in
 * that role. Where no related resource has the role, it is the name of a label like any other. The role may hold
 * colons, the label not.
 */
export function labelValue(label: string, event: Event): string | undefined {
  if (label.startsWith("related:") && label.lastIndexOf(":") > "related:".length) {
    const cut = label.lastIndexOf(":");
    const role = label.slice("related:".length, cut);
    const related = event.related.find((resource) => resource.get("prefect.resource.role") === role);
    if (related !== undefined) return related.get(label.slice(cut + 1));
  }
  return event.resource.get(label);
}
