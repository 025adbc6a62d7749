/**
 * Reads events that are surely valid straight from the bytes of a request.
 *
 * Parsing, checking and writing an event again takes several times as long as looking at each of its bytes once. So this
 * only says "surely valid, and this is its text", or "not sure". In doubt, such as near a limit, at an escape that JSON
 * could do without, or at a field that is not an event's, the schema of events decides, and says what is wrong. What is
 * accepted here is what the schema accepts, and reads as the same event. Runs in Node and in a Worker.
 */

import { eventNameLengthMax, labelLengthMax, relatedResourcesMax } from "../../core/model/limits.ts";
import { parseTime } from "../../core/model/time.ts";
import { breath } from "../../retry/slices.ts";
import type { EventLines } from "../../store/event-lines.ts";
import { jsonBytes, jsonScanner } from "./json-scanner.ts";

const {
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
} = jsonScanner;
const {
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
} = jsonBytes;

/** An event of this size is far from too large, even if each of its numbers were written at full length. */
const eventLengthMax = 100_000;

/** A bound below the real one, within which comparing each label with each other takes little time. */
const labelsMax = 32;

/** After so many bytes, others may run. */
const scanLength = 32 * 1024;

const encoder = new TextEncoder();
/** It only checks, so a byte order mark is no exception. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const idLabel = encoder.encode('"prefect.resource.id"');
const roleLabel = encoder.encode('"prefect.resource.role"');

/** The fields of an event, each with its bit. */
const occurredField = { bit: 1, key: encoder.encode('"occurred"') };
const nameField = { bit: 2, key: encoder.encode('"event"') };
const resourceField = { bit: 4, key: encoder.encode('"resource"') };
const relatedField = { bit: 8, key: encoder.encode('"related"') };
const payloadField = { bit: 16, key: encoder.encode('"payload"') };
const idField = { bit: 32, key: encoder.encode('"id"') };
const followsField = { bit: 64, key: encoder.encode('"follows"') };
const requiredBits = occurredField.bit | nameField.bit | resourceField.bit | idField.bit;
const allBits = 127;
/** Marks an event with space between its parts. */
const spaceBit = 128;

/** What the schema fills in where a field is missing. */
const defaults = [
  { bit: relatedField.bit, text: encoder.encode(',"related":[]') },
  { bit: payloadField.bit, text: encoder.encode(',"payload":{}') },
  { bit: followsField.bit, text: encoder.encode(',"follows":null') },
];

// Which fields were seen of the event that is read. One is read at a time, without a pause.
let fieldBits = 0;

/**
 * Reads a list of events.
 *
 * @param bytes a body as it was posted. If its events are surely valid, their texts take its place
 * @returns their texts; null if any of them is not surely valid, or there are none
 */
export async function scanEvents(bytes: Uint8Array<ArrayBuffer>): Promise<EventLines | null> {
  startScan(eventLengthMax);
  let at = skipSpace(bytes, 0);
  if (bytes[at] !== openBracket) return null;
  const events = new EventTexts(bytes);
  let nextBreath = 0;
  do {
    if (at >= nextBreath) {
      const pause = breath();
      if (pause !== null) await pause;
      nextBreath = at + scanLength;
    }
    at = events.take(at + 1);
    if (at === unsure) return null;
    at = skipSpace(bytes, at);
  } while (bytes[at] === comma);
  if (bytes[at] !== closeBracket || skipSpace(bytes, at + 1) !== bytes.length) return null;
  return events.lines();
}

/**
 * Reads one event.
 *
 * @returns its text; null if it is not surely valid
 */
export function scanEvent(bytes: Uint8Array): EventLines | null {
  if (bytes.length > eventLengthMax) return null;
  const events = new EventTexts(bytes);
  const end = events.take(0);
  return end !== unsure && skipSpace(bytes, end) === bytes.length ? events.lines() : null;
}

/** The events that were found, and where. */
class EventTexts {
  readonly #source: Uint8Array;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #bits: number[] = [];
  #isAscii = true;
  /** Whether each text is stored as it came, and one byte separates it from the next. */
  #isCompact = true;

  constructor(source: Uint8Array) {
    this.#source = source;
  }

  /** Reads the event behind a position. @returns the position after it */
  take(from: number): number {
    startScan(Math.min(this.#source.length, from + eventLengthMax));
    fieldBits = 0;
    const start = skipSpace(this.#source, from);
    const end = eventEnd(this.#source, start);
    if (end === unsure || (fieldBits & requiredBits) !== requiredBits) return unsure;
    const last = this.#ends.at(-1) ?? start - 1;
    if (scanned.hasSpace || fieldBits !== allBits || last !== start - 1) this.#isCompact = false;
    if (scanned.hasHigh) this.#isAscii = false;
    this.#starts.push(start);
    this.#ends.push(end);
    this.#bits.push(scanned.hasSpace ? fieldBits | spaceBit : fieldBits);
    return end;
  }

  lines(): EventLines | null {
    if (!this.#isAscii && !isUtf8(this.#source)) return null;
    const [first = 0] = this.#starts;
    const last = this.#ends.at(-1) ?? 0;
    const count = this.#ends.length;
    if (!this.#isCompact || last === this.#source.length) return { bytes: this.#copies(), count };
    for (const end of this.#ends) this.#source[end] = newline;
    return { bytes: this.#source.subarray(first, last + 1), count };
  }

  /** The texts, with what is missing and without the space between their parts. */
  #copies(): Uint8Array<ArrayBuffer> {
    const source = this.#source;
    // Every valid event is longer than twice what may be missing of it.
    const lines = new Uint8Array(Math.ceil(source.length * 1.5) + 1);
    let length = 0;
    for (const [index, start] of this.#starts.entries()) {
      const event = source.subarray(start, (this.#ends[index] as number) - 1);
      const bits = this.#bits[index] as number;
      if ((bits & spaceBit) === 0) {
        lines.set(event, length);
        length += event.length;
      } else length = copyWithoutSpace(event, lines, length);
      for (const { bit, text } of defaults) {
        if ((bits & bit) !== 0) continue;
        lines.set(text, length);
        length += text.length;
      }
      lines[length++] = closeBrace;
      lines[length++] = newline;
    }
    return lines.subarray(0, length);
  }
}

/** @returns the length of the lines with the event */
function copyWithoutSpace(event: Uint8Array, lines: Uint8Array, start: number): number {
  let length = start;
  let isInString = false;
  for (let at = 0; at < event.length; at++) {
    const byte = event[at] as number;
    if (!isInString && byte <= space) continue;
    lines[length++] = byte;
    if (byte === quote) isInString = !isInString;
    if (byte === backslash) lines[length++] = event[++at] as number;
  }
  return length;
}

function eventEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== openBrace) return unsure;
  let at = start;
  do {
    at = fieldEnd(bytes, skipSpace(bytes, at + 1));
    if (at === unsure) return unsure;
    at = skipSpace(bytes, at);
  } while (bytes[at] === comma);
  return bytes[at] === closeBrace ? at + 1 : unsure;
}

function fieldEnd(bytes: Uint8Array, start: number): number {
  const end = stringEnd(bytes, start);
  if (end === unsure) return unsure;
  const at = valueStart(bytes, end);
  if (at === unsure) return unsure;
  switch (end - start) {
    case 4:
      return isField(bytes, start, idField) ? uuidEnd(bytes, at) : unsure;
    case 7:
      return isField(bytes, start, nameField) ? shortStringEnd(bytes, at, eventNameLengthMax) : unsure;
    case 9:
      if (isField(bytes, start, relatedField)) return relatedEnd(bytes, at);
      if (isField(bytes, start, payloadField)) return objectEnd(bytes, at, 1, 0);
      if (!isField(bytes, start, followsField)) return unsure;
      return isText(bytes, at, nullWord) ? at + nullWord.length : uuidEnd(bytes, at);
    case 10:
      if (isField(bytes, start, resourceField)) return resourceEnd(bytes, at, false);
      return isField(bytes, start, occurredField) ? timeEnd(bytes, at) : unsure;
    default:
      return unsure;
  }
}

/** Whether a key is that of a field which the event did not have before. */
function isField(bytes: Uint8Array, start: number, { bit, key }: typeof idField): boolean {
  if (!isText(bytes, start, key) || (fieldBits & bit) !== 0) return false;
  fieldBits |= bit;
  return true;
}

function shortStringEnd(bytes: Uint8Array, start: number, lengthMax: number): number {
  const end = stringEnd(bytes, start);
  return end - start - 2 <= lengthMax ? end : unsure;
}

/** A UUID as it is stored: in lower case, with hyphens. */
function uuidEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== quote || bytes[start + 37] !== quote) return unsure;
  for (let index = 1; index <= 36; index++) {
    const byte = bytes[start + index] as number;
    const isHyphen = index === 9 || index === 14 || index === 19 || index === 24;
    if (isHyphen ? byte !== minus : !(isDigit(byte) || (byte >= 0x61 && byte <= 0x66))) return unsure;
  }
  return start + 38;
}

/** The longest text that is a time has fewer characters. */
const timeLengthMax = 40;

function timeEnd(bytes: Uint8Array, start: number): number {
  const end = shortStringEnd(bytes, start, timeLengthMax);
  if (end === unsure || isPlainTime(bytes, start + 1, end - 1)) return end;
  const text = String.fromCharCode(...bytes.subarray(start + 1, end - 1));
  return !scanned.hasEscape && parseTime(text) !== null ? end : unsure;
}

/** Whether a text is a time such as 2026-03-01T09:30:00.123Z. Most are, and to parse it takes as long as all the rest. */
function isPlainTime(bytes: Uint8Array, start: number, end: number): boolean {
  const isDate =
    isBetween(bytes, start, 19, 29) &&
    isBetween(bytes, start + 2, 0, 99) &&
    bytes[start + 4] === minus &&
    isBetween(bytes, start + 5, 1, 12) &&
    bytes[start + 7] === minus &&
    isBetween(bytes, start + 8, 1, 28);
  const isClock =
    bytes[start + 10] === 0x54 &&
    isBetween(bytes, start + 11, 0, 23) &&
    bytes[start + 13] === colon &&
    isBetween(bytes, start + 14, 0, 59) &&
    bytes[start + 16] === colon &&
    isBetween(bytes, start + 17, 0, 59);
  if (!isDate || !isClock) return false;
  let at = start + 19;
  if (bytes[at] === point) {
    at = digitsEnd(bytes, at + 1);
    if (at === unsure || at > start + 29) return false;
  }
  if (bytes[at] === 0x5a) return at + 1 === end;
  return (
    (bytes[at] === plus || bytes[at] === minus) &&
    isBetween(bytes, at + 1, 0, 23) &&
    bytes[at + 3] === colon &&
    isBetween(bytes, at + 4, 0, 59) &&
    at + 6 === end
  );
}

/** Whether two digits make a number between two others, both inclusive. */
function isBetween(bytes: Uint8Array, at: number, min: number, max: number): boolean {
  const tens = bytes[at] as number;
  const ones = bytes[at + 1] as number;
  if (!isDigit(tens) || !isDigit(ones)) return false;
  const value = (tens - zero) * 10 + ones - zero;
  return value >= min && value <= max;
}

function relatedEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== openBracket) return unsure;
  let at = skipSpace(bytes, start + 1);
  if (bytes[at] === closeBracket) return at + 1;
  for (let count = 1; count <= relatedResourcesMax; count++) {
    at = resourceEnd(bytes, at, true);
    if (at === unsure) return unsure;
    at = skipSpace(bytes, at);
    if (bytes[at] === closeBracket) return at + 1;
    if (bytes[at] !== comma) return unsure;
    at = skipSpace(bytes, at + 1);
  }
  return unsure;
}

function resourceEnd(bytes: Uint8Array, start: number, isRelated: boolean): number {
  if (bytes[start] !== openBrace) return unsure;
  let hasId = false;
  let hasRole = !isRelated;
  let at = start;
  for (let count = 0; count < labelsMax; count++) {
    const keyStart = skipSpace(bytes, at + 1);
    const keyEnd = newKeyEnd(bytes, keyStart, 0, 2 * count);
    if (keyEnd === unsure || keyEnd - keyStart - 2 > labelLengthMax) return unsure;
    const textStart = valueStart(bytes, keyEnd);
    if (textStart === unsure) return unsure;
    at = shortStringEnd(bytes, textStart, labelLengthMax);
    if (at === unsure) return unsure;
    if (at - textStart > 2) {
      if (!hasId) hasId = isKey(bytes, keyStart, keyEnd, idLabel);
      if (!hasRole) hasRole = isKey(bytes, keyStart, keyEnd, roleLabel);
    }
    at = skipSpace(bytes, at);
    if (bytes[at] === comma) continue;
    return bytes[at] === closeBrace && hasId && hasRole ? at + 1 : unsure;
  }
  return unsure;
}

function isKey(bytes: Uint8Array, start: number, end: number, key: Uint8Array): boolean {
  return end - start === key.length && isText(bytes, start, key);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
