/**
 * Arithmetic in templates.
 *
 * Integers are exact, however large: as in Python, `event.payload.id + 1` is the next id. Everything else is computed with
 * doubles, and `/` always is.
 */

import {
  type AnyNumber,
  compareNumbers,
  ExactNumber,
  readDecimal,
  readNumber,
} from "../core/json/exact-number.ts";
import { cut } from "../core/model/cut.ts";
import { TemplateError } from "./template-error.ts";

/** Larger integers can be printed and compared, but not computed with. */
const digitsMax = 1_000;

/** @throws TemplateError for a division by zero, an unknown operator, or an integer with too many digits */
export function arithmetic(operator: string, left: AnyNumber, right: AnyNumber): AnyNumber {
  const [a, b] = [Number(left), Number(right)];
  if (right === 0 && ["/", "//", "%"].includes(operator)) throw new TemplateError("division by zero");
  const result = withDoubles(operator, a, b);
  if (operator === "/" || !isKnownInteger(left) || !isKnownInteger(right)) {
    // Neither JSON nor a reader could tell what Infinity or NaN stands for.
    if (Number.isFinite(result)) return result;
    throw noResult(operator, left, right);
  }
  // Safe integers that give a safe integer.
  if (left === a && right === b && Number.isSafeInteger(result)) return result;
  const exact = withIntegers(operator, left, right) ?? result;
  if (exact !== result || Number.isFinite(result)) return exact;
  throw noResult(operator, left, right);
}

function noResult(operator: string, left: AnyNumber, right: AnyNumber): TemplateError {
  const [a, b] = [left, right].map((value) => cut(String(value), 50));
  return new TemplateError(`${operator} has no result for ${a} and ${b}`);
}

function withDoubles(operator: string, a: number, b: number): number {
  switch (operator) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    case "//":
      return Math.floor(a / b);
    case "%":
      return a - b * Math.floor(a / b);
    case "**":
      return a ** b;
    default:
      throw new TemplateError(`there is no operator ${operator}`);
  }
}

/** Null where the result is not an integer. */
function withIntegers(operator: string, left: AnyNumber, right: AnyNumber): AnyNumber | null {
  const [a, b] = [integerOf(left), integerOf(right)];
  switch (operator) {
    case "+":
      return numberOfInteger(a + b);
    case "-":
      return numberOfInteger(a - b);
    case "*":
      return numberOfInteger(a * b);
    case "//":
      return numberOfInteger((a - modulo(a, b)) / b);
    case "%":
      return numberOfInteger(modulo(a, b));
    case "**": {
      if (b < 0n) return null;
      const digits = String(a).length;
      if (digits > 1 && b * BigInt(digits - 1) > digitsMax) throw tooManyDigits();
      if (digits === 1 && a !== 0n && a !== 1n && b > digitsMax * 4) throw tooManyDigits();
      return numberOfInteger(a ** b);
    }
    default:
      return null;
  }
}

/** With the sign of the divisor, as in Python. */
function modulo(a: bigint, b: bigint): bigint {
  return ((a % b) + b) % b;
}

export function negate(value: AnyNumber): AnyNumber {
  if (typeof value === "number") return -value;
  return new ExactNumber(value.text.startsWith("-") ? value.text.slice(1) : `-${value.text}`);
}

export function absolute(value: AnyNumber): AnyNumber {
  return compareNumbers(value, 0) < 0 ? negate(value) : value;
}

/** A number without the digits after its point. */
export function truncate(value: AnyNumber): AnyNumber {
  if (typeof value === "number") return Math.trunc(value);
  const whole = /^(-?\d+)(?:\.\d+)?$/.exec(value.text)?.[1];
  return whole === undefined ? Math.trunc(Number(value)) : readNumber(whole);
}

/** The number at the start of a text; null if there is none. */
export function parseNumber(text: string): AnyNumber | null {
  const found = /^\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/.exec(text)?.[1];
  return found === undefined ? null : readDecimal(found);
}

/** A text that is an integer of another base, such as ff or 0xff; null if it is none. */
export function parseInteger(text: string, base: number): AnyNumber | null {
  if (!Number.isInteger(base) || base < 2 || base > 36)
    throw new TemplateError("int: base should be from 2 to 36");
  const [, minus = "", prefix = "", digits = ""] = /^\s*([+-]?)(0[xob])?([0-9a-z]+)\s*$/i.exec(text) ?? [];
  const prefixes: Readonly<Record<string, number>> = { "0x": 16, "0o": 8, "0b": 2 };
  // Where it is no prefix, it is a part of the digits, as in 0b1 of base 16.
  const isPrefix = prefix === "" || prefixes[prefix.toLowerCase()] === base;
  const written = isPrefix ? digits : prefix + digits;
  if (written === "" || written.length > digitsMax) return null;
  let value = 0n;
  for (const digit of written.toLowerCase()) {
    const each = Number.parseInt(digit, 36);
    if (each >= base) return null;
    value = value * BigInt(base) + BigInt(each);
  }
  return numberOfInteger(minus === "-" ? -value : value);
}

/** Whether all digits of an integer are known. Those of a double beyond 2^53 are not. */
function isKnownInteger(value: AnyNumber): boolean {
  return typeof value === "number" ? Number.isSafeInteger(value) : value.isInteger;
}

function integerOf(value: AnyNumber): bigint {
  const text = String(value);
  if (text.length > digitsMax) throw tooManyDigits();
  return BigInt(text);
}

function numberOfInteger(value: bigint): AnyNumber {
  return readNumber(String(value));
}

function tooManyDigits(): TemplateError {
  return new TemplateError(`a template can compute with integers of up to ${digitsMax} digits`);
}
