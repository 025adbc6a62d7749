/** The small language of a text search: `word`, `-word` or `!word`, `+word`, `"two words"`. */

import { folded } from "./text.ts";

/** Terms in lower case. An event must contain one of `any` (unless it is empty), all of `all`, and none of `none`. */
export interface TextQuery {
  readonly any: readonly string[];
  readonly all: readonly string[];
  readonly none: readonly string[];
}

// A prefix followed by a space is ignored. A phrase ends at its closing quote, or at the end of the query.
const term = /[-!+](?=\s|$)|([-!+]?)(?:"((?:\\["\\]|[^"])*)(?:"|$)|(\S+))/gu;

/** Parses a query. Every text is valid. */
export function parseTextQuery(query: string): TextQuery {
  const terms = { any: [] as string[], all: [] as string[], none: [] as string[] };
  for (const [whole, prefix = "", phrase, word] of query.matchAll(term)) {
    const text = phrase === undefined ? (word ?? "") : unescaped(phrase, whole);
    if (text === "") continue;
    const kind = prefix === "" ? "any" : prefix === "+" ? "all" : "none";
    terms[kind].push(folded(text));
  }
  return terms;
}

/** A phrase without escapes. One that only an escaped quote could close, as in `"C:\\temp\\"`, ends with a backslash. */
function unescaped(phrase: string, whole: string): string {
  const isUnclosed = whole.length <= phrase.length + 1 + (/^[-!+]/.test(whole) ? 1 : 0);
  const text = isUnclosed && phrase.endsWith('\\"') ? phrase.slice(0, -1) : phrase;
  return text.replaceAll(/\\(["\\])/g, "$1");
}
