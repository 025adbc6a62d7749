/** The filters that templates may use: Jinja's usual ones, and those for times. */

import { type AnyNumber, ExactNumber, isNumber } from "../core/json/exact-number.ts";
import { absolute, arithmetic, parseNumber, truncate } from "./numbers.ts";
import {
  attributeOf,
  capitalize,
  escapeHtml,
  exactly,
  type FilterOperation,
  fallback,
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
  title,
  trim,
  upper,
  values,
  zoned,
} from "./operations.ts";
import { TemplateError } from "./template-error.ts";
import { holds } from "./value-tests.ts";
import {
  type Budget,
  compare,
  indentedJsonOf,
  isEqual,
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
  [
    "center",
    operation(["width"], (input, [width], budget) => {
      const text = textOf(input, budget);
      const missingCount = Math.min(numberOf(width ?? 80, "center: width"), 200) - [...text].length;
      if (missingCount <= 0) return text;
      const left = Math.floor(missingCount / 2);
      return " ".repeat(left) + text + " ".repeat(Math.ceil(missingCount) - left);
    }),
  ],
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
      isMissing(input) ? undefined : fileSize(numberOf(input, "filesizeformat"), isTrue(binary)),
    ),
  ],
  ["first", onList([], (list) => list[0])],
  [
    "float",
    operation(["default"], (input, [value = 0]) => finite(Number(parsed(input) ?? Number.NaN), value)),
  ],
  [
    "groupby",
    onList(["attribute", "default"], (list, [attribute, value], budget) => {
      const keyed = list.map((item) => ({ item, key: attributeOf(item, attribute, budget) ?? value }));
      keyed.sort((a, b) => inOrder(a.key, b.key, false, 1, budget));
      const groups: [key: Value, items: Value[]][] = [];
      for (const { item, key } of keyed) {
        const group = groups.at(-1);
        if (group !== undefined && isEqual(group[0], key, budget)) group[1].push(item);
        else groups.push([key, [item]]);
      }
      return groups;
    }),
  ],
  [
    "indent",
    operation(["width", "first", "blank"], (input, [width, first, blank], budget) => {
      const lines = textOf(input, budget).split("\n");
      const columns = Math.min(Math.max(numberOf(width ?? 4, "indent: width"), 0), 100);
      budget.spendOnCharacters(lines.length * columns);
      const kept = (line: string, index: number) =>
        (index === 0 && !isTrue(first)) || (line === "" && !isTrue(blank));
      return lines.map((line, index) => (kept(line, index) ? line : " ".repeat(columns) + line)).join("\n");
    }),
  ],
  [
    "int",
    operation(["default"], (input, [value = 0]) => finite(truncate(parsed(input) ?? Number.NaN), value)),
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
    onList(["filter", "attribute", "default"], (list, [filter, attribute, value], budget) => {
      if (isMissing(attribute)) {
        const change = filters.get(String(filter));
        if (change === undefined) throw new TemplateError(`map needs attribute= or the name of a filter`);
        return list.map((item) => {
          budget.spendOn(item);
          return change.run(item, [], budget);
        });
      }
      return list.map((item) => attributeOf(item, attribute, budget) ?? value);
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
      if (input instanceof ExactNumber && input.isInteger) return input;
      const factor = 10 ** Math.min(Math.max(numberOf(precision ?? 0, "round: precision"), 0), 15);
      const scaled = numberOf(input, "round") * factor;
      const rounded =
        method === "ceil"
          ? Math.ceil(scaled)
          : method === "floor"
            ? Math.floor(scaled)
            : Math.sign(scaled) * Math.round(Math.abs(scaled));
      return rounded / factor;
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
    "sort",
    onList(
      ["reverse", "case_sensitive", "attribute"],
      (list, [reverse, caseSensitive, attribute], budget) => {
        const sign = isTrue(reverse) ? -1 : 1;
        const keyed = list.map((item) => ({ item, key: attributeOf(item, attribute, budget) }));
        return keyed
          .sort((a, b) => inOrder(a.key, b.key, isTrue(caseSensitive), sign, budget))
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
        .reduce<AnyNumber>(
          (sum, item) => (isMissing(item) ? sum : arithmetic("+", sum, exactly(item, "sum"))),
          exactly(start ?? 0, "sum: start"),
        ),
    ),
  ],
  ["title", title],
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
      if (characters.length <= max + numberOf(leeway ?? 0, "truncate: leeway")) return text;
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
        ? Object.entries(input)
            .map(([key, value]) => `${urlEncoded(key)}=${urlEncoded(textOf(value, budget))}`)
            .join("&")
        : urlEncoded(textOf(input, budget)),
    ),
  ],
  ["values", values],
  ["wordcount", onText((text) => text.split(/\s+/).filter((word) => word !== "").length, 3)],
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

/** Half of a character is not valid Unicode; it is encoded as U+FFFD. */
function urlEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/** The text up to its last white space, or all of it if there is none. */
function withoutLastWord(text: string): string {
  for (let end = text.length; end > 0; end--) {
    if (/\s/.test(text[end - 1] ?? "")) return text.slice(0, end).trimEnd();
  }
  return text;
}

/** A size in bytes as people write it: `123.5 kB`, or `120.6 KiB` if binary. */
function fileSize(bytes: number, binary: boolean): string {
  if (Math.abs(bytes) < 2) return `${bytes} Byte${Math.abs(bytes) === 1 ? "" : "s"}`;
  const base = binary ? 1_024 : 1_000;
  if (Math.abs(bytes) < base) return `${Math.trunc(bytes)} Bytes`;
  const units = [..."kMGTPEZY"].map((unit) => (binary ? `${unit.toUpperCase()}iB` : `${unit}B`));
  const power = Math.min(Math.floor(Math.log(Math.abs(bytes)) / Math.log(base)), units.length);
  return `${(bytes / base ** power).toFixed(1)} ${units[power - 1]}`;
}
