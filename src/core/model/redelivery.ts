/** What a person asks of a delivery that is to be sent again, and why that may be refused. */

import type { Automation } from "./automation.ts";

export interface RedeliveryOptions {
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
export type RedeliveryRefusal =
  | { readonly kind: "unknown" | "not kept" | "no secrets" | "outdated" }
  | { readonly kind: "no rule"; readonly reason: string };
