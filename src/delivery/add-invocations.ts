/** Adds invocations to the queue, each behind the earlier ones of its lane. */

import type { Invocation } from "../core/model/invocation.ts";
import type { WallClock } from "../retry/clock.ts";
import { parkedReason, placeField } from "./lanes.ts";
import type { LaneStore, NewJobs } from "./ports.ts";

/**
 * How long a delivery that is added behind another one waits if nobody wakes it up: the engine died in the middle of adding
 * it, or Redis lost its last second.
 */
const parkedMs = 20_000;

export interface AddingPorts {
  readonly jobs: NewJobs;
  readonly lanes: LaneStore;
  readonly clock: WallClock;
}

/**
 * Adds invocations. One that was added before is ignored, as long as finished jobs are remembered.
 *
 * @throws RedisUnreachable; some may have been added, and adding all of them again is harmless
 */
export async function addInvocations(
  { jobs, lanes, clock }: AddingPorts,
  invocations: readonly Invocation[],
): Promise<void> {
  // First the places: a delivery that the queue has, but no lane, would be first in its lane.
  const joined = await lanes.join(invocations);
  await jobs.add(
    invocations.map((invocation, index) => {
      const { place, waits = false } = joined[index] ?? {};
      return {
        invocation,
        data: {
          invocation,
          ...placeField(place),
          ...(waits ? { deferred: { reason: parkedReason, since: clock.timeOfDay() } } : {}),
        },
        // It would be taken from the queue in vain. The one before it wakes it up.
        delayMs: waits ? parkedMs : 0,
      };
    }),
  );
  const parked = invocations.filter((_, index) => joined[index]?.waits);
  await Promise.all(
    parked.map(async ({ id, ordering }) => {
      // The one before it may have ended before this one could be woken up.
      if (ordering !== undefined && (await lanes.first(ordering)) === id) await jobs.promote(id);
    }),
  );
}
