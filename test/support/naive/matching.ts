/** Matching exactly as specified: recursion and loops, nothing compiled or indexed. */

import { canaryEventName } from "../../../src/core/model/canary.ts";
import type { Event, Resource } from "../../../src/core/model/event.ts";
import type { EventTriggerDefinition, SpecificationDefinition } from "../../../src/core/model/trigger.ts";

/** True when the pattern matches the whole value; a leading `!` negates the rest. */
export function matches(pattern: string, value: string): boolean {
  if (pattern.startsWith("!")) return !globMatches([...pattern.slice(1)], [...value]);
  return globMatches([...pattern], [...value]);
}

export function isExpected(trigger: EventTriggerDefinition, event: Event): boolean {
  const named = trigger.expect.length === 0 || trigger.expect.some((name) => matches(name, event.name));
  if (event.name === canaryEventName && !trigger.expect.includes(canaryEventName)) return false;
  return named && resourcesMatch(trigger, event);
}

/** True when the event is one of those named in `after`. */
export function isOpener(trigger: EventTriggerDefinition, event: Event): boolean {
  if (event.name === canaryEventName && !trigger.after.includes(canaryEventName)) return false;
  return trigger.after.some((name) => matches(name, event.name)) && resourcesMatch(trigger, event);
}

/** The values of the `for_each` labels, labels sorted by name; a missing label counts as an empty string. */
export function tupleOf(forEach: readonly string[], event: Event): Record<string, string> {
  return Object.fromEntries([...forEach].sort().map((label) => [label, labelOf(label, event)]));
}

function labelOf(label: string, event: Event): string {
  const [related, role, name] = label.split(":");
  if (related === "related" && role !== undefined && name !== undefined) {
    const inRole = event.related.find((resource) => resource.get("prefect.resource.role") === role);
    if (inRole !== undefined) return inRole.get(name) ?? "";
  }
  return event.resource.get(label) ?? "";
}

function resourcesMatch(trigger: EventTriggerDefinition, event: Event): boolean {
  if (!includes(trigger.match, event.resource)) return false;
  const demands = Array.isArray(trigger.match_related) ? trigger.match_related : [trigger.match_related];
  return demands.every(
    (demand: SpecificationDefinition) =>
      Object.keys(demand).length === 0 || event.related.some((resource) => includes(demand, resource)),
  );
}

export function includes(specification: SpecificationDefinition, resource: Resource): boolean {
  return Object.entries(specification).every(([label, patterns]) => {
    const value = resource.get(label);
    const list = typeof patterns === "string" ? [patterns] : patterns;
    return value !== undefined && list.some((pattern) => matches(pattern, value));
  });
}

function globMatches(pattern: readonly string[], value: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return value.length === 0;
  if (first === "*")
    return globMatches(rest, value) || (value.length > 0 && globMatches(pattern, value.slice(1)));
  const [character, ...others] = value;
  if (character === undefined) return false;
  if (first === "?") return globMatches(rest, others);
  // A `]` right after the opening bracket is one of the characters; an unclosed bracket is an ordinary character.
  const negated = rest[0] === "!";
  const close = first === "[" ? rest.indexOf("]", negated ? 2 : 1) : -1;
  if (close < 0) return first === character && globMatches(rest, others);
  const listed = classHas(rest.slice(negated ? 1 : 0, close), character);
  return listed !== negated && globMatches(rest.slice(close + 1), others);
}

function classHas(members: readonly string[], character: string): boolean {
  const [first, dash, last] = members;
  if (first === undefined) return false;
  if (dash === "-" && last !== undefined) {
    const code = codeOf(character);
    return (codeOf(first) <= code && code <= codeOf(last)) || classHas(members.slice(3), character);
  }
  return first === character || classHas(members.slice(1), character);
}

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}
