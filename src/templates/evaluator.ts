/**
 * Evaluates a parsed template over a context, within a budget.
 *
 * Every step spends some of the budget, and templates can call only what is in fixed tables.
 */

import {
  type AppliedOperation,
  type Argument,
  type AssignmentTarget,
  type CallNode,
  type Expression,
  type For,
  type Member,
  pathOf,
  type SetStatement,
  type Slice,
  type Statement,
} from "./ast.ts";
import { filters } from "./filters.ts";
import { loopMethods, methodsOf } from "./methods.ts";
import { boundArguments, type FilterOperation, listOf, sliced } from "./operations.ts";
import { combined, compares, unary } from "./operators.ts";
import { TemplateError } from "./template-error.ts";
import { tests } from "./value-tests.ts";
import {
  attributeOf,
  type Budget,
  entryOf,
  isList,
  isMapping,
  isMissing,
  isTrue,
  kindOf,
  labelOf,
  mappingCost,
  Namespace,
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

/** Changes a string of the template itself, such as one with references to the environment. */
export type LiteralChange = (text: string) => string;

/** Asks for a mark in each place where an expression, or a part of it that `~` joins, prints nothing. */
export interface HoleMark {
  readonly mark: string;
  /** Whether there is such a place. */
  found: boolean;
}

/** Filters that change a text but leave a mark in it, which is made of digits between private-use characters. */
const markKeepers: ReadonlySet<string> = new Set([
  ...["lower", "upper", "title", "capitalize", "trim", "string", "safe", "replace", "tojson"],
]);

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
  literal?: LiteralChange,
  holes?: HoleMark,
): string {
  return new Evaluator(budget, literal, holes).text(body, scopeOf(context));
}

/** The value of one expression. @throws TemplateError */
export function evaluateExpression(
  expression: Expression,
  context: ReadonlyMap<string, Value>,
  budget: Budget,
  literal?: LiteralChange,
): Value {
  return new Evaluator(budget, literal).printed(expression, scopeOf(context));
}

function scopeOf(context: ReadonlyMap<string, Value>): VariableScope {
  const scope = new VariableScope(null);
  for (const [name, value] of context) scope.names.set(name, value);
  return scope;
}

class Evaluator {
  readonly #budget: Budget;
  readonly #literal: LiteralChange;
  #holes: HoleMark | undefined;

  constructor(budget: Budget, literal: LiteralChange = (text) => text, holes?: HoleMark) {
    this.#budget = budget;
    this.#literal = literal;
    this.#holes = holes;
  }

  text(body: readonly Statement[], scope: VariableScope): string {
    const pieces: string[] = [];
    this.#block(body, scope, pieces);
    return pieces.join("");
  }

  /** A value, paid for as if it were printed. */
  printed(expression: Expression, scope: VariableScope): Value {
    const value = this.#value(expression, scope);
    this.#budget.spendOnOutput(textOf(value, this.#budget));
    return value;
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
      case "Text":
        this.#write(statement.refers ? this.#literal(statement.value) : statement.value, pieces);
        return null;
      case "Print": {
        const holes = this.#holes;
        const value =
          holes === undefined
            ? this.#value(statement.value, scope)
            : this.#marked(statement.value, scope, holes);
        this.#write(value, pieces);
        return null;
      }
      case "Break":
        return "break";
      case "Continue":
        return "continue";
      case "Set":
        this.#set(statement, scope);
        return null;
      case "If": {
        const branch = isTrue(this.#value(statement.test, scope)) ? statement.body : statement.otherwise;
        return this.#block(branch, scope, pieces);
      }
      case "For":
        return this.#loop(statement, scope, pieces);
      case "FilterBlock": {
        const text = this.#unmarked(statement.body, new VariableScope(scope));
        this.#write(this.#filtered(text, statement.filters, scope), pieces);
        return null;
      }
      case "With": {
        const inner = new VariableScope(scope);
        for (const { target, value } of statement.names)
          this.#assign(target, this.#value(value, inner), inner);
        return this.#block(statement.body, inner, pieces);
      }
    }
  }

  /** A text that is not printed as it is: a condition may ask whether it is empty. */
  #unmarked(body: readonly Statement[], scope: VariableScope): string {
    const holes = this.#holes;
    this.#holes = undefined;
    const text = this.text(body, scope);
    this.#holes = holes;
    return text;
  }

  /** A value that is printed, with a mark in the place of each part that is empty. */
  #marked(node: Expression, scope: VariableScope, holes: HoleMark): Value {
    this.#budget.spend(1);
    if (node.type === "Binary" && node.operator === "~") {
      const [left, right] = [node.left, node.right].map((part) =>
        textOf(this.#marked(part, scope, holes), this.#budget),
      );
      return this.#built(`${left}${right}`);
    }
    if (node.type === "Conditional" && joins(node)) {
      if (isTrue(this.#value(node.test, scope))) return this.#marked(node.value, scope, holes);
      if (node.otherwise !== null) return this.#marked(node.otherwise, scope, holes);
    } else if (node.type === "Filter" && joins(node))
      return this.#filtered(this.#marked(node.operand, scope, holes), [node.filter], scope);
    else {
      const value = this.#value(node, scope);
      // A blank that the template itself writes separates what it joins.
      const isWritten = node.type === "Literal" && node.value !== "";
      if (isWritten || textOf(value, this.#budget).trim() !== "") return value;
    }
    holes.found = true;
    return holes.mark;
  }

  #write(value: Value, pieces: string[]): void {
    const text = textOf(value, this.#budget);
    this.#budget.spendOnOutput(text);
    pieces.push(text);
  }

  #set({ target, value, body, filters: applied }: SetStatement, scope: VariableScope): void {
    const assigned =
      value === null
        ? this.#filtered(this.#unmarked(body, new VariableScope(scope)), applied, scope)
        : this.#value(value, scope);
    this.#assign(target, assigned, scope);
  }

  #assign(target: AssignmentTarget | Expression, value: Value, scope: VariableScope): void {
    if (target.type === "Identifier") {
      scope.names.set(target.value, value);
    } else if (target.type === "Tuple") {
      this.#budget.spendOn(value);
      const values = listOf(value);
      if (values.length !== target.items.length) {
        throw new TemplateError(`${values.length} values cannot be assigned to ${target.items.length} names`);
      }
      for (const [index, name] of target.items.entries()) this.#assign(name, values[index], scope);
    } else if (target.type === "Member" && target.property.type === "Identifier") {
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
    const { iterable, target, filter } = statement;
    const over = this.#value(iterable, outer);
    // Two names ask for the pairs of a mapping, as Prefect's own mappings give them.
    if (isMapping(over)) this.#budget.spend(mappingCost(over));
    else if (typeof over === "string") this.#budget.spend(over.length);
    const all = target.type === "Tuple" && isMapping(over) ? pairsOf(over) : listOf(over);
    this.#budget.spend(all.length);
    const items =
      filter === null
        ? all
        : all.filter((item) => {
            const scope = new VariableScope(outer);
            this.#assign(target, item, scope);
            return isTrue(this.#value(filter, scope));
          });
    for (const [index, item] of items.entries()) {
      const scope = new VariableScope(outer);
      this.#assign(target, item, scope);
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
        depth: 1, // of loops that call themselves, which there are none of
        depth0: 0,
      });
      if (this.#block(statement.body, scope, pieces) === "break") return null;
    }
    return items.length === 0 ? this.#block(statement.otherwise, new VariableScope(outer), pieces) : null;
  }

  #value(node: Expression, scope: VariableScope): Value {
    this.#budget.spend(1);
    switch (node.type) {
      case "Literal":
        return node.refers ? this.#literal(String(node.value)) : node.value;
      case "Identifier":
        return scope.find(node.value);
      case "List":
      case "Tuple":
        return this.#built(node.items.map((item) => this.#value(item, scope)));
      case "Mapping": {
        const entries = node.entries.map(
          ({ key, value }) =>
            [textOf(this.#value(key, scope), this.#budget), this.#value(value, scope)] as const,
        );
        return this.#built(Object.fromEntries(entries));
      }
      case "Member":
        return this.#member(node, scope);
      case "Call":
        return this.#call(node, scope);
      case "Filter":
        return this.#filtered(this.#value(node.operand, scope), [node.filter], scope);
      case "Test": {
        const test = tests.get(node.test.name);
        if (test === undefined) throw new TemplateError(`there is no test called ${node.test.name}`);
        const operand = this.#value(node.operand, scope);
        const [other] = this.#given({ parameters: ["value"] }, node.test.name, node.test.args, scope).given;
        this.#budget.spendOn(operand, other);
        return test(operand, other, this.#budget) !== node.negated;
      }
      case "Unary":
        return unary(node.operator, this.#value(node.operand, scope));
      case "Binary":
        return this.#binary(node.operator, node.left, node.right, scope);
      case "Comparison": {
        let left = this.#value(node.first, scope);
        for (const { operator, operand } of node.rest) {
          const right = this.#value(operand, scope);
          if (!compares(operator, left, right, this.#budget)) return false;
          left = right;
        }
        return true;
      }
      case "Conditional": {
        if (isTrue(this.#value(node.test, scope))) return this.#value(node.value, scope);
        return node.otherwise === null ? undefined : this.#value(node.otherwise, scope);
      }
    }
  }

  /** Spends budget on a new list, mapping or text according to its size. */
  #built<T extends Value>(value: T): T {
    this.#budget.spendOn(value);
    return value;
  }

  #member(node: Member, scope: VariableScope): Value {
    if (!node.computed && node.property.type === "Identifier") return this.#path(node, scope);
    const object = this.#value(node.object, scope);
    if (node.property.type === "Slice") return this.#slice(object, node.property, scope);
    const property = this.#value(node.property, scope);
    if (typeof property === "number" && isList(object)) return object.at(property);
    if (typeof property === "number" && typeof object === "string") {
      this.#budget.spendOn(object);
      return [...object].at(property);
    }
    return typeof property === "string" ? entryOf(object, property) : undefined;
  }

  /** A chain of attributes: `event.payload.disk`. It may name a label with dots: `labels.prefect.resource.id`. */
  #path(node: Member, scope: VariableScope): Value {
    const { owner, names } = pathOf(node);
    const values = [this.#value(owner, scope)];
    for (const [index, name] of names.entries()) {
      const object = values[index];
      let found = entryOf(object, name);
      if (found === undefined && !isMissing(object)) {
        found = attributeOf(object, name, this.#budget);
      }
      for (let start = index - 1; found === undefined && start >= 0; start--) {
        if (!isMapping(values[start])) continue;
        this.#budget.spend(1 + index - start);
        found = labelOf(values[start], names.slice(start, index + 1));
      }
      values.push(found);
    }
    return values.at(-1);
  }

  #slice(object: Value, slice: Slice, scope: VariableScope): Value {
    const [start, stop, step = 1] = [slice.start, slice.stop, slice.step].map((bound) => {
      const value = bound === null ? undefined : this.#value(bound, scope);
      if (isMissing(value) || Number.isInteger(value)) return (value ?? undefined) as number | undefined;
      throw new TemplateError(`a slice needs whole numbers, not ${kindOf(value)}`);
    });
    if (step === 0) throw new TemplateError("a slice needs a step other than 0");
    if (isMissing(object)) return undefined;
    // Characters, as in Python, and not the halves of those that take two units.
    this.#budget.spendOn(object);
    const cut = sliced(typeof object === "string" ? [...object] : listOf(object), start, stop, step);
    return this.#built(typeof object === "string" ? cut.join("") : cut);
  }

  #call(node: CallNode, scope: VariableScope): Value {
    const { callee } = node;
    if (callee.type === "Identifier") return this.#function(callee.value, node.args, scope);
    if (callee.type !== "Member" || callee.property.type !== "Identifier" || callee.computed) {
      throw new TemplateError("only functions and methods can be called, and only by name");
    }
    const object = this.#value(callee.object, scope);
    const name = callee.property.value;
    if (isMissing(object)) return undefined;
    const isLoop = callee.object.type === "Identifier" && callee.object.value === "loop";
    const method = (isLoop ? loopMethods : methodsOf(object))?.get(name);
    if (method === undefined) throw new TemplateError(`${kindOf(object)} has no method ${name}`);
    return this.#run(method, name, object, node.args, scope);
  }

  #function(name: string, args: readonly Argument[], scope: VariableScope): Value {
    if (name === "range") {
      const bounds = this.#given({ parameters: ["start", "stop", "step"] }, name, args, scope).given.map(
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
    if (argument.type !== "KeywordArgument")
      throw new TemplateError(`${functionName} takes only arguments of the form name=value`);
    return [argument.name, this.#value(argument.value, scope)];
  }

  #filtered(input: Value, applied: readonly AppliedOperation[], scope: VariableScope): Value {
    return applied.reduce<Value>((value, { name, args }) => {
      const found = filters.get(name);
      if (found === undefined) throw new TemplateError(`there is no filter called ${name}`);
      return this.#run(found, name, value, args, scope);
    }, input);
  }

  #run(
    operation: FilterOperation,
    name: string,
    input: Value,
    args: readonly Argument[],
    scope: VariableScope,
  ): Value {
    const { given, named } = this.#given(operation, name, args, scope);
    this.#budget.spendOn(input, ...given, named);
    return this.#built(operation.run(input, given, this.#budget, named));
  }

  /** The arguments in the order of the parameters, whether they were given by position or by name. */
  #given(
    operation: Pick<FilterOperation, "parameters" | "isVariadic">,
    name: string,
    args: readonly Argument[],
    scope: VariableScope,
  ) {
    const positional: Value[] = [];
    const named: [string, Value][] = [];
    for (const argument of args) {
      if (argument.type === "KeywordArgument")
        named.push([argument.name, this.#value(argument.value, scope)]);
      else positional.push(this.#value(argument, scope));
    }
    return boundArguments(operation, name, positional, Object.fromEntries(named));
  }

  #binary(operator: string, leftNode: Expression, rightNode: Expression, scope: VariableScope): Value {
    const left = this.#value(leftNode, scope);
    if (operator === "and" || operator === "or") {
      return isTrue(left) === (operator === "or") ? left : this.#value(rightNode, scope);
    }
    return this.#built(combined(operator, left, this.#value(rightNode, scope), this.#budget));
  }
}

function pairsOf(mapping: Readonly<Record<string, Value>>): readonly Value[] {
  return Object.entries(mapping);
}

/** Whether what an expression prints is joined by `~` from parts in which a mark can be kept. */
function joins(node: Expression): boolean {
  if (node.type === "Filter") return markKeepers.has(node.filter.name) && joins(node.operand);
  if (node.type === "Conditional")
    return joins(node.value) || (node.otherwise !== null && joins(node.otherwise));
  return node.type === "Binary" && node.operator === "~";
}
