/** What a redelivery sends: what the present rule says, or what was sent before. */

import { secretsOf } from "../core/machine/consequence.ts";
import { underPresentRule } from "../core/machine/present-rule.ts";
import type { Automation } from "../core/model/automation.ts";
import type { Invocation } from "../core/model/invocation.ts";
import { referencesIn } from "../core/model/reference.ts";

export interface RedeliverOptions {
  /** The delivery's automation as it is now; null if it has been deleted. */
  readonly automation: Automation | null;
  /** Send what the rule said when it fired. */
  readonly asSent: boolean;
  /** Send it even if the target has accepted a later delivery about the same thing. */
  readonly insists: boolean;
}

/**
 * Why a delivery cannot be redelivered:
 *
 * - `unknown`: the queue does not have it
 * - `not kept`: it was delivered, and what it sent is not kept
 * - `no rule`: the present rule does not say what to send; `reason` says why
 * - `no secrets`: it was delivered, so its secrets are not kept, and the automation does not have them any more
 * - `outdated`: the target has accepted a later delivery about the same thing
 */
export type RedeliverRefusal =
  | { readonly kind: "unknown" | "not kept" | "no secrets" | "outdated" }
  | { readonly kind: "no rule"; readonly reason: string };

/** @param wasDelivered then the invocation has no secrets any more */
export function invocationToRedeliver(
  invocation: Invocation,
  { automation, asSent }: RedeliverOptions,
  wasDelivered: boolean,
): Invocation | RedeliverRefusal {
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
