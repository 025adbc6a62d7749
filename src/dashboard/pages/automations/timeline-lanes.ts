/** Divides a timeline into lanes, one for each key. */

import type { Timeline } from "../../../client/types.ts";
import { parseExactJson } from "../../../core/json/exact-json.ts";
import { keyName } from "../../parts/links.tsx";

export interface Lane {
  /** The labels of the key, as JSON; empty for a trigger without one. */
  readonly key: string;
  /** What the lane is called. */
  readonly name: string;
  readonly events: Timeline["events"];
  readonly firings: Timeline["firings"];
  readonly windows: Timeline["windows"];
}

/** The lanes: first those that are silent, then those in which something happened last. */
export function lanesOf({ events, firings, windows }: Timeline): Lane[] {
  const lanes = new Map<
    string,
    {
      events: Lane["events"][number][];
      firings: Lane["firings"][number][];
      windows: Lane["windows"][number][];
    }
  >();
  const laneOf = (labels: Readonly<Record<string, string>>) => {
    const key = keyText(labels);
    let lane = lanes.get(key);
    if (lane === undefined) {
      lane = { events: [], firings: [], windows: [] };
      lanes.set(key, lane);
    }
    return lane;
  };
  for (const event of events) laneOf(event.labels).events.push(event);
  for (const firing of firings) laneOf(firing.labels).firings.push(firing);
  for (const window of windows) laneOf(window.labels).windows.push(window);
  return [...lanes]
    .map(([key, lane]) => ({
      key,
      name: key === "" ? "all" : keyName(parseExactJson(key) as Record<string, string>),
      ...lane,
    }))
    .sort((a, b) => Number(isSilent(b)) - Number(isSilent(a)) || (latestIn(b) < latestIn(a) ? -1 : 1));
}

function keyText(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? "" : JSON.stringify(Object.fromEntries(entries));
}

function isSilent({ windows }: Lane): boolean {
  return windows.some(({ unresolved }) => unresolved);
}

/** When something last happened in a lane. The lists have the latest first. */
function latestIn({ events, firings, windows }: Lane): string {
  return [events[0]?.occurred, firings[0]?.triggered, windows[0]?.start].reduce<string>(
    (latest, at) => (at !== undefined && at !== null && at > latest ? at : latest),
    "",
  );
}
