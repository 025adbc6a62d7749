/**
 * Reads JSON from bytes without parsing it, as far as it is written as JSON.stringify writes it, and as far as it is
 * certain what it stands for. Runs in Node and in a Worker.
 *
 * Every function that reads a part takes the position where the part starts, and returns the position after it; `unsure`
 * if it is not surely valid. That is much faster than a position in a field.
 */

const unsure = -1;

/** Bounds within which comparing each key of an object with each other takes little time. */
const keysMax = 64;
const depthMax = 64;

const newline = 0x0a;
const space = 0x20;
const quote = 0x22;
const plus = 0x2b;
const comma = 0x2c;
const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
const colon = 0x3a;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** What a byte is in a string: a part of it, one that is not ASCII, or its end or the start of an escape. */
const ordinary = 0;
const high = 1;
const special = 2;
const kinds = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x80) return high;
  return byte < space || byte === quote || byte === backslash ? special : ordinary;
});

const encoder = new TextEncoder();

/** The escapes that JSON.stringify writes where it can. */
const escapes: ReadonlySet<number> = new Set(encoder.encode('"\\bfnrt'));

const trueWord = encoder.encode("true");
const falseWord = encoder.encode("false");
const nullWord = encoder.encode("null");

/** What was seen since the scan started. One text is scanned at a time, without a pause. */
const scanned = {
  /** Whether the last string holds an escape. */
  hasEscape: false,
  /** Whether there is a byte that is not ASCII. */
  hasHigh: false,
  /** Whether there is space between the parts. */
  hasSpace: false,
};
let limit = 0;
/** Where the keys of the open objects start and end, those of the innermost object last. */
const keys = new Int32Array(2 * keysMax * (depthMax + 1));

/** @param end no string, number or list reaches beyond it */
function startScan(end: number): void {
  limit = end;
  scanned.hasHigh = false;
  scanned.hasSpace = false;
}

/** @param firstKey where the keys of its objects are kept, behind those of the objects around it */
function valueEnd(bytes: Uint8Array, start: number, depth: number, firstKey: number): number {
  switch (bytes[start]) {
    case quote:
      return stringEnd(bytes, start);
    case openBrace:
      return objectEnd(bytes, start, depth + 1, firstKey);
    case openBracket:
      return listEnd(bytes, start, depth + 1, firstKey);
    case 0x74:
      return isText(bytes, start, trueWord) ? start + trueWord.length : unsure;
    case 0x66:
      return isText(bytes, start, falseWord) ? start + falseWord.length : unsure;
    case 0x6e:
      return isText(bytes, start, nullWord) ? start + nullWord.length : unsure;
    default:
      return numberEnd(bytes, start);
  }
}

/** @param firstKey where its keys are kept, behind those of the objects around it */
function objectEnd(bytes: Uint8Array, start: number, depth: number, firstKey: number): number {
  if (depth > depthMax || bytes[start] !== openBrace) return unsure;
  let at = skipSpace(bytes, start + 1);
  if (bytes[at] === closeBrace) return at + 1;
  for (let count = 1; count <= keysMax; count++) {
    const nextKey = firstKey + 2 * count;
    at = newKeyEnd(bytes, at, firstKey, nextKey - 2);
    if (at === unsure) return unsure;
    at = valueStart(bytes, at);
    if (at === unsure) return unsure;
    at = valueEnd(bytes, at, depth, nextKey);
    if (at === unsure) return unsure;
    at = skipSpace(bytes, at);
    if (bytes[at] === closeBrace) return at + 1;
    if (bytes[at] !== comma) return unsure;
    at = skipSpace(bytes, at + 1);
  }
  return unsure;
}

function listEnd(bytes: Uint8Array, start: number, depth: number, firstKey: number): number {
  if (depth > depthMax) return unsure;
  let at = skipSpace(bytes, start + 1);
  if (bytes[at] === closeBracket) return at + 1;
  for (;;) {
    at = valueEnd(bytes, at, depth, firstKey);
    if (at === unsure || at > limit) return unsure;
    at = skipSpace(bytes, at);
    if (bytes[at] === closeBracket) return at + 1;
    if (bytes[at] !== comma) return unsure;
    at = skipSpace(bytes, at + 1);
  }
}

/** A number other than a negative zero, which JSON.stringify writes as zero. */
function numberEnd(bytes: Uint8Array, start: number): number {
  const isNegative = bytes[start] === minus;
  const first = isNegative ? start + 1 : start;
  let at = digitsEnd(bytes, first);
  if (at === unsure || (bytes[first] === zero && at > first + 1)) return unsure;
  if (bytes[at] === point) {
    at = digitsEnd(bytes, at + 1);
    if (at === unsure) return unsure;
  }
  if (isNegative && bytes[first] === zero && isZero(bytes, first, at)) return unsure;
  if (bytes[at] !== 0x65 && bytes[at] !== 0x45) return at;
  const sign = bytes[at + 1];
  return digitsEnd(bytes, sign === plus || sign === minus ? at + 2 : at + 1);
}

function isZero(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if ((bytes[at] as number) > zero) return false;
  return true;
}

function digitsEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < limit && isDigit(bytes[at] as number)) at += 1;
  return at > start ? at : unsure;
}

/**
 * A key without escapes, so that two keys are the same only if their bytes are. It differs from the keys before it in the
 * same object: of two equal ones, JSON.parse takes the last.
 *
 * @param firstKey where those keys are kept
 * @param nextKey where this one will be
 */
function newKeyEnd(bytes: Uint8Array, start: number, firstKey: number, nextKey: number): number {
  const end = stringEnd(bytes, start);
  if (end === unsure || scanned.hasEscape) return unsure;
  for (let index = firstKey; index < nextKey; index += 2) {
    if ((keys[index + 1] as number) - (keys[index] as number) !== end - start) continue;
    let other = keys[index] as number;
    let at = start;
    while (at < end && bytes[at] === bytes[other]) {
      at += 1;
      other += 1;
    }
    if (at === end) return unsure;
  }
  keys[nextKey] = start;
  keys[nextKey + 1] = end;
  return end;
}

/** The position after the colon that follows a key. */
function valueStart(bytes: Uint8Array, keyEnd: number): number {
  const at = skipSpace(bytes, keyEnd);
  return bytes[at] === colon ? skipSpace(bytes, at + 1) : unsure;
}

/** A string as JSON.stringify writes it. */
function stringEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== quote) return unsure;
  scanned.hasEscape = false;
  const end = limit;
  for (let at = start + 1; at < end; at++) {
    const byte = bytes[at] as number;
    const kind = kinds[byte];
    if (kind === ordinary) continue;
    if (byte === quote) return at + 1;
    if (kind === high) {
      scanned.hasHigh = true;
    } else if (byte === backslash && escapes.has(bytes[at + 1] as number)) {
      scanned.hasEscape = true;
      at += 1;
    } else return unsure;
  }
  return unsure;
}

function isText(bytes: Uint8Array, start: number, text: Uint8Array): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[start + index] !== text[index]) return false;
  return true;
}

function skipSpace(bytes: Uint8Array, start: number): number {
  if ((bytes[start] as number) > space) return start; // as nearly always
  let at = start;
  while (at < limit && isSpace(bytes[at] as number)) {
    at += 1;
    scanned.hasSpace = true;
  }
  return at;
}

function isSpace(byte: number): boolean {
  return byte === space || byte === newline || byte === 0x0d || byte === 0x09;
}

function isDigit(byte: number): boolean {
  return byte >= zero && byte <= 0x39;
}

/** What other scanners need. In one object, because V8 reads a binding that a module exports anew at each use. */
export const jsonScanner = {
  digitsEnd,
  isDigit,
  isText,
  newKeyEnd,
  nullWord,
  objectEnd,
  scanned,
  skipSpace,
  startScan,
  stringEnd,
  unsure,
  valueStart,
};

/** The characters of JSON, for the same reason. */
export const jsonBytes = {
  newline,
  space,
  quote,
  plus,
  comma,
  minus,
  point,
  zero,
  colon,
  openBracket,
  backslash,
  closeBracket,
  openBrace,
  closeBrace,
};
