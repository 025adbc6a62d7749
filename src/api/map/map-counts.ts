/**
 * What the history knows of the events of a map, counted at most every few seconds: a page that asks all the time must not
 * keep a large history busy.
 */

import { setTimeout as pause } from "node:timers/promises";
import { day, formatTime, hour, type Micros, millisecond } from "../../core/model/time.ts";
import { resolveFilter } from "../../history/filter.ts";
import type { History } from "../../history/history.ts";
import type { Log } from "../../store/log.ts";
import { isHistoryUnavailable } from "../events/events.ts";
import { untilRecorded } from "../events/until-recorded.ts";
import { NameList } from "./name-list.ts";

export interface ResourceCount {
  readonly count: number;
  /** When the latest occurred. */
  readonly last: string;
}

export interface MapCounts {
  /** The names of the last day's events, with how many there are. */
  readonly lastDay: NameList;
  /** Every recorded name. */
  readonly recorded: NameList;
  /** The last day's events that Tripline itself made, by name and by the id of their resource; null if not known. */
  readonly own: (name: string, resourceId: string) => ResourceCount | null;
  /** When an automation last fired, by the id of its resource; null if it did not in the last 30 days. */
  readonly lastFired: (resourceId: string) => string | null;
}

export const firedName = "prefect-cloud.automation.triggered";

/** What automations' firings are counted by. */
const ownNames = [
  firedName,
  "prefect-cloud.automation.resolved",
  ...["triggered", "executed", "failed"].map((outcome) => `prefect-cloud.automation.action.${outcome}`),
];

/** More names than people give events. Beyond, names hold ids, and are not what automations wait for. */
const namesMax = 20_000;
const resourcesMax = 50_000;

const freshMsMin = 2_000;
/** Counting takes at most a part of the time. */
const restFactor = 10;
/** Who has waited for so long gets what was counted before. */
const patienceMs = 3_000;
const olderFreshMs = hour / millisecond;

type Groups = ReadonlyMap<string, ResourceCount>;

/** The counts of one workspace. */
export class RepeatedCounts {
  readonly #log: Log;
  #last: { readonly counts: MapCounts; readonly staleAt: number } | null = null;
  #counting: Promise<MapCounts | null> | null = null;
  #older: { readonly fired: Groups; readonly staleAt: number } | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** The counts as of a few seconds ago, or of longer ago while they are counted; null while none are known. */
  async read(history: History): Promise<MapCounts | null> {
    if (this.#last !== null && performance.now() < this.#last.staleAt) return this.#last.counts;
    this.#counting ??= this.#countAgain(history).finally(() => {
      this.#counting = null;
    });
    const ended = new AbortController();
    const before = pauseFor(patienceMs, ended.signal).then(() => this.#last?.counts ?? null);
    try {
      return await Promise.race([this.#counting, before]);
    } finally {
      ended.abort();
    }
  }

  async #countAgain(history: History): Promise<MapCounts | null> {
    const started = performance.now();
    try {
      await untilRecorded(this.#log, history);
      const counts = await this.#count(history, Date.now() * millisecond);
      const ended = performance.now();
      this.#last = { counts, staleAt: ended + Math.max(freshMsMin, restFactor * (ended - started)) };
      return counts;
    } catch (error) {
      if (isHistoryUnavailable(error)) return null;
      throw error;
    }
  }

  async #count(history: History, now: Micros): Promise<MapCounts> {
    const groups = (countable: "event" | "resource", from: Micros, until: Micros, name?: string) =>
      countGroups(history, countable, { from, until, ...(name === undefined ? {} : { name }) });
    const names = await groups("event", now - day, now);
    const own = new Map<string, Groups>();
    for (const name of ownNames) {
      if (names.size < namesMax && !names.has(name)) continue;
      own.set(name, await groups("resource", now - day, now, name));
    }
    if (this.#older === null || performance.now() >= this.#older.staleAt) {
      // Up to an hour later, what it counts must still reach to the last day.
      const fired = await groups("resource", now - 30 * day, now - day + hour, firedName);
      this.#older = { fired, staleAt: performance.now() + olderFreshMs };
    }
    const recorded = await history.eventNames(namesMax);
    const { fired: older } = this.#older;
    const firedLastDay = own.get(firedName);
    return {
      lastDay: new NameList(countsIn(names), names.size < namesMax),
      recorded: new NameList(new Map(recorded.map((name) => [name, 1])), recorded.length < namesMax),
      own: (name, resourceId) => {
        const found = own.get(name);
        const missing = found !== undefined && found.size >= resourcesMax ? null : neverSeen;
        return found?.get(resourceId) ?? missing;
      },
      lastFired: (resourceId) => firedLastDay?.get(resourceId)?.last ?? older.get(resourceId)?.last ?? null,
    };
  }
}

const neverSeen: ResourceCount = { count: 0, last: "" };

function countsIn(groups: Groups): Map<string, number> {
  return new Map([...groups].map(([value, { count }]) => [value, count]));
}

async function countGroups(
  history: History,
  countable: "event" | "resource",
  { from, until, name }: { readonly from: Micros; readonly until: Micros; readonly name?: string },
): Promise<Groups> {
  const written = {
    occurred: { since: formatTime(from), until: formatTime(until) },
    ...(name === undefined ? {} : { event: { name: [name] } }),
  };
  const limit = countable === "event" ? namesMax : resourcesMax;
  const options = { unit: "day", interval: 1, now: until, limit } as const;
  const groups = await history.countBy(countable, resolveFilter(written, until), options);
  return new Map(groups.map(({ value, count, end_time: last }) => [value, { count, last }]));
}

async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal }).catch(() => {});
}
