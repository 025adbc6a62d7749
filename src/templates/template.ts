/**
 * Jinja templates.
 *
 * The evaluator (evaluator.ts) can reach only the context, and does a bounded amount of work.
 */

import { BoundedCache } from "../core/model/bounded-cache.ts";
import { cut } from "../core/model/cut.ts";
import { mentionsReferences } from "../core/model/reference.ts";
import type { Program } from "./ast.ts";
import { contextNames, programProblem } from "./check.ts";
import { evaluateExpression, evaluateTemplate, type HoleMark, type LiteralChange } from "./evaluator.ts";
import { parse } from "./parser.ts";
import { TemplateError } from "./template-error.ts";
import { Budget, type Value } from "./values.ts";

export type { HoleMark } from "./evaluator.ts";
export { TemplateError } from "./template-error.ts";
export { Budget } from "./values.ts";

/** The variables of an action's templates, as JSON values. */
export type TemplateContext = Readonly<Record<(typeof contextNames)[number], unknown>>;

export interface Template<Context = TemplateContext> {
  /**
   * @param budget pass one to share it among several renderings
   * @param literal changes those strings of the template itself that hold references to the environment
   * @throws TemplateError when rendering fails or uses up the budget
   */
  render(context: Context, budget?: Budget, literal?: LiteralChange): string;
  /** As `render`, for a text in which every expression has to print something: an id with a hole is no id. */
  renderWhole(context: Context, budget?: Budget): string;
  /** As `render`, with a mark in each place where an expression prints nothing. */
  renderMarked(context: Context, holes: HoleMark, budget?: Budget): string;
  /**
   * The value of a template that is a single expression, with or without white space around it, with its type: a number, list, mapping, truth value or none. The
   * text of any other template.
   *
   * @throws TemplateError
   */
  value(context: Context, budget?: Budget, literal?: LiteralChange): Value;
}

/** In characters: a page of text, and more than any message needs. */
const sourceLengthMax = 20_000;

/** How much source is kept parsed, in characters. A character takes up to 100 bytes in that form. */
const parsedLengthMax = 400_000;

/** Programs by their source, for each set of variables. Parsing takes far longer than rendering a message. */
const parsed = new WeakMap<readonly string[], BoundedCache<Program>>();

/**
 * Parses a template of an action.
 *
 * @throws TemplateError when it cannot be parsed, or uses names that do not exist
 */
export function parseTemplate(source: string): Template {
  return parseTemplateOver(contextNames, source);
}

/** True when a text contains anything to render: an expression, a statement or a comment. */
export function isTemplate(text: string): boolean {
  return /\{[{%#]/.test(text);
}

/** Parses a template with other variables. @param names pass the same list each time, so that parsed templates are found */
export function parseTemplateOver<Name extends string>(
  names: readonly Name[],
  source: string,
): Template<Readonly<Record<Name, unknown>>> {
  if (!isTemplate(source)) {
    const render = (_context: unknown, _budget?: Budget, literal?: LiteralChange) =>
      literal !== undefined && mentionsReferences(source) ? literal(source) : source;
    return { render, renderWhole: render, renderMarked: () => source, value: render };
  }
  const { body } = programOf(source, names);
  // White space around an expression is how it was written, and no part of a text.
  const [first, ...others] = body.filter((part) => part.type !== "Text" || part.value.trim() !== "");
  const single = others.length === 0 && first?.type === "Print" ? first.value : null;
  type Context = Readonly<Record<Name, unknown>>;
  const valuesIn = (context: Context) => new Map(names.map((name) => [name, context[name] as Value]));
  const render: Template<Context>["render"] = (context, budget = new Budget(), literal) =>
    withoutOverflow(() => evaluateTemplate(body, valuesIn(context), budget, literal));
  const renderMarked: Template<Context>["renderMarked"] = (context, holes, budget = new Budget()) =>
    withoutOverflow(() => evaluateTemplate(body, valuesIn(context), budget, undefined, holes));
  return {
    render,
    renderMarked,
    renderWhole(context, budget) {
      const holes = newHoleMark();
      const text = renderMarked(context, holes, budget);
      if (holes.found) throw new TemplateError(holeProblem(text, holes));
      return text;
    },
    value: (context, budget = new Budget(), literal) =>
      single === null
        ? render(context, budget, literal)
        : withoutOverflow(() => evaluateExpression(single, valuesIn(context), budget, literal)),
  };
}

/** A mark that no event holds, and no filter changes: digits between private-use characters. */
export function newHoleMark(): HoleMark {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1)); // short, because output is limited
  return { mark: `\uE002${random}\uE003`, found: false };
}

/** What is wrong with an id that holds marks. */
export function holeProblem(marked: string, { mark }: HoleMark): string {
  const shown = JSON.stringify(cut(marked.replaceAll(mark, "{{ }}"), 200));
  return `an expression is empty, which leaves a hole in the id ${shown}; check the field, or give a default: {{ … | default("unknown", true) }}`;
}

/** A parsed template, which the checks have passed. @throws TemplateError */
export function programOf(source: string, names: readonly string[] = contextNames): Program {
  const programs = parsed.get(names) ?? new BoundedCache<Program>(parsedLengthMax);
  parsed.set(names, programs);
  return programs.get(source, () => read(source, names));
}

/** What is wrong with a template; null when nothing is. References (`${env.NAME}`) are allowed. */
export function templateProblem(source: string, names: readonly string[] = contextNames): string | null {
  try {
    if (isTemplate(source)) programOf(source, names);
    return null;
  } catch (error) {
    if (error instanceof TemplateError) return error.message;
    throw error;
  }
}

function read(source: string, names: readonly string[]): Program {
  if (source.length > sourceLengthMax) {
    throw new TemplateError(`the template has ${source.length} characters; the limit is ${sourceLengthMax}`);
  }
  const program = parse(source, mentionsReferences);
  const problem = programProblem(source, program, names);
  if (problem !== null) throw new TemplateError(problem);
  return program;
}

function withoutOverflow<T>(evaluate: () => T): T {
  try {
    return evaluate();
  } catch (error) {
    if (error instanceof RangeError)
      throw new TemplateError("the template, or what it prints, is nested too deeply");
    throw error;
  }
}
