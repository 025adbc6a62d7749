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
  /** Whether an item of the outermost list that is too complex harms only itself: a `JsonTooComplex` takes its place. */
  readonly sparesOthers?: boolean;
  /** What an item of a list in the outermost object may hold. */
  readonly innerItems?: { readonly valuesMax: number; readonly lengthMax: number };
}

/** A text that is too complex to be parsed, or a part of one. */
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
  const { itemLengthMax, sparesOthers = false } = bounds;
  const tooDeep = await checkComplexity(text, bounds);
  return parsePart({ text, pieceLength, itemLengthMax, sparesOthers, tooDeep }, 0, text.length);
}

interface Source {
  readonly text: string;
  readonly pieceLength: number;
  readonly itemLengthMax: number | undefined;
  readonly sparesOthers: boolean;
  /** The items of the outermost list that nest too deep, by their index. */
  readonly tooDeep: ReadonlyMap<number, JsonTooComplex>;
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

/** How deep the lists in the outermost object are. */
const innerDepth = 2;

/** @returns the items of the outermost list that nest too deep, if they harm only themselves */
async function checkComplexity(
  text: string,
  { depthMax, valuesMax, sparesOthers = false, innerItems }: JsonBounds,
): Promise<Map<number, JsonTooComplex>> {
  const tooDeep = new Map<number, JsonTooComplex>();
  let depth = 0;
  let valueCount = 1;
  let isList = false;
  let index = 0;
  let inner = { index: 0, start: 0, valuesBefore: 0 };
  const checkInner = (position: number): void => {
    if (innerItems === undefined || depth < innerDepth) return;
    const tooMany = valueCount - inner.valuesBefore > innerItems.valuesMax;
    if (!tooMany && position - inner.start <= innerItems.lengthMax) return;
    const bound = tooMany ? `${innerItems.valuesMax} values` : `${innerItems.lengthMax} characters`;
    throw new JsonTooComplex("too_long", `Item ${inner.index} of a list holds more than ${bound}`);
  };
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
      checkInner(position);
      if (depth <= innerDepth) inner = { index: inner.index + 1, start: position, valuesBefore: valueCount };
      valueCount += 1;
      if (depth === 1) index += 1;
      if (valueCount <= valuesMax) continue;
      throw new JsonTooComplex("too_long", `The body holds more than ${valuesMax} values; send less at once`);
    } else if (isOpening(char)) {
      if (depth === 0) isList = text[position] === "[";
      depth += 1;
      valueCount += 1;
      if (depth === innerDepth) inner = { index: 0, start: position, valuesBefore: valueCount };
      if (depth <= depthMax) continue;
      if (!(sparesOthers && isList))
        throw new JsonTooComplex("too_deep", `The body nests more than ${depthMax} levels deep`);
      if (!tooDeep.has(index)) {
        const message = `This item nests more than ${depthMax - 1} levels deep`;
        tooDeep.set(index, new JsonTooComplex("too_deep", message, index));
      }
    } else if (isClosing(char)) {
      checkInner(position);
      depth -= 1;
    }
  }
  return tooDeep;
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
  const { text, pieceLength, tooDeep } = source;
  await breathe();
  const isOutermost = start === 0 && end === text.length;
  const isShort = end - start <= pieceLength && !(isOutermost && tooDeep.size > 0);
  const whole = isShort ? null : containerIn(text, start, end);
  if (whole === null) {
    // No list, after all: parsing it would take long only to find that out.
    if (isOutermost) for (const mistake of tooDeep.values()) throw mistake;
    return parseExactJson(text.slice(start, end));
  }
  const container = whole.isList ? new ListParser(source) : new ObjectParser(source);
  // A part is what stands between two commas; a piece is as many parts as are parsed in one step.
  let pieceStart = whole.first;
  let partStart = whole.first;
  let index = 0;
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
    const tooComplex =
      isOutermost && container instanceof ListParser ? mistakeOf(source, index, position - partStart) : null;
    index += 1;
    if (tooComplex !== null || position - partStart > pieceLength) {
      if (pieceStart < partStart) container.takePiece(pieceStart, partStart - 1);
      if (tooComplex === null) await container.takePart(partStart, position);
      else (container as ListParser).value.push(tooComplex);
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

/** What is wrong with an item of the outermost list. @throws JsonTooComplex if that harms the others, too */
function mistakeOf(
  { itemLengthMax = Number.POSITIVE_INFINITY, sparesOthers, tooDeep }: Source,
  index: number,
  length: number,
): JsonTooComplex | null {
  if (length <= itemLengthMax) return tooDeep.get(index) ?? null;
  const mistake = new JsonTooComplex(
    "too_long",
    `This item has more than ${itemLengthMax} characters`,
    index,
  );
  if (!sparesOthers) throw mistake;
  return mistake;
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
