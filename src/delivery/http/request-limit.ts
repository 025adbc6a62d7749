/** Admits requests within the limits of their destination or action. All processes share these, by way of Redis. */

import { randomUUID } from "node:crypto";
import type { RequestLimits } from "../../core/model/request-limits.ts";
import { systemClock } from "../../retry/clock.ts";
import type { LimitedRequest, LimitReached } from "../../store/request-limits.ts";
import type { DeliveryLog } from "../ports.ts";
import type { Deferral } from "./endpoints.ts";

export interface RequestLimit {
  /** Requests with the same id share the limits. A UUID. */
  readonly id: string;
  /** What has the limits, as reasons name it. */
  readonly name: string;
  readonly limits: RequestLimits;
}

/** The right to send one request. Call `leave` exactly once. */
export interface LimitAdmission {
  leave(): void;
}

export interface LimitTools {
  readonly store: DeliveryLog["limits"];
  /** Lets a worker take a deferred delivery now. @returns false if it is not deferred, or not yet */
  readonly wake: (deliveryId: string) => Promise<boolean>;
  /** Aborted when the worker must stop at once. */
  readonly signal: AbortSignal;
}

/** A request whose turn comes within this time waits here; others are deferred and hold up nothing meanwhile. */
const patienceMs = 200;
/** A delivery that waits longer for its turn asks again in between, because the limits may have been raised. */
const turnMsMax = 300_000;
/** A delivery that was refused takes a moment to become deferred. After these waits it is not expected to any more. */
const wakeDelaysMs = [0, 50, 200, 1_000];

/**
 * Admits a request, or says how long to wait.
 *
 * @param delivery the delivery's id, which keeps its place in line
 * @throws RedisUnreachable
 */
export async function enterLimit(
  { id, name, limits }: RequestLimit,
  delivery: string,
  tools: LimitTools,
): Promise<LimitAdmission | Deferral> {
  const { store, signal } = tools;
  const request = { id, limits, delivery, holder: randomUUID() };
  const patientUntil = performance.now() + patienceMs;
  for (;;) {
    const reached = await store.enter(request);
    if (reached === null) break;
    const isSoon = reached.limit === "rate" && performance.now() + reached.waitMs <= patientUntil;
    if (isSoon && !signal.aborted) {
      await systemClock.sleep(reached.waitMs, signal);
      continue;
    }
    // If it was woken up to take a free slot, that is for the next one now.
    if (reached.limit === "rate") void wakeNext(request, tools);
    const isTurn = reached.limit === "rate" && reached.waitMs <= turnMsMax;
    return {
      waitMs: Math.min(reached.waitMs, turnMsMax),
      reason: reasonOf(name, limits, reached),
      isTurn,
    };
  }
  // A lost connection ends no request: a slot that is neither kept nor given back frees itself.
  const keeper = setInterval(() => void store.keep(request).catch(() => {}), store.slotMs / 3).unref();
  return {
    leave() {
      clearInterval(keeper);
      void wakeNext(request, tools);
    },
  };
}

/** Gives a slot back and wakes up a delivery that waits for it. If that fails, those that wait ask again by themselves. */
async function wakeNext(request: LimitedRequest, { store, wake, signal }: LimitTools): Promise<void> {
  try {
    for (;;) {
      const next = await store.leave(request);
      if (next === null) return;
      for (const delayMs of wakeDelaysMs) {
        await systemClock.sleep(delayMs, signal);
        if (signal.aborted || (await wake(next))) return;
      }
    }
  } catch {
    // Redis is unavailable, or the worker is being stopped.
  }
}

function reasonOf(name: string, { concurrency, rate }: RequestLimits, { limit }: LimitReached): string {
  return limit === "rate"
    ? `${name} has been sent as many requests as its limits allow (rate: ${rate})`
    : `${name} has as many requests in flight as its limits allow (concurrency: ${concurrency})`;
}
