/** Which events a firing was about, found again by the definition of its trigger. */

import type { Automation } from "../model/automation.ts";
import type { Event } from "../model/event.ts";
import { walkTrigger } from "../model/trigger.ts";
import { buildTrigger, type EventTriggerNode } from "./build-trigger.ts";
import { obstacleTo, roleByName } from "./event-trigger.ts";
import { keyOf } from "./key.ts";
import type { EventRole } from "./node.ts";

/** An event trigger of an automation, for one key. */
export interface TriggerOfKey {
  /** The path from the root. */
  readonly path: string;
  /** The beginnings of the names that it may cover; empty if it may cover any. */
  readonly namePrefixes: readonly string[];
  /** The role of an event; null if the trigger does not cover it, or it belongs to another key. */
  roleOf(event: Event): EventRole | null;
}

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
  const { nodes } = buildTrigger(automation, 0, idle);
  const found: EventTriggerNode[] = [];
  walkTrigger(automation.trigger, (definition, path) => {
    const isWanted = triggerId === null ? path === "" : definition.id === triggerId;
    const node = nodes.get(path);
    if (isWanted && definition.type === "event" && node !== undefined) found.push(node as EventTriggerNode);
  });
  const [node] = found;
  return node === undefined ? null : forKey(node, labels);
}

function forKey(
  { path, compiled, labels: names }: EventTriggerNode,
  labels: Readonly<Record<string, string>>,
): TriggerOfKey {
  const key = names.map((label) => labels[label] ?? "");
  const prefixes = [...compiled.expect, ...compiled.after].map(({ prefix }) => prefix);
  const coversAny = compiled.expect.length === 0 || prefixes.includes("");
  return {
    path,
    namePrefixes: coversAny ? [] : prefixes,
    roleOf(event: Event): EventRole | null {
      if (obstacleTo(compiled, event) !== null) return null;
      const isOfKey = keyOf(names, event).every((value, index) => value === key[index]);
      return isOfKey ? roleByName(compiled, event.name) : null;
    },
  };
}

/** Nodes that are never evaluated do not use the machine. */
const idle = {} as never;
