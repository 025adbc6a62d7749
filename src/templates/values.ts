/**
 * What a template computes with: plain JSON values, and the budget that a rendering may spend on them.
 *
 * No function, class or prototype is ever a value, and mappings are read by their own keys alone, so that a template
 * can reach its context and nothing behind it.
 */

/** `undefined` is what a name or label that is not there yields; it prints as nothing. */
export type Value = undefined | null | boolean | number | string | readonly Value[] | Namespace | Mapping;

export interface Mapping {
  readonly [key: string]: Value;
}

/** What `namespace(…)` makes: the one value whose entries a template can set, such as from inside a loop. */
export class Namespace {
  readonly entries = new Map<string, Value>();
}

/** A rendering went wrong for a reason that the rule's author can act on. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

/** One unit is a step of the evaluation, an element of a list, or 100 characters read or written. */
const workMax = 500_000;
const charactersPerUnit = 100;

/** In characters: room for a whole event as JSON. */
const outputLengthMax = 2_000_000;

/** Beyond this, time is not spent but lost: the work is bounded, so only a machine in trouble gets here. */
const renderMsMax = 1_000;

/**
 * What a rendering, or all the renderings for one action together, may still do. Counting work, and not only time, makes the same template fail in the same place
 * on every machine, and bounds memory too: a value must be paid for before it is built.
 */
export class Budget {
  #left = workMax;
  #untilClock = 0;
  #writtenLength = 0;
  readonly #deadline = performance.now() + renderMsMax;
  readonly #weights = new WeakMap<object, number>();

  /** @throws TemplateError when it is used up */
  spend(units: number): void {
    this.#left -= units;
    if (this.#left < 0) {
      throw new TemplateError(
        `the template does too much: a rendering may take ${workMax} steps, counting 100 characters as one`,
      );
    }
    this.#untilClock -= units;
    if (this.#untilClock > 0) return;
    this.#untilClock = 1_000;
    if (performance.now() > this.#deadline) {
      throw new TemplateError(`the template took longer than ${renderMsMax} ms`);
    }
  }

  /** Pays for reading or writing these values in full. */
  spendOn(...values: readonly Value[]): void {
    for (const value of values) this.spend(this.weightOf(value));
  }

  spendOnCharacters(count: number): void {
    this.spend(Math.ceil(count / charactersPerUnit));
  }

  /** Pays for a piece of output. */
  spendOnOutput(text: string): void {
    this.spendOn(text);
    this.#writtenLength += text.length;
    if (this.#writtenLength <= outputLengthMax) return;
    throw new TemplateError(`the template writes more than ${outputLengthMax} characters`);
  }

  /** As a tree: a list that holds another twice weighs it twice, because printing it would write it twice. */
  weightOf(value: Value): number {
    if (typeof value === "string") return Math.ceil(value.length / charactersPerUnit);
    if (typeof value !== "object" || value === null) return 0;
    if (value instanceof Namespace)
      throw new TemplateError("a namespace is not a value; use one of its entries");
    const known = this.#weights.get(value);
    if (known !== undefined) return known;
    let weight = 1;
    if (isList(value)) {
      for (const item of value) weight += 1 + this.weightOf(item);
    } else {
      for (const [key, item] of Object.entries(value)) weight += 1 + this.weightOf(key) + this.weightOf(item);
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
    typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Namespace)
  );
}

export function isMissing(value: Value): value is null | undefined {
  return value === null || value === undefined;
}

/** The own entry of a mapping; `undefined` for anything else, a key of its prototype included. */
export function entryOf(mapping: Value, key: string): Value {
  if (mapping instanceof Namespace) return mapping.entries.get(key);
  return isMapping(mapping) && Object.hasOwn(mapping, key) ? mapping[key] : undefined;
}

/** What Prefect's templates read off a resource by a dot: `event.resource.id` is its label `prefect.resource.id`. */
export function attributeOf(resource: Value, attribute: string): Value {
  const isAttribute = attribute === "id" || attribute === "name" || attribute === "role";
  return isAttribute ? entryOf(resource, `prefect.resource.${attribute}`) : undefined;
}

export function isTrue(value: Value): boolean {
  if (value instanceof Namespace) return true;
  if (isList(value)) return value.length > 0;
  if (isMapping(value)) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** As it is printed: missing values as nothing, lists and mappings as JSON. */
export function textOf(value: Value, budget: Budget): string {
  if (typeof value === "string") return value;
  if (isMissing(value)) return "";
  return typeof value === "object" ? jsonOf(value, budget) : String(value);
}

export function jsonOf(value: Value, budget: Budget, indent = 0): string {
  budget.spend(budget.weightOf(value) * (1 + indent));
  return JSON.stringify(value ?? null, null, indent);
}

/** Equal in content. Missing values equal each other and nothing else. */
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
    const keys = Object.keys(a);
    return (
      keys.length === Object.keys(b).length &&
      keys.every((key) => Object.hasOwn(b, key) && isEqual(a[key], b[key], budget))
    );
  }
  return a === b;
}

/** @throws TemplateError when the two have no order */
export function compare(a: Value, b: Value, caseSensitive = true): number {
  if (isOrdered(a) && isOrdered(b)) return Number(a) - Number(b);
  if (typeof a === "string" && typeof b === "string") {
    const [left, right] = caseSensitive ? [a, b] : [a.toLowerCase(), b.toLowerCase()];
    return left < right ? -1 : left > right ? 1 : 0;
  }
  throw new TemplateError(
    `${kindOf(a)} and ${kindOf(b)} have no order; convert one with the filter int or string`,
  );
}

export function kindOf(value: Value): string {
  if (value === undefined) return "a missing value";
  if (value === null) return "none";
  if (isList(value)) return "a list";
  if (typeof value === "object") return value instanceof Namespace ? "a namespace" : "a mapping";
  if (typeof value === "string") return "a text";
  return typeof value === "number" ? "a number" : "a truth value";
}

function isOrdered(value: Value): value is number | boolean {
  return typeof value === "number" || typeof value === "boolean";
}
