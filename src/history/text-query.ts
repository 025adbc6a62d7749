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
  for (const [, prefix = "", phrase, word] of query.matchAll(term)) {
    const text = phrase?.replaceAll(/\\(["\\])/g, "$1") ?? word ?? "";
    if (text === "") continue;
    const kind = prefix === "" ? "any" : prefix === "+" ? "all" : "none";
    terms[kind].push(folded(text));
  }
  return terms;
}
