/**
 * Held events: when expected events occurred, for a Proactive window that opens only later because its `after` event is
 * late. Prefect holds them in the same way.
 */

import type { Event } from "../model/event.ts";
import { heldFor, heldMax } from "../model/limits.ts";
import type { Micros } from "../model/time.ts";

/** How long an event is held after the newest one. */
export function heldLength(within: Micros): Micros {
  return Math.max(heldFor, within);
}

/**
 * Adds a time to those that are held, ascending, and drops what can no longer matter.
 *
 * Time is divided into slots as long as a window, and each slot keeps its first and its last `threshold` events. A window
 * covers the end of one slot and the start of the next, so it counts all of them, or at least `threshold`.
 */
export function withHeld(
  held: readonly Micros[],
  at: Micros,
  { within, threshold }: { readonly within: Micros; readonly threshold: number },
): readonly Micros[] {
  const place = held.findLastIndex((time) => time <= at) + 1;
  const all = held.toSpliced(place, 0, at);
  const slotOf = (time: Micros): number => Math.floor(time / within);
  const first = all.findIndex((time) => slotOf(time) === slotOf(at));
  const count = all.findLastIndex((time) => slotOf(time) === slotOf(at)) - first + 1;
  const kept = all.toSpliced(first + threshold, Math.max(0, count - 2 * threshold));
  const oldest = (all.at(-1) ?? at) - heldLength(within);
  return kept.filter((time) => time >= oldest).slice(-heldMax);
}

/**
 * How many held events occurred in the window that an `after` event opens. An event that it follows came before it.
 *
 * @param end of that window
 */
export function heldCountOver(
  held: readonly Micros[],
  { occurred, follows }: Event,
  end: Micros,
  lateness: Micros,
  watermark: Micros,
): number {
  const from = occurred + lateness + 1 < watermark || follows === null ? occurred : occurred + 1;
  return held.filter((time) => from <= time && time < end).length;
}
