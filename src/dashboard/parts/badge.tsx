/** A word about a state, in the color of how good it is. The word alone says it all. */

import type { ReactNode } from "react";
import type { Delivery } from "../../client/types.ts";

export type BadgeTone = "ok" | "warn" | "bad" | "info" | "plain";

export interface BadgeProps {
  readonly tone?: BadgeTone;
  readonly title?: string;
  readonly children: ReactNode;
}

export function Badge({ tone = "plain", title, children }: BadgeProps): ReactNode {
  return (
    <span className={tone === "plain" ? "badge" : `badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

const deliveryTones: Readonly<Record<Delivery["state"], BadgeTone>> = {
  waiting: "info",
  active: "info",
  retrying: "warn",
  deferred: "warn",
  delivered: "ok",
  dead: "bad",
  cancelled: "plain",
  unknown: "plain",
};

export function DeliveryBadge({ state }: { readonly state: Delivery["state"] }): ReactNode {
  return <Badge tone={deliveryTones[state]}>{state}</Badge>;
}

/** Whether a firing reports that something began, or that it is over. */
export function FiringBadge({ state }: { readonly state: "Triggered" | "Resolved" }): ReactNode {
  return <Badge tone={state === "Triggered" ? "bad" : "ok"}>{state.toLowerCase()}</Badge>;
}

/** Whether an automation is in force. */
export function EnabledBadge({ enabled }: { readonly enabled: boolean }): ReactNode {
  return enabled ? <Badge tone="ok">enabled</Badge> : <Badge tone="warn">paused</Badge>;
}
