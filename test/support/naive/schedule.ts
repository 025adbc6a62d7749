/** What schedules of both postures have in common. */

import type { Event } from "../../../src/core/model/event.ts";
import { parseTimeOfDay, type Schedule } from "../../../src/core/model/schedule.ts";
import { type Micros, second } from "../../../src/core/model/time.ts";
import type { EventTriggerDefinition } from "../../../src/core/model/trigger.ts";

export function scheduledEnd(
  { schedule, within }: EventTriggerDefinition,
  ticks: Schedule,
  tick: Micros,
): Micros {
  if (schedule?.until === undefined) return tick + Math.round(within * second);
  return ticks.endOf(tick, parseTimeOfDay(schedule.until) ?? 0);
}

/** The latest time at which an event may have occurred, if its sender's clock is ahead by no more than the lateness. */
export function latestTime({ occurred, claimed, received }: Event, lateness: Micros): Micros {
  return claimed - received <= lateness ? Math.max(occurred, claimed) : occurred;
}
