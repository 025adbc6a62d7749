/** How long to wait before the next attempt. */

import type { WorkerSettings } from "./worker-settings.ts";

/**
 * Exponential backoff with full jitter, but never sooner than the endpoint asked for.
 *
 * @param attemptCount attempts so far
 * @param afterMs the wait that the endpoint asked for, if any
 * @param random from 0 to 1
 */
export function retryDelayMs(
  { retryMs, retryMsMax }: Pick<WorkerSettings, "retryMs" | "retryMsMax">,
  attemptCount: number,
  afterMs: number | null,
  random: number,
): number {
  const backoff = random * Math.min(retryMs * 2 ** (attemptCount - 1), retryMsMax);
  if (afterMs === null) return Math.ceil(backoff);
  // Adds a little to the requested wait, so that retries do not all arrive at the same time. An endpoint may ask for no wait
  // at all, or for a time that has passed; that must not become a loop without a pause.
  return Math.ceil(Math.max(backoff, afterMs + Math.min(backoff, afterMs / 10)));
}

/**
 * The wait after an attempt that was made before its time, because the endpoint might have worked again, and failed.
 *
 * It keeps the time of its next attempt, so that a rule that allows three attempts does not mean three probes of an endpoint
 * that is down. If the endpoint accepts others, the delivery itself may be what it cannot digest: then it tries less and
 * less often.
 *
 * @param attempt.earlyMs how long before its time the attempt was made
 * @param attempt.afterMs the wait that the endpoint asked for, if any
 * @param attempt.vainCount how often this happened although the endpoint accepts others; null if it may be down
 */
export function earlyRetryMs(
  { retryMs }: Pick<WorkerSettings, "retryMs">,
  {
    earlyMs,
    afterMs,
    vainCount,
  }: { readonly earlyMs: number; readonly afterMs: number | null; readonly vainCount: number | null },
): number {
  const waitMs = vainCount === null ? earlyMs : Math.min(earlyMs, retryMs * 2 ** vainCount);
  return Math.ceil(Math.max(waitMs, afterMs ?? 0));
}

/** Spreads deferred deliveries, so that they do not all come back at the same time. */
export function deferralMs(waitMs: number, random: number): number {
  return Math.ceil(waitMs * (1 + random / 4));
}

/**
 * How long a delivery has been tried until now, in milliseconds.
 *
 * Only time in which workers ran counts, so that nothing is given up because Tripline was stopped for a weekend. No wait
 * is longer than `waitMsMax`, so what is missing beyond that was such a stop.
 *
 * @param tried how long it had been tried at an earlier time, in milliseconds since the epoch
 */
export function triedMs(
  tried: { readonly ms: number; readonly at: number },
  now: number,
  waitMsMax: number,
): number {
  return tried.ms + Math.min(Math.max(now - tried.at, 0), waitMsMax);
}

const parkMsMin = 5_000;
const parkMsMax = 600_000;

/**
 * How long a delivery that waits for another one stays away, in milliseconds. The other one wakes it up at its end. This is
 * for the case that it could not, so it grows with the time that the delivery has waited.
 */
export function parkMs(waitedMs: number): number {
  return Math.min(Math.max(waitedMs, parkMsMin), parkMsMax);
}
