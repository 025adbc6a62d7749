/**
 * Reads `application/x-www-form-urlencoded`, as bodies and queries have it, in slices: URLSearchParams takes a second for
 * 16 MB, and looking up each of many names in it takes time in proportion to their square. Runs in Node and in a Worker.
 */

import { breathe } from "../../retry/slices.ts";

/** More fields are refused: no service sends as many, and each costs more than its characters. */
export const formFieldsMax = 10_000;

/** A form has too many fields. */
export class FormTooLong extends Error {
  override readonly name = "FormTooLong";

  constructor() {
    super(`the form has more than ${formFieldsMax} fields`);
  }
}

/** The value of each field; a list of a name that occurs more than once. */
export type FormValues = Record<string, string | string[]>;

/**
 * The fields of a form, by name. The result is the same as with URLSearchParams.
 *
 * @param text without a leading `?`
 * @throws FormTooLong
 */
export async function readFormFields(text: string): Promise<FormValues> {
  const fields = new Map<string, string | string[]>();
  let count = 0;
  let nextBreath = pieceLength;
  for (let start = 0; start < text.length; ) {
    if (start >= nextBreath) {
      await breathe();
      nextBreath = start + pieceLength;
    }
    const found = text.indexOf("&", start);
    const end = found === -1 ? text.length : found;
    if (end > start) {
      count += 1;
      if (count > formFieldsMax) throw new FormTooLong();
      const part = text.slice(start, end);
      const equals = part.indexOf("=");
      const name = await decoded(equals === -1 ? part : part.slice(0, equals));
      const value = equals === -1 ? "" : await decoded(part.slice(equals + 1));
      const known = fields.get(name);
      if (known === undefined) fields.set(name, value);
      else if (typeof known === "string") fields.set(name, [known, value]);
      else known.push(value);
    }
    start = end + 1;
  }
  return Object.fromEntries(fields);
}

/** How much is decoded in one step. */
const pieceLength = 128 * 1024;

const encoder = new TextEncoder();

/** The text that a name or value stands for. What is not UTF-8 becomes U+FFFD, and a `%` that encodes nothing stays. */
async function decoded(text: string): Promise<string> {
  await breathe();
  if (!text.includes("%")) return text.includes("+") ? text.replaceAll("+", " ") : text;
  // A character may be cut where one piece ends, so that the pieces are decoded together.
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const pieces: string[] = [];
  for (let start = 0; start < text.length; ) {
    const end = endOfPiece(text, start);
    pieces.push(decoder.decode(bytesOf(text.slice(start, end)), { stream: true }));
    start = end;
    await breathe();
  }
  pieces.push(decoder.decode());
  return pieces.join("");
}

/** Where a piece may end: neither within `%41` nor between the halves of a character. */
function endOfPiece(text: string, start: number): number {
  let end = Math.min(start + pieceLength, text.length);
  if (end === text.length) return end;
  const percent = text.lastIndexOf("%", end - 1);
  if (percent > start && percent > end - 3) end = percent;
  const last = text.charCodeAt(end - 1);
  return last >= 0xd800 && last <= 0xdbff && end - 1 > start ? end - 1 : end;
}

function bytesOf(text: string): Uint8Array {
  const bytes = encoder.encode(text);
  let length = 0;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] ?? 0;
    if (byte === 0x2b) bytes[length] = 0x20;
    else if (byte === 0x25) {
      const [high, low] = [digitOf(bytes[index + 1]), digitOf(bytes[index + 2])];
      const isEscape = high !== -1 && low !== -1;
      bytes[length] = isEscape ? high * 16 + low : byte;
      if (isEscape) index += 2;
    } else bytes[length] = byte;
    length += 1;
  }
  return bytes.subarray(0, length);
}

/** The value of a hexadecimal digit in ASCII; -1 for anything else. */
function digitOf(byte = 0): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
