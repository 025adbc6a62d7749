/**
 * Wakes up the deliveries that wait for an endpoint as soon as it may work again.
 *
 * While an endpoint is down, its deliveries wait longer and longer for their next attempts. So that they need not wait out
 * those times, one of them at a time is sent to find out whether it works again; only one process does that. Once it works,
 * the others follow, the oldest first, as many as there is room for.
 *
 * Each delivery that is accepted wakes up the next ones by itself. This looks after those for whom nobody did: the process
 * that knew of them has died, or what it woke up was not sent after all.
 */

import type { Clock } from "../retry/clock.ts";
import { keepRunning } from "../retry/keep-trying.ts";
import type { Endpoints } from "./http/endpoints.ts";
import type { LaneStore } from "./ports.ts";
import type { ActionLogger } from "./worker-settings.ts";

export interface EndpointWakerOptions {
  readonly lanes: Pick<LaneStore, "takeWaiting" | "waitedFor">;
  readonly endpoints: Endpoints;
  /** Lets a worker take a delivery that is to come back later. */
  readonly promote: (deliveryId: string) => Promise<boolean>;
  readonly clock: Clock;
  readonly logger: ActionLogger;
  /** How often to look. */
  readonly everyMs: number;
  readonly stop: AbortSignal;
}

/** Looks again and again until it is stopped. */
export async function keepWaking(options: EndpointWakerOptions): Promise<void> {
  const { clock, everyMs, stop, logger } = options;
  const look = async () => {
    while (!stop.aborted) {
      await clock.sleep(everyMs * (0.75 + clock.random() / 2), stop);
      if (!stop.aborted) await wakeAll(options);
    }
  };
  await keepRunning(look, {
    signal: stop,
    clock,
    onFailure: ({ kind, error }) => {
      // The connection reports an outage.
      if (kind === "fault") logger.error({ err: error }, "Could not wake up deliveries that wait; retrying");
    },
  });
}

async function wakeAll({ lanes, endpoints, promote }: EndpointWakerOptions): Promise<void> {
  for (const endpoint of await lanes.waitedFor()) {
    const wakeable = endpoints.wakeable(endpoint);
    if (wakeable === null) continue;
    const woken = await lanes.takeWaiting(endpoint, wakeable);
    await Promise.all(woken.map((id) => promote(id)));
  }
}
