/**
 * Prepares texts for comparison, so that memory, SQLite and PostgreSQL agree.
 *
 * PostgreSQL cannot store NUL, and neither database can store half of a surrogate pair. Senders may write both, so both are
 * replaced by U+FFFD for comparison. The API returns the event's JSON, where NUL is escaped and survives.
 */

import type { Event, Resource } from "../core/model/event.ts";

const replacement = "\uFFFD";

/** A text as it is compared. */
export function comparable(text: string): string {
  return text.toWellFormed().replaceAll("\0", replacement);
}

/** A resource's labels as they are compared. If two labels become the same, the first one counts. */
export function comparableLabels(resource: Resource): Resource {
  const labels = new Map<string, string>();
  for (const [label, value] of resource) {
    const name = comparable(label);
    if (!labels.has(name)) labels.set(name, comparable(value));
  }
  return labels;
}

/** Separates the searchable texts of an event, so that no phrase matches across two of them. */
const separator = "\u0001";

/** A text as the search compares it: ignoring case, and with both forms of the small sigma treated as one. */
export function folded(text: string): string {
  return comparable(text).replaceAll(separator, replacement).toLowerCase().replaceAll("ς", "σ");
}

/**
 * The text that is searched: the event's name, the values of its labels, and its payload as JSON. A text in the payload
 * that JSON escapes (a backslash, a quote, a line break) is also searched as it is.
 */
export function searchTextOf(event: Event): string {
  const values = [event.resource, ...event.related].flatMap((resource) => [...resource.values()]);
  const { payload } = event.wire;
  const texts = [event.name, ...values, JSON.stringify(payload), ...escapedTexts(payload)];
  return [...new Set(texts.map(folded))].join(separator);
}

/** The texts in a payload, keys included, that JSON writes differently. */
function escapedTexts(payload: unknown): string[] {
  const found: string[] = [];
  // A list of what is left to visit, because a payload may be nested deeply.
  for (const left: unknown[] = [payload]; left.length > 0; ) {
    const value = left.pop();
    if (typeof value === "string") {
      if (JSON.stringify(value).length !== value.length + 2) found.push(value);
    } else if (Array.isArray(value)) {
      for (const item of value) left.push(item);
    } else if (typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value)) left.push(key, item);
    }
  }
  return found.reverse();
}
