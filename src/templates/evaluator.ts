/**
 * Evaluates a parsed template over a context, within a budget.
 *
 * The library's own interpreter has no limits and exposes functions as values. This one walks the same tree, but every
 * step spends some of the budget, and templates can call only what is in fixed tables.
 */

import { isNumber } from "../core/json/exact-number.ts";
import type {
  Argument,
  CallNode,
  Expression,
  For,
  Identifier,
  Member,
  SetStatement,
  Slice,
  Statement,
} from "./ast.ts";
import {
  contains,
  type FilterOperation,
  filters,
  listOf,
  mappingMethods,
  tests,
  textMethods,
} from "./filters.ts";
import { arithmetic, negate } from "./numbers.ts";
import {
  attributeOf,
  type Budget,
  compare,
  entryOf,
  isEqual,
  isList,
  isMapping,
  isMissing,
  isTrue,
  kindOf,
  Namespace,
  TemplateError,
  textOf,
  type Value,
} from "./values.ts";

/** The names that every template knows besides its context. */
export const constants: ReadonlyMap<string, Value> = new Map<string, Value>([
  ["true", true],
  ["false", false],
  ["none", null],
  ["True", true],
  ["False", false],
  ["None", null],
]);

export const functions: ReadonlySet<string> = new Set(["range", "namespace", "dict"]);

type Jump = "break" | "continue" | null;

class VariableScope {
  readonly names = new Map<string, Value>();
  readonly outer: VariableScope | null;

  constructor(outer: VariableScope | null) {
    this.outer = outer;
  }

  find(name: string): Value {
    for (let scope: VariableScope | null = this; scope !== null; scope = scope.outer) {
      if (scope.names.has(name)) return scope.names.get(name);
    }
    return constants.get(name);
  }
}

/** @throws TemplateError when an operation is impossible, or the budget is used up */
export function evaluateTemplate(
  body: readonly Statement[],
  context: ReadonlyMap<string, Value>,
  budget: Budget,
): string {
  const scope = new VariableScope(null);
  for (const [name, value] of context) scope.names.set(name, value);
  return new Evaluator(budget).text(body, scope);
}

class Evaluator {
  readonly #budget: Budget;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  text(body: readonly Statement[], scope: VariableScope): string {
    const pieces: string[] = [];
    this.#block(body, scope, pieces);
    return pieces.join("");
  }

  #block(body: readonly Statement[], scope: VariableScope, pieces: string[]): Jump {
    for (const statement of body) {
      const jump = this.#statement(statement, scope, pieces);
      if (jump !== null) return jump;
    }
    return null;
  }

  #statement(statement: Statement, scope: VariableScope, pieces: string[]): Jump {
    this.#budget.spend(1);
    switch (statement.type) {
      case "Comment":
        return null;
      case "Break":
        return "break";
      case "Continue":
        return "continue";
      case "Set":
        this.#set(statement, scope);
        return null;
      case "If": {
        const branch = isTrue(this.#value(statement.test, scope)) ? statement.body : statement.alternate;
        return this.#block(branch, scope, pieces);
      }
      case "For":
        return this.#loop(statement, scope, pieces);
      case "FilterStatement":
        this.#write(
          this.#filter(this.text(statement.body, new VariableScope(scope)), statement.filter, scope),
          pieces,
        );
        return null;
      default:
        this.#write(this.#value(statement, scope), pieces);
        return null;
    }
  }

  #write(value: Value, pieces: string[]): void {
    const text = textOf(value, this.#budget);
    this.#budget.spendOnOutput(text);
    pieces.push(text);
  }

  #set(statement: SetStatement, scope: VariableScope): void {
    const value =
      statement.value === null
        ? this.text(statement.body, new VariableScope(scope))
        : this.#value(statement.value, scope);
    this.#assign(statement.assignee, value, scope);
  }

  #assign(target: Expression, value: Value, scope: VariableScope): void {
    if (target.type === "Identifier") {
      scope.names.set(target.value, value);
    } else if (target.type === "TupleLiteral") {
      const values = listOf(value);
      if (values.length !== target.value.length) {
        throw new TemplateError(`${values.length} values cannot be assigned to ${target.value.length} names`);
      }
      for (const [index, name] of target.value.entries()) this.#assign(name, values[index], scope);
    } else if (target.type === "MemberExpression" && target.property.type === "Identifier") {
      const namespace = this.#value(target.object, scope);
      if (!(namespace instanceof Namespace))
        throw new TemplateError("only the entries of a namespace can be set");
      this.#budget.weightOf(value); // refuses a namespace, which could hold itself
      namespace.entries.set(target.property.value, value);
    } else {
      throw new TemplateError("set needs a name, names, or an entry of a namespace");
    }
  }

  #loop(statement: For, outer: VariableScope, pieces: string[]): Jump {
    const { iterable, loopvar } = statement;
    const filtered = iterable.type === "SelectExpression";
    const all = listOf(this.#value(filtered ? iterable.lhs : iterable, outer));
    this.#budget.spend(all.length);
    const items = filtered
      ? all.filter((item) => {
          const scope = new VariableScope(outer);
          this.#assign(loopvar, item, scope);
          return isTrue(this.#value(iterable.test, scope));
        })
      : all;
    for (const [index, item] of items.entries()) {
      const scope = new VariableScope(outer);
      this.#assign(loopvar, item, scope);
      scope.names.set("loop", {
        index: index + 1,
        index0: index,
        revindex: items.length - index,
        revindex0: items.length - index - 1,
        first: index === 0,
        last: index === items.length - 1,
        length: items.length,
        previtem: items[index - 1],
        nextitem: items[index + 1],
      });
      if (this.#block(statement.body, scope, pieces) === "break") return null;
    }
    return items.length === 0 ? this.#block(statement.defaultBlock, new VariableScope(outer), pieces) : null;
  }

  #value(node: Expression, scope: VariableScope): Value {
    this.#budget.spend(1);
    switch (node.type) {
      case "IntegerLiteral":
      case "FloatLiteral":
      case "StringLiteral":
        return node.value;
      case "Identifier":
        return scope.find(node.value);
      case "ArrayLiteral":
      case "TupleLiteral":
        return this.#built(node.value.map((item) => this.#value(item, scope)));
      case "ObjectLiteral": {
        const entries = [...node.value].map(
          ([key, value]) =>
            [textOf(this.#value(key, scope), this.#budget), this.#value(value, scope)] as const,
        );
        return this.#built(Object.fromEntries(entries));
      }
      case "MemberExpression":
        return this.#member(node, scope);
      case "CallExpression":
        return this.#call(node, scope);
      case "FilterExpression":
        return this.#filter(this.#value(node.operand, scope), node.filter, scope);
      case "TestExpression": {
        const test = tests.get(node.test.value);
        if (test === undefined) throw new TemplateError(`there is no test called ${node.test.value}`);
        const operand = this.#value(node.operand, scope);
        this.#budget.spendOn(operand);
        return test(operand, undefined, this.#budget) !== node.negate;
      }
      case "UnaryExpression":
        return this.#unary(node.operator.value, this.#value(node.argument, scope));
      case "BinaryExpression":
        return this.#binary(node.operator.value, node.left, node.right, scope);
      case "Ternary":
        return this.#value(
          isTrue(this.#value(node.condition, scope)) ? node.trueExpr : node.falseExpr,
          scope,
        );
      case "SelectExpression":
        return isTrue(this.#value(node.test, scope)) ? this.#value(node.lhs, scope) : undefined;
      default:
        throw new TemplateError(`${(node as { type: string }).type} cannot be used in a template`);
    }
  }

  /** Spends budget on a new list, mapping or text according to its size. */
  #built<T extends Value>(value: T): T {
    this.#budget.spendOn(value);
    return value;
  }

  #member(node: Member, scope: VariableScope): Value {
    const object = this.#value(node.object, scope);
    if (node.property.type === "SliceExpression") return this.#slice(object, node.property, scope);
    const property =
      node.property.type === "Identifier" && !node.computed
        ? node.property.value
        : this.#value(node.property, scope);
    if (typeof property === "number" && isList(object)) return object.at(property);
    if (typeof property === "number" && typeof object === "string") return object.at(property);
    if (typeof property !== "string") return undefined;
    const entry = entryOf(object, property);
    return entry !== undefined || node.computed ? entry : attributeOf(object, property);
  }

  #slice(object: Value, slice: Slice, scope: VariableScope): Value {
    const [start, stop, step] = [slice.start, slice.stop, slice.step].map((bound) => {
      const value = bound === undefined ? undefined : this.#value(bound, scope);
      if (isMissing(value) || Number.isInteger(value)) return (value ?? undefined) as number | undefined;
      throw new TemplateError(`a slice needs whole numbers, not ${kindOf(value)}`);
    });
    if (step !== undefined && step !== 1)
      throw new TemplateError("a slice cannot have a step other than 1; remove the step");
    if (typeof object === "string") return this.#built(object.slice(start, stop));
    return this.#built(listOf(object).slice(start, stop));
  }

  #call(node: CallNode, scope: VariableScope): Value {
    const { callee } = node;
    if (callee.type === "Identifier") return this.#function(callee.value, node.args, scope);
    if (callee.type !== "MemberExpression" || callee.property.type !== "Identifier" || callee.computed) {
      throw new TemplateError("only functions and methods can be called, and only by name");
    }
    const object = this.#value(callee.object, scope);
    const name = callee.property.value;
    const methods = typeof object === "string" ? textMethods : mappingMethods;
    const method = typeof object === "string" || isMapping(object) ? methods.get(name) : undefined;
    if (isMissing(object)) return undefined;
    if (method === undefined) throw new TemplateError(`${kindOf(object)} has no method ${name}`);
    return this.#run(method, name, object, node.args, scope);
  }

  #function(name: string, args: readonly Argument[], scope: VariableScope): Value {
    if (name === "range") {
      const bounds = this.#given({ parameters: ["start", "stop", "step"] }, name, args, scope).map(
        (bound) => {
          if (isMissing(bound) || Number.isInteger(bound)) return (bound ?? undefined) as number | undefined;
          throw new TemplateError(`range needs whole numbers, not ${kindOf(bound)}`);
        },
      );
      const [first = 0, second, step = 1] = bounds;
      const [start, stop] = second === undefined ? [0, first] : [first, second];
      if (step === 0) throw new TemplateError("range needs a step other than 0");
      const length = Math.max(0, Math.ceil((stop - start) / step));
      this.#budget.spend(length);
      return Array.from({ length }, (_, index) => start + index * step);
    }
    const named = Object.fromEntries(args.map((argument) => this.#named(name, argument, scope)));
    if (name === "dict") return this.#built(named);
    if (name !== "namespace") throw new TemplateError(`there is no function called ${name}`);
    const namespace = new Namespace();
    for (const [key, value] of Object.entries(this.#built(named))) namespace.entries.set(key, value);
    return namespace;
  }

  #named(functionName: string, argument: Argument, scope: VariableScope): readonly [string, Value] {
    if (argument.type !== "KeywordArgumentExpression")
      throw new TemplateError(`${functionName} takes only arguments of the form name=value`);
    return [argument.key.value, this.#value(argument.value, scope)];
  }

  #filter(input: Value, filter: Identifier | CallNode, scope: VariableScope): Value {
    const callee = filter.type === "Identifier" ? filter : filter.callee;
    const name = callee.type === "Identifier" ? callee.value : "";
    const found = filters.get(name);
    if (found === undefined) throw new TemplateError(`there is no filter called ${name}`);
    return this.#run(found, name, input, filter.type === "Identifier" ? [] : filter.args, scope);
  }

  #run(
    operation: FilterOperation,
    name: string,
    input: Value,
    args: readonly Argument[],
    scope: VariableScope,
  ): Value {
    const given = this.#given(operation, name, args, scope);
    this.#budget.spendOn(input, ...given);
    return this.#built(operation.run(input, given, this.#budget));
  }

  /** The arguments in the order of the parameters, whether they were given by position or by name. */
  #given(
    { parameters }: Pick<FilterOperation, "parameters">,
    name: string,
    args: readonly Argument[],
    scope: VariableScope,
  ): Value[] {
    const given: Value[] = [];
    for (const [position, argument] of args.entries()) {
      const named = argument.type === "KeywordArgumentExpression";
      const index = named ? parameters.indexOf(argument.key.value) : position;
      if (index < 0 || index >= parameters.length) {
        const takes = parameters.length === 0 ? "no arguments" : parameters.join(", ");
        const got = named ? `, not ${argument.key.value}` : "";
        throw new TemplateError(`${name} takes ${takes}${got}`);
      }
      given[index] = this.#value(named ? argument.value : argument, scope);
    }
    return Array.from(given);
  }

  #unary(operator: string, value: Value): Value {
    if (operator === "not") return !isTrue(value);
    if (!isNumber(value)) throw new TemplateError(`${operator} needs a number, not ${kindOf(value)}`);
    return operator === "-" ? negate(value) : value;
  }

  #binary(operator: string, leftNode: Expression, rightNode: Expression, scope: VariableScope): Value {
    const left = this.#value(leftNode, scope);
    if (operator === "and" || operator === "or") {
      return isTrue(left) === (operator === "or") ? left : this.#value(rightNode, scope);
    }
    const right = this.#value(rightNode, scope);
    const budget = this.#budget;
    switch (operator) {
      case "==":
        return isEqual(left, right, budget);
      case "!=":
        return !isEqual(left, right, budget);
      case "in":
        return contains(right, left, budget);
      case "not in":
        return !contains(right, left, budget);
      case "~":
        return this.#built(textOf(left, budget) + textOf(right, budget));
      case "<":
      case "<=":
      case ">":
      case ">=": {
        budget.spendOn(left, right);
        const order = compare(left, right);
        return operator === "<"
          ? order < 0
          : operator === "<="
            ? order <= 0
            : operator === ">"
              ? order > 0
              : order >= 0;
      }
    }
    if (operator === "+" && typeof left === "string" && typeof right === "string")
      return this.#built(left + right);
    if (operator === "+" && isList(left) && isList(right)) return this.#built([...left, ...right]);
    if (isNumber(left) && isNumber(right)) return arithmetic(operator, left, right);
    const remedy = operator === "+" ? "; use ~ to join texts" : "";
    throw new TemplateError(`${operator} cannot be applied to ${kindOf(left)} and ${kindOf(right)}${remedy}`);
  }
}
