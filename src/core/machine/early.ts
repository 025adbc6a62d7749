/** Events that occurred before a tick of a Proactive schedule and count for it all the same. */

import type { Event } from "../model/event.ts";
import { type Micros, second } from "../model/time.ts";
import { type CompiledEventTrigger, latestOccurred } from "./event-trigger.ts";
import type { WatchedWindow } from "./watched.ts";

/**
 * True when an event counts for the next tick: its sender says that it occurred after the tick, or it is early by no more
 * than the schedule allows. If a window is open, an early event counts in that one.
 *
 * @param at when the event occurred, before the tick
 * @param open the window that is open at this time
 */
export function countsForTick(
  tick: Micros,
  event: Event,
  at: Micros,
  open: WatchedWindow | null,
  trigger: CompiledEventTrigger,
): boolean {
  if (latestOccurred(event, trigger.lateness) >= tick) return open === null || open.end <= tick;
  return open === null && at + earlyOf(trigger) >= tick;
}

/** The latest start of a window in which an event counts. */
export function latestCounted(event: Event, at: Micros, trigger: CompiledEventTrigger): Micros {
  return Math.max(at + earlyOf(trigger), latestOccurred(event, trigger.lateness));
}

function earlyOf({ definition }: CompiledEventTrigger): Micros {
  return Math.round((definition.schedule?.early ?? 0) * second);
}
