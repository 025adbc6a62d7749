/**
 * An automation as readers see it: in the API's answers, and in the events that announce its changes.
 *
 * It holds no secrets: `secrets` is left out, and a webhook's `secret` is masked even if it was written in the rule
 * itself. References such as `${env.NAME}` are shown as they were written.
 */

import type { ActionDefinition } from "./action.ts";
import type { Actor } from "./actor.ts";
import { type Automation, type AutomationSource, withoutTriggerIds } from "./automation.ts";
import { changesBetween, type FieldChange, type Version } from "./changes.ts";
import type { WireEvent } from "./event.ts";
import { type Reference, referencedValue, replaceReferences } from "./reference.ts";
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

/** What differs between two versions of an automation; its ids and times aside. The values of secrets are masked. */
export function automationChanges(before: Automation | null, after: Automation | null): FieldChange[] {
  return changesBetween(versionOf(before), versionOf(after));
}

function versionOf(automation: Automation | null): Version {
  if (automation === null) return { stored: {}, shown: {} };
  const { id: _id, created: _created, updated: _updated, ...shown } = automationView(automation);
  // Those that only a webhook's `secret` refers to have names that say nothing to people; their action is named instead.
  const text = JSON.stringify(shown);
  const named = Object.entries(automation.secrets).filter(([name]) => text.includes(`env.${name}`));
  const secrets = Object.fromEntries(named);
  const masked = Object.fromEntries(named.map(([name]) => [name, secretMask]));
  const trigger = withoutTriggerIds(automation.trigger);
  const resolved = (actions: readonly ActionDefinition[]) =>
    actions.map((action) => withSecretFilledIn(action, automation.secrets));
  const { actions, actions_on_trigger: onTrigger, actions_on_resolve: onResolve } = automation;
  return {
    stored: {
      ...shown,
      trigger,
      actions: resolved(actions),
      actions_on_trigger: resolved(onTrigger),
      actions_on_resolve: resolved(onResolve),
      secrets,
    },
    shown: { ...shown, trigger, secrets: masked },
  };
}

/** The action with the value of its `secret`, for comparisons. Must not be shown. */
function withSecretFilledIn(
  action: ActionDefinition,
  secrets: Readonly<Record<string, string>>,
): ActionDefinition {
  if (action.type !== "call-webhook" || action.secret === undefined) return action;
  const { secret } = action;
  const fill = (reference: Reference, written: string) => referencedValue(reference, secrets) ?? written;
  return { ...action, secret: replaceReferences(secret, { reference: fill }) };
}

/**
 * The event that announces a change: `prefect-cloud.automation.created`, `….updated` or `….deleted`.
 *
 * @param automation after the change; for `deleted`, before it
 */
export function automationEvent(
  change: "created" | "updated" | "deleted",
  automation: Automation,
  { id, at, follows = null, actor, before = null }: AutomationEventFields,
): WireEvent {
  return {
    occurred: formatTime(at),
    event: `prefect-cloud.automation.${change}`,
    resource: {
      "prefect.resource.id": `prefect-cloud.automation.${automation.id}`,
      "prefect.resource.name": automation.name,
    },
    related: [],
    payload: {
      ...automationView(automation),
      changed_by: actor,
      // What a new or deleted automation consists of stands beside this.
      changes: change === "updated" && before !== null ? automationChanges(before, automation) : [],
    },
    id,
    follows,
  };
}

interface AutomationEventFields {
  /** Of the event. */
  readonly id: string;
  readonly at: Micros;
  /** The id of the event that led to the change, or null. */
  readonly follows?: string | null;
  readonly actor: Actor;
  /** The automation before an update. */
  readonly before?: Automation | null;
}

function withoutSecret(action: ActionDefinition): ActionDefinition {
  if (action.type !== "call-webhook" || action.secret === undefined) return action;
  return { ...action, secret: secretMask };
}
