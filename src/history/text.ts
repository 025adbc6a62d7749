/**
 * Texts as they are compared: the same in memory, in SQLite and in PostgreSQL.
 *
 * PostgreSQL stores no NUL, and neither database stores half a surrogate pair. Senders may write both, so for
 * comparison both stand as U+FFFD. What is shown comes from the event's JSON, where they are escaped and survive.
 */

import type { Event, Resource } from "../core/model/event.ts";

const replacement = "\uFFFD";

export function comparable(text: string): string {
  return text.toWellFormed().replaceAll("\0", replacement);
}

/** A resource's labels as they are compared; of labels that become the same, the first counts. */
export function comparableLabels(resource: Resource): Resource {
  const labels = new Map<string, string>();
  for (const [label, value] of resource) {
    const name = comparable(label);
    if (!labels.has(name)) labels.set(name, comparable(value));
  }
  return labels;
}

/** Between the texts of an event that can be searched, so that no phrase is found across two of them. */
const separator = "\u0001";

/** A text as the search compares it: without regard to case. Both forms of a small sigma are one. */
export function folded(text: string): string {
  return comparable(text).replaceAll(separator, replacement).toLowerCase().replaceAll("ς", "σ");
}

/** All that the search looks at: the event's name, the values of its labels, and its payload as JSON. */
export function searchTextOf(event: Event): string {
  const values = [event.resource, ...event.related].flatMap((resource) => [...resource.values()]);
  const texts = [event.name, ...values, JSON.stringify(event.wire.payload)];
  return [...new Set(texts.map(folded))].join(separator);
}
