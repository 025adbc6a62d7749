/** What all checks of triggers use: the compiled tree with paths and keys, and its conditions as a list. */

import { type CompiledEventTrigger, compileEventTrigger } from "../core/machine/event-trigger.ts";
import { keyLabels } from "../core/machine/key.ts";
import type { LabelCondition, Specification } from "../core/model/specification.ts";
import type { Micros } from "../core/model/time.ts";
import type {
  CompositeTriggerDefinition,
  EventTriggerDefinition,
  TriggerDefinition,
} from "../core/model/trigger.ts";
import type { RulePath } from "./warning.ts";

interface Part {
  readonly path: RulePath;
  /** The labels of its keys: its own `for_each` and those of the composites above it. */
  readonly labels: readonly string[];
}

export interface EventPart extends Part {
  readonly kind: "event";
  readonly definition: EventTriggerDefinition;
  readonly compiled: CompiledEventTrigger;
}

export interface CompositePart extends Part {
  readonly kind: "composite";
  readonly definition: CompositeTriggerDefinition;
  readonly children: readonly TriggerPart[];
  /** How many children must have fired. */
  readonly requiredCount: number;
}

export type TriggerPart = EventPart | CompositePart;

/** Compiles a trigger for the checks. */
export function partOf(
  definition: TriggerDefinition,
  latenessDefault: Micros,
  path: RulePath = ["trigger"],
  above: readonly string[] = [],
): TriggerPart {
  const labels = keyLabels(above, definition.for_each ?? []);
  if (definition.type === "event") {
    const compiled = compileEventTrigger(definition, latenessDefault);
    return { kind: "event", path, labels, definition, compiled };
  }
  const children = definition.triggers.map((child, index) =>
    partOf(child, latenessDefault, [...path, "triggers", index], labels),
  );
  const { require = "all" } = definition.type === "compound" ? definition : {};
  const requiredCount = require === "any" ? 1 : require === "all" ? children.length : require;
  return { kind: "composite", path, labels, definition, children, requiredCount };
}

/** The event triggers of a tree, from first to last. */
export function leavesOf(part: TriggerPart): EventPart[] {
  return part.kind === "event" ? [part] : part.children.flatMap(leavesOf);
}

export function partsOf(part: TriggerPart): TriggerPart[] {
  return part.kind === "event" ? [part] : [part, ...part.children.flatMap(partsOf)];
}

/** Every condition on a label, with its path. `related` is true for a condition on related resources. */
export function* conditionsOf({ definition, compiled, path }: EventPart): Iterable<{
  condition: LabelCondition;
  path: RulePath;
  related: boolean;
  specification: Specification;
}> {
  for (const condition of compiled.match)
    yield {
      condition,
      path: [...path, "match", condition.label],
      related: false,
      specification: compiled.match,
    };
  const isList = Array.isArray(definition.match_related);
  for (const [index, specification] of compiled.related.entries()) {
    const base = [...path, "match_related", ...(isList ? [index] : [])];
    for (const condition of specification)
      yield { condition, path: [...base, condition.label], related: true, specification };
  }
}

/** True when neither `after` nor a schedule opens windows, so that each window follows the previous one. */
export function isAlwaysOpen({ definition }: EventPart): boolean {
  return (
    definition.posture === "Proactive" && definition.after.length === 0 && definition.schedule === undefined
  );
}
