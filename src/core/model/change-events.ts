/**
 * Events about changes of what is not an automation: destinations, hooks and API keys. They are named
 * `tripline.<what>.<change>`. Those about automations are in automation-view.ts.
 */

import type { Actor } from "./actor.ts";
import { changesBetween, type FieldChange, type Version } from "./changes.ts";
import { type Destination, destinationView } from "./destination.ts";
import type { WireEvent } from "./event.ts";
import { type Hook, hookView } from "./hook.ts";
import { secretMask } from "./secret.ts";
import { formatTime, type Micros } from "./time.ts";

export type ChangeKind = "created" | "updated" | "deleted" | "revoked";

export interface ChangedThing {
  readonly what: "destination" | "hook" | "api-key";
  readonly id: string;
  readonly name: string;
}

/** The event about a change of something that is not an automation. */
export function changeEvent(
  { what, id, name }: ChangedThing,
  change: ChangeKind,
  changes: readonly FieldChange[],
  by: { readonly actor: Actor; readonly eventId: string; readonly at: Micros },
): WireEvent {
  return {
    occurred: formatTime(by.at),
    event: `tripline.${what}.${change}`,
    resource: { "prefect.resource.id": `tripline.${what}.${id}`, "prefect.resource.name": name },
    related: [],
    payload: { name, changed_by: by.actor, changes },
    id: by.eventId,
    follows: null,
  };
}

/** @param before null if it is new; @param after null if it is deleted */
export function destinationChanges(before: Destination | null, after: Destination | null): FieldChange[] {
  return changesBetween(destinationVersion(before), destinationVersion(after));
}

function destinationVersion(destination: Destination | null): Version {
  if (destination === null) return { stored: {}, shown: {} };
  const { id, source, created, updated, ...shown } = destinationView(destination, secretMask);
  return { stored: destination.definition, shown };
}

/** @param before null if it is new; @param after null if it is deleted */
export function hookChanges(before: Hook | null, after: Hook | null): FieldChange[] {
  return changesBetween(hookVersion(before), hookVersion(after));
}

function hookVersion(hook: Hook | null): Version {
  if (hook === null) return { stored: {}, shown: {} };
  const { signature } = hookView(hook);
  const shown = signature === null ? {} : { signature: { ...signature, secret: secretMask } };
  return { stored: hook, shown: { ...hook, ...shown } };
}
