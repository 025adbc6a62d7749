/**
 * The pattern grammar of event names and label values.
 *
 * `*` matches any run of characters, even an empty one; `?` matches one character; `[abc]`, `[a-z]` and `[!abc]` match
 * one character of a class; a leading `!` negates the rest. As in the shell, a `[` that is never closed is an ordinary
 * character, and so is a `]` that comes first in its class.
 *
 * Matching takes time in proportion to the value's length, and for a piece with classes to its own length over 31; a value
 * that is shorter than the pattern needs is refused at once. limits.ts bounds both lengths. The pattern is split at its stars, and each piece is matched at its first
 * place after the previous piece (a later place could never help). The search for a piece is Shift-And, which looks at
 * each character once (R. Baeza-Yates, G. Gonnet: "A new approach to text searching", 1992), with 31 pattern characters
 * to a word.
 */

export interface Glob {
  readonly pattern: string;
  readonly negated: boolean;
  /** The only value that matches, when the pattern has no wildcard; otherwise null. */
  readonly literal: string | null;
  /** The beginning of every value that matches. Empty for a negated pattern. */
  readonly prefix: string;
  matches(value: string): boolean;
}

/** One position in a pattern: a character, or a class of characters. `?` is the class that excludes nothing. */
export type Element =
  | string
  | { readonly negated: boolean; readonly ranges: readonly (readonly [number, number])[] };

export function compileGlob(pattern: string): Glob {
  const negated = pattern.startsWith("!");
  const pieces = piecesOf(negated ? pattern.slice(1) : pattern);
  const [first = []] = pieces;
  const literal =
    pieces.length === 1 && first.every((element) => typeof element === "string") ? first.join("") : null;
  const wildcard = first.findIndex((element) => typeof element !== "string");
  const prefix = (wildcard === -1 ? first : first.slice(0, wildcard)).join("");
  const positive = literal !== null ? (value: string) => value === literal : matcherOf(pieces);
  return {
    pattern,
    negated,
    literal: negated ? null : literal,
    prefix: negated ? "" : prefix,
    matches: negated ? (value) => !positive(value) : positive,
  };
}

/** True when the pattern has a class in brackets. The linter asks, because ids may contain brackets by accident. */
export function hasClass(pattern: string): boolean {
  return piecesOf(pattern).some((piece) =>
    piece.some((element) => typeof element !== "string" && element !== anyCharacter),
  );
}

const anyCharacter: Element = { negated: true, ranges: [] };

/** Splits a pattern, without its leading `!`, at its stars. Adjacent stars count as one. */
export function piecesOf(pattern: string): Element[][] {
  const characters = [...pattern];
  const pieces: Element[][] = [[]];
  const classes = new Map<string, Element>(); // a class that is repeated takes memory once
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index] ?? "";
    const piece = pieces[pieces.length - 1] ?? [];
    if (character === "*") {
      if (piece.length > 0 || pieces.length === 1) pieces.push([]);
    } else if (character === "?") {
      piece.push(anyCharacter);
    } else if (character === "[") {
      const negated = characters[index + 1] === "!";
      const start = index + (negated ? 2 : 1);
      const end = characters.indexOf("]", start + 1);
      if (end === -1) piece.push(character);
      else {
        const written = characters.slice(index, end).join("");
        const made = classes.get(written) ?? { negated, ranges: rangesOf(characters.slice(start, end)) };
        classes.set(written, made);
        piece.push(made);
        index = end;
      }
    } else piece.push(character);
  }
  return pieces;
}

function rangesOf(members: readonly string[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (let index = 0; index < members.length; index++) {
    const low = codeOf(members[index]);
    const isRange = members[index + 1] === "-" && index + 2 < members.length;
    ranges.push([low, isRange ? codeOf(members[index + 2]) : low]);
    if (isRange) index += 2;
  }
  return ranges;
}

function matcherOf(pieces: readonly Element[][]): (value: string) => boolean {
  const texts = pieces.map((piece) =>
    piece.every((element) => typeof element === "string") ? piece.join("") : null,
  );
  const lengthMin = pieces.reduce((sum, { length }) => sum + length, 0);
  if (texts.every((text) => text !== null))
    return (value) => value.length >= lengthMin && matchTexts(texts, value);
  const seekers = pieces.map(seekerOf);
  return (value) => value.length >= lengthMin && matchPieces(pieces, seekers, value);
}

function matchTexts(texts: readonly string[], value: string): boolean {
  const first = texts[0] ?? "";
  const last = texts[texts.length - 1] ?? "";
  if (value.length < first.length + last.length || !value.startsWith(first) || !value.endsWith(last))
    return false;
  let from = first.length;
  for (const text of texts.slice(1, -1)) {
    const index = value.indexOf(text, from);
    if (index === -1) return false;
    from = index + text.length;
  }
  return from <= value.length - last.length;
}

function matchPieces(pieces: readonly Element[][], seekers: readonly Seeker[], value: string): boolean {
  const codes = codesOf(value);
  const first = pieces[0] ?? [];
  const last = pieces[pieces.length - 1] ?? [];
  if (!isAt(first, codes, 0)) return false;
  if (pieces.length === 1) return codes.length === first.length;
  if (codes.length < first.length + last.length || !isAt(last, codes, codes.length - last.length))
    return false;
  let from = first.length;
  for (const seek of seekers.slice(1, -1)) {
    const end = seek(codes, from);
    if (end === -1) return false;
    from = end;
  }
  return from <= codes.length - last.length;
}

let lastValue = "";
let lastCodes: readonly number[] = [];

/** The code points of a value. One value is matched against many patterns in turn, and taking it apart takes longest. */
function codesOf(value: string): readonly number[] {
  if (value === lastValue) return lastCodes;
  lastCodes = Array.from(value, codeOf);
  lastValue = value;
  return lastCodes;
}

function isAt(piece: readonly Element[], codes: readonly number[], start: number): boolean {
  return piece.every((element, index) => {
    const code = codes[start + index];
    return code !== undefined && accepts(element, code);
  });
}

function accepts(element: Element, code: number): boolean {
  if (typeof element === "string") return codeOf(element) === code;
  return element.negated !== element.ranges.some(([low, high]) => low <= code && code <= high);
}

/** Finds a piece at or after an index. @returns the index of its end, or -1 */
type Seeker = (codes: readonly number[], from: number) => number;

const bitsPerWord = 31;
const rememberedCodesMax = 1_024;

function seekerOf(piece: readonly Element[]): Seeker {
  const wordCount = Math.ceil(piece.length / bitsPerWord);
  const masks = new Map<number, Int32Array>();
  const maskOf = (code: number): Int32Array => {
    const known = masks.get(code);
    if (known !== undefined) return known;
    const mask = new Int32Array(wordCount);
    for (const [index, element] of piece.entries()) {
      const word = Math.floor(index / bitsPerWord);
      if (accepts(element, code)) mask[word] = (mask[word] ?? 0) | (1 << (index % bitsPerWord));
    }
    if (masks.size < rememberedCodesMax) masks.set(code, mask);
    return mask;
  };
  const lastWord = wordCount - 1;
  const lastBit = 1 << ((piece.length - 1) % bitsPerWord);
  const full = 2 ** bitsPerWord - 1;
  return (codes, from) => {
    const state = new Int32Array(wordCount);
    for (let index = from; index < codes.length; index++) {
      const mask = maskOf(codes[index] ?? 0);
      let carry = 1;
      for (let word = 0; word < wordCount; word++) {
        const before = state[word] ?? 0;
        state[word] = ((before << 1) | carry) & full & (mask[word] ?? 0);
        carry = (before >>> (bitsPerWord - 1)) & 1;
      }
      if (((state[lastWord] ?? 0) & lastBit) !== 0) return index + 1;
    }
    return -1;
  };
}

function codeOf(character: string | undefined): number {
  return character?.codePointAt(0) ?? -1;
}
