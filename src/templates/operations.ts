/**
 * What filters, tests and methods are made of.
 *
 * They are as lenient as Jinja is with an undefined value: a filter on text takes a missing value for an empty string,
 * and a filter on lists takes it for an empty list. The same goes for none, which is what JSON's `null` is here: a
 * sender may leave a field out or set it to `null`, and `default` and the other filters treat both alike.
 */

import { type AnyNumber, isNumber } from "../core/json/exact-number.ts";
import { TemplateError } from "./template-error.ts";
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

export interface FilterOperation {
  /** In order. Each may be given by position or by name. */
  readonly parameters: readonly string[];
  readonly run: (input: Value, given: readonly Value[], budget: Budget) => Value;
}

export function operation(
  parameters: readonly string[],
  run: (input: Value, given: readonly Value[], budget: Budget) => Value,
): FilterOperation {
  return { parameters, run };
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
export const title = onText((text) => text.toLowerCase().replace(/[\p{L}\p{N}]+/gu, capitalized), 8);
export const capitalize = onText((text) => capitalized(text.toLowerCase()));
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
export const escapeHtml = onText(
  (text) => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`),
  6,
);
export const replace = operation(["old", "new", "count"], (input, [old, by, count], budget) => {
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
  const here = isList(value)
    ? value[Number(text)]
    : (entryOf(value, text) ?? attributeIn(value, text, budget));
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

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
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
