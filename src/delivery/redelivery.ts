/** What a redelivery sends: what the present rule says, or what was sent before. */

import { secretsOf } from "../core/machine/consequence.ts";
import { underPresentRule } from "../core/machine/present-rule.ts";
import type { Invocation } from "../core/model/invocation.ts";
import type { RedeliveryOptions, RedeliveryRefusal } from "../core/model/redelivery.ts";
import { referencesIn } from "../core/model/reference.ts";

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
