/**
 * JSON that every program can read.
 *
 * A text that was cut in the middle of an emoji ends in half of a surrogate pair. Some JSON parsers accept that; others,
 * such as that of Prefect's client, do not, and one such event would end every stream that carries it. So halves are
 * replaced when Tripline writes JSON to Redis, and when it reads JSON that another program wrote.
 */

import { parseExactJson } from "../core/json/exact-json.ts";

/** As `JSON.stringify`, with each half of a surrogate pair replaced by U+FFFD. */
export function encodeJson(value: unknown): string {
  return wellFormedJson(JSON.stringify(value));
}

/** As `parseExactJson`, with each half of a surrogate pair replaced by U+FFFD. @throws SyntaxError */
export function decodeJson(text: string): unknown {
  return parseExactJson(wellFormedJson(text));
}

/** Whether a text that was decoded from UTF-8 certainly holds no half of a surrogate pair: only an escape can. */
export function isWellFormedJson(json: string): boolean {
  return !json.includes("\\ud") && !json.includes("\\uD");
}

function wellFormedJson(json: string): string {
  if (isWellFormedJson(json)) return json;
  // Matches whole escapes, because the second of two backslashes does not start one; and whole pairs, which stay.
  return json.replaceAll(
    /\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)/g,
    (whole, half?: string) => (half === undefined ? whole : "\ufffd"),
  );
}
