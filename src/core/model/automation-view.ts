/**
 * An automation as readers see it: in the API's answers, and in the events that announce its changes.
 *
 * It holds no secrets: `secrets` is left out, and a webhook's `secret` is masked even if it was written in the rule
 * itself. References such as `${env.NAME}` are shown as they were written.
 */

import type { ActionDefinition } from "./action.ts";
import type { Automation, AutomationSource } from "./automation.ts";
import type { WireEvent } from "./event.ts";
import { secretMask } from "./secret.ts";
import { formatTime, type Micros } from "./time.ts";
import type { TriggerDefinition } from "./trigger.ts";

export interface AutomationView {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly enabled: boolean;
  readonly tags: readonly string[];
  readonly trigger: TriggerDefinition;
  readonly actions: readonly ActionDefinition[];
  readonly actions_on_trigger: readonly ActionDefinition[];
  readonly actions_on_resolve: readonly ActionDefinition[];
  /** Where it is defined: in a rule file, or over the API. */
  readonly source: AutomationSource;
  readonly created: string;
  readonly updated: string;
}

export function automationView(automation: Automation): AutomationView {
  return {
    id: automation.id,
    name: automation.name,
    description: automation.description,
    enabled: automation.enabled,
    tags: automation.tags,
    trigger: automation.trigger,
    actions: automation.actions.map(withoutSecret),
    actions_on_trigger: automation.actions_on_trigger.map(withoutSecret),
    actions_on_resolve: automation.actions_on_resolve.map(withoutSecret),
    source: automation.source,
    created: formatTime(automation.created),
    updated: formatTime(automation.updated),
  };
}

/**
 * The event that announces a change: `prefect-cloud.automation.created`, `….updated` or `….deleted`.
 *
 * @param automation after the change; for `deleted`, before it
 * @param id of the event
 * @param follows the id of the event that led to the change, or null
 */
export function automationEvent(
  change: "created" | "updated" | "deleted",
  automation: Automation,
  { id, at, follows = null }: { readonly id: string; readonly at: Micros; readonly follows?: string | null },
): WireEvent {
  return {
    occurred: formatTime(at),
    event: `prefect-cloud.automation.${change}`,
    resource: {
      "prefect.resource.id": `prefect-cloud.automation.${automation.id}`,
      "prefect.resource.name": automation.name,
    },
    related: [],
    payload: { ...automationView(automation) },
    id,
    follows,
  };
}

function withoutSecret(action: ActionDefinition): ActionDefinition {
  if (action.type !== "call-webhook" || action.secret === undefined) return action;
  return { ...action, secret: secretMask };
}
