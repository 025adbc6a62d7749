/** Reactive triggers: each arrival goes through the key's whole history again. */

import type { Event } from "../../../src/core/model/event.ts";
import { Schedule } from "../../../src/core/model/schedule.ts";
import { type Micros, second } from "../../../src/core/model/time.ts";
import type { EventTriggerDefinition } from "../../../src/core/model/trigger.ts";
import { isExpected, isOpener, tupleOf } from "./matching.ts";
import {
  type Arrival,
  allLabels,
  earliest,
  type Node,
  type NodeFiring,
  type Place,
  type Step,
  type Window,
} from "./node.ts";
import { latestTime, scheduledEnd } from "./schedule.ts";

export class ReactiveNode implements Node {
  readonly #trigger: EventTriggerDefinition;
  readonly #place: Place;
  /** Every arrival that the trigger covers, since it was created. */
  readonly #history: Arrival[] = [];
  /** Events whose senders are ahead of the next tick. */
  #ahead: Arrival[] = [];

  constructor(trigger: EventTriggerDefinition, place: Place) {
    this.#trigger = trigger;
    this.#place = place;
  }

  arrive(arrival: Arrival): NodeFiring[] {
    const { event } = arrival;
    const trigger = this.#trigger;
    if (!isExpected(trigger, event) && !isOpener(trigger, event)) return [];
    if (this.#tickBefore(arrival) !== null) {
      this.#ahead.push(arrival);
      return [];
    }
    return this.#take(arrival);
  }

  /** Takes the events that were ahead of a tick, once it has come. */
  nextStep(): Step | null {
    return earliest(
      this.#ahead.map((arrival): Step => {
        const tick = this.#tickBefore(arrival) ?? arrival.logTime;
        const take = (): NodeFiring[] => {
          this.#ahead = this.#ahead.filter((other) => other !== arrival);
          return this.arrive({ ...arrival, logTime: tick });
        };
        return { deadline: tick, due: tick, time: tick, kind: 2, take };
      }),
    );
  }

  #take(arrival: Arrival): NodeFiring[] {
    const { event, logTime, order } = arrival;
    this.#history.push(arrival);
    const keyHistory = this.#historyOf(event);
    if (!this.#firesAtLast(keyHistory)) return [];
    return [
      {
        state: "Triggered",
        triggered: logTime,
        happened: event.occurred,
        order,
        labels: this.#tupleOf(event),
        event,
        window: null,
        late: false,
        firings: [],
      },
    ];
  }

  #tupleOf(event: Event): Record<string, string> {
    return tupleOf(allLabels(this.#trigger, this.#place), event);
  }

  #historyOf(event: Event): Arrival[] {
    const key = JSON.stringify(this.#tupleOf(event));
    return this.#history.filter((past) => JSON.stringify(this.#tupleOf(past.event)) === key);
  }

  get #lateness(): Micros {
    const { lateness } = this.#trigger;
    return lateness === undefined ? this.#place.lateness : Math.round(lateness * second);
  }

  /** The next tick, if the event says that it occurred after it and the tick opens a window for its key. */
  #tickBefore({ event, logTime }: Arrival): Micros | null {
    if (this.#trigger.schedule === undefined) return null;
    const [tick] = this.#ticks(logTime, latestTime(event, this.#lateness));
    if (tick === undefined) return null;
    const { windows } = this.#scheduledWindows(this.#historyOf(event), logTime);
    return windows.every(({ end }) => end <= tick) ? tick : null;
  }

  get #cron(): Schedule {
    const { cron = "", timezone = "" } = this.#trigger.schedule ?? {};
    return new Schedule(cron, timezone);
  }

  #firesAtLast(keyHistory: readonly Arrival[]): boolean {
    const trigger = this.#trigger;
    const limits = {
      threshold: Math.max(1, trigger.threshold),
      within: Math.round(trigger.within * second),
      lateness: this.#lateness,
    };
    if (trigger.schedule !== undefined) {
      const last = keyHistory.at(-1)?.logTime ?? 0;
      return this.#scheduledWindows(keyHistory, last).fires;
    }
    if (trigger.after.length > 0) return this.#firesInOpenedWindow(keyHistory, limits);
    if (limits.within === 0) return keyHistory.length % limits.threshold === 0;
    return firesInBurst(keyHistory, limits);
  }

  /**
   * Events are taken as they arrive. But those of one instant are taken together each time that another arrives: what only
   * opens a window first, what only counts last. It fires when that makes one firing more.
   */
  #firesInOpenedWindow(keyHistory: readonly Arrival[], limits: Limits): boolean {
    let window: CountingWindow | null = null;
    let fires = false;
    for (const instant of this.#instants(keyHistory, limits)) {
      const firings = instant.map((_, index) =>
        this.#takeInstant(instant.slice(0, index + 1), window, limits),
      );
      const counts = firings.map(({ firedCount }) => firedCount);
      fires = (counts.at(-1) ?? 0) > Math.max(0, ...counts.slice(0, -1));
      window = firings.at(-1)?.window ?? null;
    }
    return fires;
  }

  #takeInstant(
    instant: readonly Arrival[],
    before: CountingWindow | null,
    { threshold, within, lateness }: Limits,
  ): { window: CountingWindow | null; firedCount: number } {
    const rankOf = ({ event }: Arrival): number =>
      isOpener(this.#trigger, event) ? (isExpected(this.#trigger, event) ? 1 : 0) : 2;
    let window = before === null ? null : { ...before };
    let firedCount = 0;
    const logTime = instant[0]?.logTime ?? 0;
    if (window !== null && logTime - lateness >= window.end) window = null;
    for (const { event } of instant.toSorted((a, b) => rankOf(a) - rankOf(b))) {
      const { occurred } = event;
      const opens = isOpener(this.#trigger, event);
      if (opens && (window === null || occurred >= window.end || within === 0)) {
        window = { start: occurred, end: within === 0 ? Infinity : occurred + within, count: 0 };
      } else if (window !== null && isExpected(this.#trigger, event) && isInside(window, occurred)) {
        window.count += 1;
        if (window.count < threshold) continue;
        firedCount += 1;
        window = null;
      }
    }
    return { window, firedCount };
  }

  /** Runs of events that occurred at the same time and arrived in time. An event that follows the one before begins another. */
  #instants(keyHistory: readonly Arrival[], { lateness }: Limits): Arrival[][] {
    const instants: Arrival[][] = [];
    for (const arrival of keyHistory) {
      const { event, logTime } = arrival;
      const last = instants.at(-1)?.at(-1)?.event;
      const isOnTime = logTime <= event.occurred + lateness;
      if (last?.occurred === event.occurred && isOnTime && event.follows !== last.id) {
        instants.at(-1)?.push(arrival);
      } else instants.push([arrival]);
    }
    return instants;
  }

  /** The windows of a key at an instant. One that has ended still counts delayed events, while later ones are open. */
  #scheduledWindows(
    keyHistory: readonly Arrival[],
    until: Micros,
  ): { windows: CountingWindow[]; fires: boolean } {
    const threshold = Math.max(1, this.#trigger.threshold);
    let windows: CountingWindow[] = [];
    let ticked = this.#place.created - 1;
    let fires = false;
    const advance = (logTime: Micros): void => {
      for (const tick of this.#ticks(ticked, logTime)) {
        if (windows.every(({ end }) => end <= tick)) {
          windows.push({ start: tick, end: scheduledEnd(this.#trigger, this.#cron, tick), count: 0 });
        }
      }
      ticked = Math.max(ticked, logTime);
    };
    for (const { event, logTime } of keyHistory) {
      advance(logTime);
      windows = windows.filter(({ end }) => logTime - this.#lateness < end);
      const latest = latestTime(event, this.#lateness);
      const window =
        windows.find((open) => isInside(open, latest)) ??
        windows.findLast((open) => open.start <= latest && event.occurred < open.end);
      if (window !== undefined) window.count += 1;
      fires = window !== undefined && window.count >= threshold;
      if (fires) windows = windows.filter((open) => open !== window);
    }
    advance(until);
    return { windows, fires };
  }

  /** The schedule's ticks later than `from`, up to `to`. */
  #ticks(from: Micros, to: Micros): Micros[] {
    if (this.#trigger.schedule === undefined) return [];
    const schedule = this.#cron;
    const ticks: Micros[] = [];
    for (let tick = schedule.next(from); tick !== null && tick <= to; tick = schedule.next(tick))
      ticks.push(tick);
    return ticks;
  }
}

interface CountingWindow extends Window {
  count: number;
}

function isInside(window: Window, time: Micros): boolean {
  return time >= window.start && time < window.end;
}

interface Limits {
  readonly threshold: number;
  readonly within: Micros;
  readonly lateness: Micros;
}

/** Whether the last arrival completes `threshold` events that occurred within less than `within` of each other. */
function firesInBurst(keyHistory: readonly Arrival[], { threshold, within, lateness }: Limits): boolean {
  let counted: Micros[] = [];
  let newest = -Infinity;
  let quietUntil = -Infinity;
  let fires = false;
  for (const { event } of keyHistory) {
    fires = false;
    const { occurred } = event;
    const late = occurred < newest - within - lateness;
    newest = Math.max(newest, occurred);
    if (late || occurred < quietUntil) continue;
    counted.push(occurred);
    counted.sort((a, b) => a - b);
    const place = counted.lastIndexOf(occurred);
    for (let first = Math.max(0, place - threshold + 1); first <= place && !fires; first += 1) {
      const start = counted[first];
      const last = counted[first + threshold - 1];
      if (start === undefined || last === undefined || last - start >= within) continue;
      fires = true;
      const end = start + within;
      quietUntil = end;
      counted = counted.filter((time) => time >= end);
    }
  }
  return fires;
}
