/**
 * Reads JSON without changing a number.
 *
 * `JSON.parse` reads every number as a double. This reads those that a double would change as exact numbers, and costs
 * hardly more where a text holds none. `JSON.stringify` writes them back by itself.
 */

import { ExactNumber, readNumber } from "./exact-number.ts";

/**
 * As `JSON.parse`, but every number keeps its value. One that a double cannot hold is an `ExactNumber`.
 *
 * @throws SyntaxError
 */
export function parseExactJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return mayHoldExactNumber(text) ? withExactNumbers(text, value) : value;
}

/** A number that is not a double has at least 16 digits, with a point at most one more; or an exponent of three digits. */
const runLength = 16;
const wideExponent = /\d[eE][+-]?\d{3}/;
/** Stricter, and slower: many a UUID holds the pattern above. */
const wideExponentOfNumber = /(?:^|[:,[\s])-?[\d.]+[eE][+-]?\d{3}/;

/** A quick check, which also lets through other texts with long runs of digits. */
function mayHoldExactNumber(text: string): boolean {
  return hasLongRun(text) || (wideExponent.test(text) && wideExponentOfNumber.test(text));
}

/** Whether there are `runLength` digits and points in a row. Looks at every `runLength`-th character, which none can avoid. */
function hasLongRun(text: string): boolean {
  const { length } = text;
  for (let at = runLength - 1; at < length; at += runLength) {
    if (!isDigitOrPoint(text.charCodeAt(at))) continue;
    let start = at;
    while (start > 0 && isDigitOrPoint(text.charCodeAt(start - 1))) start -= 1;
    let end = at + 1;
    while (end < length && isDigitOrPoint(text.charCodeAt(end))) end += 1;
    if (end - start >= runLength) return true;
  }
  return false;
}

function isDigitOrPoint(code: number): boolean {
  return code >= 46 && code <= 57 && code !== 47;
}

/**
 * Reads the text again with strings in the place of the numbers that a double would change, and then replaces those.
 * A reviver with access to the source would be shorter, but takes 25 times as long and overflows the stack where JSON
 * nests a few thousand levels deep.
 *
 * @param text valid JSON
 * @param value what `JSON.parse` makes of it
 */
function withExactNumbers(text: string, value: unknown): unknown {
  const mark = markFor(text);
  const pieces: string[] = [];
  let copied = 0;
  for (const [start, end] of suspectsIn(text)) {
    const source = text.slice(start, end);
    if (typeof readNumber(source) === "number") continue;
    pieces.push(text.slice(copied, start), `"${mark.written}${source}"`);
    copied = end;
  }
  if (pieces.length === 0) return value;
  pieces.push(text.slice(copied));
  return withoutMarks(JSON.parse(pieces.join("")), mark.read);
}

/** A beginning that no string of the text has: more NULs than it holds in a row. JSON can write NUL in one way only. */
function markFor(text: string): { written: string; read: string } {
  let count = 1;
  while (text.includes("\\u0000".repeat(count))) count *= 2;
  return { written: "\\u0000".repeat(count), read: "\0".repeat(count) };
}

/** Where the numbers are that may not be doubles. */
function* suspectsIn(text: string): Generator<[start: number, end: number]> {
  const suspect = /[\d.]{16}|\d[eE][+-]?\d{3}/g;
  let outside = 0; // a place outside of all strings
  let quote = text.indexOf('"');
  for (;;) {
    suspect.lastIndex = outside;
    const found = suspect.exec(text)?.index;
    if (found === undefined) return;
    while (quote !== -1 && quote < found) {
      outside = endOfString(text, quote);
      quote = text.indexOf('"', outside);
    }
    if (outside > found) continue; // in a string
    let start = found;
    while (isPartOfNumber(text[start - 1])) start -= 1;
    let end = found + 1;
    while (isPartOfNumber(text[end])) end += 1;
    yield [start, end];
    outside = end;
  }
}

/** @param quote where the string starts */
function endOfString(text: string, quote: number): number {
  let end = quote;
  for (;;) {
    end = text.indexOf('"', end + 1);
    let backslashes = 0;
    while (text[end - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return end + 1;
  }
}

function isPartOfNumber(character: string | undefined): boolean {
  return character !== undefined && "0123456789.eE+-".includes(character);
}

/** Replaces the marked strings in a JSON value, in place. It does not recurse: the value may nest very deep. */
function withoutMarks(root: unknown, mark: string): unknown {
  const top = [root];
  const open: object[] = [top];
  const unmarked = (item: unknown): unknown => {
    if (typeof item === "object" && item !== null) open.push(item);
    return typeof item === "string" && item.startsWith(mark)
      ? new ExactNumber(item.slice(mark.length))
      : item;
  };
  for (let part = open.pop(); part !== undefined; part = open.pop()) {
    if (Array.isArray(part)) {
      for (let index = 0; index < part.length; index++) part[index] = unmarked(part[index]);
    } else {
      const mapping = part as Record<string, unknown>;
      for (const key of Object.keys(mapping)) mapping[key] = unmarked(mapping[key]);
    }
  }
  return top[0];
}
