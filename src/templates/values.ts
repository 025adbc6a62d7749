/**
 * The values of templates, which are plain JSON values, and the budget of a rendering.
 *
 * A function, class or prototype is never a value, and mappings are read only by their own keys, so a template can reach
 * its context and nothing else.
 */

import { type AnyNumber, compareNumbers, ExactNumber, isNumber } from "../core/json/exact-number.ts";
import { TemplateError } from "./template-error.ts";
import { timeAttribute } from "./times.ts";

/** A name or label that does not exist gives `undefined`, which prints nothing. JSON's null is none, and prints nothing either. */
export type Value = undefined | null | boolean | AnyNumber | string | readonly Value[] | Namespace | Mapping;

export interface Mapping {
  readonly [key: string]: Value;
}

/** The result of `namespace(…)`: the only value whose entries a template can set, for example inside a loop. */
export class Namespace {
  readonly entries = new Map<string, Value>();
}

/**
 * One unit is a step of the evaluation, an element of a list, or 25 characters read or written. All of them take about 50
 * milliseconds, for which the process does nothing else.
 */
const workMax = 250_000;
const charactersPerUnit = 25;

/** What reading one of so many entries of a mapping costs: the platform stores large mappings in another way. */
const entryCost = (count: number): number => (count > 1_000 ? 4 : 2);

/** In characters: room for a whole event as JSON. */
const outputLengthMax = 2_000_000;

/**
 * The work that a rendering, or all renderings of one action together, may still do. Work is counted and time is not, so a
 * template fails in the same place on every machine, however slow or paused, or nowhere. It bounds memory too: budget is
 * spent before a value is built.
 */
export class Budget {
  #left = workMax;
  #writtenLength = 0;
  readonly #weights = new WeakMap<object, number>();

  /** @throws TemplateError when it is used up */
  spend(units: number): void {
    this.#left -= units;
    if (this.#left < 0) {
      throw new TemplateError(
        `the template does too much work; the limit is ${workMax} steps, where ${charactersPerUnit} characters count as one`,
      );
    }
  }

  /** Spends budget on reading or writing these values in full. */
  spendOn(...values: readonly Value[]): void {
    for (const value of values) this.spend(this.weightOf(value));
  }

  spendOnCharacters(count: number): void {
    this.spend(Math.ceil(count / charactersPerUnit));
  }

  /** Spends budget on a piece of output. */
  spendOnOutput(text: string): void {
    this.spendOn(text);
    this.#writtenLength += text.length;
    if (this.#writtenLength <= outputLengthMax) return;
    throw new TemplateError(`the output of the template is longer than ${outputLengthMax} characters`);
  }

  /**
   * The size of a value as a tree: a list that contains another twice counts it twice, because it would print it twice. Of
   * one that no budget is enough for, not all of it.
   */
  weightOf(value: Value): number {
    if (typeof value === "string") return Math.ceil(value.length / charactersPerUnit);
    if (value instanceof ExactNumber) return Math.ceil(value.text.length / charactersPerUnit);
    if (typeof value !== "object" || value === null) return 0;
    if (value instanceof Namespace)
      throw new TemplateError("a namespace is not a value; use one of its entries");
    const known = this.#weights.get(value);
    if (known !== undefined) return known;
    let weight = 1;
    if (isList(value)) {
      for (const item of value) {
        weight += 1 + this.weightOf(item);
        if (weight > workMax) break;
      }
    } else {
      const keys = Object.keys(value);
      const perEntry = entryCost(keys.length);
      for (const key of keys) {
        weight += perEntry + Math.floor(key.length / charactersPerUnit) + this.weightOf(value[key]);
        if (weight > workMax) break;
      }
    }
    this.#weights.set(value, weight);
    return weight;
  }
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

export function isMapping(value: Value): value is Mapping {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Namespace) &&
    !(value instanceof ExactNumber)
  );
}

export function isMissing(value: Value): value is null | undefined {
  return value === null || value === undefined;
}

/** The own entry of a mapping; `undefined` for anything else, including keys of its prototype. */
export function entryOf(mapping: Value, key: string): Value {
  if (mapping instanceof Namespace) return mapping.entries.get(key);
  return isMapping(mapping) && Object.hasOwn(mapping, key) ? mapping[key] : undefined;
}

/** The attributes of an event in Prefect's templates that are no fields of it. */
export const eventAttributes = ["resource_in_role", "resources_in_role", "involved_resources"] as const;

/** The attributes of a resource in Prefect's templates that are no labels of it. */
export const resourceAttributes = ["id", "name", "role", "labels"] as const;

/**
 * What Prefect's templates find in a value besides its entries: `event.resource.id` is the label `prefect.resource.id`,
 * `event.resource_in_role.team` the first related resource in the role, `event.occurred.year` the year.
 */
export function attributeOf(value: Value, attribute: string, budget: Budget): Value {
  if (typeof value === "string") {
    budget.spend(5);
    return timeAttribute(value, attribute);
  }
  // The pairs of groupby.
  if (isList(value) && value.length === 2 && isList(value[1]))
    return attribute === "grouper" ? value[0] : attribute === "list" ? value[1] : undefined;
  if (attribute === "id" || attribute === "name" || attribute === "role")
    return entryOf(value, `prefect.resource.${attribute}`);
  if (attribute === "labels") return entryOf(value, "prefect.resource.id") === undefined ? undefined : value;
  const [resource, related] = [entryOf(value, "resource"), entryOf(value, "related")];
  if (!isMapping(resource) || related === undefined || !isList(related)) return undefined;
  budget.spend(related.length);
  if (attribute === "involved_resources") return [resource, ...related];
  if (attribute !== "resource_in_role" && attribute !== "resources_in_role") return undefined;
  const byRole = new Map<string, Value[]>();
  for (const each of related) {
    const role = entryOf(each, "prefect.resource.role");
    if (typeof role !== "string") continue;
    const known = byRole.get(role);
    if (known === undefined) byRole.set(role, [each]);
    else known.push(each);
  }
  const entries = [...byRole].map(([role, all]) => [role, attribute === "resource_in_role" ? all[0] : all]);
  return Object.fromEntries(entries) as Mapping;
}

/**
 * A label by its name with dots, read like attributes: `labels.prefect.resource.id`. Undefined if there is none.
 *
 * @param names the attributes, outermost first; at least two
 */
export function labelOf(value: Value, names: readonly string[]): Value {
  return isMapping(value) ? entryOf(value, names.join(".")) : undefined;
}

export function isTrue(value: Value): boolean {
  if (value instanceof Namespace || value instanceof ExactNumber) return true; // zero is always a double
  if (isList(value)) return value.length > 0;
  if (isMapping(value)) return entryCountOf(value) > 0;
  return Boolean(value);
}

const entryCounts = new WeakMap<Mapping, number>();

/** What reading a mapping costs, without what its values hold. */
export function mappingCost(mapping: Mapping): number {
  const count = entryCountOf(mapping);
  return count * entryCost(count);
}

/** Counts once: the keys of a large mapping take milliseconds, and a loop may ask a hundred thousand times. */
function entryCountOf(mapping: Mapping): number {
  const known = entryCounts.get(mapping);
  if (known !== undefined) return known;
  const count = Object.keys(mapping).length;
  entryCounts.set(mapping, count);
  return count;
}

/** The value as it is printed: missing values and none as nothing, lists and mappings as JSON. */
export function textOf(value: Value, budget: Budget): string {
  if (typeof value === "string") return value;
  if (isMissing(value)) return "";
  return isList(value) || isMapping(value) || value instanceof Namespace
    ? jsonOf(value, budget)
    : String(value);
}

export function jsonOf(value: Value, budget: Budget): string {
  budget.spendOn(value);
  return indentedJsonOf(value, budget, 0);
}

/** For a value that is paid for. */
export function indentedJsonOf(value: Value, budget: Budget, indent: number): string {
  budget.spend(budget.weightOf(value) * indent);
  return JSON.stringify(value ?? null, null, indent);
}

/** True when two values have equal content. Missing values and none equal each other and nothing else. */
export function isEqual(a: Value, b: Value, budget: Budget): boolean {
  budget.spend(1);
  if (isMissing(a) || isMissing(b)) return isMissing(a) && isMissing(b);
  if (typeof a === "string" && typeof b === "string") {
    budget.spendOn(a);
    return a === b;
  }
  if (isList(a) && isList(b)) {
    return a.length === b.length && a.every((item, index) => isEqual(item, b[index], budget));
  }
  if (isMapping(a) && isMapping(b)) {
    const count = entryCountOf(a);
    if (count !== entryCountOf(b)) return false;
    budget.spend(mappingCost(a));
    return Object.keys(a).every((key) => Object.hasOwn(b, key) && isEqual(a[key], b[key], budget));
  }
  // As in Python, true equals 1.
  return isOrdered(a) && isOrdered(b) ? compareNumbers(numberIn(a), numberIn(b)) === 0 : a === b;
}

/** @throws TemplateError when the two have no order */
export function compare(a: Value, b: Value, budget: Budget, caseSensitive = true): number {
  budget.spend(1);
  budget.spendOn(a, b);
  if (isList(a) && isList(b)) {
    // The first items that differ decide, such as the keys of two pairs.
    for (let index = 0; index < Math.min(a.length, b.length); index++) {
      const order = compare(a[index], b[index], budget);
      if (order !== 0) return order;
    }
    return a.length - b.length;
  }
  if (isOrdered(a) && isOrdered(b)) return compareNumbers(numberIn(a), numberIn(b));
  if (typeof a === "string" && typeof b === "string") {
    const [left, right] = caseSensitive ? [a, b] : [a.toLowerCase(), b.toLowerCase()];
    return left < right ? -1 : left > right ? 1 : 0;
  }
  throw new TemplateError(
    `${kindOf(a)} and ${kindOf(b)} cannot be compared; convert one with the filter int or string`,
  );
}

export function kindOf(value: Value): string {
  if (value === undefined) return "a missing value";
  if (value === null) return "none";
  if (isList(value)) return "a list";
  if (isNumber(value)) return "a number";
  if (typeof value === "object") return value instanceof Namespace ? "a namespace" : "a mapping";
  return typeof value === "string" ? "a text" : "a truth value";
}

function isOrdered(value: Value): value is AnyNumber | boolean {
  return isNumber(value) || typeof value === "boolean";
}

function numberIn(value: AnyNumber | boolean): AnyNumber {
  return typeof value === "boolean" ? Number(value) : value;
}
