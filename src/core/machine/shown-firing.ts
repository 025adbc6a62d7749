/** Firings as they leave the core. */

import { assert } from "../model/assert.ts";
import type { Automation } from "../model/automation.ts";
import type { TriggerFiring } from "./firing.ts";
import type { Fired } from "./node.ts";

/** A firing as it is known outside the core. */
export function shownFiring(fired: Fired, automation: Automation): TriggerFiring {
  const { id, path, state, triggered, happened, labels, arrival, window, late, firings } = fired;
  return {
    id,
    triggerId: triggerIdAt(automation, path),
    state,
    triggered,
    happened,
    labels,
    event: arrival?.event ?? null,
    window,
    late,
    firings: firings.map((firing) => shownFiring(firing, automation)),
  };
}

function triggerIdAt({ trigger }: Automation, path: string): string {
  let current = trigger;
  for (const step of path === "" ? [] : path.split(".")) {
    const child = current.type === "event" ? undefined : current.triggers[Number(step)];
    assert(child !== undefined, "a firing's path leads to a trigger");
    current = child;
  }
  return current.id;
}

/** The lineage of a firing, in the order of its events. Empty when only events from outside led to it. */
export function lineageOf(fired: Fired): string[] {
  const own = fired.arrival?.event.lineage ?? [];
  return [...new Set([...fired.firings.flatMap(lineageOf), ...own])];
}
