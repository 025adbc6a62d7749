/**
 * Invocations: one action of one firing, with all that running it needs. What templates see, jobs carry and webhooks
 * send is made of these shapes.
 */

import type { ActionDefinition } from "./action.ts";
import type { ReceivedEvent } from "./event.ts";
import type { TraceContext } from "./trace-context.ts";

/** A firing as it is shown: in events, in templates, in webhooks. Times are RFC 3339. */
export interface ShownFiring {
  readonly id: string;
  readonly trigger_id: string;
  readonly trigger_states: readonly ["Triggered" | "Resolved"];
  readonly triggered: string;
  readonly triggering_labels: Readonly<Record<string, string>>;
  readonly triggering_event: ReceivedEvent | null;
  readonly window: {
    readonly start: string;
    readonly end: string | null;
    readonly count: number;
    readonly threshold: number;
  } | null;
  readonly late: boolean;
  readonly triggering_firings: readonly ShownFiring[];
}

/** An automation as templates and webhooks see it: without actions and secrets. */
export interface ShownAutomation {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly enabled: boolean;
  /** Null for a composite. */
  readonly posture: "Reactive" | "Proactive" | null;
}

/** One action of one firing, with all that running it needs: what the outbox and a job carry. */
export interface Invocation {
  /** Derived from the firing and the action's index: the same at every attempt, in the `webhook-id` header too. */
  readonly id: string;
  readonly actionIndex: number;
  readonly action: ActionDefinition;
  /** Values for the `${env.NAME}` that the action names. Never to be shown. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly automation: ShownAutomation;
  readonly firing: ShownFiring;
  readonly lineage: readonly string[];
  /** The id of the event that tells of the firing. */
  readonly firingEventId: string;
  /** The trace that the delivery continues; left out when there is none. Passed on to webhooks. */
  readonly trace?: TraceContext;
}
