/**
 * The filters, tests and methods that templates may use: Jinja's usual ones.
 *
 * They are as lenient as Jinja is with an undefined value: a filter on text takes a missing value for an empty string,
 * and a filter on lists takes it for an empty list. The same goes for none, which is what JSON's `null` is here: a
 * sender may leave a field out or set it to `null`, and `default` and the other filters treat both alike.
 */

import { type AnyNumber, ExactNumber, isInteger, isNumber } from "../core/json/exact-number.ts";
import { absolute, arithmetic, parseNumber, truncate } from "./numbers.ts";
import {
  type Budget,
  compare,
  entryOf,
  isEqual,
  isList,
  isMapping,
  isMissing,
  isTrue,
  jsonOf,
  kindOf,
  type Mapping,
  TemplateError,
  textOf,
  type Value,
} from "./values.ts";

export interface FilterOperation {
  /** In order. Each may be given by position or by name. */
  readonly parameters: readonly string[];
  readonly run: (input: Value, given: readonly Value[], budget: Budget) => Value;
}

export type Test = (value: Value, other: Value, budget: Budget) => boolean;

function operation(
  parameters: readonly string[],
  run: (input: Value, given: readonly Value[], budget: Budget) => Value,
): FilterOperation {
  return { parameters, run };
}

function onText(change: (text: string) => Value): FilterOperation {
  return operation([], (input, _given, budget) => change(textOf(input, budget)));
}

function onList(
  parameters: readonly string[],
  run: (list: readonly Value[], given: readonly Value[], budget: Budget) => Value,
) {
  return operation(parameters, (input, given, budget) => run(listOf(input), given, budget));
}

const upper = onText((text) => text.toUpperCase());
const lower = onText((text) => text.toLowerCase());
const title = onText((text) => text.toLowerCase().replace(/[\p{L}\p{N}]+/gu, capitalized));
const capitalize = onText((text) => capitalized(text.toLowerCase()));
const trim = onText((text) => text.trim());
const length = operation([], (input) =>
  typeof input === "string" ? [...input].length : listOf(input).length,
);
const fallback = operation(["default_value", "boolean"], (input, [value = "", boolean]) =>
  isMissing(input) || (isTrue(boolean) && !isTrue(input)) ? value : input,
);
const items = operation([], (input) => Object.entries(mappingOf(input)));
const keys = operation([], (input) => Object.keys(mappingOf(input)));
const values = operation([], (input) => Object.values(mappingOf(input)));
const escapeHtml = onText((text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`));
const replace = operation(["old", "new", "count"], (input, [old, by, count], budget) => {
  const text = textOf(input, budget);
  const sought = textOf(old, budget);
  const written = textOf(by, budget);
  if (sought === "") throw new TemplateError("replace needs a text to search for");
  const parts = text.split(sought);
  const replacedMax = isMissing(count) ? parts.length : numberOf(count, "replace: count");
  budget.spend(parts.length);
  budget.spendOnCharacters(text.length + parts.length * written.length);
  const cut = Math.min(parts.length - 1, replacedMax);
  return [parts.slice(0, cut + 1).join(written), ...parts.slice(cut + 1)].join(sought);
});

export const filters: ReadonlyMap<string, FilterOperation> = new Map([
  ["abs", operation([], (input) => absolute(exactly(input, "abs")))],
  ["capitalize", capitalize],
  ["count", length],
  ["d", fallback],
  ["default", fallback],
  [
    "dictsort",
    operation(["case_sensitive", "by", "reverse"], (input, [caseSensitive, by, reverse]) => {
      const index = by === "value" ? 1 : 0;
      const sign = isTrue(reverse) ? -1 : 1;
      return Object.entries(mappingOf(input)).sort(
        (a, b) => sign * compare(a[index], b[index], isTrue(caseSensitive)),
      );
    }),
  ],
  ["e", escapeHtml],
  ["escape", escapeHtml],
  ["first", onList([], (list) => list[0])],
  [
    "float",
    operation(["default"], (input, [value = 0]) => finite(Number(parsed(input) ?? Number.NaN), value)),
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
        budget.spend(list.length * Math.ceil(Math.log2(list.length + 1)));
        return keyed
          .sort((a, b) => sign * compare(a.key, b.key, isTrue(caseSensitive)))
          .map(({ item }) => item);
      },
    ),
  ],
  ["string", onText((text) => text)],
  [
    "sum",
    onList(["attribute", "start"], (list, [attribute, start], budget) =>
      list.reduce<AnyNumber>(
        (sum, item) => arithmetic("+", sum, exactly(attributeOf(item, attribute, budget), "sum")),
        exactly(start ?? 0, "sum: start"),
      ),
    ),
  ],
  ["title", title],
  [
    "tojson",
    operation(["indent"], (input, [indent], budget) =>
      jsonOf(input, budget, Math.min(Math.max(numberOf(indent ?? 0, "tojson: indent"), 0), 8)),
    ),
  ],
  ["trim", trim],
  [
    "truncate",
    operation(["length", "killwords", "end"], (input, [limit, killWords, end], budget) => {
      const text = textOf(input, budget);
      const max = numberOf(limit ?? 255, "truncate: length");
      if (text.length <= max) return text;
      const ending = textOf(end ?? "...", budget);
      const cut = text.slice(0, Math.max(0, max - ending.length));
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
            .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(textOf(value, budget))}`)
            .join("&")
        : encodeURIComponent(textOf(input, budget)),
    ),
  ],
  ["values", values],
  ["wordcount", onText((text) => text.split(/\s+/).filter((word) => word !== "").length)],
]);

/** The methods of texts. */
export const textMethods: ReadonlyMap<string, FilterOperation> = new Map([
  ["capitalize", capitalize],
  ["endswith", operation(["suffix"], (input, [suffix]) => String(input).endsWith(String(suffix)))],
  ["lower", lower],
  ["lstrip", onText((text) => text.trimStart())],
  ["replace", replace],
  ["rstrip", onText((text) => text.trimEnd())],
  [
    "split",
    operation(["sep", "maxsplit"], (input, [separator, maxSplit], budget) => {
      const text = String(input);
      if (separator === "") throw new TemplateError("split needs a separator that is not empty");
      const between = isMissing(separator) ? /\s+/ : textOf(separator, budget);
      const parts = (isMissing(separator) ? text.trim() : text).split(between);
      budget.spend(parts.length);
      const max = numberOf(maxSplit ?? -1, "split: maxsplit");
      if (max < 0 || parts.length <= max + 1) return parts;
      return [
        ...parts.slice(0, max),
        parts.slice(max).join(isMissing(separator) ? " " : textOf(separator, budget)),
      ];
    }),
  ],
  ["startswith", operation(["prefix"], (input, [prefix]) => String(input).startsWith(String(prefix)))],
  ["strip", trim],
  ["title", title],
  ["upper", upper],
]);

/** The methods of mappings. */
export const mappingMethods: ReadonlyMap<string, FilterOperation> = new Map([
  [
    "get",
    operation(["key", "default"], (input, [key, value = null]) => entryOf(input, String(key)) ?? value),
  ],
  ["items", items],
  ["keys", keys],
  ["values", values],
]);

const ordered =
  (judge: (order: number) => boolean): Test =>
  (value, other) =>
    judge(compare(value, other));
const equal: Test = (value, other, budget) => isEqual(value, other, budget);
const greater = ordered((order) => order > 0);
const less = ordered((order) => order < 0);

export const tests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ["boolean", (value) => typeof value === "boolean"],
  ["defined", (value) => value !== undefined],
  ["divisibleby", (value, other) => remainder(value, other, "divisibleby") === 0],
  ["eq", equal],
  ["equalto", equal],
  ["even", (value) => remainder(value, 2, "even") === 0],
  ["false", (value) => value === false],
  ["float", (value) => isNumber(value) && !isInteger(value)],
  ["ge", ordered((order) => order >= 0)],
  ["greaterthan", greater],
  ["gt", greater],
  ["in", (value, other, budget) => contains(other, value, budget)],
  ["integer", (value) => isInteger(value)],
  ["iterable", (value) => typeof value === "string" || isList(value) || isMapping(value)],
  ["le", ordered((order) => order <= 0)],
  ["lessthan", less],
  ["lower", (value) => typeof value === "string" && value === value.toLowerCase()],
  ["lt", less],
  ["mapping", (value) => isMapping(value)],
  ["ne", (value, other, budget) => !isEqual(value, other, budget)],
  ["none", (value) => value === null],
  ["number", (value) => isNumber(value)],
  ["odd", (value) => remainder(value, 2, "odd") === 1],
  ["sequence", (value) => typeof value === "string" || isList(value)],
  ["string", (value) => typeof value === "string"],
  ["true", (value) => value === true],
  ["undefined", (value) => value === undefined],
  ["upper", (value) => typeof value === "string" && value === value.toUpperCase()],
]);

/** `item in container`: an element of a list, a part of a text, or a key of a mapping. */
export function contains(container: Value, item: Value, budget: Budget): boolean {
  if (isMissing(container)) return false;
  budget.spendOn(container);
  if (typeof container === "string") return typeof item === "string" && container.includes(item);
  if (isList(container)) return container.some((member) => isEqual(member, item, budget));
  return typeof item === "string" && entryOf(container, item) !== undefined;
}

/** What a loop iterates over: the items of a list, the keys of a mapping or the characters of a text; otherwise nothing. */
export function listOf(value: Value): readonly Value[] {
  if (isMissing(value)) return [];
  if (isList(value)) return value;
  if (typeof value === "string") return [...value];
  if (isMapping(value)) return Object.keys(value);
  throw new TemplateError(`${kindOf(value)} is not a list`);
}

/**
 * The part of a value that a dotted path names. Labels have dots in their own names, so the longest existing name is
 * tried first: `resource.prefect.resource.id` is the label `prefect.resource.id` of `resource`.
 */
function attributeOf(value: Value, path: Value, budget: Budget): Value {
  if (isMissing(path)) return value;
  const text = String(path);
  budget.spend(1 + text.length);
  const here = isList(value) ? value[Number(text)] : entryOf(value, text);
  if (here !== undefined) return here;
  for (let dot = text.lastIndexOf("."); dot > 0; dot = text.lastIndexOf(".", dot - 1)) {
    const inner = attributeOf(value, text.slice(0, dot), budget);
    if (inner !== undefined) return attributeOf(inner, text.slice(dot + 1), budget);
  }
  return undefined;
}

function holds(value: Value, [test, other]: readonly Value[], budget: Budget): boolean {
  if (isMissing(test)) return isTrue(value);
  const judge = tests.get(operatorTests.get(String(test)) ?? String(test));
  if (judge === undefined) throw new TemplateError(`there is no test called ${String(test)}`);
  return judge(value, other, budget);
}

const operatorTests: ReadonlyMap<string, string> = new Map([
  ["==", "eq"],
  ["!=", "ne"],
  [">", "gt"],
  [">=", "ge"],
  ["<", "lt"],
  ["<=", "le"],
]);

function extreme(list: readonly Value[], given: readonly Value[], budget: Budget, sign: 1 | -1): Value {
  const [caseSensitive, attribute] = given;
  const keyOf = (item: Value) => attributeOf(item, attribute, budget);
  if (list.length === 0) return undefined;
  return list.reduce((best, item) =>
    sign * compare(keyOf(item), keyOf(best), isTrue(caseSensitive)) > 0 ? item : best,
  );
}

function mappingOf(value: Value): Mapping {
  if (isMissing(value)) return {};
  if (isMapping(value)) return value;
  throw new TemplateError(`${kindOf(value)} is not a mapping`);
}

function numberOf(value: Value, what: string): number {
  return Number(exactly(value, what));
}

function exactly(value: Value, what: string): AnyNumber {
  if (isNumber(value)) return value;
  if (typeof value === "boolean") return Number(value);
  throw new TemplateError(`${what} needs a number, not ${kindOf(value)}; convert it with the filter int`);
}

/** With the sign of the divisor. */
function remainder(value: Value, divisor: Value, what: string): AnyNumber {
  const by = exactly(divisor, what);
  return by === 0 ? Number.NaN : arithmetic("%", exactly(value, what), by);
}

/** The number that a value is, or that a text begins with; null if there is none. */
function parsed(value: Value): AnyNumber | null {
  if (typeof value === "boolean") return Number(value);
  return isNumber(value) ? value : typeof value === "string" ? parseNumber(value) : null;
}

function finite(result: AnyNumber, otherwise: Value): Value {
  return typeof result !== "number" || Number.isFinite(result) ? result : otherwise;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The text up to its last white space, or all of it if there is none. */
function withoutLastWord(text: string): string {
  for (let end = text.length; end > 0; end--) {
    if (/\s/.test(text[end - 1] ?? "")) return text.slice(0, end).trimEnd();
  }
  return text;
}
