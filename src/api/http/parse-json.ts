/**
 * Parses JSON of any size without blocking the process. Runs in Node and in a Worker.
 *
 * JSON.parse takes 50 ms for a megabyte of small objects. So a long text is cut at its commas, and parsed in pieces; a
 * scan before it also bounds how deep the text nests and how many values it holds, because everything that follows takes
 * time in proportion to that.
 */

import { parseExactJson } from "../../core/json/exact-json.ts";
import { breathe } from "../../retry/slices.ts";

export interface JsonBounds {
  readonly depthMax: number;
  readonly valuesMax: number;
  /** How many characters an item of the outermost list may have. */
  readonly itemLengthMax?: number;
}

/** A text that is too complex to be parsed. */
export class JsonTooComplex extends Error {
  override readonly name = "JsonTooComplex";
  readonly type: "too_deep" | "too_long";
  /** The index of the item that is too long; null if the whole text is too complex. */
  readonly index: number | null;

  constructor(type: JsonTooComplex["type"], message: string, index: number | null = null) {
    super(message);
    this.type = type;
    this.index = index;
  }
}

/** A step of this length takes a few milliseconds at most. */
const pieceLengthDefault = 128 * 1024;

/**
 * As `parseExactJson`, in slices.
 *
 * @param pieceLength texts up to this length are parsed in one step
 * @throws SyntaxError
 * @throws JsonTooComplex
 */
export async function parseInSlices(
  text: string,
  bounds: JsonBounds,
  pieceLength = pieceLengthDefault,
): Promise<unknown> {
  await checkComplexity(text, bounds);
  return parsePart({ text, pieceLength, itemLengthMax: bounds.itemLengthMax }, 0, text.length);
}

interface Source {
  readonly text: string;
  readonly pieceLength: number;
  readonly itemLengthMax: number | undefined;
}

const quote = 0x22;
const comma = 0x2c;
const colon = 0x3a;
const backslash = 0x5c;

export function isOpening(char: number): boolean {
  return char === 0x5b || char === 0x7b;
}

export function isClosing(char: number): boolean {
  return char === 0x5d || char === 0x7d;
}

/** How many characters are scanned before others may run. */
const scanLength = 512 * 1024;

async function checkComplexity(text: string, { depthMax, valuesMax }: JsonBounds): Promise<void> {
  let depth = 0;
  let valueCount = 1;
  let nextBreath = scanLength;
  for (let position = 0; position < text.length; position++) {
    if (position >= nextBreath) {
      await breathe();
      nextBreath = position + scanLength;
    }
    const char = text.charCodeAt(position);
    if (char === quote) {
      position = endOfString(text, position);
    } else if (char === comma) {
      valueCount += 1;
      if (valueCount <= valuesMax) continue;
      throw new JsonTooComplex("too_long", `The body holds more than ${valuesMax} values; send less at once`);
    } else if (isOpening(char)) {
      depth += 1;
      valueCount += 1;
      if (depth <= depthMax) continue;
      throw new JsonTooComplex("too_deep", `The body nests more than ${depthMax} levels deep`);
    } else if (isClosing(char)) {
      depth -= 1;
    }
  }
}

/** The position of the quote that ends the string which begins at `start`; the end of the text if there is none. */
export function endOfString(text: string, start: number): number {
  for (let end = start; ; ) {
    end = text.indexOf('"', end + 1);
    if (end === -1) return text.length;
    let slashCount = 0;
    while (text.charCodeAt(end - 1 - slashCount) === backslash) slashCount += 1;
    if (slashCount % 2 === 0) return end;
  }
}

/** Parses the text between two positions; the scan has bounded how deep this can recurse. */
async function parsePart(source: Source, start: number, end: number): Promise<unknown> {
  const { text, pieceLength } = source;
  await breathe();
  const whole = end - start <= pieceLength ? null : containerIn(text, start, end);
  if (whole === null) return parseExactJson(text.slice(start, end));
  const container = whole.isList ? new ListParser(source) : new ObjectParser(source);
  // A part is what stands between two commas; a piece is as many parts as are parsed in one step.
  let pieceStart = whole.first;
  let partStart = whole.first;
  let depth = 0;
  let nextBreath = whole.first + scanLength;
  for (let position = whole.first; position <= whole.end; position++) {
    if (position >= nextBreath) {
      await breathe();
      nextBreath = position + scanLength;
    }
    const char = text.charCodeAt(position);
    const isEnd = position === whole.end;
    if (char === quote) position = endOfString(text, position);
    else if (isOpening(char)) depth += 1;
    else if (isClosing(char) && !isEnd) depth -= 1;
    if (depth < 0 || position > whole.end) throw new SyntaxError("the brackets do not match");
    if (!isEnd && !(char === comma && depth === 0)) continue;
    if (position - partStart > pieceLength) {
      if (start === 0 && whole.isList && position - partStart > (source.itemLengthMax ?? text.length)) {
        const message = `This item has more than ${source.itemLengthMax} characters`;
        throw new JsonTooComplex("too_long", message, (container.value as unknown[]).length);
      }
      if (pieceStart < partStart) container.takePiece(pieceStart, partStart - 1);
      await container.takePart(partStart, position);
      pieceStart = position + 1;
    } else if (isEnd || position - pieceStart > pieceLength) {
      await breathe();
      container.takePiece(pieceStart, position);
      pieceStart = position + 1;
    }
    partStart = position + 1;
  }
  if (depth !== 0) throw new SyntaxError("the brackets do not match");
  return container.value;
}

/** What lies between the brackets of a list or an object; null for anything else. */
function containerIn(
  text: string,
  start: number,
  end: number,
): { readonly isList: boolean; readonly first: number; readonly end: number } | null {
  let first = start;
  while (first < end && isSpace(text.charCodeAt(first))) first += 1;
  let last = end - 1;
  while (last > first && isSpace(text.charCodeAt(last))) last -= 1;
  const brackets = `${text[first]}${text[last]}`;
  if (brackets !== "[]" && brackets !== "{}") return null;
  let inner = first + 1;
  while (inner < last && isSpace(text.charCodeAt(inner))) inner += 1;
  return inner >= last ? null : { isList: brackets === "[]", first: inner, end: last };
}

function isSpace(char: number): boolean {
  return char === 0x20 || char === 0x0a || char === 0x0d || char === 0x09;
}

class ListParser {
  readonly value: unknown[] = [];
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
  }

  takePiece(start: number, end: number): void {
    const items = parseExactJson(`[${this.#source.text.slice(start, end)}]`) as unknown[];
    if (items.length === 0) throw new SyntaxError("nothing stands between two commas");
    for (const item of items) this.value.push(item);
  }

  async takePart(start: number, end: number): Promise<void> {
    this.value.push(await parsePart(this.#source, start, end));
  }
}

class ObjectParser {
  readonly value: Record<string, unknown> = {};
  readonly #source: Source;

  constructor(source: Source) {
    this.#source = source;
  }

  takePiece(start: number, end: number): void {
    const fields = Object.entries(parseExactJson(`{${this.#source.text.slice(start, end)}}`) as object);
    if (fields.length === 0) throw new SyntaxError("nothing stands between two commas");
    for (const [key, value] of fields) this.#set(key, value);
  }

  async takePart(start: number, end: number): Promise<void> {
    const { text } = this.#source;
    let keyStart = start;
    while (isSpace(text.charCodeAt(keyStart))) keyStart += 1;
    if (text.charCodeAt(keyStart) !== quote) throw new SyntaxError("a key is not a string");
    const keyEnd = endOfString(text, keyStart) + 1;
    let position = keyEnd;
    while (isSpace(text.charCodeAt(position))) position += 1;
    if (text.charCodeAt(position) !== colon) throw new SyntaxError("a colon is missing after a key");
    const key = parseExactJson(text.slice(keyStart, keyEnd)) as string;
    this.#set(key, await parsePart(this.#source, position + 1, end));
  }

  /** An assignment to `__proto__` would set no key. */
  #set(key: string, value: unknown): void {
    Object.defineProperty(this.value, key, { value, enumerable: true, configurable: true, writable: true });
  }
}
