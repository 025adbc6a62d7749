/** Finds mistakes in the arguments of filters, tests and methods, before a template is rendered. */

import type { Argument, Expression } from "./ast.ts";
import { literalArgument, type ReportTypeMistake } from "./attribute-shapes.ts";
import { formatProblem } from "./format.ts";
import { argumentProblem, type FilterOperation } from "./operations.ts";
import { isTimezone } from "./times.ts";

/** Reports arguments that an operation does not take. */
export function checkParameters(
  name: string,
  { parameters, isVariadic = false }: Pick<FilterOperation, "parameters" | "isVariadic">,
  args: readonly Argument[],
  report: ReportTypeMistake,
): void {
  if (isVariadic) return;
  for (const [position, argument] of args.entries()) {
    const named = argument.type === "KeywordArgument" ? argument.name : null;
    const isKnown = named === null ? position < parameters.length : parameters.includes(named);
    if (!isKnown) report(argument.at, argumentProblem(name, parameters, named));
  }
}

/** Reports a time zone that does not exist. */
export function checkTimezone(
  name: string,
  parameters: readonly string[],
  args: readonly Argument[],
  report: ReportTypeMistake,
): void {
  if (name !== "in_timezone" && name !== "strftime") return;
  const zone = literalArgument(args, parameters, "timezone");
  if (zone !== null && !isTimezone(zone.value))
    report(zone.at, `there is no time zone ${JSON.stringify(zone.value)}; use one such as Europe/Berlin`);
}

/** Reports what is wrong with a format that the template itself writes. */
export function checkFormat(
  style: "percent" | "braces",
  format: Expression,
  report: ReportTypeMistake,
): void {
  if (format.type !== "Literal" || typeof format.value !== "string") return;
  const problem = formatProblem(format.value, style);
  if (problem !== null) report(format.at, problem);
}
