/** The events that announce a change of an automation, appended in the same step as the change. */

import type { Automation } from "../core/model/automation.ts";
import { automationEvent } from "../core/model/automation-view.ts";
import { millisecond } from "../core/model/time.ts";
import type { NewEvent } from "./entry.ts";

/** Makes the event that announces what an automation has become. */
export type AnnounceChange = (automation: Automation) => NewEvent;

/** Announces a change that a person or a rule file asked for. What a firing causes carries its own id and lineage. */
export function announceChange(change: "created" | "updated" | "deleted"): AnnounceChange {
  return (automation) => ({
    event: automationEvent(change, automation, { id: crypto.randomUUID(), at: Date.now() * millisecond }),
  });
}

/** The events that announce deletions, by automation id, as `Log.deleteAutomations` takes them. */
export function announceDeletions(automations: readonly Automation[]): ReadonlyMap<string, NewEvent> {
  return new Map(automations.map((automation) => [automation.id, announceChange("deleted")(automation)]));
}
