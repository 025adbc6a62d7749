/** What the operators of templates do with values. */

import { isNumber } from "../core/json/exact-number.ts";
import { formatPercent } from "./format.ts";
import { arithmetic, negate } from "./numbers.ts";
import { contains } from "./operations.ts";
import { TemplateError } from "./template-error.ts";
import { secondsBetween } from "./times.ts";
import {
  type Budget,
  compare,
  isEqual,
  isList,
  isMissing,
  isTrue,
  kindOf,
  textOf,
  type Value,
} from "./values.ts";

/** Applies an operator to both of its values; `and` and `or`, which may need only one, are the evaluator's. */
export function combined(operator: string, left: Value, right: Value, budget: Budget): Value {
  if (operator === "~") return textOf(left, budget) + textOf(right, budget);
  if (operator === "+" && typeof left === "string" && typeof right === "string") return left + right;
  if (operator === "+" && isList(left) && isList(right)) return [...left, ...right];
  if (operator === "%" && typeof left === "string" && secondsBetween(left, left) === null)
    return formatPercent(left, right, budget);
  // One event lacks a field, and the alarm must not fail for it.
  if (isMissing(left) || isMissing(right)) return undefined;
  if (operator === "-" && typeof left === "string" && typeof right === "string") {
    const seconds = secondsBetween(left, right);
    if (seconds !== null) return seconds;
  }
  if (operator === "*") {
    if (typeof left === "string" || isList(left)) return repeated(left, right, budget);
    if (typeof right === "string" || isList(right)) return repeated(right, left, budget);
  }
  const [a, b] = [numeric(left), numeric(right)];
  if (isNumber(a) && isNumber(b)) return arithmetic(operator, a, b);
  const remedy = operator === "+" ? "; use ~ to join texts" : "";
  throw new TemplateError(`${operator} cannot be applied to ${kindOf(left)} and ${kindOf(right)}${remedy}`);
}

/** As in Python, true counts as 1. */
function numeric(value: Value): Value {
  return typeof value === "boolean" ? Number(value) : value;
}

/** `"-" * 20`. Budget is spent before anything is built. */
function repeated(value: string | readonly Value[], times: Value, budget: Budget): Value {
  const count = numeric(times);
  const isTime = typeof value === "string" && secondsBetween(value, value) !== null;
  if (isTime || typeof count !== "number" || !Number.isInteger(count))
    throw new TemplateError(`* cannot be applied to ${kindOf(value)} and ${kindOf(times)}`);
  const length = Math.max(0, count);
  if (typeof value === "string") {
    budget.spendOnCharacters(value.length * length);
    return value.repeat(value === "" ? 0 : length);
  }
  budget.spend(value.length * length);
  return value.length === 0 ? [] : Array.from({ length }, () => value).flat();
}

export function compares(operator: string, left: Value, right: Value, budget: Budget): boolean {
  switch (operator) {
    case "==":
      return isEqual(left, right, budget);
    case "!=":
      return !isEqual(left, right, budget);
    case "in":
      return contains(right, left, budget);
    case "not in":
      return !contains(right, left, budget);
  }
  // What is missing is neither less nor greater than anything.
  if (isMissing(left) || isMissing(right)) return false;
  const order = compare(left, right, budget);
  return operator === "<"
    ? order < 0
    : operator === "<="
      ? order <= 0
      : operator === ">"
        ? order > 0
        : order >= 0;
}

export function unary(operator: string, value: Value): Value {
  if (operator === "not") return !isTrue(value);
  if (isMissing(value)) return undefined;
  const number = numeric(value);
  if (!isNumber(number)) throw new TemplateError(`${operator} needs a number, not ${kindOf(value)}`);
  return operator === "-" ? negate(number) : number;
}
