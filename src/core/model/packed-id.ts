/**
 * Ids in little space: a UUID in 22 characters of base64, any other text after a mark.
 *
 * The state of a shard holds an id for each window, and a million ids of recent events.
 */

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const base64Codes = Uint8Array.from(alphabet, (character) => character.charCodeAt(0));
const base64Values = new Uint8Array(128);
for (const [value, code] of base64Codes.entries()) base64Values[code] = value;
const hexCodes = Uint8Array.from("0123456789abcdef", (character) => character.charCodeAt(0));
const dash = 45;

/** How long a packed UUID is. */
export const packedLength = 22;
/** The first character of a packed id that is not a UUID. */
const mark = "!";

const digits = new Uint8Array(33); // one more, so that the last group is as long as the others
const codes: number[] = new Array<number>(packedLength).fill(0);
const uuidCodes: number[] = new Array<number>(36).fill(dash);

/** @param id any text; a UUID in lower case with hyphens becomes shorter */
export function packId(id: string): string {
  if (!readDigits(id)) return mark + id;
  for (let at = 0; at < 11; at++) {
    const value = ((digits[3 * at] ?? 0) << 8) | ((digits[3 * at + 1] ?? 0) << 4) | (digits[3 * at + 2] ?? 0);
    codes[2 * at] = base64Codes[value >> 6] ?? 0;
    codes[2 * at + 1] = base64Codes[value & 63] ?? 0;
  }
  return String.fromCharCode.apply(null, codes);
}

/** @param packed what `packId` returned, or a text that begins with it */
export function unpackId(packed: string): string {
  if (packed.startsWith(mark)) return packed.slice(1);
  for (let at = 0, digit = 0, place = 0; at < 11; at++) {
    const value =
      ((base64Values[packed.charCodeAt(2 * at)] ?? 0) << 6) |
      (base64Values[packed.charCodeAt(2 * at + 1)] ?? 0);
    for (let shift = 8; shift >= 0 && digit < 32; shift -= 4, digit++) {
      if (digit === 8 || digit === 12 || digit === 16 || digit === 20) place++;
      uuidCodes[place++] = hexCodes[(value >> shift) & 15] ?? 0;
    }
  }
  return String.fromCharCode.apply(null, uuidCodes);
}

/**
 * Reads a UUID as four numbers of 32 bits.
 *
 * @returns false, with nothing written, for any other text
 */
export function readUuidWords(id: string, words: Uint32Array, offset: number): boolean {
  if (!readDigits(id)) return false;
  for (let word = 0; word < 4; word++) {
    let value = 0;
    for (let digit = 8 * word; digit < 8 * word + 8; digit++) value = (value << 4) | (digits[digit] ?? 0);
    words[offset + word] = value;
  }
  return true;
}

/** The UUID that `readUuidWords` has read. */
export function uuidOfWords(words: Uint32Array, offset: number): string {
  for (let digit = 0, place = 0; digit < 32; digit++) {
    if (digit === 8 || digit === 12 || digit === 16 || digit === 20) place++;
    uuidCodes[place++] = hexCodes[((words[offset + (digit >> 3)] ?? 0) >>> (28 - 4 * (digit & 7))) & 15] ?? 0;
  }
  return String.fromCharCode.apply(null, uuidCodes);
}

/** Reads the hexadecimal digits of a UUID. @returns false for any other text */
function readDigits(id: string): boolean {
  if (id.length !== 36) return false;
  for (let at = 0, digit = 0; at < 36; at++) {
    const code = id.charCodeAt(at);
    if (at === 8 || at === 13 || at === 18 || at === 23) {
      if (code !== dash) return false;
    } else if (code >= 48 && code <= 57) digits[digit++] = code - 48;
    else if (code >= 97 && code <= 102) digits[digit++] = code - 87;
    else return false;
  }
  return true;
}
