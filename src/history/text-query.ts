/** The small language of a text search: `word`, `-word` or `!word`, `+word`, `"two words"`. */

import { folded } from "./text.ts";

/** Terms in lower case. An event must contain one of `any` (unless it is empty), all of `all`, and none of `none`. */
export interface TextQuery {
  readonly any: readonly string[];
  readonly all: readonly string[];
  readonly none: readonly string[];
}

/** Parses a query. Every text is valid. */
export function parseTextQuery(query: string): TextQuery {
  const terms = { any: [] as string[], all: [] as string[], none: [] as string[] };
  for (const { prefix, written, isPhrase, isClosed } of termsIn(query)) {
    const text = isPhrase ? unescaped(written, isClosed) : written;
    if (text === "") continue;
    const kind = prefix === "" ? "any" : prefix === "+" ? "all" : "none";
    terms[kind].push(folded(text));
  }
  return terms;
}

interface WrittenTerm {
  readonly prefix: string;
  readonly written: string;
  readonly isPhrase: boolean;
  readonly isClosed: boolean;
}

/** A prefix followed by a space is ignored. A phrase ends at its closing quote, or at the end of the query. */
function* termsIn(query: string): Generator<WrittenTerm> {
  const isSpace = (at: number) => at >= query.length || /\s/.test(query[at] ?? "");
  for (let at = 0; at < query.length; ) {
    const hasPrefix = "-!+".includes(query[at] ?? "");
    const start = hasPrefix ? at + 1 : at;
    if (isSpace(start)) {
      at = start + 1;
      continue;
    }
    const prefix = query.slice(at, start);
    const isPhrase = query[start] === '"';
    const from = isPhrase ? start + 1 : start;
    let end = from;
    if (isPhrase) {
      while (end < query.length && query[end] !== '"')
        end += query[end] === "\\" && (query[end + 1] === '"' || query[end + 1] === "\\") ? 2 : 1;
    } else while (!isSpace(end)) end += 1;
    yield { prefix, written: query.slice(from, end), isPhrase, isClosed: query[end] === '"' };
    at = isPhrase ? end + 1 : end;
  }
}

/** A phrase without escapes. One that only an escaped quote could close, as in `"C:\temp\"`, ends with a backslash. */
function unescaped(phrase: string, isClosed: boolean): string {
  const text = !isClosed && phrase.endsWith('\\"') ? phrase.slice(0, -1) : phrase;
  return text.replaceAll(/\\(["\\])/g, "$1");
}
