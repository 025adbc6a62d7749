/**
 * Finds what can never render, or always renders as nothing, whatever the event: `event.id | round`, `event.ocurred`.
 *
 * It knows the shapes of the variables (shapes.ts) and follows them through a template. Where it does not know, such as
 * in a payload, it assumes nothing.
 */

import { nearMiss } from "../core/model/near-miss.ts";
import { checkFormat, checkParameters, checkTimezone } from "./argument-checks.ts";
import type {
  AppliedOperation,
  AssignmentTarget,
  Binary,
  CallNode,
  Comparison,
  Expression,
  For,
  Member,
  Program,
  Statement,
  TestNode,
} from "./ast.ts";
import { pathOf } from "./ast.ts";
import {
  areComparable,
  attributesShape,
  fieldShape,
  isListShape,
  isTime,
  itemAttributeShape,
  literalArgument,
  methodsOfShape,
  type ReportTypeMistake,
} from "./attribute-shapes.ts";
import { filters } from "./filters.ts";
import { loopMethods } from "./methods.ts";
import { filterShape, itemOf, methodShape, writtenMapping } from "./operation-shapes.ts";
import type { FilterOperation } from "./operations.ts";
import { ShapeScope, scopeOf } from "./shape-scope.ts";
import {
  any,
  certain,
  either,
  listOfShape,
  loopShape,
  maybe,
  missing,
  number,
  type Shape,
  shownShape,
  text,
  truth,
} from "./shapes.ts";
import { operatorTests, tests } from "./value-tests.ts";

export function checkTypes(program: Program, names: readonly string[], report: ReportTypeMistake): void {
  let count = 0;
  const upToMax: ReportTypeMistake = (at, problem) => {
    report(at, problem);
    count += 1;
    if (count === mistakesMax) throw enough;
  };
  try {
    new TypeChecker(upToMax).block(program.body, scopeOf(names), false);
  } catch (error) {
    if (error !== enough) throw error;
  }
}

/** The rest would not be read, and looking for similar names takes time. */
const mistakesMax = 50;
const enough = Symbol("enough mistakes");

/** What is known about the value of an expression over these variables. */
export function expressionShape(expression: Expression, names: readonly string[]): Shape {
  return new TypeChecker(() => {}).shape(expression, scopeOf(names));
}

class TypeChecker {
  readonly #report: ReportTypeMistake;

  constructor(report: ReportTypeMistake) {
    this.#report = report;
  }

  /** @param sometimes whether the block may be left out, so that what it assigns is not certain */
  block(body: readonly Statement[], scope: ShapeScope, sometimes: boolean): void {
    for (const statement of body) this.#statement(statement, scope, sometimes);
  }

  #statement(statement: Statement, scope: ShapeScope, sometimes: boolean): void {
    switch (statement.type) {
      case "Print":
        this.shape(statement.value, scope);
        return;
      case "If":
        this.shape(statement.test, scope);
        this.block(statement.body, scope, true);
        this.block(statement.otherwise, scope, true);
        return;
      case "For":
        this.#loop(statement, scope);
        return;
      case "Set": {
        let assigned = text;
        if (statement.value === null) this.block(statement.body, new ShapeScope(scope), false);
        else assigned = this.shape(statement.value, scope);
        for (const filter of statement.filters) assigned = this.#filter(assigned, filter, scope);
        this.#assign(statement.target, sometimes ? any : assigned, scope);
        return;
      }
      case "FilterBlock": {
        this.block(statement.body, new ShapeScope(scope), false);
        let filtered = text;
        for (const filter of statement.filters) filtered = this.#filter(filtered, filter, scope);
        return;
      }
      case "With": {
        const inner = new ShapeScope(scope);
        for (const { target, value } of statement.names)
          this.#assign(target, this.shape(value, inner), inner);
        this.block(statement.body, inner, false);
        return;
      }
      default:
        return;
    }
  }

  #loop({ target, iterable, filter, body, otherwise }: For, outer: ShapeScope): void {
    const over = certain(this.shape(iterable, outer));
    if (over.kind === "number" || over.kind === "truth")
      this.#report(iterable.at, `a loop needs a list, not ${shownShape(over)}`);
    const isMapping = over.kind === "mapping" || over.kind === "record";
    const item: Shape =
      target.type === "Tuple" && isMapping
        ? { kind: "tuple", items: [text, over.kind === "mapping" ? over.entry : any] }
        : itemOf(over);
    const scope = new ShapeScope(outer);
    this.#assign(target, item, scope);
    if (filter !== null) this.shape(filter, scope);
    scope.names.set("loop", loopShape(item));
    this.block(body, scope, false);
    this.block(otherwise, new ShapeScope(outer), false);
  }

  #assign(target: AssignmentTarget | Expression, value: Shape, scope: ShapeScope): void {
    if (target.type === "Identifier") scope.names.set(target.value, value);
    if (target.type !== "Tuple") return;
    const shape = certain(value);
    const { items } = target;
    const cannot = (what: string) =>
      this.#report(target.at, `${what} cannot be assigned to ${items.length} names`);
    if (shape.kind === "tuple" && shape.items.length !== items.length)
      cannot(shape.items.length === 2 ? "a pair of key and value" : `${shape.items.length} values`);
    else if (!["any", "missing", "list", "tuple"].includes(shape.kind)) cannot(shownShape(shape));
    for (const [index, name] of items.entries()) {
      const part = shape.kind === "tuple" ? shape.items[index] : shape.kind === "list" ? shape.item : any;
      this.#assign(name, part ?? any, scope);
    }
  }

  /** The shape of an expression, after everything in it was checked. */
  shape(node: Expression, scope: ShapeScope): Shape {
    switch (node.type) {
      case "Literal":
        return typeof node.value === "string" ? text : number;
      case "Identifier":
        return scope.find(node.value);
      case "List":
      case "Tuple": {
        const items = node.items.map((item) => this.shape(item, scope));
        if (node.type === "Tuple") return { kind: "tuple", items };
        return listOfShape(items.length === 0 ? any : items.reduce(either));
      }
      case "Mapping":
        return writtenMapping(
          node.entries.map(({ key, value }) => {
            this.shape(key, scope);
            return this.shape(value, scope);
          }),
        );
      case "Member":
        return this.#member(node, scope);
      case "Call":
        return this.#call(node, scope);
      case "Filter": {
        const asks = node.filter.name === "default" || node.filter.name === "d";
        const operand = asks ? this.#asked(node.operand, scope) : this.shape(node.operand, scope);
        if (node.filter.name === "format") checkFormat("percent", node.operand, this.#report);
        return this.#filter(operand, node.filter, scope);
      }
      case "Test":
        this.#test(node, scope);
        return truth;
      case "Unary": {
        const operand = certain(this.shape(node.operand, scope));
        if (node.operator === "not") return truth;
        if (!["any", "missing", "number", "truth"].includes(operand.kind))
          this.#report(node.at, `${node.operator} needs a number, not ${shownShape(operand)}`);
        return number;
      }
      case "Binary":
        return this.#binary(node, scope);
      case "Comparison":
        return this.#comparison(node, scope);
      case "Conditional": {
        this.shape(node.test, scope);
        const value = this.shape(node.value, scope);
        return node.otherwise === null ? maybe(value) : either(value, this.shape(node.otherwise, scope));
      }
    }
  }

  #test({ operand, test }: TestNode, scope: ShapeScope): void {
    const { name, at } = test;
    const asks = ["defined", "undefined", "none"].includes(name);
    const shape = certain(asks ? this.#asked(operand, scope) : this.shape(operand, scope));
    const given = this.#checkArguments(test, { parameters: ["value"] }, scope);
    const needsNumber = ["odd", "even", "divisibleby"].includes(name);
    if (needsNumber && !["any", "missing"].includes(shape.kind) && numeric(shape).kind !== "number")
      this.#report(at, `${name} needs a number, not ${shownShape(shape)}; convert it with the filter int`);
    const other = certain(given.get("value") ?? missing);
    if (orderTests.has(name) && !areComparable(shape, other)) {
      const both = `${shownShape(shape)} and ${shownShape(other)}`;
      this.#report(at, `${both} cannot be compared; convert one with the filter int or string`);
    }
  }

  /** The shape of what may well not exist: the template asks, or gives a default. */
  #asked(node: Expression, scope: ShapeScope): Shape {
    let isWrong = false;
    const shape = new TypeChecker(() => {
      isWrong = true;
    }).shape(node, scope);
    return isWrong ? any : shape;
  }

  #member(node: Member, scope: ShapeScope): Shape {
    if (!node.computed && node.property.type === "Identifier") {
      const path = pathOf(node);
      return attributesShape(this.shape(path.owner, scope), path, this.#report);
    }
    const object = this.shape(node.object, scope);
    const { property } = node;
    if (property.type === "Slice") {
      for (const bound of [property.start, property.stop, property.step])
        if (bound !== null) this.shape(bound, scope);
      const shape = certain(object);
      if (shape.kind === "number" || shape.kind === "truth")
        this.#report(node.at, `${shownShape(shape)} cannot be sliced; convert it with the filter string`);
      if (shape.kind === "any") return any; // a list, or a text
      return shape.kind === "text" ? text : listOfShape(itemOf(shape));
    }
    const key = certain(this.shape(property, scope));
    const shape = certain(object);
    if (shape.kind === "list" || shape.kind === "tuple") return maybe(itemOf(shape));
    if (shape.kind === "text") return maybe(text);
    if (shape.kind === "number" || shape.kind === "truth") return missing;
    if (shape.kind === "record" && property.type === "Literal" && typeof property.value === "string")
      return fieldShape(shape, property.value, property.at, this.#report);
    if (shape.kind !== "any" && !["any", "missing", "text"].includes(key.kind)) return missing; // keys are strings
    return shape.kind === "mapping" ? maybe(shape.entry) : any;
  }

  #call({ callee, args, at }: CallNode, scope: ShapeScope): Shape {
    const given = args.map((argument) =>
      this.shape(argument.type === "KeywordArgument" ? argument.value : argument, scope),
    );
    if (callee.type === "Identifier") {
      if (callee.value === "range") {
        checkParameters("range", { parameters: ["start", "stop", "step"] }, args, this.#report);
        return listOfShape(number);
      }
      for (const argument of args.filter(({ type }) => type !== "KeywordArgument"))
        this.#report(argument.at, `${callee.value} takes only arguments of the form name=value`);
      return callee.value === "dict" ? writtenMapping(given) : { kind: "namespace" };
    }
    if (callee.type !== "Member" || callee.property.type !== "Identifier" || callee.computed) return any;
    const object = this.shape(callee.object, scope);
    const shape = certain(object);
    const name = callee.property.value;
    const isLoop = callee.object.type === "Identifier" && callee.object.value === "loop";
    const methods = isLoop ? loopMethods : methodsOfShape(shape);
    if (methods === "unknown") return shape.kind === "missing" ? missing : any;
    const method = methods?.get(name);
    if (method === undefined) {
      const remedy = filters.has(name) ? `; use the filter: … | ${name}` : "";
      this.#report(callee.property.at, `${shownShape(shape)} has no method ${name}${remedy}`);
      return any;
    }
    if (isLoop) return given.length === 0 ? any : given.reduce(either);
    checkParameters(name, method, args, this.#report);
    if (name === "format") checkFormat("braces", callee.object, this.#report);
    checkTimezone(name, method.parameters, args, this.#report);
    if (isTime(shape) && name === "format")
      this.#report(at, 'a time has no method format; write strftime("%d %b %Y")');
    if (shape.kind === "text" && shape.of === "id" && timeMethods.has(name))
      this.#report(at, `${name} needs a time, not an id`);
    const result = methodShape(name, shape, given);
    return object.kind === "maybe" ? maybe(result) : result;
  }

  #filter(input: Shape, filter: AppliedOperation, scope: ShapeScope): Shape {
    const { name, at, args } = filter;
    const operation = filters.get(name);
    if (operation === undefined) return any;
    const { parameters } = operation;
    const given = this.#checkArguments(filter, operation, scope);
    checkTimezone(name, parameters, args, this.#report);
    if (name === "sum") return this.#sum(input, filter, given);
    if (name === "default" || name === "d") {
      const otherwise = given.get("default_value") ?? text;
      return input.kind === "any" ? any : either(certain(input), otherwise);
    }
    const { gives, problem } = filterShape(name, input);
    if (problem !== null) {
      this.#report(at, problem);
      return gives;
    }
    const result = this.#onItems(input, filter, gives);
    return certain(input) !== input && gives.kind !== "list" && certain(gives).kind !== "text"
      ? maybe(result)
      : result;
  }

  /** What a filter takes of each item: the attribute that it names, or the item itself. */
  #attributeOfItems(input: Shape, { name, args }: AppliedOperation): Shape {
    const item = itemOf(input);
    const attribute = literalArgument(args, filters.get(name)?.parameters ?? [], "attribute");
    if (attribute === null) return item;
    // To sort by several, they are separated by commas.
    const paths = name === "sort" ? attribute.value.split(",") : [attribute.value];
    const shapes = paths.map((path) => itemAttributeShape(item, path, attribute.at, this.#report));
    return shapes.reduce(either);
  }

  /** Checks what a filter does with the items of a list. */
  #onItems(input: Shape, filter: AppliedOperation, gives: Shape): Shape {
    const { name, args } = filter;
    const item = itemOf(input);
    const inner = this.#attributeOfItems(input, filter);
    if (name === "map") {
      if (inner !== item) return listOfShape(inner);
      const change = literalArgument(args, ["filter"], "filter");
      if (change === null) return gives;
      const operation = filters.get(change.value);
      if (operation === undefined) {
        this.#report(change.at, `there is no filter ${change.value}`);
        return gives;
      }
      const others = args.slice(1);
      checkParameters(change.value, operation, others, this.#report);
      if (change.value === "default" || change.value === "d") return gives;
      const changed = filterShape(change.value, item);
      if (changed.problem !== null) this.#report(change.at, changed.problem);
      return listOfShape(changed.gives);
    }
    if (["select", "reject", "selectattr", "rejectattr"].includes(name)) {
      const test = literalArgument(args, filters.get(name)?.parameters ?? [], "test");
      if (test !== null && !tests.has(operatorTests.get(test.value) ?? test.value))
        this.#report(test.at, `there is no test ${test.value}${didYouMean(test.value, tests.keys())}`);
    }
    return gives;
  }

  /** Numbers; or what `start` is, such as a list of all items of lists. */
  #sum(input: Shape, filter: AppliedOperation, given: ReadonlyMap<string, Shape>): Shape {
    const { problem } = filterShape("list", input);
    if (problem !== null) this.#report(filter.at, problem.replace(/^list/, "sum"));
    const inner = certain(this.#attributeOfItems(input, filter));
    const start = certain(given.get("start") ?? number);
    if (start.kind !== "number") return any;
    if (!["any", "missing", "number", "truth"].includes(inner.kind))
      this.#report(filter.at, `sum needs numbers, not ${shownShape(inner)}; convert them first: map("int")`);
    return number;
  }

  #binary({ operator, left, right, at }: Binary, scope: ShapeScope): Shape {
    const [first, second] = [this.shape(left, scope), this.shape(right, scope)];
    if (operator === "and" || operator === "or") return either(first, second);
    if (operator === "~") return text;
    if (operator === "%") checkFormat("percent", left, this.#report);
    const [a, b] = [numeric(certain(first)), numeric(certain(second))];
    if (operator === "%" && isPlainText(a)) return text;
    const isMaybe = certain(first) !== first || certain(second) !== second;
    if (a.kind === "missing" || b.kind === "missing") return missing;
    const isUnknown = [a, b].some(({ kind }) => kind === "any");
    if (["/", "//", "%"].includes(operator) && right.type === "Literal" && right.value === 0)
      this.#report(right.at, "division by zero");
    if (a.kind === "number" && b.kind === "number") return isMaybe ? maybe(number) : number;
    if (operator === "*") {
      const times = [b, a];
      for (const [index, each] of [a, b].entries()) {
        const isCount = ["number", "any"].includes(times[index]?.kind ?? "any");
        if (isCount && isPlainText(each)) return text;
        if (isCount && isListShape(each)) return listOfShape(itemOf(each));
      }
    }
    if (isUnknown && operator === "*" && [a, b].every((each) => each.kind === "any" || isPlainText(each)))
      return any;
    if (operator === "%" && a.kind === "any") return any;
    if (operator === "+" && a.kind === "text" && b.kind === "text") return text;
    if (operator === "+" && isListShape(a) && isListShape(b))
      return listOfShape(either(itemOf(a), itemOf(b)));
    if (operator === "-" && a.kind === "text" && b.kind === "text" && a.of !== "id" && b.of !== "id")
      return maybe(number);
    if (isUnknown && [a, b].every(({ kind }) => ["any", "missing", "number"].includes(kind))) return any;
    if (
      isUnknown &&
      ["+", "-"].includes(operator) &&
      !(isTime(a) && operator === "+") &&
      !(isTime(b) && operator === "+")
    )
      return any;
    const remedy =
      isTime(a) || isTime(b)
        ? "; two times can be subtracted, which gives seconds, and the filter strftime prints one"
        : operator === "+"
          ? "; use ~ to join texts"
          : "; convert texts with the filter int or float";
    this.#report(at, `${operator} cannot be applied to ${shownShape(a)} and ${shownShape(b)}${remedy}`);
    return any;
  }

  #comparison({ first, rest }: Comparison, scope: ShapeScope): Shape {
    let left = certain(this.shape(first, scope));
    for (const { operator, operand } of rest) {
      const right = certain(this.shape(operand, scope));
      if (["<", "<=", ">", ">="].includes(operator) && !areComparable(left, right)) {
        this.#report(
          operand.at,
          `${shownShape(left)} and ${shownShape(right)} cannot be compared; convert one with the filter int or string`,
        );
      }
      left = right;
    }
    return truth;
  }

  /** Checks arguments. @returns their shapes by their parameters */
  #checkArguments(
    { name, args }: AppliedOperation,
    operation: Pick<FilterOperation, "parameters" | "isVariadic">,
    scope: ShapeScope,
  ): Map<string, Shape> {
    const { parameters } = operation;
    const given = new Map<string, Shape>();
    for (const [position, argument] of args.entries()) {
      const isNamed = argument.type === "KeywordArgument";
      const shape = this.shape(isNamed ? argument.value : argument, scope);
      const parameter = isNamed ? argument.name : parameters[position];
      if (parameter !== undefined) given.set(parameter, shape);
    }
    checkParameters(name, operation, args, this.#report);
    return given;
  }
}

/** The tests that compare as `<` and its like do. */
const orderTests: ReadonlySet<string> = new Set([...["ge", "gt", "greaterthan", "le", "lt", "lessthan"]]);

function isPlainText(shape: Shape): boolean {
  return shape.kind === "text" && !isTime(shape);
}

/** As in Python, true counts as 1. */
function numeric(shape: Shape): Shape {
  return shape.kind === "truth" ? number : shape;
}

const timeMethods: ReadonlySet<string> = new Set([
  "date",
  "isoweekday",
  "in_timezone",
  "isoformat",
  "strftime",
  "timestamp",
  "weekday",
]);

function didYouMean(unknown: string, known: Iterable<string>): string {
  const suggestion = nearMiss(unknown, known);
  return suggestion === null ? "" : ` (did you mean ${suggestion.word}?)`;
}
