/** A delivery in any state, as the API returns it. Contains no secrets. */

import { shownTargetOf } from "../templates/shown-target.ts";
import type { Attempt, DeliveryState, FinishedDelivery, JobData } from "./delivery-state.ts";

/**
 * Where a delivery stands:
 *
 * - `waiting`: the next free worker will take it
 * - `active`: a worker is making an attempt
 * - `retrying`: an attempt failed, and another one follows
 * - `deferred`: nothing was sent, because the endpoint is busy or paused, or because it waits for an earlier delivery
 *   about the same thing; an attempt follows
 * - `delivered`: done
 * - `dead`: failed for good
 * - `cancelled`: a person cancelled it
 */
export type DeliveryStatus = ListedStatus | "deferred" | "cancelled";

/** The sets in which the queue keeps deliveries. `retrying` includes those that are deferred, `dead` those that are cancelled. */
export type ListedStatus = "waiting" | "active" | "retrying" | "delivered" | "dead";

export interface DeliveryView extends FinishedDelivery {
  readonly state: DeliveryStatus;
  /** Why the last attempt failed, or why nothing was sent; null if nothing went wrong. */
  readonly reason: string | null;
  /** The latest attempts, oldest first, including those before a redelivery. */
  readonly attempts: readonly Attempt[];
  /** When the next attempt is due, RFC 3339; null unless it is retrying or deferred. */
  readonly next_attempt: string | null;
  /** RFC 3339; null unless it was delivered. */
  readonly delivered: string | null;
  /** When Tripline gave up, RFC 3339; null unless it is dead. */
  readonly failed: string | null;
}

/** What the queue knows about a job besides its data. */
export interface JobFacts {
  readonly status: ListedStatus;
  /** When the job is due, in milliseconds since the epoch; null unless it is delayed. */
  readonly due: number | null;
  /** Why the job failed, as BullMQ stored it. */
  readonly failedReason: string | undefined;
  /** When the job ended, in milliseconds since the epoch. */
  readonly finishedOn: number | undefined;
}

/** The view of a job. @returns null for a delivery that an old version finished, which kept nothing about it */
export function deliveryOf(data: JobData, facts: JobFacts): DeliveryView | null {
  const finished = finishedDelivery(data);
  if (finished === null) return null;
  const { status, due } = facts;
  const ended = facts.finishedOn === undefined ? null : new Date(facts.finishedOn).toISOString();
  const state = "finished" in data ? null : data;
  const deferral = status === "retrying" ? state?.deferred : undefined;
  const last = state?.attempts?.at(-1);
  const reason = status === "dead" ? facts.failedReason : (deferral?.reason ?? last?.reason);
  return {
    ...finished,
    state: state?.outcome?.cancelled ? "cancelled" : deferral === undefined ? status : "deferred",
    reason: status === "delivered" ? null : (reason ?? null),
    attempts: data.attempts ?? [],
    next_attempt: due === null ? null : new Date(due).toISOString(),
    delivered: status === "delivered" ? ended : null,
    failed: status === "dead" ? ended : null,
  };
}

function finishedDelivery(data: JobData): FinishedDelivery | null {
  return "finished" in data ? (data.delivery ?? null) : summaryOf(data);
}

/** The summary to keep of a delivery once it is finished. */
export function summaryOf({ invocation, ...state }: DeliveryState): FinishedDelivery {
  const { action, automation, firing } = invocation;
  const attemptCount = state.outcome?.result["attempts"];
  const status = state.outcome?.result["status_code"] ?? state.attempts?.at(-1)?.status_code;
  const templateFailures = state.outcome?.result["template_failures"];
  return {
    id: invocation.id,
    automation: { id: automation.id, name: automation.name },
    action_type: action.type,
    action_index: invocation.actionIndex,
    target: shownTargetOf(action, invocation.secrets),
    firing_id: firing.id,
    fired: firing.triggered,
    firing_event_id: invocation.firingEventId,
    triggering_event_id: firing.triggering_event?.id ?? null,
    attempt_count: typeof attemptCount === "number" ? attemptCount : (state.attemptCount ?? 0),
    ...((state.earlyCount ?? 0) > 0 ? { early_count: state.earlyCount } : {}),
    status_code: typeof status === "number" ? status : null,
    redeliveries: state.redeliveries ?? 0,
    ...(Array.isArray(templateFailures) && templateFailures.length > 0
      ? { template_failures: templateFailures }
      : {}),
  };
}

/** Reads the due time from BullMQ's score for delayed jobs. The lowest 12 bits of the score order jobs of the same time. */
export function dueOf(score: string | null): number | null {
  return score === null ? null : Math.floor(Number(score) / 0x1000);
}

export interface DeliveryFilter {
  /** The id or the name of an automation. */
  readonly automation?: string;
  /** A part of the target, in any case. */
  readonly target?: string;
  /** Fired at this time or later, in milliseconds since the epoch. */
  readonly since?: number;
  /** Fired before this time. */
  readonly until?: number;
}

/** Whether a delivery passes every part of a filter. One that does not say when it fired passes no bound on that. */
export function matches({ automation, target, fired }: DeliveryView, filter: DeliveryFilter): boolean {
  const { automation: wanted, target: part, since = -Infinity, until = Infinity } = filter;
  if (wanted !== undefined && automation.id !== wanted && automation.name !== wanted) return false;
  if (part !== undefined && !target?.toLowerCase().includes(part.toLowerCase())) return false;
  if (filter.since === undefined && filter.until === undefined) return true;
  const firedMs = Date.parse(fired ?? "");
  return firedMs >= since && firedMs < until;
}
