/** Renders what a hook makes of a request. Runs in Node and in a Worker. */

import { type HookContext, hookContextNames } from "../core/model/hook.ts";
import { replaceReferences, unescapeReference } from "../core/model/reference.ts";
import { Budget, parseTemplateOver } from "./template.ts";

/**
 * A template, or a list or mapping whose strings are templates, rendered; keys stay as they are.
 *
 * @throws TemplateError saying what went wrong
 */
export function renderHook(template: unknown, context: HookContext): unknown {
  const budget = new Budget(); // one for all texts, so that many small templates cannot run away together
  const render = (part: unknown): unknown => {
    if (typeof part === "string") {
      const source = replaceReferences(part, { escaped: unescapeReference });
      return parseTemplateOver(hookContextNames, source).render(context, budget);
    }
    if (Array.isArray(part)) return part.map(render);
    if (typeof part !== "object" || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, render(value)]));
  };
  return render(template);
}
