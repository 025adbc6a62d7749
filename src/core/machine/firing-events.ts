/** Which events a firing was about, found again by the definition of its trigger. */

import type { Automation } from "../model/automation.ts";
import type { Event } from "../model/event.ts";
import { type EventTriggerDefinition, walkTrigger } from "../model/trigger.ts";
import { buildTrigger, type EventTriggerNode } from "./build-trigger.ts";
import { obstacleTo, roleByName } from "./event-trigger.ts";
import { keyOf, labelsOf } from "./key.ts";
import type { EventRole } from "./node.ts";

/** An event trigger of an automation, as far as it says which events it covers. */
export interface CoveringTrigger {
  readonly definition: EventTriggerDefinition;
  /** The path from the root. */
  readonly path: string;
  /** The labels of its keys. */
  readonly keyLabels: readonly string[];
  /** The beginnings of the names that it may cover, not very many; empty if it may cover any. */
  readonly namePrefixes: readonly string[];
  /** The role of an event; null if the trigger does not cover it. */
  roleOf(event: Event): EventRole | null;
  /** The values of the key that an event belongs to. */
  labelsOf(event: Event): Readonly<Record<string, string>>;
}

/** The event triggers of an automation, in the order of their paths. */
export function coveringTriggers(automation: Automation): CoveringTrigger[] {
  const { nodes } = buildTrigger(automation, 0, idle);
  const found: CoveringTrigger[] = [];
  walkTrigger(automation.trigger, (definition, path) => {
    const node = nodes.get(path);
    if (definition.type === "event" && node !== undefined)
      found.push(covering(definition, node as EventTriggerNode));
  });
  return found;
}

function covering(
  definition: EventTriggerDefinition,
  { path, compiled, labels }: EventTriggerNode,
): CoveringTrigger {
  const coversAny = compiled.expect.length === 0;
  const prefixes = [...compiled.expect, ...compiled.after].map(({ prefix }) => prefix);
  return {
    definition,
    path,
    keyLabels: labels,
    namePrefixes: coversAny ? [] : fewPrefixes(prefixes),
    roleOf: (event) => (obstacleTo(compiled, event) === null ? roleByName(compiled, event.name) : null),
    labelsOf: (event) => labelsOf(labels, keyOf(labels, event)),
  };
}

/** A query of the history takes each prefix as a condition of its own. */
const prefixCountMax = 100;

/**
 * Prefixes that everything begins with which begins with one of these; shorter ones if they are too many.
 *
 * @returns an empty list if that is everything
 */
export function fewPrefixes(prefixes: readonly string[]): readonly string[] {
  let few = [...new Set(prefixes)];
  while (few.length > prefixCountMax) {
    // By characters, because half of a surrogate pair begins nothing.
    few = [...new Set(few.map((prefix) => [...prefix]).map((all) => all.slice(0, all.length / 2).join("")))];
  }
  return few.includes("") ? [] : few;
}

/** An event trigger of an automation, for one key. */
export type TriggerOfKey = Pick<CoveringTrigger, "path" | "namePrefixes" | "roleOf">;

/**
 * Finds the trigger that a firing names.
 *
 * @param triggerId null for the root
 * @param labels the values of the key
 * @returns null for a composite, and if the automation has no such trigger (anymore)
 */
export function triggerOfKey(
  automation: Automation,
  triggerId: string | null,
  labels: Readonly<Record<string, string>>,
): TriggerOfKey | null {
  const trigger = coveringTriggers(automation).find(({ definition, path }) =>
    triggerId === null ? path === "" : definition.id === triggerId,
  );
  return trigger === undefined ? null : forKey(trigger, labels);
}

function forKey(trigger: CoveringTrigger, labels: Readonly<Record<string, string>>): TriggerOfKey {
  const { path, namePrefixes, keyLabels } = trigger;
  return {
    path,
    namePrefixes,
    roleOf(event: Event): EventRole | null {
      const role = trigger.roleOf(event);
      if (role === null) return null;
      const found = trigger.labelsOf(event);
      return keyLabels.every((label) => found[label] === (labels[label] ?? "")) ? role : null;
    },
  };
}

/** Nodes that are never evaluated do not use the machine. */
const idle = {} as never;
