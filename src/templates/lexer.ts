/**
 * Splits a template into tokens, in time linear in its length.
 *
 * White space follows Jinja with `trim_blocks` and `lstrip_blocks`: a statement or comment that stands alone on its line
 * leaves nothing of the line behind. `-` beside a delimiter removes all white space on its side, and `+` keeps it.
 */

import { problemAt, TemplateError } from "./template-error.ts";

export type TokenKind =
  | "text" // between the tags; for `raw`, what it holds
  | "name"
  | "number"
  | "string"
  | "operator"
  | "expression-start"
  | "expression-end"
  | "statement-start"
  | "statement-end"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  /** For a string, what it stands for. */
  readonly value: string;
  /** Where it begins in the template, in UTF-16 units. */
  readonly at: number;
  /** Whether the source of a text or string holds a reference to the environment. */
  readonly refers?: boolean;
}

/** @param refers whether a piece of the source holds a reference to the environment */
export function tokenize(source: string, refers: (piece: string) => boolean): Token[] {
  return new Lexer(source, refers).tokens();
}

const white = /\s/;
const name = /[\p{L}_][\p{L}\p{N}_]*/uy;
const integer = /\d[\d_]*/y;
const number = /0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|\d[\d_]*(?:\.\d[\d_]*)?(?:[eE][+-]?\d+)?/y;
const operators = ["**", "//", "==", "!=", ">=", "<=", ..."+-*/%~()[]{}<>=.:|,"];
const openings = "([{";
const closings: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };

class Lexer {
  readonly #source: string;
  readonly #refers: (piece: string) => boolean;
  readonly #tokens: Token[] = [];
  #at = 0;

  constructor(source: string, refers: (piece: string) => boolean) {
    // As in Jinja, one line break at the end belongs to the file and not to the text.
    this.#source = source.endsWith("\n") ? source.slice(0, source.endsWith("\r\n") ? -2 : -1) : source;
    this.#refers = refers;
  }

  tokens(): Token[] {
    const source = this.#source;
    let start = 0; // of the text that is not yet a token
    while (this.#at < source.length) {
      const open = source.indexOf("{", this.#at);
      if (open === -1) break;
      const kind = source[open + 1];
      if (kind !== "{" && kind !== "%" && kind !== "#") {
        this.#at = open + 1;
        continue;
      }
      this.#text(start, this.#endOfText(start, open));
      this.#at = open + 2;
      const mark = source[this.#at];
      if (mark === "-" || mark === "+") this.#at += 1;
      if (kind === "#") this.#comment(open);
      else if (kind === "%" && this.#isRaw("raw")) this.#raw(open);
      else this.#tag(kind, open);
      start = this.#at;
    }
    this.#text(start, source.length);
    this.#push("end", "", source.length);
    return this.#tokens;
  }

  #push(kind: TokenKind, value: string, at: number): void {
    this.#tokens.push({ kind, value, at });
  }

  #text(start: number, end: number): void {
    if (end <= start) return;
    const value = this.#source.slice(start, end);
    this.#tokens.push({ kind: "text", value, at: start, refers: this.#refers(value) });
  }

  /** Where the text before a delimiter ends, without the white space that the delimiter removes. */
  #endOfText(start: number, open: number): number {
    const source = this.#source;
    const mark = source[open + 2];
    let end = open;
    if (mark === "-") {
      while (end > start && white.test(source[end - 1] ?? "")) end -= 1;
      return end;
    }
    if (mark === "+" || source[open + 1] === "{") return open;
    while (end > start && (source[end - 1] === " " || source[end - 1] === "\t")) end -= 1;
    return end === 0 || source[end - 1] === "\n" ? end : open;
  }

  /** Skips the white space that a closing delimiter removes. @param trims whether the delimiter takes its line break along */
  #skipAfter(mark: string | undefined, trims: boolean): void {
    const source = this.#source;
    if (mark === "-") {
      while (this.#at < source.length && white.test(source[this.#at] ?? "")) this.#at += 1;
    } else if (mark !== "+" && trims) {
      if (source.startsWith("\r\n", this.#at)) this.#at += 2;
      else if (source[this.#at] === "\n") this.#at += 1;
    }
  }

  #comment(open: number): void {
    const close = this.#source.indexOf("#}", this.#at);
    if (close === -1) throw this.#problem("the comment {# is not closed", open);
    const mark = this.#source[close - 1];
    this.#at = close + 2;
    this.#skipAfter(mark, true);
  }

  /** Whether the statement `{% word %}` begins here, after its opening. */
  #isRaw(word: string): boolean {
    return this.#endOfRawTag(word, this.#at) !== null;
  }

  /** Where a statement of one word ends, with the mark of its closing; null if something else stands there. */
  #endOfRawTag(word: string, from: number): { end: number; mark: string | undefined } | null {
    const source = this.#source;
    let at = from;
    const skip = () => {
      while (at < source.length && white.test(source[at] ?? "")) at += 1;
    };
    skip();
    if (!source.startsWith(word, at)) return null;
    at += word.length;
    skip();
    const mark = source[at] === "-" || source[at] === "+" ? source[at] : undefined;
    if (mark !== undefined) at += 1;
    return source.startsWith("%}", at) ? { end: at + 2, mark } : null;
  }

  #raw(open: number): void {
    const source = this.#source;
    const opening = this.#endOfRawTag("raw", this.#at);
    this.#at = opening?.end ?? source.length;
    this.#skipAfter(opening?.mark, true);
    const start = this.#at;
    for (let tag = source.indexOf("{%", start); tag !== -1; tag = source.indexOf("{%", tag + 2)) {
      const mark = source[tag + 2];
      const closing = this.#endOfRawTag("endraw", tag + (mark === "-" || mark === "+" ? 3 : 2));
      if (closing === null) continue;
      this.#text(start, this.#endOfText(start, tag));
      this.#at = closing.end;
      this.#skipAfter(closing.mark, true);
      return;
    }
    throw this.#problem("{% raw %} is not closed; add {% endraw %}", open);
  }

  #tag(kind: "{" | "%", open: number): void {
    const source = this.#source;
    const what = kind === "{" ? "expression" : "statement";
    const close = kind === "{" ? "}}" : "%}";
    this.#push(`${what}-start`, source.slice(open, open + 2), open);
    const brackets: { bracket: string; at: number }[] = [];
    for (;;) {
      while (this.#at < source.length && white.test(source[this.#at] ?? "")) this.#at += 1;
      const inside = brackets.at(-1);
      if (this.#at >= source.length) {
        if (inside !== undefined)
          throw this.#problem(`the bracket ${inside.bracket} is not closed`, inside.at);
        throw this.#problem(`${source.slice(open, open + 2)} is not closed; add ${close}`, open);
      }
      if (inside === undefined) {
        const mark = source[this.#at];
        const isMark = (mark === "-" || mark === "+") && source.startsWith(close, this.#at + 1);
        if (isMark || source.startsWith(close, this.#at)) {
          this.#push(`${what}-end`, close, this.#at);
          this.#at += isMark ? 3 : 2;
          this.#skipAfter(isMark ? mark : undefined, kind === "%");
          return;
        }
      }
      this.#token(brackets);
    }
  }

  #token(brackets: { bracket: string; at: number }[]): void {
    const source = this.#source;
    const at = this.#at;
    const character = source[at] ?? "";
    if (character === '"' || character === "'") {
      this.#string(character);
      return;
    }
    const isDigit = character >= "0" && character <= "9";
    // `a.0.1` is an item of an item, and not a number with a fraction.
    const afterPoint = this.#tokens.at(-1)?.value === "." && this.#tokens.at(-1)?.kind === "operator";
    const found =
      this.#match(isDigit ? (afterPoint ? integer : number) : name) ??
      operators.find((operator) => source.startsWith(operator, at));
    if (found === undefined) {
      const [written = ""] = source.slice(at, at + 2);
      throw this.#problem(`${written} has no meaning here`, at);
    }
    const kind = isDigit ? "number" : operators.includes(found) ? "operator" : "name";
    if (kind === "operator" && openings.includes(found)) brackets.push({ bracket: found, at });
    const opening = kind === "operator" ? closings[found] : undefined;
    if (opening !== undefined && brackets.pop()?.bracket !== opening)
      throw this.#problem(`${found} closes no bracket`, at);
    this.#push(kind, found, at);
    this.#at = at + found.length;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source)?.[0];
  }

  #string(quote: string): void {
    const source = this.#source;
    const start = this.#at;
    const pieces: string[] = [];
    for (let at = start + 1, copied = at; ; at += 1) {
      const character = source[at];
      if (character === undefined)
        throw this.#problem(`the string that begins with ${quote} is not closed`, start);
      if (character !== quote && character !== "\\") continue;
      pieces.push(source.slice(copied, at));
      if (character === quote) {
        this.#at = at + 1;
        break;
      }
      const { text, end } = this.#escape(at);
      pieces.push(text);
      at = end - 1;
      copied = end;
    }
    const value = pieces.join("");
    this.#tokens.push({
      kind: "string",
      value,
      at: start,
      refers: this.#refers(source.slice(start, this.#at)),
    });
  }

  /** Reads an escape as Python does: one that means nothing stands for itself. */
  #escape(at: number): { text: string; end: number } {
    const letter = this.#source[at + 1] ?? "";
    const digitCount = { x: 2, u: 4, U: 8 }[letter];
    if (digitCount !== undefined) {
      const digits = this.#source.slice(at + 2, at + 2 + digitCount);
      const code =
        /^[\da-fA-F]+$/.test(digits) && digits.length === digitCount ? Number.parseInt(digits, 16) : -1;
      if (code < 0 || code > 0x10ffff)
        throw this.#problem(`\\${letter} needs ${digitCount} hexadecimal digits`, at);
      return { text: String.fromCodePoint(code), end: at + 2 + digitCount };
    }
    return { text: escapes[letter] ?? `\\${letter}`, end: at + 1 + letter.length };
  }

  #problem(reason: string, at: number): TemplateError {
    return new TemplateError(`the template cannot be read: ${problemAt(this.#source, at, reason)}`);
  }
}

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  v: "\v",
  a: "\x07",
  "0": "\0",
  "'": "'",
  '"': '"',
  "\\": "\\",
  "\n": "",
};
