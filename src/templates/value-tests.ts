/** The tests that templates may use: `value is even`. */

import { type AnyNumber, compareNumbers, isInteger, isNumber } from "../core/json/exact-number.ts";
import { arithmetic } from "./numbers.ts";
import { contains, exactly } from "./operations.ts";
import { TemplateError } from "./template-error.ts";
import { type Budget, compare, isEqual, isList, isMapping, isMissing, isTrue, type Value } from "./values.ts";

export type Test = (value: Value, other: Value, budget: Budget) => boolean;

/** What is missing is neither less nor greater than anything. */
const ordered =
  (judge: (order: number) => boolean): Test =>
  (value, other, budget) =>
    !isMissing(value) && !isMissing(other) && judge(compare(value, other, budget));
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
  ["lower", (value) => typeof value === "string" && isInCase(value, value.toLowerCase())],
  ["lt", less],
  ["mapping", (value) => isMapping(value)],
  ["ne", (value, other, budget) => !isEqual(value, other, budget)],
  ["none", (value) => value === null],
  ["number", (value) => isNumber(value) || typeof value === "boolean"],
  ["odd", (value) => remainder(value, 2, "odd") === 1],
  [
    "sameas",
    (value, other) =>
      value === other || (isNumber(value) && isNumber(other) && compareNumbers(value, other) === 0),
  ],
  ["sequence", (value) => typeof value === "string" || isList(value) || isMapping(value)],
  ["string", (value) => typeof value === "string"],
  ["true", (value) => value === true],
  ["undefined", (value) => value === undefined],
  ["upper", (value) => typeof value === "string" && isInCase(value, value.toUpperCase())],
]);

export const operatorTests: ReadonlyMap<string, string> = new Map([
  ["==", "eq"],
  ["!=", "ne"],
  [">", "gt"],
  [">=", "ge"],
  ["<", "lt"],
  ["<=", "le"],
]);

export function holds(value: Value, [test, other]: readonly Value[], budget: Budget): boolean {
  if (isMissing(test)) return isTrue(value);
  const judge = tests.get(operatorTests.get(String(test)) ?? String(test));
  if (judge === undefined) throw new TemplateError(`there is no test called ${String(test)}`);
  return judge(value, other, budget);
}

/** Whether a text has letters, all in this case. */
export function isInCase(text: string, changed: string): boolean {
  return text === changed && text.toLowerCase() !== text.toUpperCase();
}

/** With the sign of the divisor. */
function remainder(value: Value, divisor: Value, what: string): AnyNumber {
  if (isMissing(value) || isMissing(divisor)) return Number.NaN;
  const by = exactly(divisor, what);
  return by === 0 ? Number.NaN : arithmetic("%", exactly(value, what), by);
}
