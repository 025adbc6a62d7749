/** The events with which Tripline reports firings. */

import type { EventFilter, ReceivedEvent } from "../../client/types.ts";

const names = ["prefect-cloud.automation.triggered", "prefect-cloud.automation.resolved"];

/** Events about firings, of all automations. */
export const firingFilter: EventFilter = { event: { name: names } };

/** The same, as the event feed has it in its URL. */
export const firingNames = names.join(", ");

/** The resource of an automation, in the events about it. */
export function resourceOf(automationId: string): string {
  return `prefect-cloud.automation.${automationId}`;
}

export function firingState({ event }: ReceivedEvent): "Triggered" | "Resolved" {
  return event.endsWith("resolved") ? "Resolved" : "Triggered";
}
