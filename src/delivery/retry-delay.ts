/** How long to wait before the next attempt. */

import type { WorkerSettings } from "./worker-settings.ts";

/**
 * Exponential backoff with full jitter (M. Brooker), but never sooner than the endpoint asked for.
 *
 * @param attemptCount attempts so far
 * @param afterMs the wait that the endpoint asked for, if it did
 * @param random from 0 to 1
 */
export function retryDelayMs(
  { retryMs, retryMsMax }: Pick<WorkerSettings, "retryMs" | "retryMsMax">,
  attemptCount: number,
  afterMs: number | null,
  random: number,
): number {
  const backoff = random * Math.min(retryMs * 2 ** (attemptCount - 1), retryMsMax);
  // Beyond what was asked for, retries are spread a little, so that they do not all arrive together.
  return Math.ceil(afterMs === null ? backoff : afterMs + Math.min(backoff, afterMs / 10));
}

/** Spreads deferred deliveries, so that those that were put off together do not come back together. */
export function deferralMs(waitMs: number, random: number): number {
  return Math.ceil(waitMs * (1 + random / 4));
}
