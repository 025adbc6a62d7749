/** Lines, widths and words of texts, as Python and Jinja count them. */

import { TemplateError } from "./template-error.ts";
import type { Budget } from "./values.ts";

/** What ends a line, besides the two characters CR LF. */
const lineEnds = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029";

/** The lines of a text. A line end at the end begins no further line. @param keepsEnds whether lines keep their ends */
export function linesOf(text: string, keepsEnds = false): string[] {
  const lines: string[] = [];
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (!lineEnds.includes(text[at] ?? "")) continue;
    const next = text.startsWith("\r\n", at) ? at + 2 : at + 1;
    lines.push(text.slice(start, keepsEnds ? next : at));
    start = next;
    at = next - 1;
  }
  if (start < text.length) lines.push(text.slice(start));
  return lines;
}

/** Indents each line with a text. @param first also the first line @param blank also lines that are empty */
export function indented(
  text: string,
  by: string,
  { first, blank }: { readonly first: boolean; readonly blank: boolean },
): string {
  const [start = "", ...rest] = linesOf(`${text}\n`);
  const lines = rest.map((line) => (line === "" && !blank ? line : by + line));
  return [(first ? by : "") + start, ...lines].join("\n");
}

/** Puts a text in so many characters; a longer one stays as it is. */
export function aligned(
  text: string,
  width: number,
  fill: string,
  side: "left" | "right" | "center",
): string {
  // A character has at most two units, and a long text need not be counted.
  if (text.length >= 2 * width) return text;
  const missing = Math.max(0, Math.trunc(width) - [...text].length);
  if (side === "left") return text + fill.repeat(missing);
  if (side === "right") return fill.repeat(missing) + text;
  // Where the padding is odd, Python puts the larger half in front of a text of odd width.
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}

const letter = /[\p{L}\p{N}]/u;

/** The first letter of each run of letters in upper case, the others in lower case. */
export function titleOfLetters(text: string): string {
  return text.replace(/\p{L}+/gu, (run) => capitalized(run));
}

/** The first letter of each word in upper case: words follow blanks, hyphens and opening brackets. */
export function titleOfWords(text: string): string {
  return text.replace(/[^-\s({[<]+/g, (word) => capitalized(word));
}

/** The first character in upper case, the others in lower case. */
export function capitalized(text: string): string {
  const [first = ""] = text;
  return first.toUpperCase() + text.slice(first.length).toLowerCase();
}

export interface Wrapping {
  readonly width: number;
  /** Between the lines. */
  readonly between: string;
  readonly breaksLongWords: boolean;
  readonly breaksOnHyphens: boolean;
}

/** Breaks the lines of a text at blanks, and where allowed at hyphens, so that none is longer than a width. */
export function wrapped(text: string, wrapping: Wrapping, budget: Budget): string {
  if (wrapping.width < 1) throw new TemplateError("wordwrap needs a width of at least 1");
  return linesOf(text)
    .map((line) => wrappedLines(piecesOf(line, wrapping), wrapping, budget).join(wrapping.between))
    .join(wrapping.between);
}

function wrappedLines(pieces: readonly string[], wrapping: Wrapping, budget: Budget): string[] {
  const { width, breaksLongWords, breaksOnHyphens } = wrapping;
  const open = pieces.map((piece) => [...piece]).reverse();
  const lines: string[] = [];
  while (open.length > 0) {
    budget.spend(1);
    const line: string[][] = [];
    let length = 0;
    if (isBlank(open.at(-1)) && lines.length > 0) open.pop();
    for (let next = open.at(-1); next !== undefined && length + next.length <= width; next = open.at(-1)) {
      line.push(next);
      length += next.length;
      open.pop();
    }
    const long = open.at(-1);
    if (long !== undefined && long.length > width) {
      if (breaksLongWords) {
        const left = width - length;
        const hyphen = long.slice(0, left).lastIndexOf("-");
        const atHyphen = breaksOnHyphens && hyphen > 0 && long.slice(0, hyphen).some((each) => each !== "-");
        const end = atHyphen ? hyphen + 1 : left;
        line.push(long.slice(0, end));
        budget.spendOnCharacters(long.length);
        open[open.length - 1] = long.slice(end);
      } else if (line.length === 0) {
        line.push(long);
        open.pop();
      }
    }
    if (isBlank(line.at(-1))) line.pop();
    if (line.length > 0) lines.push(line.map((piece) => piece.join("")).join(""));
  }
  return lines;
}

function isBlank(piece: readonly string[] | undefined): boolean {
  return piece !== undefined && piece.join("").trim() === "";
}

/** Words and the blanks between them. A word may be broken after a hyphen between letters, and around a dash. */
function piecesOf(line: string, { breaksOnHyphens }: Wrapping): string[] {
  const pieces = line.match(/[\t ]+|[^\t ]+/g) ?? [];
  return breaksOnHyphens
    ? pieces.flatMap((piece) => (piece.includes("-") ? partsOfWord(piece) : [piece]))
    : pieces;
}

function partsOfWord(word: string): string[] {
  const at = (index: number) => word[index] ?? "";
  const isLetter = (index: number) => letter.test(at(index)) && !/\d/.test(at(index));
  const isWord = (index: number) => /[\p{L}\p{N}_]/u.test(at(index));
  const parts: string[] = [];
  let start = 0;
  const breakAt = (index: number) => {
    if (index > start) parts.push(word.slice(start, index));
    start = index;
  };
  for (let index = 0; index < word.length; index++) {
    if (at(index) !== "-") continue;
    let end = index + 1;
    while (at(end) === "-") end += 1;
    if (end - index >= 2) {
      const isDash = index > 0 && /[\p{L}\p{N}_!"'&.,?]/u.test(at(index - 1)) && isWord(end);
      if (isDash) {
        breakAt(index);
        breakAt(end);
      }
      index = end - 1;
    } else {
      const before =
        isLetter(index - 1) && (isLetter(index - 2) || (at(index - 2) === "-" && isLetter(index - 3)));
      const after = isLetter(end) && (isLetter(end + 1) || (at(end + 1) === "-" && isLetter(end + 2)));
      if (before && after) breakAt(end);
    }
  }
  breakAt(word.length);
  return parts;
}
