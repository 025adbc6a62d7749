/** Renders the texts of one action for one firing. */

import type { Invocation } from "../core/model/invocation.ts";
import { isRecord } from "../core/model/record.ts";
import { fillReferences, type Secrets, withTokens } from "./references.ts";
import { Budget, parseTemplate, type TemplateContext } from "./template.ts";

/** The variables for the templates of an action. */
function contextOf(invocation: Pick<Invocation, "automation" | "firing">): TemplateContext {
  const { automation, firing } = invocation;
  const children = firing.triggering_firings;
  return {
    automation,
    event: firing.triggering_event,
    labels: firing.triggering_labels,
    firing,
    firings: children.length > 0 ? children : [firing],
    events: eventsOf(firing),
  };
}

export class Renderer {
  readonly #context: TemplateContext;
  readonly #secrets: Secrets;
  readonly #budget = new Budget(); // shared by all texts, so that many small templates together stay within it

  constructor(invocation: Pick<Invocation, "automation" | "firing" | "secrets">) {
    this.#context = contextOf(invocation);
    this.#secrets = invocation.secrets;
  }

  /** @throws TemplateError */
  text(template: string): string {
    const { source, fill } = withTokens(template, this.#secrets);
    return fill(parseTemplate(source).render(this.#context, this.#budget));
  }

  /**
   * Renders every string in a list or mapping. A template always renders to a string, even if it is a single expression.
   * Keys stay as they are.
   *
   * @throws TemplateError
   */
  tree(value: unknown): unknown {
    if (typeof value === "string") return this.text(value);
    if (Array.isArray(value)) return value.map((item) => this.tree(item));
    if (!isRecord(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.tree(item)]));
  }

  /** Fills in the references of a text that is not a template. */
  literal(text: string): string {
    return fillReferences(text, this.#secrets);
  }
}

/** The events of the firings at the leaves of the tree, in order. */
function eventsOf(firing: Invocation["firing"]): unknown[] {
  if (firing.triggering_firings.length > 0) return firing.triggering_firings.flatMap(eventsOf);
  return firing.triggering_event === null ? [] : [firing.triggering_event];
}
