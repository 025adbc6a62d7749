/** Renders the template of a hook for a request. Runs in Node and in a Worker. */

import { type HookContext, hookContextNames } from "../core/model/hook.ts";
import { isRecord } from "../core/model/record.ts";
import { replaceReferences, unescapeReference } from "../core/model/reference.ts";
import { Budget, type HoleMark, newHoleMark, parseTemplateOver } from "./template.ts";

/** What a template made of a request. */
export interface RenderedHook {
  readonly rendered: unknown;
  /** The same with a mark in each place where an expression printed nothing; null if there is none. */
  readonly marked: { readonly rendered: unknown; readonly holes: HoleMark } | null;
}

/**
 * Renders a template, or a list or mapping whose strings are templates. Keys stay as they are. In a payload, a string that
 * is a single expression keeps the type of its value, and a missing value is null; all else in an event is text.
 *
 * @throws TemplateError
 */
export function renderHook(template: unknown, context: HookContext): RenderedHook {
  const holes = newHoleMark();
  const marked = renderTree(template, context, holes);
  if (!holes.found) return { rendered: marked, marked: null };
  return { rendered: renderTree(template, context, null), marked: { rendered: marked, holes } };
}

/** @param holes where to put marks, if anywhere; a payload gets none, because a field may well be empty */
function renderTree(template: unknown, context: HookContext, holes: HoleMark | null): unknown {
  const budget = new Budget(); // shared by all texts, so that many small templates together stay within it
  const render = (part: unknown, isPayload: boolean): unknown => {
    if (typeof part === "string") {
      const source = replaceReferences(part, { escaped: unescapeReference });
      const parsed = parseTemplateOver(hookContextNames, source);
      if (isPayload) return parsed.value(context, budget) ?? null;
      return holes === null ? parsed.render(context, budget) : parsed.renderMarked(context, holes, budget);
    }
    if (Array.isArray(part)) return part.map((item) => render(item, isPayload));
    if (!isRecord(part)) return part;
    // A payload that is one template writes its own JSON.
    const isPayloadAt = (key: string, value: unknown) =>
      isPayload || (key === "payload" && typeof value !== "string");
    return Object.fromEntries(
      Object.entries(part).map(([key, value]) => [key, render(value, isPayloadAt(key, value))]),
    );
  };
  return render(template, false);
}
