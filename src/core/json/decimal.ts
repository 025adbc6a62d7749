/**
 * Decimal numbers as texts, of any length and size, and their order.
 *
 * A double stands for the shortest decimal that reads back as it, which is the one that it prints. So a number has one
 * value, whether it is kept as a double or as a text, and all numbers have one order.
 */

/** The value 0.d₁d₂d₃… × 10^exponent. Equal values have equal forms. */
export interface Decimal {
  readonly isNegative: boolean;
  /** Without zeros at either end; empty for zero. */
  readonly digits: string;
  readonly exponent: number;
}

/** @returns negative, zero or positive, as the first is less than, equal to or greater than the second */
export function compareDecimals(a: string, b: string): number {
  const left = decimalOf(a);
  const right = decimalOf(b);
  const sign = signOf(left);
  if (sign !== signOf(right)) return sign - signOf(right);
  if (left.exponent !== right.exponent) return left.exponent < right.exponent ? -sign : sign;
  if (left.digits === right.digits) return 0;
  return left.digits < right.digits ? -sign : sign;
}

function signOf({ isNegative, digits }: Decimal): number {
  if (digits === "") return 0;
  return isNegative ? -1 : 1;
}

const pattern = /^(-?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;

/** @param text a number as JSON or `String(number)` writes it */
export function decimalOf(text: string): Decimal {
  const [, minus, whole = "", fraction = "", exponent = "0"] = pattern.exec(text) ?? [];
  const digits = whole + fraction;
  let start = 0;
  while (digits[start] === "0") start += 1;
  let end = digits.length;
  while (end > start && digits[end - 1] === "0") end -= 1;
  if (start === end) return { isNegative: false, digits: "", exponent: 0 };
  return {
    isNegative: minus === "-",
    digits: digits.slice(start, end),
    // Exponents beyond 2^53 are compared roughly.
    exponent: whole.length - start + Number(exponent),
  };
}
