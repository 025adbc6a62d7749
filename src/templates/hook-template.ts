/** Renders the template of a hook for a request. Runs in Node and in a Worker. */

import { type HookContext, hookContextNames } from "../core/model/hook.ts";
import { isRecord } from "../core/model/record.ts";
import { replaceReferences, unescapeReference } from "../core/model/reference.ts";
import { Budget, parseTemplateOver } from "./template.ts";

/**
 * Renders a template, or a list or mapping whose strings are templates. Keys stay as they are.
 *
 * @throws TemplateError
 */
export function renderHook(template: unknown, context: HookContext): unknown {
  const budget = new Budget(); // shared by all texts, so that many small templates together stay within it
  const render = (part: unknown): unknown => {
    if (typeof part === "string") {
      const source = replaceReferences(part, { escaped: unescapeReference });
      return parseTemplateOver(hookContextNames, source).render(context, budget);
    }
    if (Array.isArray(part)) return part.map(render);
    if (!isRecord(part)) return part;
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, render(value)]));
  };
  return render(template);
}
