/**
 * Problems: what is wrong with a value, in words for the person who wrote it.
 *
 * A check is a function from a text to its problem, or to null if the text is valid. Schemas, rule files, the API and
 * delivery all call the same function, so they accept the same values.
 */

import type { z } from "zod";

/** What is wrong with a text, or null when nothing is. */
export type ProblemOf = (text: string) => string | null;

/**
 * Turns a check into a zod refinement: `z.string().superRefine(refusing(urlProblem))`.
 *
 * @param options with `abort`, the checks that come after this one run only if it finds nothing
 */
export function refusing(
  problemOf: ProblemOf,
  { abort = false }: { readonly abort?: boolean } = {},
): (text: string, context: z.RefinementCtx) => void {
  return (text, context) => {
    const message = problemOf(text);
    if (message !== null) context.addIssue({ code: "custom", message, continue: !abort });
  };
}
