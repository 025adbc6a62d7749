/**
 * Python's two ways to format texts: `"%.2f" % value` and `"{:.2f}".format(value)`.
 *
 * As elsewhere in templates, a missing value or none prints nothing, whatever the format.
 */

import { type AnyNumber, isInteger, isNumber } from "../core/json/exact-number.ts";
import { truncate } from "./numbers.ts";
import { fixedDigits, scientificDigits } from "./rounding.ts";
import { TemplateError } from "./template-error.ts";
import { strftime } from "./times.ts";
import { type Budget, entryOf, isList, isMapping, isMissing, kindOf, textOf, type Value } from "./values.ts";

/** How one value is written. */
interface FormatSpec {
  readonly fill: string;
  readonly align: "<" | ">" | "^" | "=" | null;
  readonly sign: "+" | " " | "";
  readonly isAlternate: boolean;
  readonly width: number;
  readonly grouping: string;
  readonly precision: number | null;
  readonly type: string;
  /** How a time is written, such as `%H:%M`; null for anything else. */
  readonly clock?: string;
}

/** A part of a format: text as it is, or the place of a value. */
type FormatPart =
  | { readonly text: string }
  | { readonly key: string | null; readonly path: readonly string[]; readonly spec: FormatSpec };

const widthMax = 1_000;
const numberTypes = "dboxXeEfFgG%";

/** `"%s has %d items" % (a, b)`; with names, `"%(a)s" % {"a": 1}`. @throws TemplateError */
export function formatPercent(format: string, given: Value, budget: Budget): string {
  const parts = percentParts(format);
  const places = parts.flatMap((part) => ("text" in part ? [] : [part]));
  const isNamed = places.some(({ key }) => key !== null);
  if (isNamed && !isMapping(given) && !isMissing(given))
    throw new TemplateError(`%(name)s needs a mapping, not ${kindOf(given)}`);
  // A list of one length is taken for the values, as Python takes a tuple; another one for a value itself.
  const values = isList(given) && (places.length !== 1 || given.length === 1) ? given : [given];
  const isUsed = isNamed || values.length === places.length || (places.length === 0 && isMapping(given));
  if (!isUsed && !(places.length === 0 && values.every(isMissing)))
    throw new TemplateError(
      `the format ${JSON.stringify(format)} has ${places.length} places for values, not ${values.length}`,
    );
  let index = 0;
  return filledIn(parts, budget, ({ key }) => (key === null ? values[index++] : entryOf(given, key)));
}

/** `"{} of {total:,}".format(a, total=b)`. @throws TemplateError */
export function formatBraces(
  format: string,
  given: readonly Value[],
  named: Readonly<Record<string, Value>>,
  budget: Budget,
): string {
  let index = 0;
  return filledIn(bracesParts(format), budget, ({ key, path }) => {
    const name = key === null || key === "" ? String(index++) : key;
    const isPosition = /^\d+$/.test(name);
    if (isPosition ? Number(name) >= given.length : !Object.hasOwn(named, name))
      throw new TemplateError(`the format ${JSON.stringify(format)} asks for {${name}}, which is not given`);
    let value: Value = isPosition ? given[Number(name)] : named[name];
    for (const step of path) value = isList(value) ? value[Number(step)] : entryOf(value, step);
    return value;
  });
}

function filledIn(
  parts: readonly FormatPart[],
  budget: Budget,
  valueAt: (place: Exclude<FormatPart, { text: string }>) => Value,
): string {
  const pieces = parts.map((part) => {
    const piece = "text" in part ? part.text : formatted(valueAt(part), part.spec, budget);
    budget.spend(1);
    budget.spendOnCharacters(piece.length);
    return piece;
  });
  return pieces.join("");
}

/** What is wrong with a format that a template writes; null if nothing is. */
export function formatProblem(format: string, style: "percent" | "braces"): string | null {
  try {
    if (style === "percent") percentParts(format);
    else bracesParts(format);
    return null;
  } catch (error) {
    if (error instanceof TemplateError) return error.message;
    throw error;
  }
}

function percentParts(format: string): FormatPart[] {
  const parts: FormatPart[] = [];
  const place = /(?:\(([^()]*)\))?([-+ #0]{0,5})(\d{0,4})(?:\.(\d{0,3}))?[hlL]?([a-zA-Z%])/y;
  let copied = 0;
  for (let at = format.indexOf("%"); at !== -1; at = format.indexOf("%", copied)) {
    parts.push({ text: format.slice(copied, at) });
    place.lastIndex = at + 1;
    const found = place.exec(format);
    const [all = "", key = null, flags = "", width = "", precision, type = ""] = found ?? [];
    if (type === "%" && all === "%") parts.push({ text: "%" });
    else if (found === null || !"sdiufFeEgGxXoc".includes(type)) {
      throw new TemplateError(
        `${JSON.stringify(format.slice(at, at + 10))} is not a format; there are %s, %d, %f, %e, %g, %x, %o and %c, and %% for a percent sign`,
      );
    } else {
      const isZero = flags.includes("0") && !flags.includes("-") && type !== "s" && type !== "c";
      parts.push({
        key,
        path: [],
        spec: {
          fill: isZero ? "0" : " ",
          align: flags.includes("-") ? "<" : isZero ? "=" : ">",
          sign: flags.includes("+") ? "+" : flags.includes(" ") ? " " : "",
          isAlternate: flags.includes("#"),
          width: checkedWidth(width),
          grouping: "",
          precision: precision === undefined ? null : Number(precision),
          type: "iu".includes(type) ? "d" : type,
        },
      });
    }
    copied = at + 1 + all.length;
  }
  parts.push({ text: format.slice(copied) });
  return parts;
}

function bracesParts(format: string): FormatPart[] {
  const parts: FormatPart[] = [];
  let text = "";
  for (let at = 0; at < format.length; at++) {
    const character = format[at] ?? "";
    if (character !== "{" && character !== "}") text += character;
    else if (format[at + 1] === character) {
      text += character;
      at += 1;
    } else {
      const end = format.indexOf("}", at);
      if (character === "}" || end === -1)
        throw new TemplateError(
          `${JSON.stringify(format)} has a single ${character}; write two to print one`,
        );
      parts.push({ text }, bracesPlace(format.slice(at + 1, end)));
      text = "";
      at = end;
    }
  }
  parts.push({ text });
  return parts;
}

function bracesPlace(written: string): FormatPart {
  if (written.includes("{"))
    throw new TemplateError("a format inside a format is not supported; write it out");
  const colon = written.indexOf(":");
  const field = colon === -1 ? written : written.slice(0, colon);
  const [name = "", conversion] = field.split("!", 2);
  if (conversion !== undefined && conversion !== "s")
    throw new TemplateError(`!${conversion} is not supported; only !s is`);
  const [key = "", ...path] = name
    .split(/[.[]/)
    .map((step, index) => (index > 0 && step.endsWith("]") ? step.slice(0, -1) : step));
  const spec = specOf(colon === -1 ? "" : written.slice(colon + 1));
  return { key, path, spec };
}

const specPattern = /^(?:([\s\S])?([<>=^]))?([-+ ]?)(#?)(0?)(\d{0,4})([,_]?)(?:\.(\d{1,3}))?([a-zA-Z%]?)$/u;

function specOf(written: string): FormatSpec {
  const found = specPattern.exec(written);
  const [, fill, align, sign = "", alternate, zero, width = "", grouping = "", precision, type = ""] =
    found ?? [];
  const plain = { fill: " ", align: null, sign: "", isAlternate: false, width: 0, grouping: "" } as const;
  if (found === null && written.includes("%")) return { ...plain, precision: null, type: "", clock: written };
  if (found === null || (type !== "" && !`sc${numberTypes}`.includes(type)))
    throw new TemplateError(`${JSON.stringify(written.slice(0, 50))} is not a format, such as .2f, >10 or ,`);
  return {
    fill: fill ?? (zero === "0" ? "0" : " "),
    align: (align as FormatSpec["align"] | undefined) ?? (zero === "0" ? "=" : null),
    sign: sign === "-" ? "" : (sign as FormatSpec["sign"]),
    isAlternate: alternate === "#",
    width: checkedWidth(width),
    grouping,
    precision: precision === undefined ? null : Number(precision),
    type,
  };
}

function checkedWidth(written: string): number {
  const width = Number(written);
  if (width <= widthMax) return width;
  throw new TemplateError(`a format has a width of at most ${widthMax}`);
}

function formatted(value: Value, spec: FormatSpec, budget: Budget): string {
  if (isMissing(value)) return padded("", "", { ...spec, fill: " " }, "<");
  const { type, precision, clock } = spec;
  if (clock !== undefined) {
    budget.spend(3 * clock.length + 10);
    return strftime(textOf(value, budget), clock, null);
  }
  const isNumeric =
    isNumber(value) || (typeof value === "boolean" && numberTypes.includes(type) && type !== "");
  if (!isNumeric || type === "s") {
    if (type !== "" && type !== "s" && !(type === "c" && typeof value === "string"))
      throw new TemplateError(
        `the format ${type} needs a number, not ${kindOf(value)}; convert it with the filter int or float`,
      );
    const text = textOf(value, budget);
    return padded(
      "",
      precision === null ? text : [...text.slice(0, 2 * precision)].slice(0, precision).join(""),
      spec,
      "<",
    );
  }
  const number = typeof value === "boolean" ? Number(value) : value;
  if (type === "c") return padded("", String.fromCodePoint(codePointOf(number)), spec, "<");
  const { sign, digits } = numberText(number, spec);
  return padded(sign, digits, spec, ">");
}

function codePointOf(value: AnyNumber): number {
  const code = Number(value);
  if (Number.isInteger(code) && code >= 0 && code <= 0x10ffff) return code;
  throw new TemplateError(`the format c needs the number of a character, not ${String(value)}`);
}

function numberText(value: AnyNumber, spec: FormatSpec): { sign: string; digits: string } {
  const { type, precision, isAlternate } = spec;
  const signed = (isNegative: boolean, digits: string) => ({
    sign: isNegative ? "-" : spec.sign,
    digits: grouped(digits, spec),
  });
  switch (type) {
    case "d":
    case "b":
    case "o":
    case "x":
    case "X": {
      const whole = truncate(value);
      if (!isInteger(whole)) throw new TemplateError(`the format ${type} needs a whole number`);
      const base =
        new Map([
          ["b", 2],
          ["o", 8],
          ["x", 16],
          ["X", 16],
        ]).get(type) ?? 10;
      const text = String(whole);
      const isNegative = text.startsWith("-");
      const magnitude = isNegative ? text.slice(1) : text;
      // A large double is written with an exponent.
      const digits = base === 10 && /^\d+$/.test(magnitude) ? magnitude : integerOf(magnitude).toString(base);
      const prefix = isAlternate && base !== 10 ? `0${type}` : "";
      const shown = signed(isNegative, type === "X" ? digits.toUpperCase() : digits);
      return { ...shown, sign: shown.sign + prefix };
    }
    case "f":
    case "F": {
      const { digits, isNegative } = fixedDigits(value, precision ?? 6);
      return signed(isNegative, digits);
    }
    case "%": {
      const { digits, isNegative } = fixedDigits(Number(value) * 100, precision ?? 6);
      return signed(isNegative, `${digits}%`);
    }
    case "e":
    case "E": {
      const { mantissa, exponent, isNegative } = scientificDigits(value, precision ?? 6);
      return signed(isNegative, `${mantissa}${exponentText(exponent, type)}`);
    }
    case "g":
    case "G":
      return general(value, precision ?? 6, type === "G" ? "E" : "e", isAlternate, signed);
    default: {
      const isDouble = typeof value === "number" && !Number.isSafeInteger(value);
      if (precision !== null && (isDouble || !isInteger(value)))
        return general(value, precision, "e", isAlternate, signed);
      if (precision !== null) throw new TemplateError("a format with a precision needs a type, such as .2f");
      const text = String(value);
      return text.startsWith("-") ? signed(true, text.slice(1)) : signed(false, text);
    }
  }
}

function integerOf(written: string): bigint {
  return BigInt(/^\d+$/.test(written) ? written : Number(written));
}

/** As short as possible: with an exponent only where it is far from 1. */
function general(
  value: AnyNumber,
  precision: number,
  letter: "e" | "E",
  keepsZeros: boolean,
  signed: (isNegative: boolean, digits: string) => { sign: string; digits: string },
) {
  const significant = Math.max(precision, 1);
  const { mantissa, exponent, isNegative } = scientificDigits(value, significant - 1);
  const shortened = (digits: string) => {
    let end = digits.length;
    if (keepsZeros || !digits.includes(".")) return digits;
    while (digits[end - 1] === "0") end -= 1;
    return digits.slice(0, digits[end - 1] === "." ? end - 1 : end);
  };
  if (exponent >= -4 && exponent < significant) {
    const { digits } = fixedDigits(value, significant - 1 - exponent);
    return signed(isNegative, shortened(digits));
  }
  return signed(isNegative, `${shortened(mantissa)}${exponentText(exponent, letter)}`);
}

function exponentText(exponent: number, letter: "e" | "E"): string {
  return `${letter}${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function grouped(digits: string, { grouping, type }: FormatSpec): string {
  if (grouping === "") return digits;
  const size = "boxX".includes(type) && type !== "" ? 4 : 3;
  let whole = 0;
  while (/[0-9a-fA-F]/.test(digits[whole] ?? "") && !(size === 3 && /[eE]/.test(digits[whole] ?? "")))
    whole += 1;
  const groups: string[] = [];
  for (let end = whole; end > 0; end -= size) groups.unshift(digits.slice(Math.max(0, end - size), end));
  return groups.join(grouping) + digits.slice(whole);
}

function padded(sign: string, text: string, { fill, align, width }: FormatSpec, usual: "<" | ">"): string {
  // A character has at most two units, and a long text need not be counted.
  if (sign.length + text.length >= 2 * width) return sign + text;
  const missing = width - [...sign, ...text].length;
  if (missing <= 0) return sign + text;
  const padding = (count: number) => fill.repeat(count);
  switch (align ?? usual) {
    case "<":
      return sign + text + padding(missing);
    case "^":
      return padding(Math.floor(missing / 2)) + sign + text + padding(Math.ceil(missing / 2));
    case "=":
      return sign + padding(missing) + text;
    default:
      return padding(missing) + sign + text;
  }
}
