/**
 * What filters, tests and methods are made of.
 *
 * They are as lenient as Jinja is with an undefined value: a filter on text takes a missing value for an empty string,
 * and a filter on lists takes it for an empty list. The same goes for none, which is what JSON's `null` is here: a
 * sender may leave a field out or set it to `null`, and `default` and the other filters treat both alike.
 */

import { type AnyNumber, isNumber } from "../core/json/exact-number.ts";
import { formatPercent } from "./format.ts";
import { TemplateError } from "./template-error.ts";
import { aligned, capitalized } from "./text-layout.ts";
import { inTimezone, strftime } from "./times.ts";
import {
  attributeOf as attributeIn,
  type Budget,
  compare,
  entryOf,
  isEqual,
  isList,
  isMapping,
  isMissing,
  isTrue,
  kindOf,
  type Mapping,
  textOf,
  type Value,
} from "./values.ts";

/** Arguments of any names. */
export type NamedValues = Readonly<Record<string, Value>>;

export interface FilterOperation {
  /** In order. Each may be given by position or by name. */
  readonly parameters: readonly string[];
  /** Whether it takes any further arguments: by position after the parameters, and by name in `named`. */
  readonly isVariadic?: boolean;
  readonly run: (input: Value, given: readonly Value[], budget: Budget, named: NamedValues) => Value;
}

export function operation(
  parameters: readonly string[],
  run: (input: Value, given: readonly Value[], budget: Budget) => Value,
): FilterOperation {
  return { parameters, run };
}

/** An operation that takes any number of arguments. @param parameters of the first ones, if those have names */
export function variadic(parameters: readonly string[], run: FilterOperation["run"]): FilterOperation {
  return { parameters, isVariadic: true, run };
}

/** The arguments of an operation in the order of its parameters. @throws TemplateError for one that it does not take */
export function boundArguments(
  { parameters, isVariadic = false }: Pick<FilterOperation, "parameters" | "isVariadic">,
  name: string,
  positional: readonly Value[],
  named: NamedValues,
): { readonly given: readonly Value[]; readonly named: NamedValues } {
  if (positional.length > parameters.length && !isVariadic)
    throw new TemplateError(argumentProblem(name, parameters, null));
  const given = [...positional];
  const others: [string, Value][] = [];
  for (const [key, value] of Object.entries(named)) {
    const index = parameters.indexOf(key);
    if (index >= 0) given[index] = value;
    else if (isVariadic) others.push([key, value]);
    else throw new TemplateError(argumentProblem(name, parameters, key));
  }
  return { given: Array.from(given), named: Object.fromEntries(others) };
}

/** What is wrong with an argument that has no place. @param argument its name; null if it has none */
export function argumentProblem(
  name: string,
  parameters: readonly string[],
  argument: string | null,
): string {
  const takes = parameters.length === 0 ? "no arguments" : parameters.join(", ");
  return `${name} takes ${takes}${argument === null ? "" : `, not ${argument}`}`;
}

/** @param cost how many times longer it takes than reading the text */
export function onText(change: (text: string) => Value, cost = 1): FilterOperation {
  return operation([], (input, _given, budget) => {
    const text = textOf(input, budget);
    budget.spendOnCharacters(text.length * (cost - 1));
    return change(text);
  });
}

export function onList(
  parameters: readonly string[],
  run: (list: readonly Value[], given: readonly Value[], budget: Budget) => Value,
) {
  return operation(parameters, (input, given, budget) => run(listOf(input), given, budget));
}

export const upper = onText((text) => text.toUpperCase());
export const lower = onText((text) => text.toLowerCase());
export const capitalize = onText(capitalized);
export const center = operation(["width", "fillchar"], (input, [width, fill], budget) =>
  aligned(textOf(input, budget), widthOf(width ?? 80, "center"), fillOf(fill), "center"),
);
export const format = variadic([], (input, given, budget, named) => {
  const names = Object.keys(named).length;
  if (names > 0 && given.length > 0)
    throw new TemplateError("format takes values by position or by name, not both");
  return formatPercent(textOf(input, budget), names > 0 ? named : given, budget);
});
export const trim = strip(true, true);
export const length = operation([], (input) =>
  typeof input === "string" ? [...input].length : listOf(input).length,
);
export const fallback = operation(["default_value", "boolean"], (input, [value = "", boolean]) =>
  isMissing(input) || (isTrue(boolean) && !isTrue(input)) ? value : input,
);
export const items = operation([], (input) => Object.entries(mappingOf(input)));
export const keys = operation([], (input) => Object.keys(mappingOf(input)));
export const values = operation([], (input) => Object.values(mappingOf(input)));
export const formatted = operation(["format", "timezone"], (input, [format, zone], budget) => {
  if (isMissing(input)) return undefined;
  const text = textOf(input, budget);
  const written = isMissing(format) ? "%Y-%m-%dT%H:%M:%S%z" : textOf(format, budget);
  budget.spend(3 * written.length + (isMissing(zone) ? 10 : zoneCost));
  return strftime(text, written, isMissing(zone) ? null : textOf(zone, budget));
});
export const zoned = operation(["timezone"], (input, [zone], budget) => {
  if (isMissing(input)) return undefined;
  budget.spend(zoneCost);
  return inTimezone(textOf(input, budget), textOf(zone ?? "UTC", budget));
});
const entities: ReadonlyMap<string, string> = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&#34;"],
  ["'", "&#39;"],
]);
export const escapeHtml = onText(
  (text) => text.replace(/[&<>"']/g, (character) => entities.get(character) ?? character),
  6,
);
export const replace = operation(["old", "new", "count"], (input, [old, by, count], budget) => {
  const text = textOf(input, budget);
  const sought = textOf(old, budget);
  const written = textOf(by, budget);
  if (sought === "") budget.spendOnCharacters(8 * text.length);
  // An empty text is found before each character and at the end.
  const parts = sought === "" ? ["", ...text, ""] : text.split(sought);
  const replacedMax = isMissing(count) ? parts.length : numberOf(count, "replace: count");
  budget.spend(parts.length);
  budget.spendOnCharacters(text.length + parts.length * written.length);
  const cut = Math.min(parts.length - 1, replacedMax);
  return [parts.slice(0, cut + 1).join(written), ...parts.slice(cut + 1)].join(sought);
});

/** What the clock of a time zone costs, in units: the platform takes its time. */
const zoneCost = 400;

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
export function attributeOf(value: Value, path: Value, budget: Budget): Value {
  if (isMissing(path)) return value;
  const text = String(path);
  budget.spend(1 + text.length);
  const entry = isList(value) ? value[Number(text)] : entryOf(value, text);
  const here = entry === undefined ? attributeIn(value, text, budget) : entry; // an entry may be none
  if (here !== undefined) return here;
  for (let dot = text.lastIndexOf("."); dot > 0; dot = text.lastIndexOf(".", dot - 1)) {
    const inner = attributeOf(value, text.slice(0, dot), budget);
    if (inner !== undefined) return attributeOf(inner, text.slice(dot + 1), budget);
  }
  return undefined;
}

export function mappingOf(value: Value): Mapping {
  if (isMissing(value)) return {};
  if (isMapping(value)) return value;
  throw new TemplateError(`${kindOf(value)} is not a mapping`);
}

export function numberOf(value: Value, what: string): number {
  return Number(exactly(value, what));
}

export function exactly(value: Value, what: string): AnyNumber {
  if (isNumber(value)) return value;
  if (typeof value === "boolean") return Number(value);
  throw new TemplateError(`${what} needs a number, not ${kindOf(value)}; convert it with the filter int`);
}

/** Orders two values; what is missing comes last. */
export function inOrder(a: Value, b: Value, caseSensitive: boolean, sign: 1 | -1, budget: Budget): number {
  if (isMissing(a) || isMissing(b)) {
    budget.spend(1);
    return Number(isMissing(a)) - Number(isMissing(b));
  }
  return sign * compare(a, b, budget, caseSensitive);
}

/** A width that a text is brought to, as far as any line needs it. */
export function widthOf(value: Value, what: string): number {
  return Math.min(numberOf(value, `${what}: width`), widthMax);
}

const widthMax = 1_000;

/** The character that fills up a text. */
export function fillOf(value: Value): string {
  const fill = value ?? " ";
  if (typeof fill === "string" && [...fill].length === 1) return fill;
  throw new TemplateError("the fill should be one character");
}

/** Removes white space, or other characters, at the ends of a text. */
export function strip(start: boolean, end: boolean): FilterOperation {
  return operation(["chars"], (input, [chars], budget) => {
    const text = textOf(input, budget);
    if (isMissing(chars)) {
      const front = start ? text.trimStart() : text;
      return end ? front.trimEnd() : front;
    }
    const removed = new Set(textOf(chars, budget));
    const characters = [...text];
    let [from, to] = [0, characters.length];
    while (start && from < to && removed.has(characters[from] ?? "")) from += 1;
    while (end && to > from && removed.has(characters[to - 1] ?? "")) to -= 1;
    return characters.slice(from, to).join("");
  });
}

/** As in Python: bounds may lie outside, and with a negative step the items come in reverse. */
export function sliced<T>(
  items: readonly T[],
  start: number | undefined,
  stop: number | undefined,
  step: number,
): T[] {
  if (step === 1) return items.slice(start, stop);
  const { length } = items;
  const [lowest, highest] = step > 0 ? [0, length] : [-1, length - 1];
  const bound = (index: number | undefined, otherwise: number) =>
    index === undefined ? otherwise : Math.min(Math.max(index < 0 ? index + length : index, lowest), highest);
  const [from, to] = [bound(start, step > 0 ? lowest : highest), bound(stop, step > 0 ? highest : lowest)];
  const taken: T[] = [];
  for (let index = from; step > 0 ? index < to : index > to; index += step) taken.push(items[index] as T);
  return taken;
}
