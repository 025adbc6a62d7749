/** The small language of a text search: `word`, `-word` or `!word`, `+word`, `"two words"`. */

import { folded } from "./text.ts";

/** Terms in lower case. An event must hold one of `any` (if there are some), all of `all` and none of `none`. */
export interface TextQuery {
  readonly any: readonly string[];
  readonly all: readonly string[];
  readonly none: readonly string[];
}

// A prefix that a blank follows is dropped by itself. A phrase runs to its closing quote or to the end.
const term = /[-!+](?=\s|$)|([-!+]?)(?:"((?:\\["\\]|[^"])*)(?:"|$)|(\S+))/gu;

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
