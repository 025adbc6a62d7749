/** An earlier invocation as the present rule would have it: same firing, same id, today's URL and text. */

import type { ActionDefinition } from "../model/action.ts";
import type { Automation } from "../model/automation.ts";
import type { Invocation } from "../model/invocation.ts";
import { secretsOf, showAutomation } from "./consequence.ts";
import { orderingOf } from "./ordering.ts";

/**
 * Applies the present rule to an earlier invocation.
 *
 * @param automation the same automation, as it is now
 * @returns a sentence if the rule has no such action any more
 */
export function underPresentRule(invocation: Invocation, automation: Automation): Invocation | string {
  const action = presentActionOf(invocation, automation);
  if (typeof action === "string") return action;
  const { ordering: before, ...rest } = invocation;
  const ordering = before === undefined ? null : orderingOf(action, automation, before.thing);
  return {
    ...rest,
    action,
    secrets: secretsOf(action, automation),
    automation: showAutomation(automation),
    ...(ordering === null ? {} : { ordering }),
  };
}

/** The action at the same place, if it has the same type; otherwise the only one of that type. */
function presentActionOf(
  { action: { type }, actionIndex, firing }: Invocation,
  { name, actions, actions_on_trigger, actions_on_resolve }: Automation,
): ActionDefinition | string {
  const onTrigger = [...actions, ...actions_on_trigger];
  const isResolution = firing.trigger_states[0] === "Resolved";
  const candidates = isResolution ? actions_on_resolve : onTrigger;
  const atSamePlace = candidates[isResolution ? actionIndex - onTrigger.length : actionIndex];
  if (atSamePlace?.type === type) return atSamePlace;
  const [only, ...others] = candidates.filter((action) => action.type === type);
  if (only !== undefined && others.length === 0) return only;
  const count = only === undefined ? "no" : `${others.length + 1}`;
  const list = isResolution ? "actions_on_resolve" : "actions";
  return `the automation ${JSON.stringify(name)} now has ${count} ${type} in its ${list}, so it is not clear what to send`;
}
