/** Renders the texts of one action for one firing. */

import type { Invocation } from "../core/model/invocation.ts";
import { isRecord } from "../core/model/record.ts";
import { fillReferences, redactionOf, referenceTokens, type Secrets } from "./references.ts";
import { Budget, parseTemplate, type TemplateContext, TemplateError } from "./template.ts";

/** A text of an action that could not be rendered. */
export interface TemplateFailure {
  /** Where it is in the action, such as `payload.text`. */
  readonly field: string;
  /** Why, without secrets. */
  readonly reason: string;
}

/** In characters, and of failures; the rest would say the same again. */
const reasonLengthMax = 500;
const failureCountMax = 20;

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
  readonly #failures: TemplateFailure[] = [];

  constructor(invocation: Pick<Invocation, "automation" | "firing" | "secrets">) {
    this.#context = contextOf(invocation);
    this.#secrets = invocation.secrets;
  }

  /** What could not be rendered so far, and was replaced. Never holds secrets. */
  get failures(): readonly TemplateFailure[] {
    return this.#failures;
  }

  /** Records that a text was replaced, because it could not be rendered. */
  fail(field: string, error: TemplateError): TemplateFailure {
    const reason = redactionOf(this.#secrets)(error.message).slice(0, reasonLengthMax);
    const failure = { field, reason };
    if (this.#failures.length < failureCountMax) this.#failures.push(failure);
    return failure;
  }

  /** Renders a text. If that fails, records it and takes something else. */
  textOr<T>(field: string, template: string, otherwise: (failure: TemplateFailure) => T): string | T {
    return this.#or(field, () => this.text(template), otherwise);
  }

  #or<R, T>(field: string, render: () => R, otherwise: (failure: TemplateFailure) => T): R | T {
    try {
      return render();
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      return otherwise(this.fail(field, error));
    }
  }

  /** @throws TemplateError */
  text(template: string): string {
    const { hide, fill } = referenceTokens(this.#secrets, this.#budget);
    return fill(parseTemplate(template).render(this.#context, this.#budget, hide));
  }

  /** Renders an id or a role, in which every expression has to print something. @throws TemplateError */
  whole(template: string): string {
    return parseTemplate(template).renderWhole(this.#context, this.#budget);
  }

  /**
   * Renders a text of a payload. One that is a single expression keeps the type of its value; a missing value is null.
   *
   * @throws TemplateError
   */
  value(template: string): unknown {
    const { hide, fill } = referenceTokens(this.#secrets, this.#budget);
    const value = parseTemplate(template).value(this.#context, this.#budget, hide);
    return value === undefined ? null : mapTexts(value, fill);
  }

  /**
   * Renders every string in a list or mapping. One that is a single expression keeps the type of its value. Keys stay as
   * they are.
   *
   * @param field where the value is in the action
   * @param otherwise what to take for a string that cannot be rendered
   */
  tree(value: unknown, field: string, otherwise: (failure: TemplateFailure) => unknown): unknown {
    if (typeof value === "string") return this.#or(field, () => this.value(value), otherwise);
    const inner = (key: string | number, item: unknown) => this.tree(item, `${field}.${key}`, otherwise);
    if (Array.isArray(value)) return value.map((item, index) => inner(index, item));
    if (!isRecord(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, inner(key, item)]));
  }

  /** Fills in the references of a text that is not a template. */
  literal(text: string): string {
    return fillReferences(text, this.#secrets, this.#budget);
  }
}

/** The events of the firings at the leaves of the tree, in order. */
function eventsOf(firing: Invocation["firing"]): unknown[] {
  if (firing.triggering_firings.length > 0) return firing.triggering_firings.flatMap(eventsOf);
  return firing.triggering_event === null ? [] : [firing.triggering_event];
}

/** Changes every string in a JSON value. */
function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [change(key), mapTexts(item, change)]),
  );
}
