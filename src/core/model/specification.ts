/** Specifications: the conditions that `match` and `match_related` put on a resource. */

import type { Event, Resource } from "./event.ts";
import { compileGlob, type Glob } from "./glob.ts";
import type { EventTriggerDefinition, SpecificationDefinition } from "./trigger.ts";

export interface LabelCondition {
  readonly label: string;
  readonly patterns: readonly Glob[];
}

/** One condition per label. All must hold. */
export type Specification = readonly LabelCondition[];

export function compileSpecification(definition: SpecificationDefinition): Specification {
  return Object.entries(definition).map(([label, patterns]) => ({
    label,
    patterns: (typeof patterns === "string" ? [patterns] : patterns).map(compileGlob),
  }));
}

export function compileRelated(
  definition: EventTriggerDefinition["match_related"],
): readonly Specification[] {
  return isList(definition) ? definition.map(compileSpecification) : [compileSpecification(definition)];
}

/** The first condition that the resource does not meet, or null when it meets all of them. */
export function unmetCondition(specification: Specification, resource: Resource): LabelCondition | null {
  return (
    specification.find(({ label, patterns }) => {
      const value = resource.get(label);
      return value === undefined || !patterns.some((pattern) => pattern.matches(value));
    }) ?? null
  );
}

export function includes(specification: Specification, resource: Resource): boolean {
  return unmetCondition(specification, resource) === null;
}

/** True when at least one related resource meets the specification. An empty specification needs no related resource. */
export function includesRelated(specification: Specification, event: Event): boolean {
  return specification.length === 0 || event.related.some((resource) => includes(specification, resource));
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}
