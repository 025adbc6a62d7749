/**
 * Which deliveries must keep their order: those about one thing, to one target.
 *
 * Otherwise the end of an alarm, delivered at its first attempt, could overtake the alarm itself, which is being retried,
 * and the receiver would believe in the alarm forever.
 */

import type { ActionDefinition } from "../model/action.ts";
import { type Automation, canonicalJson } from "../model/automation.ts";
import type { Ordering } from "../model/invocation.ts";
import { triplineNamespace, uuid5 } from "../model/uuid.ts";
import type { Firing } from "./firing.ts";

/**
 * What an invocation of this firing is about: the automation and the firing's key.
 *
 * A Reactive trigger without `for_each` has one key for everything, although its events have nothing to do with each
 * other. There the resource of the event stands for the key, so that one message that cannot be delivered holds up only
 * the messages about the same resource.
 */
export function thingOf({ automation, labels, event }: Firing): string {
  const { trigger } = automation;
  const isUnkeyed =
    trigger.type === "event" && trigger.posture === "Reactive" && Object.keys(labels).length === 0;
  const resource = isUnkeyed ? (event?.wire.resource["prefect.resource.id"] ?? "") : "";
  return uuid5(automation.id, `thing ${canonicalJson(labels)}${resource}`);
}

/** How the deliveries of an action are ordered. @returns null for an action whose order makes no difference */
export function orderingOf(action: ActionDefinition, automation: Automation, thing: string): Ordering | null {
  const target = targetKeyOf(action, automation);
  return target === null ? null : { thing, target };
}

/** The keys of the targets, which are needed for every firing. */
const targetKeys = new WeakMap<ActionDefinition, string | null>();

function targetKeyOf(action: ActionDefinition, automation: Automation): string | null {
  const known = targetKeys.get(action);
  if (known !== undefined) return known;
  const target = pairedTargetOf(action, automation);
  const key = target === null ? null : uuid5(triplineNamespace, `target ${target}`);
  targetKeys.set(action, key);
  return key;
}

/**
 * The target of an action, as a text.
 *
 * The end of an alarm may be sent to another path of the receiver than its start, such as `/close` and `/open`. Then it
 * belongs to the start whose URL is most like it.
 */
function pairedTargetOf(action: ActionDefinition, automation: Automation): string | null {
  const target = targetOf(action);
  if (target === null || !automation.actions_on_resolve.includes(action)) return target;
  const starts = [...automation.actions, ...automation.actions_on_trigger].map(targetOf);
  if (starts.includes(target)) return target;
  const origin = originOf(target);
  let paired = target;
  let likeness = 0;
  for (const start of starts) {
    if (start === null || originOf(start) !== origin) continue;
    const length = sharedLength(start, target);
    if (length > likeness) [paired, likeness] = [start, length];
  }
  return paired;
}

/** Where an action goes, as the rule has it. @returns null if its order makes no difference */
export function targetOf(action: ActionDefinition): string | null {
  switch (action.type) {
    case "call-webhook":
    case "send-notification":
      if ("url" in action && action.url !== undefined) return action.url;
      return `destination ${action.destination ?? action.block_document_id ?? ""}`;
    case "emit-event":
      return "the log";
    case "pause-automation":
    case "resume-automation":
      return "the automations";
    case "do-nothing":
      return null;
  }
}

/** The part of a URL, or of a template for one, before its path; any other target is its own origin. */
function originOf(target: string): string {
  return /^(?:https?:\/\/)?[^/]*/i.exec(target)?.[0] ?? target;
}

function sharedLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
