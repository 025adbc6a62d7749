/** One attempt at an action: its inputs and its possible outcomes. */

import type { ActionDefinition } from "../core/model/action.ts";
import type { DisabledEndpoint } from "../core/model/disabled-endpoint.ts";
import type { Invocation } from "../core/model/invocation.ts";
import { isFinalStatus, mergeRetry, type Retry } from "../core/model/retry.ts";
import type { WallClock } from "../retry/clock.ts";
import type { Redact } from "../templates/references.ts";
import type { Renderer } from "../templates/renderer.ts";
import type { Deferral } from "./http/endpoints.ts";
import { enterLimit, type RequestLimit } from "./http/request-limit.ts";
import type { DeliveryLog, HttpSender } from "./ports.ts";

export type GoneEndpoint = Pick<DisabledEndpoint, "id" | "destination" | "url">;

/** Which addressees of a message need no further attempt: those whose server has accepted it, or has refused it for good. */
export interface Addressees {
  readonly accepted: readonly string[];
  readonly rejected: readonly string[];
}

export type AttemptOutcome =
  | {
      readonly kind: "executed";
      readonly result: Readonly<Record<string, unknown>>;
      /** The beginning of the receiver's answer. */
      readonly answer?: string;
      readonly endpoint?: string;
    }
  /** Final: another attempt would fail in the same way. */
  | {
      readonly kind: "failed";
      readonly reason: string;
      readonly result?: Readonly<Record<string, unknown>>;
      /** The endpoint is gone for good, and must be disabled. */
      readonly gone?: GoneEndpoint;
      readonly endpoint?: string;
    }
  /** Another attempt may succeed. `afterMs` is the wait that the receiver asked for, if any. */
  | {
      readonly kind: "retry";
      readonly reason: string;
      readonly afterMs: number | null;
      readonly result?: Readonly<Record<string, unknown>>;
      /** How long to retry. What is left out is decided by the worker's settings. */
      readonly retry?: Retry;
      readonly endpoint?: string;
      /** Those that the next attempt leaves out. */
      readonly addressees?: Addressees;
    }
  /** Nothing was sent, because the endpoint is busy or paused. This does not count as an attempt. */
  | ({ readonly kind: "deferred"; readonly retry?: Retry; readonly endpoint?: string } & Deferral);

export interface AttemptTools {
  readonly log: DeliveryLog;
  readonly webhooks: HttpSender;
  readonly clock: WallClock;
  readonly renderer: Renderer;
  /** Removes the automation's secrets from a text. Every reason and result must go through it. */
  readonly redact: Redact;
  /** Lets a worker take a deferred delivery now. @returns false if it is not deferred, or not yet */
  readonly wake: (deliveryId: string) => Promise<boolean>;
  /** Whether the delivery was woken up because its endpoint may work again. */
  readonly isWoken: boolean;
  /** Those to leave out. */
  readonly addressees: Addressees | undefined;
  /** Aborted when the worker must stop at once. */
  readonly signal: AbortSignal;
  /** Call this right before something is sent. @throws JobLost if another worker has the delivery by now */
  readonly checkHeld: () => Promise<void>;
}

/** Makes one attempt at an action of type `T`. May throw TemplateError, which is final, and RedisUnreachable, which is not. */
export type RunAction<T extends ActionDefinition["type"]> = (
  action: Extract<ActionDefinition, { type: T }>,
  invocation: Invocation,
  tools: AttemptTools,
) => Promise<AttemptOutcome>;

/** The outcome of an attempt, and whether it showed a working endpoint; null if it showed nothing about it. */
export interface EndpointAttempt {
  readonly outcome: AttemptOutcome;
  readonly alive: boolean | null;
}

/** Where an attempt is made, and for which delivery. */
export interface AttemptPlace {
  /** Identifies the endpoint. */
  readonly origin: string;
  /** The limits that all processes share; null if there are none. */
  readonly limit: RequestLimit | null;
  /** The delivery's id. */
  readonly deliveryId: string;
}

/**
 * Makes an attempt at an endpoint, unless it is busy or resting, or a limit is reached: then nothing is sent, and the
 * attempt is deferred.
 *
 * @throws RedisUnreachable, JobLost; whatever `attempt` throws, which says nothing about the endpoint
 */
export async function attemptAt(
  { origin, limit, deliveryId }: AttemptPlace,
  {
    webhooks,
    log,
    wake,
    isWoken,
    checkHeld,
    signal,
  }: Omit<AttemptTools, "renderer" | "redact" | "addressees">,
  redact: Redact,
  attempt: () => Promise<EndpointAttempt>,
): Promise<AttemptOutcome> {
  const deferred = (deferral: Deferral): AttemptOutcome => ({
    kind: "deferred",
    ...deferral,
    reason: redact(deferral.reason),
  });
  const admission = await webhooks.endpoints.enter(origin, isWoken);
  if ("waitMs" in admission) return { ...deferred(admission), endpoint: origin };
  // Last, so that nothing of a limit is used up for an endpoint that rests.
  const entering = limit === null ? null : enterLimit(limit, deliveryId, { store: log.limits, wake, signal });
  const limited = await entering?.catch((error: unknown) => {
    admission.giveBack();
    throw error;
  });
  if (limited !== undefined && "waitMs" in limited) {
    admission.giveBack();
    return deferred(limited);
  }
  let alive: boolean | null = null;
  let accepted = false;
  try {
    await checkHeld();
    const made = await attempt();
    alive = made.alive;
    accepted = made.outcome.kind === "executed";
    return { ...made.outcome, endpoint: origin };
  } finally {
    limited?.leave();
    admission.leave(alive, accepted);
  }
}

/** Applies the `retry` settings of an action and of its destination to the outcome of an attempt. */
export function underRetry(
  outcome: AttemptOutcome,
  ofAction: Retry | undefined,
  ofDestination: Retry | undefined,
): AttemptOutcome {
  if (outcome.kind !== "retry" && outcome.kind !== "deferred") return outcome;
  const retry = mergeRetry(ofAction, ofDestination);
  const status = outcome.kind === "retry" ? outcome.result?.["status_code"] : undefined;
  if (typeof status !== "number" || !isFinalStatus(retry, status)) return { ...outcome, retry };
  const { kind: _, afterMs: __, ...rest } = outcome as Extract<AttemptOutcome, { kind: "retry" }>;
  return { kind: "failed", ...rest };
}
