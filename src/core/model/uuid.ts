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
  const namespaceHex = namespace.replaceAll("-", "");
  const nameBytes = utf8(name);
  const bytes = new Uint8Array(16 + nameBytes.length);
  for (let i = 0; i < 16; i++) bytes[i] = Number.parseInt(namespaceHex.slice(i * 2, i * 2 + 2), 16);
  bytes.set(nameBytes, 16);
  const words = sha1(bytes);
  words[1] = ((words[1] ?? 0) & 0xffff0fff) | 0x5000;
  words[2] = ((words[2] ?? 0) & 0x3fffffff) | 0x80000000;
  const hex = [...words.slice(0, 4)].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function sha1(message: Uint8Array): Int32Array {
  const blockCount = Math.ceil((message.length + 9) / 64);
  const padded = new Uint8Array(blockCount * 64);
  padded.set(message);
  padded[message.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor((message.length * 8) / 0x1_0000_0000));
  view.setUint32(padded.length - 4, (message.length * 8) >>> 0);

  const hash = new Int32Array([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0]);
  const w = new Int32Array(80);
  for (let block = 0; block < padded.length; block += 64) {
    for (let t = 0; t < 16; t++) w[t] = view.getInt32(block + t * 4);
    for (let t = 16; t < 80; t++)
      w[t] = rotate((w[t - 3] ?? 0) ^ (w[t - 8] ?? 0) ^ (w[t - 14] ?? 0) ^ (w[t - 16] ?? 0), 1);
    let [a = 0, b = 0, c = 0, d = 0, e = 0] = hash;
    for (let t = 0; t < 80; t++) {
      const round = Math.floor(t / 20);
      const mixed = round === 0 ? (b & c) | (~b & d) : round === 2 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      const constant = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6][round] ?? 0;
      const next = (rotate(a, 5) + mixed + e + constant + (w[t] ?? 0)) | 0;
      e = d;
      d = c;
      c = rotate(b, 30);
      b = a;
      a = next;
    }
    for (const [index, value] of [a, b, c, d, e].entries()) hash[index] = ((hash[index] ?? 0) + value) | 0;
  }
  return hash;
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function utf8(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x10000)
      bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else
      bytes.push(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 0x3f),
        0x80 | ((code >> 6) & 0x3f),
        0x80 | (code & 0x3f),
      );
  }
  return Uint8Array.from(bytes);
}
