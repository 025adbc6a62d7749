/** What a job carries: the invocation, and how far its delivery has come. */

import { actionEvent } from "../core/machine/consequence.ts";
import type { WireEvent } from "../core/model/event.ts";
import type { Invocation } from "../core/model/invocation.ts";
import type { Micros } from "../core/model/time.ts";
import { uuid5 } from "../core/model/uuid.ts";

/** One attempt that did not succeed. */
export interface Attempt {
  /** When it ended, RFC 3339. */
  readonly at: string;
  readonly reason: string;
  readonly duration_ms: number;
  readonly status_code?: number;
}

/** How a delivery ended. Kept before it is told, so that telling can be repeated without delivering again. */
export interface Outcome {
  readonly kind: "executed" | "failed";
  readonly at: Micros;
  readonly result: Readonly<Record<string, unknown>>;
}

export interface DeliveryState {
  readonly invocation: Invocation;
  /** The event that tells of its beginning is in the log. */
  readonly announced?: boolean;
  /** The latest ones, those before a redelivery included. */
  readonly attempts?: readonly Attempt[];
  /** Attempts since the delivery was begun, or begun anew. */
  readonly attemptCount?: number;
  readonly redeliveries?: number;
  /** When it was begun, or begun anew: milliseconds since the epoch. The job's own time when left out. */
  readonly started?: number;
  readonly outcome?: Outcome;
}

/** What is kept of a finished delivery: that it is finished. */
export interface FinishedState {
  readonly finished: true;
}

/** As many are kept as anybody will read. */
const attemptsKeptMax = 50;

export function withAttempt(state: DeliveryState, attempt: Attempt): DeliveryState {
  const { attempts = [], attemptCount = 0 } = state;
  return {
    ...state,
    announced: true,
    attempts: [...attempts, attempt].slice(-attemptsKeptMax),
    attemptCount: attemptCount + 1,
  };
}

/** The event about the delivery. A redelivery's events are other ones than those before it. */
export function deliveryEvent(
  { invocation, redeliveries = 0 }: DeliveryState,
  kind: "triggered" | "executed" | "failed",
  at: Micros,
  result?: Readonly<Record<string, unknown>>,
): WireEvent {
  const event = actionEvent(invocation, kind, at, result);
  if (redeliveries === 0) return event;
  const anew = (id: string) => uuid5(id, `redelivery ${redeliveries}`);
  const follows = kind === "triggered" || event.follows === null ? event.follows : anew(event.follows);
  return { ...event, id: anew(event.id), follows };
}
