/**
 * Prepares texts for comparison, so that memory, SQLite and PostgreSQL agree.
 *
 * PostgreSQL cannot store NUL, and neither database can store half of a surrogate pair. Senders may write both, so both are
 * replaced by U+FFFD for comparison. The API returns the event's JSON, where NUL is escaped and survives.
 */

import type { Event, Resource } from "../core/model/event.ts";
import { decodeJson } from "../store/json.ts";

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
export const separator = "\u0001";

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
  return joined([event.name, ...values, ...textsOfPayload(event.wire.payload)]);
}

/** The part of the text that is searched which a label set contributes. */
export function searchedLabels(labels: Readonly<Record<string, string>>): string {
  return joined(Object.values(labels));
}

/** Whether a JSON text has only characters that are compared as they are: printable ASCII without escapes. */
export function isPlainJson(json: string): boolean {
  return isPlain.test(json);
}

/**
 * The part of the text that is searched which a payload contributes; null if that is its JSON with the letters A to Z in
 * lower case, which databases compute themselves.
 *
 * @param payload as JSON
 */
export function searchedPayload(payload: string): string | null {
  if (isPlain.test(payload) && !isUnusual.test(payload)) return null;
  const searched = joined(textsOfPayload(decodeJson(payload)));
  const lowered = payload.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
  return searched === lowered ? null : searched;
}

/** Printable ASCII without escapes: nothing else changes when it is folded, or is searched in two forms. */
const isPlain = /^[ -[\]-~]*$/;
/** What might look different if it were written again: spaces between values, numbers, keys that are numbers. */
const isUnusual = /[{[,:]\s|\s[}\]:,]|\d[.eE]|-0|"\d+":/;

function joined(texts: readonly string[]): string {
  return [...new Set(texts.map(folded))].join(separator);
}

/** A payload as JSON, and the texts in it, keys included, that JSON writes differently. */
function textsOfPayload(payload: unknown): string[] {
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
  return [JSON.stringify(payload), ...found.reverse()];
}
