/**
 * Invocations: one action of one firing, with everything needed to run it. Templates, jobs and webhooks all use these
 * shapes.
 */

import type { ActionDefinition } from "./action.ts";
import type { ReceivedEvent } from "./event.ts";
import type { TraceContext } from "./trace-context.ts";

/** A firing as events, templates and webhooks show it. Times are RFC 3339. */
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

/** An automation as templates and webhooks show it, without actions and secrets. */
export interface ShownAutomation {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly enabled: boolean;
  /** Null for a composite trigger. */
  readonly posture: "Reactive" | "Proactive" | null;
}

/** Deliveries of the same ordering are made one after the other, in the order of their firings. */
export interface Ordering {
  /** What they are about: an automation and a key. A UUID. */
  readonly thing: string;
  /** Where they go. A UUID. */
  readonly target: string;
}

/** One action of one firing, with everything needed to run it. Stored in the outbox and in a job. */
export interface Invocation {
  /** Derived from the firing and the action's index. The same at every attempt, and sent as `webhook-id`. */
  readonly id: string;
  readonly actionIndex: number;
  readonly action: ActionDefinition;
  /** The values of the `${env.NAME}` in the action. Must never be shown. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly automation: ShownAutomation;
  readonly firing: ShownFiring;
  readonly lineage: readonly string[];
  /** The id of the event that reports the firing. */
  readonly firingEventId: string;
  /** Left out if the order makes no difference, and in invocations of old versions. */
  readonly ordering?: Ordering;
  /** The trace that the delivery continues, if any. Passed on to webhooks. */
  readonly trace?: TraceContext;
}
