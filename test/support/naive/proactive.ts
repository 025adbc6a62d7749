/**
 * Proactive triggers: the absence of events, in settled time.
 *
 * An event that arrives only joins those that wait to be settled. Everything else happens in steps, in the order of event
 * time: a window ends, a schedule ticks, an event is taken.
 */

import type { Event } from "../../../src/core/model/event.ts";
import { rememberDefault } from "../../../src/core/model/limits.ts";
import { Schedule } from "../../../src/core/model/schedule.ts";
import { type Micros, minute, second } from "../../../src/core/model/time.ts";
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

interface OpenWindow extends Window {
  readonly counted: readonly Event[];
  /** The last event seen by this window or by the one directly before it, or the event that opened it. */
  readonly lastMatching: Event | null;
}

interface KeyMemory {
  readonly tuple: Readonly<Record<string, string>>;
  window: OpenWindow | null;
  /** When the newest of its expected events occurred. */
  lastSeen: Micros;
  /** The window that fired last, with those that fired directly before it, until an expected event arrives. */
  alarm: Window | null;
  /** Expected events that do not open windows, for a window that a late event opens over them. */
  held: readonly Event[];
}

export class ProactiveNode implements Node {
  readonly #trigger: EventTriggerDefinition;
  readonly #labels: readonly string[];
  readonly #within: Micros;
  readonly #lateness: Micros;
  readonly #schedule: Schedule | null;
  #nextTick: Micros | null;
  /** Arrived but not yet settled. */
  #unsettled: Arrival[] = [];
  readonly #keys = new Map<string, KeyMemory>();

  constructor(trigger: EventTriggerDefinition, place: Place) {
    this.#trigger = trigger;
    this.#labels = allLabels(trigger, place);
    this.#within = Math.round(trigger.within * second);
    this.#lateness = trigger.lateness === undefined ? place.lateness : Math.round(trigger.lateness * second);
    const { schedule } = trigger;
    this.#schedule = schedule === undefined ? null : new Schedule(schedule.cron, schedule.timezone);
    this.#nextTick = this.#schedule?.next(place.created - 1) ?? null;
    if (this.#labels.length === 0) {
      const memory = this.#memoryOf({});
      if (this.#isAlwaysOpen()) this.#open(memory, place.created, null);
    }
  }

  arrive(arrival: Arrival): NodeFiring[] {
    const { event, logTime, order } = arrival;
    const expected = isExpected(this.#trigger, event);
    if (!expected && !isOpener(this.#trigger, event)) return [];
    this.#unsettled.push(arrival);
    const tuple = tupleOf(this.#labels, event);
    const memory = this.#memoryOf(tuple);
    const { alarm } = memory;
    if (!expected || alarm === null) return [];
    memory.alarm = null;
    return [
      {
        state: "Resolved",
        triggered: logTime,
        happened: event.occurred,
        order,
        labels: tuple,
        event,
        window: null,
        late: event.occurred >= alarm.start && event.occurred < alarm.end,
        firings: [],
      },
    ];
  }

  nextStep(): Step | null {
    const steps: Step[] = [];
    // In key order, so that windows that end together are judged in a defined order.
    for (const key of [...this.#keys.keys()].sort()) {
      const memory = this.#keys.get(key);
      if (memory?.window) {
        steps.push(this.#step(memory.window.end, 0, (order) => this.#judge(memory, order)));
      }
    }
    const tick = this.#nextTick;
    if (tick !== null) steps.push(this.#step(tick, 1, () => this.#tick(tick)));
    for (const arrival of this.#inSettlingOrder()) {
      steps.push(this.#step(arrival.event.occurred, 2, () => this.#settle(arrival)));
    }
    return earliest(steps);
  }

  /**
   * Of events that occurred at the same time, those that only open windows come first and those that only count last. But
   * an event comes after the one that it follows.
   */
  #inSettlingOrder(): Arrival[] {
    const rankOf = ({ event }: Arrival): number =>
      isOpener(this.#trigger, event) ? (isExpected(this.#trigger, event) ? 1 : 0) : 2;
    let left = this.#unsettled.toSorted(
      (a, b) => rankOf(a) - rankOf(b) || (a.event.id < b.event.id ? -1 : 1),
    );
    const order: Arrival[] = [];
    while (left.length > 0) {
      const leads = ({ event }: Arrival) =>
        left.some(
          (other) =>
            other.event.id !== event.id &&
            other.event.id === event.follows &&
            other.event.occurred === event.occurred,
        );
      let next = left[0] as Arrival;
      for (const seen = new Set<Arrival>(); leads(next) && !seen.has(next); ) {
        seen.add(next);
        const { follows } = next.event;
        next = left.find(({ event }) => event.id === follows) as Arrival;
      }
      order.push(next);
      left = left.filter((other) => other !== next);
    }
    return order;
  }

  #step(time: Micros, kind: Step["kind"], take: (order: number) => NodeFiring[]): Step {
    return { deadline: time + this.#lateness, time, kind, take };
  }

  /** Without `after` and `schedule`, one window follows another. */
  #isAlwaysOpen(): boolean {
    return this.#trigger.after.length === 0 && this.#schedule === null;
  }

  #memoryOf(tuple: Readonly<Record<string, string>>): KeyMemory {
    const key = JSON.stringify(tuple);
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    const memory = { tuple, window: null, lastSeen: -Infinity, alarm: null, held: [] };
    this.#keys.set(key, memory);
    return memory;
  }

  #open(memory: KeyMemory, start: Micros, lastMatching: Event | null, counted: readonly Event[] = []): void {
    memory.window = { start, end: start + this.#within, counted, lastMatching };
  }

  #hold(memory: KeyMemory, event: Event): void {
    const held = [...memory.held, event];
    const newest = Math.max(...held.map(({ occurred }) => occurred));
    memory.held = held.filter(({ occurred }) => occurred >= newest - this.#heldFor);
  }

  /** A window that opens late counts what has occurred in it already. */
  #openOverHeld(memory: KeyMemory, { event, logTime }: Arrival, threshold: number): void {
    const { occurred } = event;
    const isLate = occurred + this.#lateness < logTime;
    const newest = Math.max(...memory.held.map((held) => held.occurred));
    if (newest + this.#lateness + this.#heldFor <= logTime) memory.held = [];
    const counted = memory.held.filter(
      (held) =>
        held.occurred >= occurred &&
        held.occurred < occurred + this.#within &&
        (isLate || event.follows === null || held.occurred > occurred),
    );
    if (counted.length < threshold) this.#open(memory, occurred, event, counted);
  }

  get #heldFor(): Micros {
    return Math.max(30 * minute, this.#within);
  }

  /** Judges a window at its end. */
  #judge(memory: KeyMemory, order: number): NodeFiring[] {
    const { window, tuple } = memory;
    if (window === null) return [];
    const { start, end, counted, lastMatching } = window;
    memory.window = null;
    if (this.#isAlwaysOpen()) this.#open(memory, end, lastMatching);
    if (this.#trigger.refire === "once" && memory.alarm !== null) return [];
    memory.alarm = { start: memory.alarm?.end === start ? memory.alarm.start : start, end };
    return [
      {
        state: "Triggered",
        triggered: end + this.#lateness,
        happened: end,
        order,
        labels: tuple,
        event: lastMatching,
        window: { start, end, count: counted.length },
        late: false,
        firings: [],
      },
    ];
  }

  #tick(tick: Micros): [] {
    this.#nextTick = this.#schedule?.next(tick) ?? null;
    const { schedule } = this.#trigger;
    const remember =
      schedule?.remember === undefined ? rememberDefault : Math.round(schedule.remember * second);
    for (const memory of this.#keys.values()) {
      const known = this.#labels.length === 0 || memory.lastSeen >= tick - remember;
      if (known && memory.window === null) this.#open(memory, tick, null);
    }
    return [];
  }

  /** Takes an event that settled time has reached or passed. */
  #settle(arrival: Arrival): [] {
    this.#unsettled = this.#unsettled.filter((other) => other !== arrival);
    const { event } = arrival;
    const { occurred } = event;
    const threshold = Math.max(1, this.#trigger.threshold);
    const memory = this.#memoryOf(tupleOf(this.#labels, event));
    const { window } = memory;
    const expected = isExpected(this.#trigger, event);
    const opener = isOpener(this.#trigger, event);
    if (expected) memory.lastSeen = Math.max(memory.lastSeen, occurred);
    if (this.#trigger.after.length > 0 && expected && !opener) this.#hold(memory, event);
    if (window === null) {
      if (opener) this.#openOverHeld(memory, arrival, threshold);
      else if (this.#isAlwaysOpen()) this.#open(memory, occurred, event, threshold > 1 ? [event] : []);
      return [];
    }
    if (occurred < window.start) return []; // late
    const counted = expected ? [...window.counted, event] : window.counted;
    if (counted.length < threshold) memory.window = { ...window, counted, lastMatching: event };
    else if (this.#isAlwaysOpen() || opener) this.#open(memory, occurred, event);
    else memory.window = null;
    return [];
  }
}
