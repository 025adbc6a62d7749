/**
 * Jinja templates.
 *
 * The Jinja library parses them. The evaluator (evaluator.ts) can reach only the context, and does a bounded amount of
 * work.
 */

import { parse, tokenize } from "@huggingface/jinja";
import type { Program } from "./ast.ts";
import { contextNames, programProblem } from "./check.ts";
import { evaluateTemplate } from "./evaluator.ts";
import { Budget, TemplateError, type Value } from "./values.ts";

export { Budget, TemplateError } from "./values.ts";

/** The variables of an action's templates, as JSON values. */
export type TemplateContext = Readonly<Record<(typeof contextNames)[number], unknown>>;

export interface Template<Context = TemplateContext> {
  /**
   * @param budget pass one to share it among several renderings
   * @throws TemplateError when rendering fails or uses up the budget
   */
  render(context: Context, budget?: Budget): string;
}

/** In characters. Low, because the library takes quadratic time to read white space. */
const sourceLengthMax = 20_000;

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

/** Parses a template with other variables. */
export function parseTemplateOver<Name extends string>(
  names: readonly Name[],
  source: string,
): Template<Readonly<Record<Name, unknown>>> {
  if (!isTemplate(source)) return { render: () => source };
  const program = read(source, names);
  return {
    render(context, budget = new Budget()) {
      const values = names.map((name) => [name, context[name] as Value] as const);
      try {
        return evaluateTemplate(program.body, new Map(values), budget);
      } catch (error) {
        throw withoutOverflow(error);
      }
    },
  };
}

/** What is wrong with a template; null when nothing is. References (`${env.NAME}`) are allowed. */
export function templateProblem(source: string, names: readonly string[] = contextNames): string | null {
  try {
    parseTemplateOver(names, source);
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
  let program: Program;
  try {
    program = parse(
      withExactIntegers(tokenize(source, { lstrip_blocks: true, trim_blocks: true })),
    ) as unknown as Program;
  } catch (error) {
    if (error instanceof RangeError) throw withoutOverflow(error);
    // The parser runs past its last token when a block or a bracket is left open.
    const endsEarly = error instanceof TypeError;
    const reason = endsEarly ? "a block, bracket or {{ is not closed" : (error as Error).message;
    throw new TemplateError(`the template cannot be read: ${reason.replace(/^Parser Error: /, "")}`);
  }
  const problem = problemOf(program, names);
  if (problem !== null) throw new TemplateError(problem);
  return program;
}

/** The parser reads every number as a double, so an integer that is none is replaced by `("9400053101578681001" | int)`. */
function withExactIntegers(tokens: LexerToken[]): LexerToken[] {
  return tokens.flatMap((token) => {
    const { type, value } = token;
    if (type !== "NumericLiteral" || Number.isSafeInteger(Number(value)) || value.includes("."))
      return [token];
    return [
      { type: "OpenParen", value: "(" },
      { type: "StringLiteral", value },
      { type: "Pipe", value: "|" },
      { type: "Identifier", value: "int" },
      { type: "CloseParen", value: ")" },
    ] satisfies LexerToken[];
  });
}

type LexerToken = ReturnType<typeof tokenize>[number];

function problemOf(program: Program, names: readonly string[]): string | null {
  try {
    return programProblem(program, names);
  } catch (error) {
    throw withoutOverflow(error);
  }
}

function withoutOverflow(error: unknown): unknown {
  return error instanceof RangeError
    ? new TemplateError("the template, or what it prints, is nested too deeply")
    : error;
}
