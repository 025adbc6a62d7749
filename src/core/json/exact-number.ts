/**
 * Numbers that JavaScript's own cannot hold.
 *
 * A JavaScript number is a double. An id such as 9400053101578681001 would silently become another one. So a number whose
 * value a double would change is kept as its text, from the wire to the wire. All others are ordinary numbers.
 */

import { compareDecimals } from "./decimal.ts";

/**
 * A number with all its digits, as its sender wrote it.
 *
 * `String(number)` gives the digits, `BigInt(number)` the value of an integer, `Number(number)` the nearest double, and
 * `JSON.stringify` writes the number with all its digits (in Node 20, only the nearest double).
 */
export class ExactNumber {
  /** As in JSON: 9400053101578681001, 0.1234567890123456789, 1e400. */
  readonly text: string;

  /** @param text a number as in JSON */
  constructor(text: string) {
    this.text = text;
  }

  /** True for an integer written in digits only. As in Python, 1e400 is not one. */
  get isInteger(): boolean {
    return isWrittenAsInteger(this.text);
  }

  toString(): string {
    return this.text;
  }

  toJSON(): unknown {
    return rawJson.rawJSON?.(this.text) ?? Number(this.text);
  }
}

/** Any number that JSON can hold. */
export type AnyNumber = number | ExactNumber;

/** TypeScript does not know these yet, and Node 20, which the client also runs in, does not have them. */
const rawJson = JSON as unknown as {
  rawJSON?(text: string): unknown;
  isRawJSON?(value: unknown): boolean;
};

/** True for what `JSON.stringify` writes as it is: what a replacer gets in the place of an exact number. */
export function isRawJson(value: unknown): boolean {
  return rawJson.isRawJSON?.(value) ?? false;
}

/**
 * Reads a number as JSON writes it: an ordinary number where that has the same value, and otherwise an exact one. Only the
 * value is kept: 1.0 and 1 are the same number, and so are 0 and -0.
 */
export function readNumber(text: string): AnyNumber {
  const value = Number(text);
  // The printed digits of a larger double are not all its value, so arithmetic on it would change them.
  if (isWrittenAsInteger(text)) return Number.isSafeInteger(value) ? value : new ExactNumber(text);
  if (!Number.isFinite(value)) return new ExactNumber(text);
  const printed = String(value);
  return printed === text || compareDecimals(printed, text) === 0 ? value : new ExactNumber(text);
}

/** Reads a number with decimals that JSON does not have: +1, 007, .5, 5. Null for anything else. */
export function readDecimal(text: string): AnyNumber | null {
  const parts = /^\+?(-?)(\d*)(\.\d*)?((?:[eE][+-]?\d+)?)$/.exec(text);
  if (parts === null) return null;
  const [, minus = "", zeros = "", point = ".", exponent = ""] = parts;
  const whole = zeros.replace(/^0+/, "") || "0";
  return readNumber(`${minus}${whole}${point === "." ? "" : point}${exponent}`);
}

/** The order of two numbers by their exact values: negative, zero or positive; NaN if one of them is. */
export function compareNumbers(a: AnyNumber, b: AnyNumber): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  // Infinity and NaN, which only a computation gives, have no digits.
  if (typeof a === "number" && !Number.isFinite(a)) return a;
  if (typeof b === "number" && !Number.isFinite(b)) return -b;
  return compareDecimals(String(a), String(b));
}

export function isNumber(value: unknown): value is AnyNumber {
  return typeof value === "number" || value instanceof ExactNumber;
}

export function isInteger(value: unknown): boolean {
  return value instanceof ExactNumber ? value.isInteger : Number.isInteger(value);
}

function isWrittenAsInteger(text: string): boolean {
  return /^-?\d+$/.test(text);
}
