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
  // Adds a little to the requested wait, so that retries do not all arrive at the same time.
  return Math.ceil(afterMs === null ? backoff : afterMs + Math.min(backoff, afterMs / 10));
}

/** Spreads deferred deliveries, so that they do not all come back at the same time. */
export function deferralMs(waitMs: number, random: number): number {
  return Math.ceil(waitMs * (1 + random / 4));
}
