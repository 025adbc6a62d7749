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
import { Beats } from "./gaps.ts";
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

interface OpenWindow extends Window {
  readonly counted: readonly Event[];
  /** The last event seen by this window or by the one directly before it, or the event that opened it. */
  readonly lastMatching: Event | null;
  /** What the sender of the event that opened it says: the time of its receipt, or a later one. */
  readonly claimedStart: Micros;
  /** The latest tick after its end at which it was still open, because of a gap. */
  readonly nextTick?: Micros;
}

/** An event that waits to be settled, and when: it may have occurred later than it was received. */
interface Unsettled {
  readonly arrival: Arrival;
  readonly at: Micros;
}

interface KeyMemory {
  readonly tuple: Readonly<Record<string, string>>;
  window: OpenWindow | null;
  /** When the newest of its expected events occurred. */
  lastSeen: Micros;
  /** The window that fired last, with those that fired directly before it, until an expected event arrives. */
  alarm: Window | null;
  /** True from a firing until an expected event is taken. */
  reported: boolean;
  /** Expected events that do not open windows, for a window that a late event opens over them. */
  held: readonly Unsettled[];
  /** Expected events that count for the next tick although they occurred before it. */
  early: readonly { readonly event: Event; readonly tick: Micros }[];
  /** The windows of a schedule that are gone, each until it ended or was met. */
  gone: readonly Pick<Window, "start" | "end">[];
}

export class ProactiveNode implements Node {
  readonly #trigger: EventTriggerDefinition;
  readonly #labels: readonly string[];
  readonly #within: Micros;
  readonly #lateness: Micros;
  readonly #schedule: Schedule | null;
  readonly #now: () => Micros;
  readonly #beats: Beats;
  #nextTick: Micros | null;
  /** Arrived but not yet settled. */
  #unsettled: Unsettled[] = [];
  readonly #keys = new Map<string, KeyMemory>();

  constructor(trigger: EventTriggerDefinition, place: Place) {
    this.#trigger = trigger;
    this.#now = place.now;
    this.#beats = trigger.on_gap === "fire" ? new Beats() : place.beats;
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
    this.#unsettled.push({ arrival, at: event.occurred });
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
        const deadline = this.#beats.judgedAt(memory.window, this.#lateness, this.#now());
        const step = this.#step(this.#beats.endOf(memory.window), 0, (order) => this.#judge(memory, order));
        steps.push({ ...step, deadline });
      }
    }
    const tick = this.#nextTick;
    if (tick !== null) steps.push(this.#step(tick, 1, () => this.#tick(tick)));
    for (const unsettled of this.#inSettlingOrder()) {
      steps.push(this.#step(unsettled.at, 2, (order) => this.#settle(unsettled, order)));
    }
    return earliest(steps);
  }

  /**
   * Of events that occurred at the same time, those that only open windows come first and those that only count last. But
   * an event comes after the one that it follows.
   */
  #inSettlingOrder(): Unsettled[] {
    const rankOf = ({ arrival: { event } }: Unsettled): number =>
      isOpener(this.#trigger, event) ? (isExpected(this.#trigger, event) ? 1 : 0) : 2;
    let left = this.#unsettled.toSorted(
      (a, b) => rankOf(a) - rankOf(b) || (a.arrival.event.id < b.arrival.event.id ? -1 : 1),
    );
    const order: Unsettled[] = [];
    while (left.length > 0) {
      const leaderOf = ({ arrival: { event }, at }: Unsettled) =>
        left.find(
          (other) =>
            other.arrival.event.id !== event.id &&
            other.arrival.event.id === event.follows &&
            other.at === at,
        );
      let next = left[0] as Unsettled;
      for (const seen = new Set<Unsettled>(); ; ) {
        const leader = leaderOf(next);
        if (leader === undefined || seen.has(next)) break;
        seen.add(next);
        next = leader;
      }
      order.push(next);
      left = left.filter((other) => other !== next);
    }
    return order;
  }

  #step(time: Micros, kind: Step["kind"], take: (order: number) => NodeFiring[]): Step {
    // An event is taken once time has passed it: until then, others of its time may arrive.
    const due = time + this.#lateness + (kind === 2 ? 1 : 0);
    return { deadline: due, due, time, kind, take };
  }

  /** Without `after` and `schedule`, one window follows another. */
  #isAlwaysOpen(): boolean {
    return this.#trigger.after.length === 0 && this.#schedule === null;
  }

  #memoryOf(tuple: Readonly<Record<string, string>>): KeyMemory {
    const key = JSON.stringify(tuple);
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    const memory = {
      tuple,
      window: null,
      lastSeen: -Infinity,
      alarm: null,
      reported: false,
      held: [],
      early: [],
      gone: [],
    };
    this.#keys.set(key, memory);
    return memory;
  }

  #open(memory: KeyMemory, start: Micros, lastMatching: Event | null, counted: readonly Event[] = []): void {
    const end =
      this.#schedule === null ? start + this.#within : scheduledEnd(this.#trigger, this.#schedule, start);
    const opener = lastMatching !== null && isOpener(this.#trigger, lastMatching) ? lastMatching : null;
    const claimedStart = opener === null ? start : Math.max(start, latestTime(opener, this.#lateness));
    memory.window = { start, end, counted, lastMatching, claimedStart };
  }

  #hold(memory: KeyMemory, unsettled: Unsettled): void {
    const held = [...memory.held, unsettled];
    const newest = Math.max(...held.map(({ at }) => at));
    memory.held = held.filter(({ at }) => at >= newest - this.#heldFor);
  }

  /** A window that opens late counts what has occurred in it already. */
  #openOverHeld(memory: KeyMemory, { event, logTime }: Arrival, threshold: number): void {
    const { occurred } = event;
    const isLate = occurred + this.#lateness < logTime;
    const end = this.#beats.latestEndOf({ start: occurred, end: occurred + this.#within }, this.#now());
    const newest = Math.max(...memory.held.map(({ at }) => at));
    if (newest + this.#lateness + this.#heldFor <= logTime) memory.held = [];
    const counted = memory.held.filter(
      ({ at }) => at >= occurred && at < end && (isLate || event.follows === null || at > occurred),
    );
    if (counted.length < threshold)
      this.#open(
        memory,
        occurred,
        event,
        counted.map(({ arrival }) => arrival.event),
      );
  }

  get #heldFor(): Micros {
    return Math.max(30 * minute, this.#within);
  }

  /** Judges a window at its end. */
  #judge(memory: KeyMemory, order: number): NodeFiring[] {
    const { window, tuple } = memory;
    if (window === null) return [];
    const { start, counted, lastMatching } = window;
    const end = this.#beats.endOf(window);
    this.#leave(memory, window, end);
    if (this.#isAlwaysOpen()) this.#open(memory, end, lastMatching);
    if (this.#trigger.refire === "once" && memory.reported) return [];
    memory.reported = true;
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
      const { window } = memory;
      if (known && window === null) this.#openAt(memory, tick);
      else if (known && window !== null && window.end <= tick) memory.window = { ...window, nextTick: tick };
    }
    return [];
  }

  #openAt(memory: KeyMemory, tick: Micros): void {
    const early = memory.early.filter((each) => each.tick === tick).map(({ event }) => event);
    if (early.length < Math.max(1, this.#trigger.threshold))
      this.#open(memory, tick, early.at(-1) ?? null, early);
    memory.early = [];
  }

  /** A window is gone. If a tick came while a gap kept it open, the next one opens. */
  #leave(memory: KeyMemory, { start, nextTick }: OpenWindow, end: Micros): void {
    memory.window = null;
    memory.gone = [...memory.gone, { start, end }];
    if (nextTick !== undefined) this.#openAt(memory, nextTick);
  }

  /** Takes an event that settled time has reached or passed. */
  #settle(unsettled: Unsettled, order: number): NodeFiring[] {
    const memory = this.#memoryOf(tupleOf(this.#labels, unsettled.arrival.event));
    const firings: NodeFiring[] = [];
    // It shows that people can post, so the windows before it have ended.
    while (memory.window !== null && unsettled.at >= this.#beats.latestEndOf(memory.window, this.#now())) {
      firings.push(...this.#judge(memory, order));
    }
    this.#count(memory, unsettled);
    return firings;
  }

  #count(memory: KeyMemory, unsettled: Unsettled): void {
    this.#unsettled = this.#unsettled.filter((other) => other !== unsettled);
    const { arrival, at } = unsettled;
    const { event } = arrival;
    const threshold = Math.max(1, this.#trigger.threshold);
    const { window } = memory;
    const expected = isExpected(this.#trigger, event);
    const opener = isOpener(this.#trigger, event);
    if (expected) memory.reported = false;
    const latest = latestTime(event, this.#lateness);
    if (this.#trigger.after.length > 0 && window === null && expected && !opener && at < latest) {
      this.#unsettled.push({ arrival, at: latest });
      return;
    }
    const wasOpen = memory.gone.some(({ start, end }) => start <= at && at < end);
    const early = wasOpen ? 0 : Math.round((this.#trigger.schedule?.early ?? 0) * second);
    if (this.#schedule !== null && expected) {
      memory.lastSeen = Math.max(memory.lastSeen, at);
      const tick = this.#nextTick ?? Infinity;
      const isNext =
        latest >= tick
          ? window === null || this.#beats.latestEndOf(window, this.#now()) <= tick
          : window === null && at + early >= tick;
      if (isNext) {
        memory.early = [...memory.early, { event, tick }];
        return;
      }
    }
    if (this.#trigger.after.length > 0 && expected && !opener) this.#hold(memory, unsettled);
    if (window === null) {
      if (opener) this.#openOverHeld(memory, arrival, threshold);
      else if (this.#isAlwaysOpen()) this.#open(memory, at, event, threshold > 1 ? [event] : []);
      return;
    }
    if (event.occurred < window.start && Math.max(at + early, latest) < window.claimedStart) return; // late
    const counted = expected ? [...window.counted, event] : window.counted;
    if (counted.length < threshold) memory.window = { ...window, counted, lastMatching: event };
    else if (this.#isAlwaysOpen() || opener) this.#open(memory, at, event);
    else this.#leave(memory, window, Math.max(at, window.start));
  }
}
