/** Events that occurred before a tick of a Proactive schedule and count for it all the same. */

import type { Event } from "../model/event.ts";
import { type Micros, second } from "../model/time.ts";
import { type CompiledEventTrigger, latestOccurred } from "./event-trigger.ts";
import type { Watched } from "./watched.ts";

/**
 * True when an event counts for the next tick: its sender says that it occurred after the tick, or it is early by no more
 * than the schedule allows. If a window is open, an early event counts in that one.
 *
 * @param at when the event occurred, before the tick
 * @param watched what is known of its key, with the window that is open at this time
 * @param end of that window, with the gaps in it
 */
export function countsForTick(
  tick: Micros,
  event: Event,
  at: Micros,
  watched: Watched,
  end: Micros,
  trigger: CompiledEventTrigger,
): boolean {
  if (latestOccurred(event, trigger.lateness) >= tick) return watched.window === null || end <= tick;
  return watched.window === null && latestCounted(event, at, watched, trigger) >= tick;
}

/** The latest start of a window in which an event counts. A late event may have occurred in a window that is already gone. */
export function latestCounted(
  event: Event,
  at: Micros,
  { freeSince }: Watched,
  trigger: CompiledEventTrigger,
): Micros {
  const early = freeSince !== null && at < freeSince ? 0 : earlyOf(trigger);
  return Math.max(at + early, latestOccurred(event, trigger.lateness));
}

function earlyOf({ definition }: CompiledEventTrigger): Micros {
  return Math.round((definition.schedule?.early ?? 0) * second);
}
