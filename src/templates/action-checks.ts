/** Checks of an action that its schema cannot make, before the action runs. */

import type { ActionDefinition, ActionText, EmitEventDefinition } from "../core/model/action.ts";
import { fieldKind } from "../core/model/action.ts";
import { headerValueProblem } from "../core/model/header.ts";
import { eventNameLengthMax, filledLengthMax, referencesMax } from "../core/model/limits.ts";
import { referencedValue, referencesIn, referenceTo } from "../core/model/reference.ts";
import { maskProblem, secretMask, signingSecretProblem } from "../core/model/secret.ts";
import { urlProblem } from "../core/model/url.ts";
import { type Environment, substitute } from "./environment.ts";
import { isTemplate, templateProblem } from "./template.ts";

/** The fields besides secrets whose texts are checked with the values of their references. */
const filledFields: ReadonlySet<string> = new Set(["url", "headers", "event"]);

/**
 * What is wrong with one text of an action; null when nothing is, or when only rendering can show it. Never repeats a
 * secret.
 *
 * @param values the values of the references to the environment
 */
export function actionTextProblem(
  type: ActionDefinition["type"],
  { path, text }: ActionText,
  values: Environment,
): string | null {
  const field = String(path[0]);
  const emitted = type === "emit-event" ? emittedReferenceProblem(text) : null;
  if (emitted !== null) return emitted;
  const references = referencesIn(text);
  if (references.length > referencesMax) {
    return `a text may refer to the environment ${referencesMax} times; this one does ${references.length} times`;
  }
  const isSecret = fieldKind(field) === "secret";
  const problem = isSecret ? null : templateProblem(text);
  if (problem !== null) return problem;
  if (!isSecret && (isTemplate(text) || !filledFields.has(field))) return null;
  const filledLength = references.reduce(
    (sum, reference) => sum + (referencedValue(reference, values)?.length ?? 0),
    text.length,
  );
  if (filledLength > filledLengthMax) {
    return `with the values of its references, the text should have at most ${filledLengthMax} characters; it has ${filledLength}`;
  }
  const { text: filled, problems } = substitute(text, values);
  if (problems.length > 0) return null; // reported where the references are filled in
  if (isSecret) return filled === secretMask ? maskProblem : signingSecretProblem(filled);
  if (field === "url") return urlProblem(filled);
  if (field === "headers") return headerValueProblem(filled);
  if (field !== "event" || filled.length <= eventNameLengthMax) return null;
  return `event should have at most ${eventNameLengthMax} characters; this one has ${filled.length}`;
}

/** Everyone can read events, so their texts may not refer to the environment. */
export function emitEventProblem(action: EmitEventDefinition): string | null {
  return emittedReferenceProblem(JSON.stringify(action));
}

function emittedReferenceProblem(text: string): string | null {
  const [reference] = referencesIn(text);
  if (reference === undefined) return null;
  return `events are readable by everyone, so they must not contain ${referenceTo(reference.name)}; write the value itself`;
}
