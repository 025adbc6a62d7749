/** The methods of values: `event.event.split(".")`. */

import { isNumber } from "../core/json/exact-number.ts";
import { formatBraces } from "./format.ts";
import {
  capitalize,
  center,
  type FilterOperation,
  fillOf,
  formatted,
  items,
  keys,
  listOf,
  lower,
  numberOf,
  onText,
  operation,
  replace,
  strip,
  trim,
  upper,
  values,
  variadic,
  widthOf,
  zoned,
} from "./operations.ts";
import { TemplateError } from "./template-error.ts";
import { aligned, linesOf, titleOfLetters } from "./text-layout.ts";
import { dateOf, inTimezone, timestampOf, weekdayOf } from "./times.ts";
import { isInCase } from "./value-tests.ts";
import { type Budget, entryOf, isList, isMapping, isMissing, isTrue, textOf, type Value } from "./values.ts";

/** The methods of texts. Some need a text that is a time. */
export const textMethods: ReadonlyMap<string, FilterOperation> = new Map([
  ["capitalize", capitalize],
  ["casefold", onText((text) => text.toLowerCase().replaceAll("ß", "ss"))],
  ["center", center],
  [
    "count",
    operation(["sub"], (input, [sub], budget) => {
      const [text, sought] = [String(input), textOf(sub, budget)];
      return sought === "" ? [...text].length + 1 : text.split(sought).length - 1;
    }),
  ],
  ["date", operation([], (input) => dateOf(String(input)))],
  [
    "endswith",
    operation(["suffix"], (input, [suffix]) => anyOf(suffix, (end) => String(input).endsWith(end))),
  ],
  [
    "find",
    operation(["sub"], (input, [sub], budget) => {
      const at = String(input).indexOf(textOf(sub, budget));
      return at === -1 ? -1 : [...String(input).slice(0, at)].length;
    }),
  ],
  [
    "format",
    variadic([], (input, given, budget, named) => formatBraces(String(input), given, named, budget)),
  ],
  ["in_timezone", zoned],
  ["isalnum", consistsOf(/^[\p{L}\p{N}]+$/u)],
  ["isalpha", consistsOf(/^\p{L}+$/u)],
  ["isdecimal", consistsOf(/^\p{Nd}+$/u)],
  ["isdigit", consistsOf(/^[\p{Nd}²³¹⁰⁴-⁹₀-₉]+$/u)],
  ["islower", operation([], (input) => isInCase(String(input), String(input).toLowerCase()))],
  ["isnumeric", consistsOf(/^\p{N}+$/u)],
  ["isoformat", operation([], (input) => inTimezone(String(input), "UTC").replace("Z", "+00:00"))],
  ["isoweekday", operation([], (input) => weekdayOf(String(input)) + 1)],
  ["isspace", consistsOf(/^\s+$/)],
  ["isupper", operation([], (input) => isInCase(String(input), String(input).toUpperCase()))],
  [
    "join",
    operation(["list"], (input, [list], budget) => {
      const items = listOf(list ?? undefined);
      budget.spendOnCharacters(items.length * String(input).length);
      return items.map((item) => textOf(item, budget)).join(String(input));
    }),
  ],
  ["ljust", filled("left")],
  ["lower", lower],
  ["lstrip", strip(true, false)],
  ["partition", parted(false)],
  [
    "removeprefix",
    operation(["prefix"], (input, [prefix], budget) => {
      const [text, start] = [String(input), textOf(prefix, budget)];
      return text.startsWith(start) ? text.slice(start.length) : text;
    }),
  ],
  [
    "removesuffix",
    operation(["suffix"], (input, [suffix], budget) => {
      const [text, end] = [String(input), textOf(suffix, budget)];
      return end !== "" && text.endsWith(end) ? text.slice(0, -end.length) : text;
    }),
  ],
  ["replace", replace],
  ["rjust", filled("right")],
  ["rpartition", parted(true)],
  ["rsplit", splitting("rsplit", true)],
  ["rstrip", strip(false, true)],
  ["split", splitting("split", false)],
  [
    "splitlines",
    operation(["keepends"], (input, [keepEnds], budget) => {
      budget.spendOnCharacters(3 * String(input).length);
      return linesOf(String(input), isTrue(keepEnds));
    }),
  ],
  [
    "startswith",
    operation(["prefix"], (input, [prefix]) => anyOf(prefix, (start) => String(input).startsWith(start))),
  ],
  ["strftime", formatted],
  ["strip", trim],
  [
    "swapcase",
    onText(
      (text) =>
        [...text]
          .map((each) => (isInCase(each, each.toLowerCase()) ? each.toUpperCase() : each.toLowerCase()))
          .join(""),
      10,
    ),
  ],
  ["timestamp", operation([], (input) => timestampOf(String(input)))],
  ["title", onText(titleOfLetters, 8)],
  ["upper", upper],
  ["weekday", operation([], (input) => weekdayOf(String(input)))],
  [
    "zfill",
    operation(["width"], (input, [width]) => {
      const text = String(input);
      const sign = text.startsWith("-") || text.startsWith("+") ? text.slice(0, 1) : "";
      const filledUp = aligned(
        text.slice(sign.length),
        widthOf(width ?? 0, "zfill") - sign.length,
        "0",
        "right",
      );
      return sign + filledUp;
    }),
  ],
]);

/** What one text, or any text of a list, is true for. */
function anyOf(texts: Value, holds: (text: string) => boolean): boolean {
  return isList(texts) ? texts.some((text) => holds(String(text))) : holds(String(texts));
}

function consistsOf(pattern: RegExp): FilterOperation {
  return operation([], (input) => pattern.test(String(input)));
}

function filled(side: "left" | "right"): FilterOperation {
  return operation(["width", "fillchar"], (input, [width, fill]) =>
    aligned(String(input), widthOf(width ?? 0, `${side === "left" ? "l" : "r"}just`), fillOf(fill), side),
  );
}

/** The text before a separator, the separator, and the text after it. */
function parted(isLast: boolean): FilterOperation {
  return operation(["sep"], (input, [separator], budget) => {
    const [text, between] = [String(input), textOf(separator, budget)];
    if (between === "") throw new TemplateError("partition needs a separator that is not empty");
    const at = isLast ? text.lastIndexOf(between) : text.indexOf(between);
    if (at === -1) return isLast ? ["", "", text] : [text, "", ""];
    return [text.slice(0, at), between, text.slice(at + between.length)];
  });
}

function splitting(name: string, fromEnd: boolean): FilterOperation {
  return operation(["sep", "maxsplit"], (input, [separator, maxSplit], budget) => {
    const text = String(input);
    if (separator === "") throw new TemplateError(`${name} needs a separator that is not empty`);
    const max = numberOf(maxSplit ?? -1, `${name}: maxsplit`);
    if (isMissing(separator)) return words(text, max, fromEnd, budget);
    const between = textOf(separator, budget);
    const parts = text.split(between);
    budget.spend(parts.length);
    if (max < 0 || parts.length <= max + 1) return parts;
    const cut = parts.length - max;
    return fromEnd
      ? [parts.slice(0, cut).join(between), ...parts.slice(cut)]
      : [...parts.slice(0, max), parts.slice(max).join(between)];
  });
}

/** The words of a text; beyond so many splits, the rest as it is. */
function words(text: string, max: number, fromEnd: boolean, budget: Budget): string[] {
  const found = [...text.matchAll(/\S+/g)];
  budget.spend(found.length);
  const all = found.map(([word]) => word);
  if (max < 0 || all.length <= max) return all;
  if (!fromEnd) return [...all.slice(0, max), text.slice(found[max]?.index ?? 0)];
  const last = found[found.length - max - 1];
  const end = (last?.index ?? 0) + (last?.[0].length ?? 0);
  return [text.slice(0, end), ...all.slice(all.length - max)];
}

/** The methods of `loop`. */
export const loopMethods: ReadonlyMap<string, FilterOperation> = new Map([
  [
    "cycle",
    variadic([], (input, given) => {
      if (given.length === 0) throw new TemplateError("cycle needs at least one value");
      return given[numberOf(entryOf(input, "index0"), "cycle") % given.length];
    }),
  ],
]);

/** The methods of mappings. */
export const mappingMethods: ReadonlyMap<string, FilterOperation> = new Map([
  [
    "find_resource_label",
    operation(["label"], (input, [label], budget) => {
      const name = textOf(label, budget);
      if (!name.startsWith("related:")) return entryOf(entryOf(input, "resource"), name);
      const [, role = "", ...rest] = name.split(":");
      const related = listOf(entryOf(input, "related"));
      budget.spend(related.length);
      const found = related.find((each) => entryOf(each, "prefect.resource.role") === role);
      return entryOf(found, rest.join(":"));
    }),
  ],
  [
    "get",
    operation(["key", "default"], (input, [key, value = null]) => entryOf(input, String(key)) ?? value),
  ],
  ["items", items],
  ["keys", keys],
  ["values", values],
]);

/** The methods of numbers. A difference of times is one, and Python's has this method. */
export const numberMethods: ReadonlyMap<string, FilterOperation> = new Map([
  ["total_seconds", operation([], (input) => input)],
]);

/** The methods of a value; undefined if it has none. */
export function methodsOf(value: Value): ReadonlyMap<string, FilterOperation> | undefined {
  if (typeof value === "string") return textMethods;
  if (isNumber(value)) return numberMethods;
  return isMapping(value) ? mappingMethods : undefined;
}
