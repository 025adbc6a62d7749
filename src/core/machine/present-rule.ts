/** An earlier invocation as the present rule would have it: same firing, same id, today's URL and text. */

import type { ActionDefinition } from "../model/action.ts";
import { type Automation, canonicalJson } from "../model/automation.ts";
import type { Invocation } from "../model/invocation.ts";
import { secretsOf, showAutomation } from "./consequence.ts";
import { orderingOf, targetOf } from "./ordering.ts";

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

/**
 * The action that it has become: the same one, wherever it stands now; otherwise the one that goes to the same target;
 * otherwise one of the same type. Where several are left, it is the one at the same place.
 */
function presentActionOf(
  { action, actionIndex, firing }: Invocation,
  { name, actions, actions_on_trigger, actions_on_resolve }: Automation,
): ActionDefinition | string {
  const onTrigger = [...actions, ...actions_on_trigger];
  const isResolution = firing.trigger_states[0] === "Resolved";
  const list = isResolution ? actions_on_resolve : onTrigger;
  const atSamePlace = list[isResolution ? actionIndex - onTrigger.length : actionIndex];
  const ofType = list.filter(({ type }) => type === action.type);
  const toTarget = ofType.filter((one) => targetOf(one) === targetOf(action));
  const same = ofType.filter((one) => canonicalJson(one) === canonicalJson(action));
  const candidates = [same.slice(0, 1), toTarget, ofType].find(({ length }) => length > 0) ?? [];
  if (atSamePlace !== undefined && candidates.includes(atSamePlace)) return atSamePlace;
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0) return only;
  const count = only === undefined ? "no" : `${others.length + 1}`;
  const where = isResolution ? "actions_on_resolve" : "actions";
  return `the automation ${JSON.stringify(name)} now has ${count} ${action.type} in its ${where}, so it is not clear what to send`;
}
