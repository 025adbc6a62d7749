/**
 * Derived ids, never random ones: UUID version 5 (RFC 9562, section 5.5), over SHA-1 (RFC 3174).
 *
 * Implemented here because the core runs in Workers and browsers, which lack node:crypto, and is synchronous, which
 * Web Crypto is not.
 */

/** The namespace of every id that Tripline derives. An arbitrary UUID that must never change. */
export const triplineNamespace = "6f2a3c1e-94d7-5b0e-8f0b-0c3d1a7e5b42";

/**
 * @param namespace a UUID
 * @param name any text
 * @returns the version 5 UUID of both, in lower case
 */
export function uuid5(namespace: string, name: string): string {
  const length = 16 + writeUtf8(name, 16);
  for (let i = 0, at = 0; i < 16; i++) {
    if (namespace.charCodeAt(at) === 45) at += 1;
    bytes[i] = (nibbleOf(namespace.charCodeAt(at)) << 4) | nibbleOf(namespace.charCodeAt(at + 1));
    at += 2;
  }
  sha1(length);
  const [a = 0, b = 0, c = 0, d = 0] = hash;
  const timeHigh = (b & 0xffff0fff) | 0x5000;
  const variant = (c & 0x3fffffff) | 0x80000000;
  const second = `${hexOf(timeHigh >>> 16)}-${hexOf(timeHigh & 0xffff)}`;
  const third = `${hexOf(variant >>> 16)}-${hexOf(variant & 0xffff)}`;
  return `${hexOf(a >>> 16)}${hexOf(a & 0xffff)}-${second}-${third}${hexOf(d >>> 16)}${hexOf(d & 0xffff)}`;
}

// A server derives thousands of ids per second, so it shares its memory among them.
let bytes = new Uint8Array(1_024);
let view = new DataView(bytes.buffer);
const hash = new Int32Array(5);
const w = new Int32Array(80);
const hexBytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

function hexOf(half: number): string {
  return `${hexBytes[half >> 8]}${hexBytes[half & 0xff]}`;
}

/** The value of a hexadecimal digit. */
function nibbleOf(code: number): number {
  if (code <= 57) return code - 48;
  return (code | 0x20) - 87;
}

/** Computes the SHA-1 of the first so many bytes of `bytes` into `hash`. There is room for the padding behind them. */
function sha1(length: number): void {
  const paddedLength = Math.ceil((length + 9) / 64) * 64;
  bytes.fill(0, length, paddedLength);
  bytes[length] = 0x80;
  view.setUint32(paddedLength - 8, Math.floor((length * 8) / 0x1_0000_0000));
  view.setUint32(paddedLength - 4, (length * 8) >>> 0);

  let [h0, h1, h2, h3, h4] = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476, 0xc3d2e1f0 | 0];
  for (let block = 0; block < paddedLength; block += 64) {
    for (let t = 0; t < 16; t++) w[t] = view.getInt32(block + t * 4);
    for (let t = 16; t < 80; t++) w[t] = rotate(word(t - 3) ^ word(t - 8) ^ word(t - 14) ^ word(t - 16), 1);
    let [a, b, c, d, e] = [h0, h1, h2, h3, h4];
    for (let t = 0; t < 80; t++) {
      let mixed: number;
      if (t < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999;
      else if (t < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
      else if (t < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
      else mixed = (b ^ c ^ d) + 0xca62c1d6;
      const next = (rotate(a, 5) + mixed + e + word(t)) | 0;
      e = d;
      d = c;
      c = rotate(b, 30);
      b = a;
      a = next;
    }
    h0 = (h0 + a) | 0;
    h1 = (h1 + b) | 0;
    h2 = (h2 + c) | 0;
    h3 = (h3 + d) | 0;
    h4 = (h4 + e) | 0;
  }
  hash[0] = h0;
  hash[1] = h1;
  hash[2] = h2;
  hash[3] = h3;
  hash[4] = h4;
}

function word(t: number): number {
  return w[t] as number;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** Writes a text to `bytes` from `start` on, and makes room for it and the padding. @returns how many bytes it takes */
function writeUtf8(text: string, start: number): number {
  const needed = start + 3 * text.length + 128;
  if (needed > bytes.length) {
    bytes = new Uint8Array(2 * needed);
    view = new DataView(bytes.buffer);
  }
  let at = start;
  for (let index = 0; index < text.length; index++) {
    let code = text.charCodeAt(index);
    if (code < 0x80) {
      bytes[at++] = code;
      continue;
    }
    if (code < 0x800) {
      bytes[at++] = 0xc0 | (code >> 6);
      bytes[at++] = 0x80 | (code & 0x3f);
      continue;
    }
    code = text.codePointAt(index) as number;
    if (code < 0x10000) {
      bytes[at++] = 0xe0 | (code >> 12);
    } else {
      index += 1; // the second half of the pair
      bytes[at++] = 0xf0 | (code >> 18);
      bytes[at++] = 0x80 | ((code >> 12) & 0x3f);
    }
    bytes[at++] = 0x80 | ((code >> 6) & 0x3f);
    bytes[at++] = 0x80 | (code & 0x3f);
  }
  return at - start;
}
