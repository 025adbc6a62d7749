/** Renders the template of a hook for a request. Runs in Node and in a Worker. */

import { type HookContext, hookContextNames } from "../core/model/hook.ts";
import { isRecord } from "../core/model/record.ts";
import { replaceReferences, unescapeReference } from "../core/model/reference.ts";
import { Budget, parseTemplateOver } from "./template.ts";

/**
 * Renders a template, or a list or mapping whose strings are templates. Keys stay as they are. In a payload, a string that
 * is a single expression keeps the type of its value, and a missing value is null; all else in an event is text.
 *
 * @throws TemplateError
 */
export function renderHook(template: unknown, context: HookContext): unknown {
  const budget = new Budget(); // shared by all texts, so that many small templates together stay within it
  const render = (part: unknown, kind: "text" | "payload" | "id"): unknown => {
    if (typeof part === "string") {
      const source = replaceReferences(part, { escaped: unescapeReference });
      const parsed = parseTemplateOver(hookContextNames, source);
      if (kind === "payload") return parsed.value(context, budget) ?? null;
      return kind === "id" ? parsed.renderWhole(context, budget) : parsed.render(context, budget);
    }
    if (Array.isArray(part)) return part.map((item) => render(item, kind));
    if (!isRecord(part)) return part;
    const kindOf = (key: string, value: unknown): typeof kind => {
      // A payload that is one template writes its own JSON.
      if (kind === "payload" || (key === "payload" && typeof value !== "string")) return "payload";
      return key === "prefect.resource.id" ? "id" : "text";
    };
    return Object.fromEntries(
      Object.entries(part).map(([key, value]) => [key, render(value, kindOf(key, value))]),
    );
  };
  return render(template, "text");
}
