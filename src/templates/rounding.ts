/** Rounds numbers and writes their digits as Python does: by the exact value of a double, and halves to even. */

import { type Decimal, decimalOf } from "../core/json/decimal.ts";
import { type AnyNumber, readNumber } from "../core/json/exact-number.ts";
import { TemplateError } from "./template-error.ts";

/** Of decimals that are written, and of digits before the point. */
const decimalsMax = 50;
const wholeDigitsMax = 1_000;

/** All digits of a double are needed: 2.675 is a little less than its text says. A hundred show every half. */
function exactly(value: AnyNumber): Decimal {
  if (typeof value !== "number") return decimalOf(value.text);
  if (!Number.isFinite(value)) throw new TemplateError("a result that is not finite cannot be written");
  return decimalOf(value.toExponential(100));
}

/** Rounds to so many digits; fewer than none stands for zero. */
function toDigits({ isNegative, digits, exponent }: Decimal, count: number): Decimal {
  if (count >= digits.length) return { isNegative, digits, exponent };
  const zero = { isNegative, digits: "", exponent: 0 };
  if (count < 0) return zero;
  const kept = digits.slice(0, count);
  const rest = digits.slice(count);
  const isHalf = rest === "5"; // no zeros follow: digits have none at their end
  const isUp = isHalf ? "13579".includes(kept.at(-1) ?? "0") : (rest[0] ?? "0") >= "5";
  if (!isUp) return kept === "" ? zero : { isNegative, digits: kept, exponent };
  const next = String(BigInt(`0${kept}`) + 1n).padStart(count, "0");
  return { isNegative, digits: next, exponent: exponent + next.length - count };
}

/** The digits of a number with so many decimals, without its sign. */
export function fixedDigits(value: AnyNumber, decimals: number): { digits: string; isNegative: boolean } {
  const places = checkedDecimals(decimals);
  const exact = exactly(value);
  if (exact.exponent > wholeDigitsMax)
    throw new TemplateError(`a number of more than ${wholeDigitsMax} digits cannot be written in full`);
  const { digits, exponent, isNegative } = toDigits(exact, exact.exponent + places);
  if (digits === "") return { digits: `0${places > 0 ? `.${"0".repeat(places)}` : ""}`, isNegative };
  const all = "0".repeat(Math.max(0, 1 - exponent)) + digits;
  const wholeLength = Math.max(exponent, 1);
  const whole = all.slice(0, wholeLength).padEnd(wholeLength, "0");
  const fraction = all.slice(wholeLength).padEnd(places, "0").slice(0, places);
  return { digits: places > 0 ? `${whole}.${fraction}` : whole, isNegative };
}

/** The digits of a number with an exponent, such as `1.50e+03`, without its sign. */
export function scientificDigits(
  value: AnyNumber,
  decimals: number,
): { mantissa: string; exponent: number; isNegative: boolean } {
  const places = checkedDecimals(decimals);
  const { digits, exponent, isNegative } = toDigits(exactly(value), places + 1);
  const all = (digits === "" ? "0" : digits).padEnd(places + 1, "0");
  const mantissa = places > 0 ? `${all[0]}.${all.slice(1, places + 1)}` : (all[0] ?? "0");
  return { mantissa, exponent: digits === "" ? 0 : exponent - 1, isNegative };
}

/** @param precision decimals; below zero, tens, hundreds and so on */
export function rounded(value: AnyNumber, precision: number): AnyNumber {
  // The digits of a larger double are not all known.
  const isWhole = typeof value === "number" ? Number.isSafeInteger(value) : value.isInteger;
  if (precision >= 0 && isWhole) return value;
  const exact = exactly(value);
  const { digits, exponent, isNegative } = toDigits(exact, exact.exponent + precision);
  if (digits === "") return 0;
  const sign = isNegative ? "-" : "";
  // An integer stays one, with all its digits.
  if (isWhole && exponent >= digits.length && exponent <= wholeDigitsMax)
    return readNumber(`${sign}${digits.padEnd(exponent, "0")}`);
  return Number(`${sign}0.${digits}e${exponent}`);
}

function checkedDecimals(decimals: number): number {
  if (decimals <= decimalsMax) return decimals;
  throw new TemplateError(`a number is written with at most ${decimalsMax} decimals`);
}
