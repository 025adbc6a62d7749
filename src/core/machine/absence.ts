/** What a Proactive trigger reports: an absence when its window has ended, and the end of the absence. */

import { overdueWindowsMax } from "../model/limits.ts";
import type { Micros } from "../model/time.ts";
import type { Arrival } from "./arrival.ts";
import type { CompiledEventTrigger } from "./event-trigger.ts";
import type { Key } from "./key.ts";
import { type Fired, firedBy, type TriggerNode } from "./node.ts";
import type { Watched, WatchedWindow } from "./watched.ts";

type ProactiveNode = TriggerNode & { readonly compiled: CompiledEventTrigger };

/** @param end the window's end, with the gaps in it. The id is that of the window as it was opened. */
export function absenceFiring(
  node: ProactiveNode,
  key: Key,
  { window, last, end, order }: Pick<Watched, "last"> & { window: WatchedWindow; end: Micros; order: number },
): Fired {
  const { lateness, threshold } = node.compiled;
  return firedBy(node, key, `${window.opener} ${window.end}`, {
    triggered: end + lateness,
    happened: end,
    order,
    arrival: last,
    window: { start: window.start, end, count: window.count, threshold },
  });
}

/** @param absence from the start of the first window that fired to the end of the last; `arrival` ends it */
export function resolution(
  node: ProactiveNode,
  key: Key,
  {
    absence,
    arrival,
    order,
    at,
  }: { absence: { start: Micros; end: Micros }; arrival: Arrival; order: number; at: Micros },
): Fired {
  const { occurred } = arrival.event;
  return firedBy(node, key, `resolved ${arrival.position}`, {
    state: "Resolved",
    triggered: at,
    happened: occurred,
    order,
    arrival,
    window: { ...absence, count: 0, threshold: node.compiled.threshold },
    late: absence.start <= occurred && occurred < absence.end,
  });
}

/** The start of a key's first window: its first event, unless too many windows since then have already ended. */
export function firstStart(at: Micros, now: Micros, { within, lateness }: CompiledEventTrigger): Micros {
  const overdueCount = Math.floor((now - lateness - at) / within);
  return at + Math.max(0, overdueCount - overdueWindowsMax) * within;
}
