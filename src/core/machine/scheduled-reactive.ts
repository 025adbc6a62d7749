/**
 * Reactive triggers with a schedule: enough events between a tick and `within` after it.
 *
 * All keys have the same windows, so the trigger keeps them once. Only a key that has fired has its own: its window is
 * gone, and the next tick opens another one for it, even if the window is still open for other keys.
 */

import type { Event } from "../model/event.ts";
import { scheduledWindowsMax } from "../model/limits.ts";
import { packId, unpackId } from "../model/packed-id.ts";
import type { Schedule } from "../model/schedule.ts";
import type { Micros } from "../model/time.ts";
import { type Arrival, type StoredReference, writeState } from "./arrival.ts";
import { type Deadline, rank, type Waiter } from "./deadlines.ts";
import { type CompiledEventTrigger, endOfWindow, latestOccurred } from "./event-trigger.ts";
import { type Key, keyOf } from "./key.ts";
import {
  decide,
  type EventRole,
  type Fired,
  type Machine,
  type NodePlace,
  ownerOf,
  type TriggerNode,
  type TriggerOutcome,
} from "./node.ts";
import { notOpen, openForever } from "./open-count.ts";
import { type Counted, ReactiveTrigger } from "./reactive.ts";

interface SharedWindows {
  /** The next tick; null when the schedule has no more. */
  nextTick: Micros | null;
  /** The starts of the latest windows, newest first. */
  starts: Micros[];
}

interface KeyWindows {
  windows: { start: Micros; count: number }[];
  /** True after the key has fired: then it has only the windows above, not the shared ones. */
  apart: boolean;
  lastEventId: string;
}

export class ScheduledReactiveTrigger extends ReactiveTrigger<KeyWindows> implements Waiter {
  readonly place: string;
  readonly #schedule: Schedule;
  /** Events whose senders are ahead of the next tick, by their order. */
  readonly #waiting = new Map<number, Arrival>();
  readonly #ends = new Map<Micros, Micros>();
  #shared: SharedWindows = { nextTick: null, starts: [] };

  constructor(place: NodePlace, compiled: CompiledEventTrigger, machine: Machine, schedule: Schedule) {
    super(place, compiled, machine);
    this.#schedule = schedule;
    this.place = ownerOf(this);
  }

  override begin(at: Micros): void {
    this.#shared = { nextTick: this.#schedule.next(at - 1), starts: [] };
    this.#write();
    this.#awaitTick();
  }

  override evaluate(
    arrival: Arrival,
    order: number,
    roles: ReadonlyMap<TriggerNode, EventRole>,
  ): Fired | null {
    if (!roles.has(this)) return null;
    if (!this.#isAhead(arrival.event)) return super.evaluate(arrival, order, roles);
    this.machine.arrivals.hold(arrival);
    this.machine.cells.write(this.#waitingField(order), () => {
      const text = writeState((refer): StoredWaiting => [refer(arrival)]);
      arrival.compact();
      return text;
    });
    decide(this.machine, this, {
      key: keyOf(this.labels, arrival.event),
      eventId: arrival.event.id,
      make: () => this.#await(arrival, order),
      outcomeOf: () => "waits for the next tick",
      window: () => null,
    });
    return null;
  }

  /** True when an event says that it occurred after a tick that is still to come, and the tick opens a window for its key. */
  #isAhead(event: Event): boolean {
    const { nextTick } = this.#shared;
    if (nextTick === null || nextTick > latestOccurred(event, this.compiled.lateness)) return false;
    return this.#startsOf(keyOf(this.labels, event)).every((start) => this.#endOf(start) <= nextTick);
  }

  #await(arrival: Arrival, order: number): void {
    this.#waiting.set(order, arrival);
    const due = this.#shared.nextTick;
    if (due === null) return; // being restored: the next tick is yet to come
    this.machine.await(this, { due, rank: rank.aheadOfTick, order, key: "" });
  }

  meet({ due, rank: met, order }: Deadline): void {
    if (met === rank.aheadOfTick) this.#takeAhead(order);
    else if (this.#shared.nextTick === due) this.#tick(due);
  }

  /** Evaluates an event that was ahead of the tick. */
  #takeAhead(order: number): void {
    const arrival = this.#waiting.get(order);
    if (arrival === undefined) return;
    if (this.#isAhead(arrival.event)) {
      this.#await(arrival, order);
      return;
    }
    this.#waiting.delete(order);
    this.machine.cells.write(this.#waitingField(order), null);
    const fired = this.take(arrival, order, { expected: true, after: false });
    if (fired !== null) this.machine.rise(this, fired);
    this.machine.arrivals.release(arrival);
  }

  protected count(key: Key, { event }: Arrival): Counted | TriggerOutcome {
    const at = event.occurred;
    const latest = latestOccurred(event, this.compiled.lateness);
    const { threshold } = this.compiled;
    const own = this.states.get(key) ?? { windows: [], apart: false, lastEventId: event.id };
    const starts = this.#startsOf(key);
    // The sender's time decides. If it is ahead of a window's end, the time of receipt does.
    const start =
      starts.find((candidate) => candidate <= latest && latest < this.#endOf(candidate)) ??
      starts.find((candidate) => candidate <= latest && at < this.#endOf(candidate));
    if (start === undefined || this.#deadline(start) <= this.machine.watermark) {
      return "ignored: no window is open";
    }
    let window = own.windows.find((known) => known.start === start);
    if (window === undefined) {
      window = { start, count: 0 };
      own.windows.push(window);
    }
    window.count++;
    own.lastEventId = event.id;
    const { count } = window;
    if (count >= threshold) this.#goApart(own, start);
    this.states.put(key, own);
    this.awaitNext(key, own);
    return count >= threshold ? { start, end: this.#endOf(start), count } : "counted";
  }

  /** Removes the window that fired for this key. Its other windows stay as they were. */
  #goApart(own: KeyWindows, fired: Micros): void {
    const starts = own.apart ? own.windows.map(({ start }) => start) : this.#shared.starts;
    own.windows = starts
      .filter((start) => start !== fired)
      .map((start) => own.windows.find((window) => window.start === start) ?? { start, count: 0 });
    own.apart = true;
  }

  /** The starts of the windows of a key that are open or kept for delayed events, newest first. */
  #startsOf(key: Key): readonly Micros[] {
    const own = this.states.get(key);
    return own?.apart === true ? own.windows.map(({ start }) => start) : this.#shared.starts;
  }

  #tick(tick: Micros): void {
    const isKept = (start: Micros): boolean => this.#deadline(start) > tick;
    const [latest] = this.#shared.starts;
    if (latest === undefined || tick >= this.#endOf(latest)) {
      this.#shared.starts = [tick, ...this.#shared.starts.filter(isKept)].slice(0, scheduledWindowsMax);
      for (const start of this.#ends.keys()) if (!isKept(start)) this.#ends.delete(start);
    }
    for (const [key, own] of [...this.states.entries()]) {
      const [open] = own.windows;
      if (!own.apart || (open !== undefined && tick < this.#endOf(open.start))) continue;
      const kept = own.windows.filter(({ start }) => isKept(start));
      own.windows = [{ start: tick, count: 0 }, ...kept].slice(0, scheduledWindowsMax);
      this.states.put(key, own);
      this.awaitNext(key, own);
    }
    this.#shared.nextTick = this.#schedule.next(tick);
    this.#write();
    this.#awaitTick();
  }

  #awaitTick(): void {
    const { nextTick } = this.#shared;
    if (nextTick === null) return;
    this.machine.await(this, { due: nextTick, rank: rank.tick, order: 0, key: "" });
  }

  protected awaitNext(key: Key, own: KeyWindows): void {
    const { lateness } = this.compiled;
    const next = this.#endsOf(own).find((end) => end + lateness > this.machine.watermark);
    if (next !== undefined) this.states.awaitEnd(key, next, lateness);
  }

  /** The ends of a key's own windows and of the shared ones, ascending. */
  #endsOf({ windows }: KeyWindows): Micros[] {
    const own = windows.map(({ start }) => start);
    return [...new Set([...own, ...this.#shared.starts])]
      .sort((a, b) => a - b)
      .map((start) => this.#endOf(start));
  }

  /** A window of a key has ended. Forgets the key's own state if it no longer differs from the shared windows. */
  override meetEnd(key: Key, own: KeyWindows, due: Micros): void {
    const isOpen = (start: Micros): boolean => this.#deadline(start) > due;
    own.windows = own.windows.filter(({ start }) => isOpen(start));
    const shared = this.#shared.starts.filter(isOpen);
    const isInStep = own.windows.every(({ start, count }) => count === 0 && shared.includes(start));
    if (isInStep && (!own.apart || own.windows.length === shared.length)) this.states.delete(key);
    else {
      this.states.put(key, own);
      this.awaitNext(key, own);
    }
  }

  encode({ windows, apart, lastEventId }: KeyWindows): string {
    const counts = windows.flatMap(({ start, count }) => [start, count]);
    return JSON.stringify([apart ? 1 : 0, packId(lastEventId), ...counts]);
  }

  decode(text: string): KeyWindows {
    const stored = JSON.parse(text) as KeyWindows | StoredKeyWindows;
    if (!Array.isArray(stored)) return stored;
    const [apart, lastEventId, ...counts] = stored;
    const windows: KeyWindows["windows"] = [];
    for (let index = 0; index < counts.length; index += 2)
      windows.push({ start: counts[index] ?? 0, count: counts[index + 1] ?? 0 });
    return { windows, apart: apart === 1, lastEventId: unpackId(lastEventId) };
  }

  openUntil({ windows, apart }: KeyWindows): Micros {
    return windows.length > 0 || apart ? openForever : notOpen;
  }

  #deadline(start: Micros): Micros {
    return this.#endOf(start) + this.compiled.lateness;
  }

  #endOf(start: Micros): Micros {
    const known = this.#ends.get(start);
    if (known !== undefined) return known;
    const end = endOfWindow(this.compiled, this.#schedule, start);
    this.#ends.set(start, end);
    return end;
  }

  override restore(kind: string, rest: string, stored: string): void {
    if (kind === "k") super.restore(kind, rest, stored);
    else if (kind === "p") {
      const state = this.machine.arrivals.read(stored);
      const header = state.header as StoredWaiting | string;
      const arrival = state.arrival(typeof header === "string" ? header : header[0]);
      this.machine.arrivals.hold(arrival);
      this.#await(arrival, Number(rest));
    } else {
      this.#shared = JSON.parse(stored) as SharedWindows;
      this.#awaitTick();
      for (const [order, arrival] of this.#waiting) this.#await(arrival, order);
    }
  }

  override clear(): void {
    super.clear();
    for (const [order, arrival] of this.#waiting) {
      this.machine.arrivals.release(arrival);
      this.machine.cells.write(this.#waitingField(order), null);
    }
    this.#waiting.clear();
    this.#ends.clear();
    this.#shared = { nextTick: null, starts: [] };
    this.machine.cells.write(this.#field, null);
  }

  #write(): void {
    this.machine.cells.write(this.#field, () => JSON.stringify(this.#shared));
  }

  #waitingField(order: number): string {
    return `p:${this.automationId}:${this.path}:${order}`;
  }

  get #field(): string {
    return `s:${this.automationId}:${this.path}`;
  }

  protected shown({ windows: [window], apart, lastEventId }: KeyWindows) {
    if (window === undefined) {
      const quietUntil = apart ? this.#shared.nextTick : null; // its window has fired
      return { start: null, end: null, count: 0, deadline: null, lastEventId, quietUntil };
    }
    const { start, count } = window;
    return { start, end: this.#endOf(start), count, deadline: this.#deadline(start), lastEventId };
  }
}

/** Before version 3, the event's position alone. */
type StoredWaiting = [arrival: StoredReference];

/** The start and the count of each window follow one another. */
type StoredKeyWindows = [apart: 0 | 1, lastEventId: string, ...counts: number[]];
