/** The filters that templates may use: Jinja's usual ones, and those for times. */

import { type AnyNumber, isInteger, isNumber } from "../core/json/exact-number.ts";
import { absolute, parseInteger, parseNumber, truncate } from "./numbers.ts";
import {
  attributeOf,
  boundArguments,
  capitalize,
  center,
  escapeHtml,
  exactly,
  type FilterOperation,
  fallback,
  format,
  formatted,
  inOrder,
  items,
  keys,
  length,
  listOf,
  lower,
  mappingOf,
  numberOf,
  onList,
  onText,
  operation,
  replace,
  trim,
  upper,
  values,
  variadic,
  widthOf,
  zoned,
} from "./operations.ts";
import { combined } from "./operators.ts";
import { rounded } from "./rounding.ts";
import { TemplateError } from "./template-error.ts";
import { indented, titleOfWords, wrapped } from "./text-layout.ts";
import { holds } from "./value-tests.ts";
import {
  type Budget,
  compare,
  indentedJsonOf,
  isEqual,
  isList,
  isMapping,
  isMissing,
  isTrue,
  jsonOf,
  textOf,
  type Value,
} from "./values.ts";

export const filters: ReadonlyMap<string, FilterOperation> = new Map([
  ["abs", operation([], (input) => (isMissing(input) ? undefined : absolute(exactly(input, "abs"))))],
  ["attr", operation(["name"], (input, [name], budget) => attributeOf(input, name, budget))],
  [
    "batch",
    onList(["linecount", "fill_with"], (list, [count, fill], budget) => {
      const size = Math.max(Math.trunc(numberOf(count ?? 1, "batch: linecount")), 1);
      const rows = Array.from({ length: Math.ceil(list.length / size) }, (_, row) =>
        list.slice(row * size, (row + 1) * size),
      );
      const last = rows.at(-1);
      if (last === undefined || isMissing(fill)) return rows;
      budget.spend(size);
      return [...rows.slice(0, -1), [...last, ...Array<Value>(size - last.length).fill(fill)]];
    }),
  ],
  ["capitalize", capitalize],
  ["center", center],
  ["count", length],
  ["d", fallback],
  ["default", fallback],
  [
    "dictsort",
    operation(["case_sensitive", "by", "reverse"], (input, [caseSensitive, by, reverse], budget) => {
      const index = by === "value" ? 1 : 0;
      const sign = isTrue(reverse) ? -1 : 1;
      return Object.entries(mappingOf(input)).sort((a, b) =>
        inOrder(a[index], b[index], isTrue(caseSensitive), sign, budget),
      );
    }),
  ],
  ["e", escapeHtml],
  ["escape", escapeHtml],
  [
    "filesizeformat",
    operation(["binary"], (input, [binary]) =>
      isMissing(input) ? undefined : fileSize(sizeOf(input), isTrue(binary)),
    ),
  ],
  ["first", onList([], (list) => list[0])],
  [
    "float",
    operation(["default"], (input, [value = 0]) => finite(Number(parsed(input) ?? Number.NaN), value)),
  ],
  ["forceescape", escapeHtml],
  ["format", format],
  [
    "groupby",
    onList(["attribute", "default", "case_sensitive"], (list, [attribute, value, caseSensitive], budget) => {
      const isSensitive = isTrue(caseSensitive);
      const folded = (key: Value) => (typeof key === "string" && !isSensitive ? key.toLowerCase() : key);
      const keyed = list.map((item) => ({ item, key: attributeOf(item, attribute, budget) ?? value }));
      keyed.sort((a, b) => inOrder(a.key, b.key, isSensitive, 1, budget));
      const groups: [key: Value, items: Value[]][] = [];
      for (const { item, key } of keyed) {
        const group = groups.at(-1);
        if (group !== undefined && isEqual(folded(group[0]), folded(key), budget)) group[1].push(item);
        else groups.push([key, [item]]);
      }
      return groups;
    }),
  ],
  [
    "indent",
    operation(["width", "first", "blank"], (input, [width, first, blank], budget) => {
      const text = textOf(input, budget);
      const by = typeof width === "string" ? width : " ".repeat(Math.max(0, widthOf(width ?? 4, "indent")));
      budget.spendOnCharacters(3 * text.length);
      budget.spendOnCharacters(text.split("\n").length * by.length);
      return indented(text, by, { first: isTrue(first), blank: isTrue(blank) });
    }),
  ],
  [
    "int",
    operation(["default", "base"], (input, [value = 0, base]) => {
      const radix = isMissing(base) ? 10 : numberOf(base, "int: base");
      const found = radix !== 10 && typeof input === "string" ? parseInteger(input, radix) : parsed(input);
      return finite(truncate(found ?? Number.NaN), value);
    }),
  ],
  ["in_timezone", zoned],
  ["items", items],
  [
    "join",
    onList(["d", "attribute"], (list, [separator, attribute], budget) => {
      const between = textOf(separator, budget);
      budget.spendOnCharacters(list.length * between.length);
      return list.map((item) => textOf(attributeOf(item, attribute, budget), budget)).join(between);
    }),
  ],
  ["keys", keys],
  ["last", onList([], (list) => list.at(-1))],
  ["length", length],
  ["list", onList([], (list) => list)],
  ["lower", lower],
  [
    "map",
    variadic([], (input, [name, ...others], budget, named) => {
      const list = listOf(input);
      if (isMissing(name)) {
        const { attribute, default: otherwise } = named;
        if (isMissing(attribute)) throw new TemplateError("map needs attribute= or the name of a filter");
        return list.map((item) => attributeOf(item, attribute, budget) ?? otherwise);
      }
      const change = filters.get(String(name));
      if (change === undefined) throw new TemplateError("map needs attribute= or the name of a filter");
      const bound = boundArguments(change, String(name), others, named);
      return list.map((item) => {
        budget.spendOn(item, ...bound.given);
        return change.run(item, bound.given, budget, bound.named);
      });
    }),
  ],
  ["max", onList(["case_sensitive", "attribute"], (list, given, budget) => extreme(list, given, budget, 1))],
  ["min", onList(["case_sensitive", "attribute"], (list, given, budget) => extreme(list, given, budget, -1))],
  [
    "reject",
    onList(["test", "value"], (list, given, budget) => list.filter((item) => !holds(item, given, budget))),
  ],
  [
    "rejectattr",
    onList(["attribute", "test", "value"], (list, [attribute, ...given], budget) =>
      list.filter((item) => !holds(attributeOf(item, attribute, budget), given, budget)),
    ),
  ],
  ["replace", replace],
  [
    "reverse",
    operation([], (input) =>
      typeof input === "string" ? [...input].reverse().join("") : [...listOf(input)].reverse(),
    ),
  ],
  [
    "round",
    operation(["precision", "method"], (input, [precision, method]) => {
      if (isMissing(input)) return undefined;
      const value = exactly(input, "round");
      const places = Math.max(
        -decimalsMax,
        Math.min(numberOf(precision ?? 0, "round: precision"), decimalsMax),
      );
      if (method !== "ceil" && method !== "floor") return rounded(value, places);
      if (places >= 0 && isInteger(value)) return value;
      const factor = 10 ** places;
      return Math[method](Number(value) * factor) / factor;
    }),
  ],
  ["safe", operation([], (input) => input)],
  [
    "select",
    onList(["test", "value"], (list, given, budget) => list.filter((item) => holds(item, given, budget))),
  ],
  [
    "selectattr",
    onList(["attribute", "test", "value"], (list, [attribute, ...given], budget) =>
      list.filter((item) => holds(attributeOf(item, attribute, budget), given, budget)),
    ),
  ],
  [
    "slice",
    onList(["slices", "fill_with"], (list, [slices, fill], budget) => {
      const count = Math.max(Math.trunc(numberOf(slices ?? 1, "slice: slices")), 1);
      budget.spend(count);
      const size = Math.floor(list.length / count);
      const longerCount = list.length % count; // the first ones have an item more
      return Array.from({ length: count }, (_, index) => {
        const start = index * size + Math.min(index, longerCount);
        const column = list.slice(start, start + size + (index < longerCount ? 1 : 0));
        return !isMissing(fill) && index >= longerCount ? [...column, fill] : column;
      });
    }),
  ],
  [
    "sort",
    onList(
      ["reverse", "case_sensitive", "attribute"],
      (list, [reverse, caseSensitive, attribute], budget) => {
        const sign = isTrue(reverse) ? -1 : 1;
        // Several attributes are separated by commas; the first that differs decides.
        const paths = typeof attribute === "string" ? attribute.split(",") : [attribute];
        const keyed = list.map((item) => ({
          item,
          keys: paths.map((path) => attributeOf(item, path, budget)),
        }));
        return keyed
          .sort((a, b) => {
            for (const [index, key] of a.keys.entries()) {
              const order = inOrder(key, b.keys[index], isTrue(caseSensitive), sign, budget);
              if (order !== 0) return order;
            }
            return 0;
          })
          .map(({ item }) => item);
      },
    ),
  ],
  ["strftime", formatted],
  ["string", onText((text) => text)],
  [
    "striptags",
    onText(
      (text) =>
        text
          .replaceAll(/<[^<>]*>/g, "")
          .split(/\s+/)
          .filter((word) => word !== "")
          .join(" "),
      3,
    ),
  ],
  [
    "sum",
    onList(["attribute", "start"], (list, [attribute, start], budget) =>
      list
        .map((item) => attributeOf(item, attribute, budget))
        .reduce<Value>((sum, item) => {
          if (isMissing(item)) return sum;
          if (!isList(sum)) return combined("+", sum, exactly(item, "sum"), budget);
          budget.spend(sum.length);
          return combined("+", sum, item, budget);
        }, start ?? 0),
    ),
  ],
  ["title", onText(titleOfWords, 8)],
  [
    "tojson",
    operation(["indent"], (input, [indent], budget) =>
      indentedJsonOf(input, budget, Math.min(Math.max(numberOf(indent ?? 0, "tojson: indent"), 0), 8)),
    ),
  ],
  ["trim", trim],
  [
    "truncate",
    operation(["length", "killwords", "end", "leeway"], (input, [limit, killWords, end, leeway], budget) => {
      const text = textOf(input, budget);
      const characters = [...text];
      const max = numberOf(limit ?? 255, "truncate: length");
      if (characters.length <= max + numberOf(leeway ?? 5, "truncate: leeway")) return text;
      const ending = textOf(end ?? "...", budget);
      const cut = characters.slice(0, Math.max(0, max - [...ending].length)).join("");
      return (isTrue(killWords) ? cut : withoutLastWord(cut)) + ending;
    }),
  ],
  [
    "unique",
    onList(["case_sensitive", "attribute"], (list, [caseSensitive, attribute], budget) => {
      const seen = new Map<string, Value>();
      for (const item of list) {
        const text = jsonOf(attributeOf(item, attribute, budget), budget);
        const key = isTrue(caseSensitive) ? text : text.toLowerCase();
        if (!seen.has(key)) seen.set(key, item);
      }
      return [...seen.values()];
    }),
  ],
  ["upper", upper],
  [
    "urlencode",
    operation([], (input, _given, budget) =>
      isMapping(input)
        ? queryOf(Object.entries(input), budget)
        : isList(input)
          ? queryOf(input.map(pairOf), budget)
          : urlEncoded(textOf(input, budget)),
    ),
  ],
  ["values", values],
  ["wordcount", onText((text) => text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0, 8)],
  [
    "wordwrap",
    operation(
      ["width", "break_long_words", "wrapstring", "break_on_hyphens"],
      (input, [width, breaks, between, hyphens], budget) => {
        const text = textOf(input, budget);
        budget.spendOnCharacters(text.length * 15);
        return wrapped(
          text,
          {
            width: numberOf(width ?? 79, "wordwrap: width"),
            between: isMissing(between) ? "\n" : textOf(between, budget),
            breaksLongWords: isMissing(breaks) || isTrue(breaks),
            breaksOnHyphens: isMissing(hyphens) || isTrue(hyphens),
          },
          budget,
        );
      },
    ),
  ],
]);

function extreme(list: readonly Value[], given: readonly Value[], budget: Budget, sign: 1 | -1): Value {
  const [caseSensitive, attribute] = given;
  const keyOf = (item: Value) => attributeOf(item, attribute, budget);
  return list.reduce<Value>((best, item) => {
    const key = keyOf(item);
    if (isMissing(key)) return best;
    return isMissing(best) || sign * compare(key, keyOf(best), budget, isTrue(caseSensitive)) > 0
      ? item
      : best;
  }, undefined);
}

/** The number that a value is, or that a text begins with; null if there is none. */
function parsed(value: Value): AnyNumber | null {
  if (typeof value === "boolean") return Number(value);
  return isNumber(value) ? value : typeof value === "string" ? parseNumber(value) : null;
}

function finite(result: AnyNumber, otherwise: Value): Value {
  return typeof result !== "number" || Number.isFinite(result) ? result : otherwise;
}

/** As in Python, more is encoded than browsers do. Half of a character is not valid Unicode; it is encoded as U+FFFD. */
function urlEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** The query of a URL. */
function queryOf(pairs: readonly (readonly [Value, Value])[], budget: Budget): string {
  const encoded = (value: Value) => urlEncoded(textOf(value, budget)).replaceAll("%20", "+");
  return pairs.map(([key, value]) => `${encoded(key)}=${encoded(value)}`).join("&");
}

function pairOf(value: Value): readonly [Value, Value] {
  if (isList(value) && value.length === 2) return [value[0], value[1]];
  throw new TemplateError("urlencode takes a text, a mapping or a list of pairs");
}

/** The text up to its last blank, or all of it if there is none. */
function withoutLastWord(text: string): string {
  const blank = text.lastIndexOf(" ");
  return blank === -1 ? text : text.slice(0, blank);
}

/** A number, or a text that is one, such as a label. */
function sizeOf(value: Value): number {
  const isNumeric = typeof value === "string" && value.trim() !== "" && Number.isFinite(Number(value));
  return isNumeric ? Number(value) : numberOf(value, "filesizeformat");
}

/** More decimals than a double has. */
const decimalsMax = 50;

/** A size in bytes as people write it: `123.5 kB`, or `120.6 KiB` if binary. */
function fileSize(bytes: number, binary: boolean): string {
  if (bytes === 1) return "1 Byte";
  const base = binary ? 1_024 : 1_000;
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`;
  const units = [..."kMGTPEZY"].map((unit) => (binary ? `${unit.toUpperCase()}iB` : `${unit}B`));
  const power = Math.min(Math.floor(Math.log(bytes) / Math.log(base)), units.length);
  return `${(bytes / base ** power).toFixed(1)} ${units[power - 1]}`;
}
