/** The data of a job: the invocation, and how far its delivery has come. */

import { actionEvent } from "../core/machine/consequence.ts";
import { type DisabledEndpoint, endpointDisabledEvent } from "../core/model/disabled-endpoint.ts";
import type { WireEvent } from "../core/model/event.ts";
import type { Invocation } from "../core/model/invocation.ts";
import { formatTime, type Micros } from "../core/model/time.ts";
import { uuid5 } from "../core/model/uuid.ts";
import type { TemplateFailure } from "../templates/renderer.ts";
import type { Addressees, GoneEndpoint } from "./attempt.ts";

/** One attempt, for people who look the delivery up. Contains no secrets. */
export interface Attempt {
  /** When it ended, RFC 3339. */
  readonly at: string;
  /** Why it failed; left out if it succeeded. */
  readonly reason?: string;
  readonly duration_ms: number;
  readonly status_code?: number;
  /** The beginning of the answer, if it succeeded; the reason quotes any other. */
  readonly answer?: string;
  /** Why it was made before it was due; left out if it was due. No limit on attempts counts one that was not. */
  readonly early?: EarlyAttempt;
}

/**
 * - `probe`: it found out whether an endpoint works again that is down
 * - `recovered`: the endpoint had accepted others
 * - `other`: a person asked for it, or it came back from waiting for something else
 */
export type EarlyAttempt = "probe" | "recovered" | "other";

/** How a delivery ended. Stored before it is reported, so that reporting can be repeated without delivering again. */
export interface DeliveryOutcome {
  readonly kind: "executed" | "failed";
  readonly at: Micros;
  readonly result: Readonly<Record<string, unknown>>;
  /** A person cancelled it. */
  readonly cancelled?: true;
  /** The endpoint to disable. */
  readonly gone?: GoneEndpoint;
}

export interface DeliveryState {
  readonly invocation: Invocation;
  /** Whether the event that reports the start of the delivery is in the log. */
  readonly announced?: boolean;
  /** The latest attempts, including those before a redelivery. */
  readonly attempts?: readonly Attempt[];
  /** Failed attempts since the delivery started, or since its last redelivery. */
  readonly attemptCount?: number;
  /** How many of them were made before their time, because the endpoint might have worked again. No limit counts these. */
  readonly earlyCount?: number;
  /** How many of those failed although the endpoint accepted others. */
  readonly vainCount?: number;
  /** When the next attempt is due, in milliseconds since the epoch, unless the delivery is woken up. */
  readonly due?: number;
  readonly redeliveries?: number;
  /** When the last redelivery started, in milliseconds since the epoch. Without one, the job's own time applies. */
  readonly started?: number;
  readonly outcome?: DeliveryOutcome;
  /** How often a worker was lost in the middle of this delivery, up to the latest time that it gave up its turn. */
  readonly crashesSeen?: number;
  /** Why nothing was sent the last time, and since when, in milliseconds; left out once an attempt is made. */
  readonly deferred?: { readonly reason: string; readonly since?: number };
  /** Its place in its lane; missing if the order makes no difference. */
  readonly place?: number;
  /** A person wants it to be sent even if the target has accepted a later one. */
  readonly insists?: true;
  /** A person wants it to be sent as the rule was when it fired. */
  readonly asSent?: true;
  /** Addressees that need no further attempt; missing if all do. */
  readonly addressees?: Addressees;
  /** The endpoint of the latest attempt. */
  readonly endpoint?: string;
  /** How long it had been tried, as of a time in milliseconds since the epoch. */
  readonly tried?: { readonly ms: number; readonly at: number };
}

/** What a person asked for while a delivery waited. */
export type DeliveryRequest =
  | { readonly kind: "cancel"; readonly by: string }
  /** Try again now, as the present rule has it, or as the rule was when it fired. */
  | { readonly kind: "present rule" | "as sent"; readonly insists: boolean };

/** The data of a job whose delivery has finished. */
export interface FinishedState {
  readonly finished: true;
  /** Missing in jobs of old versions, which kept only the id. */
  readonly delivery?: FinishedDelivery;
  readonly attempts?: readonly Attempt[];
  /** For a redelivery, without secrets; left out if it is large, or if the action sends nothing. */
  readonly invocation?: Invocation;
  readonly place?: number;
  readonly endpoint?: string;
  /** When the last redelivery started. */
  readonly started?: number;
  /** How it ended. Present if its event may not be in the log yet, as long as a worker has the job. */
  readonly outcome?: DeliveryOutcome;
}

/** A summary of a delivery, so that people can look it up. It contains neither secrets nor what was sent. */
export interface FinishedDelivery {
  /** The invocation's id, which is also the `webhook-id`. */
  readonly id: string;
  readonly automation: { readonly id: string; readonly name: string };
  readonly action_type: string;
  readonly action_index: number;
  /** The URL as the rule has it, without credentials; or the destination's name or id. Null if nothing is sent anywhere. */
  readonly target: string | null;
  readonly firing_id: string;
  /** When it fired, RFC 3339. Missing in summaries of old versions. */
  readonly fired?: string;
  /** The event that reports the firing. */
  readonly firing_event_id: string;
  /** The event that caused the firing; null if an absence did. */
  readonly triggering_event_id: string | null;
  /** Attempts made since the delivery started, or since its last redelivery. */
  readonly attempt_count: number;
  /** How many of them failed before they were due. Missing if none did. */
  readonly early_count?: number;
  /** The status that the receiver last responded with. */
  readonly status_code: number | null;
  readonly redeliveries: number;
  /** Templates that failed, in the order of the action; a plain message was sent. Missing if none did. */
  readonly template_failures?: readonly TemplateFailure[];
}

export type JobData = DeliveryState | FinishedState;

/** A job stores only the latest attempts, to limit its size. */
const attemptsKeptMax = 50;

/** Adds an attempt to the state. */
export function withAttempt(state: DeliveryState, attempt: Attempt): DeliveryState {
  const { attempts = [], attemptCount = 0, deferred: _, ...rest } = state;
  return {
    ...rest,
    announced: true,
    attempts: [...attempts, attempt].slice(-attemptsKeptMax),
    attemptCount: attemptCount + 1,
  };
}

/** A rule that has changed within this time may be followed as it was. */
const ruleKeptMs = 1_000;

/** Whether time has passed since a worker first looked at it, so that its rule may have changed. @param now milliseconds since the epoch */
export function hasWaited({ attemptCount, deferred, asSent }: DeliveryState, now: number): boolean {
  if (asSent === true) return false;
  const since = deferred?.since ?? 0; // in a lane whose deliveries follow each other quickly, none has waited
  return attemptCount !== undefined || (deferred !== undefined && now - since > ruleKeptMs);
}

/** In characters of JSON. A delivery that is larger is forgotten, but for its summary, once it is delivered. */
const invocationLengthMax = 16_384;

/**
 * What to keep of a delivery that was delivered.
 *
 * @param outcome if it has not been reported
 */
export function finishedState(
  state: DeliveryState,
  delivery: FinishedDelivery,
  outcome?: DeliveryOutcome,
): FinishedState {
  const { invocation, attempts = [], place, endpoint, started } = state;
  const { type } = invocation.action;
  const sends = type === "call-webhook" || type === "send-notification";
  const isKept = sends && JSON.stringify(invocation).length <= invocationLengthMax;
  return {
    finished: true,
    delivery,
    attempts,
    ...(isKept ? { invocation: { ...invocation, secrets: {} } } : {}),
    ...(place === undefined ? {} : { place }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(outcome === undefined || endpoint === undefined ? {} : { endpoint }),
    ...(outcome === undefined || started === undefined ? {} : { started }),
  };
}

/** The delivery that a job is about, if the job still says. What was delivered has no secrets any more. */
export function deliveryIn(data: JobData): DeliveryState | null {
  if (!("finished" in data)) return data;
  const { invocation, delivery, finished: _, ...rest } = data;
  return invocation === undefined ? null : { ...rest, invocation, redeliveries: delivery?.redeliveries ?? 0 };
}

/** The event that reports a step of a delivery. The events of a redelivery have their own ids. */
export function deliveryEvent(
  { invocation, redeliveries = 0 }: DeliveryState,
  kind: "triggered" | "executed" | "failed",
  at: Micros,
  result?: Readonly<Record<string, unknown>>,
): WireEvent {
  const event = actionEvent(invocation, kind, at, result);
  if (redeliveries === 0) return event;
  const redeliveredId = (id: string) => uuid5(id, `redelivery ${redeliveries}`);
  const follows =
    kind === "triggered" || event.follows === null ? event.follows : redeliveredId(event.follows);
  return { ...event, id: redeliveredId(event.id), follows };
}

/** The endpoint that a delivery found to be gone, and the event that reports it. */
export function disabledEndpointOf(
  state: DeliveryState,
  { at, result, gone }: DeliveryOutcome & Required<Pick<DeliveryOutcome, "gone">>,
): { readonly endpoint: DisabledEndpoint; readonly event: WireEvent } {
  const { id: delivery, automation } = state.invocation;
  const endpoint: DisabledEndpoint = {
    ...gone,
    since: formatTime(at),
    reason: String(result["reason"]),
    delivery,
    automation: { id: automation.id, name: automation.name },
  };
  const { id: failedId } = deliveryEvent(state, "failed", at, result);
  return { endpoint, event: endpointDisabledEvent(endpoint, uuid5(failedId, "endpoint disabled"), failedId) };
}
