/** Events that announce a change to an automation. Each is appended in the same step as the change. */

import type { Automation } from "../core/model/automation.ts";
import { automationEvent } from "../core/model/automation-view.ts";
import { millisecond } from "../core/model/time.ts";
import type { NewEvent } from "./entry.ts";

/** Makes the event that announces a change, given the changed automation. */
export type AnnounceChange = (automation: Automation) => NewEvent;

/** For changes made by a person or a rule file. The event about a change that a firing caused has its own id and lineage. */
export function announceChange(change: "created" | "updated" | "deleted"): AnnounceChange {
  return (automation) => ({
    event: automationEvent(change, automation, { id: crypto.randomUUID(), at: Date.now() * millisecond }),
  });
}

/** Events that announce deletions, keyed by automation id, for `Log.deleteAutomations`. */
export function announceDeletions(automations: readonly Automation[]): ReadonlyMap<string, NewEvent> {
  return new Map(automations.map((automation) => [automation.id, announceChange("deleted")(automation)]));
}
