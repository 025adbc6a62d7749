/** What a redelivery sends: what the present rule says, or what was sent before. */

import { secretsOf } from "../core/machine/consequence.ts";
import { underPresentRule } from "../core/machine/present-rule.ts";
import type { Invocation } from "../core/model/invocation.ts";
import type { RedeliveryOptions, RedeliveryRefusal } from "../core/model/redelivery.ts";
import { referencesIn } from "../core/model/reference.ts";

/**
 * Whether a delivery that waits goes on as the present rule has it, which is if that sends it elsewhere. Otherwise it is
 * sent as the rule was when it fired.
 */
export function isMoved(invocation: Invocation, present: Invocation): boolean {
  return present.ordering?.target !== invocation.ordering?.target;
}

/** @param wasDelivered then the invocation has no secrets any more */
export function invocationToRedeliver(
  invocation: Invocation,
  { automation, asSent }: RedeliveryOptions,
  wasDelivered: boolean,
): Invocation | RedeliveryRefusal {
  if (!asSent) {
    if (automation === null) return { kind: "no rule", reason: "its automation has been deleted" };
    const changed = underPresentRule(invocation, automation);
    return typeof changed === "string" ? { kind: "no rule", reason: changed } : changed;
  }
  if (!wasDelivered) return invocation;
  const names = referencesIn(JSON.stringify(invocation.action)).map(({ name }) => name);
  const secrets = automation === null ? {} : secretsOf(invocation.action, automation);
  if (names.some((name) => !Object.hasOwn(secrets, name))) return { kind: "no secrets" };
  return { ...invocation, secrets };
}
