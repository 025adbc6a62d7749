/** Which events an event trigger covers; the same for Reactive and Proactive triggers. */

import { canaryEventName } from "../model/canary.ts";
import type { Event } from "../model/event.ts";
import { compileGlob, type Glob } from "../model/glob.ts";
import { parseTimeOfDay, type Schedule } from "../model/schedule.ts";
import {
  compileRelated,
  compileSpecification,
  includesRelated,
  type LabelCondition,
  type Specification,
  unmetCondition,
} from "../model/specification.ts";
import { type Micros, second } from "../model/time.ts";
import type { EventTriggerDefinition } from "../model/trigger.ts";
import type { EventRole } from "./node.ts";

/** An event trigger in the form that runs, with compiled patterns and durations in microseconds. */
export interface CompiledEventTrigger {
  readonly definition: EventTriggerDefinition;
  readonly expect: readonly Glob[];
  readonly after: readonly Glob[];
  readonly match: Specification;
  readonly related: readonly Specification[];
  readonly threshold: number;
  readonly within: Micros;
  readonly lateness: Micros;
}

export function compileEventTrigger(
  definition: EventTriggerDefinition,
  latenessDefault: Micros,
): CompiledEventTrigger {
  const { lateness } = definition;
  return {
    definition,
    expect: definition.expect.map(compileGlob),
    after: definition.after.map(compileGlob),
    match: compileSpecification(definition.match),
    related: compileRelated(definition.match_related),
    threshold: Math.max(1, definition.threshold),
    within: Math.round(definition.within * second),
    lateness: lateness === undefined ? latenessDefault : Math.round(lateness * second),
  };
}

/**
 * The latest time at which an event may have occurred: its sender's clock may be ahead by up to the lateness. An event
 * from further in the future has a wrong time, and occurred when it was received.
 */
export function latestOccurred({ occurred, claimed, received }: Event, lateness: Micros): Micros {
  return claimed > received && claimed - received <= lateness ? claimed : occurred;
}

/** When a window of a schedule ends that a tick opens. */
export function endOfWindow(
  { definition, within }: CompiledEventTrigger,
  schedule: Schedule,
  tick: Micros,
): Micros {
  const { until } = definition.schedule ?? {};
  const timeOfDay = until === undefined ? null : parseTimeOfDay(until);
  return timeOfDay === null ? tick + within : schedule.endOf(tick, timeOfDay);
}

/** The role that an event's name gives it, or null when it is neither expected nor an `after` event. */
export function roleByName(trigger: CompiledEventTrigger, name: string): EventRole | null {
  if (name === canaryEventName) return roleOfNamed(trigger, name);
  const expected = trigger.expect.length === 0 || trigger.expect.some((pattern) => pattern.matches(name));
  const after = trigger.after.some((pattern) => pattern.matches(name));
  return expected || after ? { expected, after } : null;
}

/** The role of an event that only counts for triggers that name it, and not for those whose patterns match it. */
function roleOfNamed(trigger: CompiledEventTrigger, name: string): EventRole | null {
  const expected = trigger.expect.some(({ literal }) => literal === name);
  const after = trigger.after.some(({ literal }) => literal === name);
  return expected || after ? { expected, after } : null;
}

/** Why a trigger does not cover an event: the first condition that the event does not meet. */
export type Obstacle =
  | { readonly condition: "name" }
  | { readonly condition: "match"; readonly unmet: LabelCondition }
  | { readonly condition: "match_related"; readonly index: number; readonly unmet: Specification };

const nameObstacle: Obstacle = { condition: "name" };

/** The first condition on resources that an event does not meet, or null. */
export function resourceObstacle(trigger: CompiledEventTrigger, event: Event): Obstacle | null {
  const unmet = unmetCondition(trigger.match, event.resource);
  if (unmet !== null) return { condition: "match", unmet };
  const index = trigger.related.findIndex((specification) => !includesRelated(specification, event));
  return index === -1 ? null : { condition: "match_related", index, unmet: trigger.related[index] ?? [] };
}

/** The first condition that an event does not meet, or null when the trigger covers it. */
export function obstacleTo(trigger: CompiledEventTrigger, event: Event): Obstacle | null {
  return roleByName(trigger, event.name) === null ? nameObstacle : resourceObstacle(trigger, event);
}
