/** Events that announce changes. One about an automation is appended in the same step as the change. */

import type { Actor } from "../core/model/actor.ts";
import type { Automation } from "../core/model/automation.ts";
import { automationEvent } from "../core/model/automation-view.ts";
import { type ChangedThing, type ChangeKind, changeEvent } from "../core/model/change-events.ts";
import type { FieldChange } from "../core/model/changes.ts";
import { millisecond } from "../core/model/time.ts";
import type { NewEvent } from "./entry.ts";

/** Makes the event that announces a change, given the automation after it and before it (null if it is new). */
export type AnnounceChange = (automation: Automation, before: Automation | null) => NewEvent;

/** For changes made by a person or a rule file. The event about a change that a firing caused has its own id and lineage. */
export function announceChange(change: "created" | "updated" | "deleted", actor: Actor): AnnounceChange {
  return (automation, before) => ({
    event: automationEvent(change, automation, {
      id: crypto.randomUUID(),
      at: Date.now() * millisecond,
      actor,
      before,
    }),
  });
}

/** Events that announce deletions, keyed by automation id, for `Log.deleteAutomations`. */
export function announceDeletions(
  automations: readonly Automation[],
  actor: Actor,
): ReadonlyMap<string, NewEvent> {
  const announce = announceChange("deleted", actor);
  return new Map(automations.map((automation) => [automation.id, announce(automation, null)]));
}

/** The event about a change of something that is not an automation, such as a destination. */
export function announceThing(
  thing: ChangedThing,
  change: ChangeKind,
  changes: readonly FieldChange[],
  actor: Actor,
): NewEvent {
  const by = { actor, eventId: crypto.randomUUID(), at: Date.now() * millisecond };
  return { event: changeEvent(thing, change, changes, by) };
}
