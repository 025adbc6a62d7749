/**
 * Proactive triggers: absence, which is known only when time has settled.
 *
 * Events wait until log time has passed them by the lateness and are then counted in the order in which they occurred, so
 * any order of arrival within the lateness gives the same result. Windows are judged at their end in the same settled
 * time. Only a resolution looks at an event immediately.
 */

import { overdueWindowsMax, rememberDefault } from "../model/limits.ts";
import { Schedule } from "../model/schedule.ts";
import { type Micros, second } from "../model/time.ts";
import type { Arrival } from "./arrival.ts";
import { rank } from "./deadlines.ts";
import { countsForTick, latestCounted } from "./early.ts";
import { type CompiledEventTrigger, endOfWindow, latestOccurred } from "./event-trigger.ts";
import { heldCountOver, withHeld } from "./held.ts";
import { type Key, keyOf, labelsOf } from "./key.ts";
import { KeyedStates } from "./keyed-states.ts";
import {
  decide,
  type EventRole,
  firedBy,
  keyText,
  type Machine,
  type NodePlace,
  type OpenWindow,
  ownerOf,
  PlacedTrigger,
  type Revive,
  type TriggerNode,
  type TriggerOutcome,
} from "./node.ts";
import { type SettlingEvent, SettlingEvents } from "./settling.ts";
import {
  claimStart,
  type EarlyEvents,
  forgetHeldAt,
  forgetUnresolvedAt,
  never,
  nothingWatched,
  restoredWatched,
  startsAfter,
  type Watched,
  type WatchedWindow,
} from "./watched.ts";

export class ProactiveTrigger extends PlacedTrigger implements TriggerNode {
  readonly compiled: CompiledEventTrigger;
  readonly #machine: Machine;
  readonly #states: KeyedStates<Watched>;
  readonly #waiting = new SettlingEvents();
  readonly #schedule: Schedule | null;
  #nextTick: Micros | null = null;

  constructor(place: NodePlace, compiled: CompiledEventTrigger, machine: Machine) {
    super(place);
    this.compiled = compiled;
    this.#machine = machine;
    this.#states = new KeyedStates(this, machine);
    const { schedule } = compiled.definition;
    this.#schedule = schedule === undefined ? null : new Schedule(schedule.cron, schedule.timezone);
  }

  begin(at: Micros, position: string): void {
    if (this.#schedule !== null) {
      this.#nextTick = this.#schedule.next(at - 1);
      this.#writeTick();
      this.#awaitTick();
    } else if (this.#isAlwaysOpen && this.labels.length === 0) {
      this.#open([], { ...nothingWatched }, at, position);
    }
  }

  evaluate(arrival: Arrival, order: number, roles: ReadonlyMap<TriggerNode, EventRole>): null {
    const role = roles.get(this);
    if (role === undefined) return null;
    const key = keyOf(this.labels, arrival.event);
    const eventId = arrival.event.id;
    const window = (): OpenWindow | null => this.#windowOf(key);
    if (role.expected) {
      decide(this.#machine, this, {
        key,
        eventId,
        make: () => this.#resolve(key, arrival, order),
        outcomeOf: (resolved) => (resolved ? "resolved" : null),
        window,
      });
    }
    this.#machine.arrivals.hold(arrival);
    const stored: StoredWaiting = [arrival.position, role.expected ? 1 : 0, role.after ? 1 : 0];
    this.#machine.cells.write(this.#waitingField(order), stored);
    decide(this.#machine, this, {
      key,
      eventId,
      make: () => this.#awaitSettling(order, { arrival, at: arrival.event.occurred, role }),
      outcomeOf: () => "waits until its time has settled",
      window,
    });
    return null;
  }

  #resolve(key: Key, arrival: Arrival, order: number): boolean {
    const watched = this.#states.get(key);
    const fired = watched?.unresolved ?? null;
    if (watched === undefined || fired === null) return false;
    watched.unresolved = null;
    this.#keep(key, watched);
    if (this.parent !== null) return true;
    const { occurred } = arrival.event;
    const resolution = firedBy(this, key, `resolved ${arrival.position}`, {
      state: "Resolved",
      triggered: this.#machine.watermark,
      happened: occurred,
      order,
      arrival,
      window: { ...fired, count: 0, threshold: this.compiled.threshold },
      late: fired.start <= occurred && occurred < fired.end,
    });
    this.#machine.rise(this, resolution);
    return true;
  }

  #awaitSettling(order: number, waiting: SettlingEvent): void {
    this.#waiting.add(order, waiting);
    const { at } = waiting;
    const due = at + this.compiled.lateness + 1;
    const meet = (): void => this.#settle(at);
    this.#machine.await({ due, rank: rank.settledEvent, order, owner: ownerOf(this), meet });
  }

  /** Evaluates the events of an instant, whose time has settled. */
  #settle(instant: Micros): void {
    for (const [order, waiting] of this.#waiting.take(instant)) {
      const { arrival } = waiting;
      const key = keyOf(this.labels, arrival.event);
      if (this.#waitsFurther(order, key, waiting)) continue;
      this.#machine.cells.write(this.#waitingField(order), null);
      decide(this.#machine, this, {
        key,
        eventId: arrival.event.id,
        make: () => this.#count(key, waiting),
        outcomeOf: (outcome) => outcome,
        window: () => this.#windowOf(key),
      });
      this.#machine.arrivals.release(arrival);
    }
  }

  /**
   * An expected event whose sender's clock is ahead may have occurred as late as it says. If no window is open yet, it waits
   * for one until then, so that the window's `after` event may come from a sender whose clock is right.
   */
  #waitsFurther(order: number, key: Key, waiting: SettlingEvent): boolean {
    const { arrival, at, role } = waiting;
    if (this.compiled.after.length === 0 || !role.expected || role.after) return false;
    const latest = latestOccurred(arrival.event, this.compiled.lateness);
    if (at >= latest || (this.#states.get(key)?.window ?? null) !== null) return false;
    this.#machine.cells.write(this.#waitingField(order), [arrival.position, 1, 0, latest]);
    this.#awaitSettling(order, { ...waiting, at: latest });
    return true;
  }

  #count(key: Key, { arrival, at, role }: SettlingEvent): TriggerOutcome {
    const watched = this.#states.get(key) ?? { ...nothingWatched };
    if (role.expected && watched.reported) {
      watched.reported = false;
      this.#keep(key, watched);
    }
    if (this.#schedule !== null && role.expected) {
      watched.seen = Math.max(watched.seen ?? at, at);
      this.#keep(key, watched);
      const tick = this.#nextTick;
      if (tick !== null && countsForTick(tick, arrival.event, at, watched, this.compiled)) {
        const count = watched.early?.tick === tick ? watched.early.count + 1 : 1;
        this.#setEarly(watched, { tick, count, last: arrival });
        this.#keep(key, watched);
        return "counts for the next tick";
      }
    }
    this.#hold(key, watched, at, role);
    if (watched.window === null) {
      if (this.#schedule !== null || !this.#opensFirst(role)) return "ignored: no window is open";
      const now = this.#machine.watermark;
      const heldCount = heldCountOver(watched.held, arrival.event, this.compiled, now);
      if (heldCount >= this.compiled.threshold) return "was met by events that arrived before it";
      this.#remember(watched, arrival);
      const start = this.#isAlwaysOpen ? this.#firstStart(at) : at;
      this.#open(key, watched, start, arrival.position);
      // The first event of a key counts if more than one is expected. An `after` event never counts in its own window.
      const countsItself = this.#isAlwaysOpen && start === at && this.compiled.threshold > 1;
      this.#countFirst(watched, countsItself ? 1 : heldCount);
      claimStart(watched, arrival.event, this.compiled);
      return "opened a window";
    }
    const { window } = watched;
    if (startsAfter(window, arrival.event, latestCounted(arrival.event, at, watched, this.compiled))) {
      return "ignored: it occurred before the window's start";
    }
    this.#remember(watched, arrival);
    if (role.expected) window.count++;
    if (window.count < this.compiled.threshold) {
      this.#keep(key, watched);
      return role.expected ? "counted" : "noted as the last event of the window";
    }
    if (this.#schedule === null && (this.#isAlwaysOpen || role.after)) {
      this.#open(key, watched, at, arrival.position);
      claimStart(watched, arrival.event, this.compiled);
      return "met the expectation and opened the next window";
    }
    this.#close(key, watched, Math.max(at, window.start));
    return "met the expectation";
  }

  /** Whether an event with this role makes a new key known. */
  #opensFirst(role: EventRole): boolean {
    return this.compiled.after.length === 0 ? role.expected : role.after;
  }

  /** The start of a key's first window: its first event, unless too many windows since then have already ended. */
  #firstStart(at: Micros): Micros {
    const { within, lateness } = this.compiled;
    const overdueCount = Math.floor((this.#machine.watermark - lateness - at) / within);
    return at + Math.max(0, overdueCount - overdueWindowsMax) * within;
  }

  #countFirst({ window }: Watched, count: number): void {
    if (window !== null) window.count = count;
  }

  #setEarly(watched: Watched, early: EarlyEvents | null): void {
    if (early !== null) this.#machine.arrivals.hold(early.last);
    this.#machine.arrivals.release(watched.early?.last ?? null);
    watched.early = early;
  }

  /** Keeps the time of an expected event for a window that opens later over it. */
  #hold(key: Key, watched: Watched, at: Micros, role: EventRole): void {
    if (this.compiled.after.length === 0 || !role.expected || role.after) return;
    watched.held = withHeld(watched.held, at, this.compiled);
    this.#keep(key, watched);
  }

  #judge(key: Key, watched: Watched, due: Micros): void {
    const { window } = watched;
    const { lateness, definition } = this.compiled;
    if (window === null || window.end + lateness > due) {
      this.#awaitJudgement(key, watched);
      return;
    }
    const isSilent = definition.refire === "once" && watched.reported;
    decide(this.#machine, this, {
      key,
      eventId: watched.last?.event.id ?? null,
      make: () => this.#endWindow(key, watched, window, isSilent),
      outcomeOf: () => (isSilent ? "silent until resolved" : "fires"),
      window: () => this.#windowOf(key),
    });
  }

  #endWindow(key: Key, watched: Watched, window: WatchedWindow, isSilent: boolean): void {
    const { within, lateness, threshold } = this.compiled;
    const follows = watched.unresolved !== null && watched.unresolved.end === window.start;
    if (!isSilent) {
      const start = follows ? (watched.unresolved?.start ?? window.start) : window.start;
      watched.unresolved = { start, end: window.end };
      watched.reported = this.compiled.definition.refire === "once";
      const fired = firedBy(this, key, `${window.opener} ${window.end}`, {
        triggered: window.end + lateness,
        happened: window.end,
        order: this.#machine.nextOrder(),
        arrival: watched.last,
        window: { start: window.start, end: window.end, count: window.count, threshold },
      });
      this.#machine.rise(this, fired);
    }
    if (!this.#isAlwaysOpen) {
      this.#close(key, watched, window.end);
      return;
    }
    // Skip the windows in which nothing can happen, so that a silence of years is one step.
    const idleCount =
      isSilent && this.#waiting.size === 0 ? (this.#machine.quietUntil - lateness - window.end) / within : 0;
    this.#open(key, watched, window.end + Math.max(0, Math.floor(idleCount)) * within, window.opener);
  }

  #open(key: Key, watched: Watched, start: Micros, opener: string): void {
    const end =
      this.#schedule === null
        ? start + this.compiled.within
        : endOfWindow(this.compiled, this.#schedule, start);
    watched.window = { start, end, count: 0, opener };
    this.#keep(key, watched);
    this.#awaitJudgement(key, watched);
  }

  #close(key: Key, watched: Watched, at: Micros): void {
    watched.window = null;
    if (this.compiled.definition.schedule?.early) watched.freeSince = at;
    this.#keep(key, watched);
  }

  #tick(tick: Micros): void {
    const { remember } = this.compiled.definition.schedule ?? {};
    const rememberFor = remember === undefined ? rememberDefault : Math.round(remember * second);
    if (this.labels.length === 0) {
      this.#openAtTick([], this.#states.get([]) ?? { ...nothingWatched }, tick);
    }
    for (const [key, watched] of this.labels.length === 0 ? [] : [...this.#states.entries()]) {
      if (watched.seen !== null && watched.seen >= tick - rememberFor) this.#openAtTick(key, watched, tick);
      else if (watched.seen !== null && watched.window === null) {
        watched.seen = watched.freeSince = null;
        this.#setEarly(watched, null);
        this.#keep(key, watched);
      }
    }
    this.#nextTick = this.#schedule?.next(tick) ?? null;
    this.#writeTick();
    this.#awaitTick();
  }

  #openAtTick(key: Key, watched: Watched, tick: Micros): void {
    if (watched.window !== null) return;
    const { early } = watched;
    if (early === null) {
      this.#open(key, watched, tick, `tick ${tick}`);
      return;
    }
    if (early.count < this.compiled.threshold) {
      this.#remember(watched, early.last);
      this.#open(key, watched, tick, `tick ${tick}`);
      this.#countFirst(watched, early.count);
    }
    this.#setEarly(watched, null);
    this.#keep(key, watched);
  }

  #awaitTick(): void {
    const tick = this.#nextTick;
    if (tick === null) return;
    const due = tick + this.compiled.lateness;
    const meet = (): void => {
      if (this.#nextTick === tick) this.#tick(tick);
    };
    this.#machine.await({ due, rank: rank.tick, order: 0, owner: ownerOf(this), meet });
  }

  #awaitJudgement(key: Key, { window }: Watched): void {
    if (window !== null) this.#states.awaitEnd(key, window.end, this.compiled.lateness, this.#meetEnd);
  }

  readonly #meetEnd = (key: Key, watched: Watched, due: Micros): void => this.#judge(key, watched, due);

  /** Writes the state of a key, or forgets the key when there is nothing left to watch. */
  #keep(key: Key, watched: Watched): void {
    const { window, unresolved, reported, seen, held, early, freeSince } = watched;
    const isIdle = seen === null && held.length === 0 && freeSince === null;
    if (isIdle && !window && !unresolved && !reported && !early) {
      this.#remember(watched, null);
      this.#states.delete(key);
      return;
    }
    if (window === null) this.#remember(watched, null);
    this.#states.put(key, watched);
    this.#awaitForgetting(key);
  }

  #awaitForgetting(key: Key): void {
    this.#states.awaitForgetting(key, this.#forgetAt, (forgotten, watched) => {
      const now = this.#machine.watermark;
      if (forgetUnresolvedAt(watched, this.compiled) <= now) {
        watched.unresolved = null;
        watched.reported = false;
      }
      if (forgetHeldAt(watched, this.compiled) <= now) watched.held = [];
      this.#keep(forgotten, watched);
    });
  }

  readonly #forgetAt = (watched: Watched): Micros | null => {
    const next = Math.min(forgetUnresolvedAt(watched, this.compiled), forgetHeldAt(watched, this.compiled));
    return next === never ? null : next;
  };

  #remember(watched: Watched, arrival: Arrival | null): void {
    const { last } = watched;
    if (arrival !== null) this.#machine.arrivals.hold(arrival);
    watched.last = arrival;
    this.#machine.arrivals.release(last);
  }

  /** Without `after` and without a schedule, each window follows the previous one without a gap. */
  get #isAlwaysOpen(): boolean {
    return this.#schedule === null && this.compiled.after.length === 0;
  }

  restore(kind: string, rest: string, json: string, revive: Revive): void {
    if (kind === "k") {
      const watched = restoredWatched(json, revive);
      const key = this.#states.restore(rest, watched);
      this.#awaitJudgement(key, watched);
      this.#awaitForgetting(key);
    } else if (kind === "p") {
      const [position, expected, after, later] = JSON.parse(json) as StoredWaiting;
      const arrival = revive(position);
      const role = { expected: expected === 1, after: after === 1 };
      const at = later ?? arrival.event.occurred;
      this.#awaitSettling(Number(rest), { arrival, at, role });
    } else {
      this.#nextTick = (JSON.parse(json) as { nextTick: Micros | null }).nextTick;
      this.#awaitTick();
    }
  }

  clear(): void {
    for (const [, watched] of this.#states.entries()) {
      this.#remember(watched, null);
      this.#setEarly(watched, null);
    }
    this.#states.clear();
    for (const [order, { arrival }] of this.#waiting.clear()) {
      this.#machine.arrivals.release(arrival);
      this.#machine.cells.write(this.#waitingField(order), null);
    }
    if (this.#schedule !== null) {
      this.#nextTick = null;
      this.#machine.cells.write(this.#tickField, null);
    }
  }

  #writeTick(): void {
    this.#machine.cells.write(this.#tickField, { nextTick: this.#nextTick });
  }

  get #tickField(): string {
    return `s:${this.automationId}:${this.path}`;
  }

  #waitingField(order: number): string {
    return `p:${this.automationId}:${this.path}:${order}`;
  }

  get lateness(): Micros {
    return this.compiled.lateness;
  }

  *openWindows(): Iterable<OpenWindow> {
    const settlingEvents = this.#waiting.byKey(this.labels);
    for (const [key] of this.#states.entries()) {
      const window = this.#windowOf(key);
      const settlingCount = settlingEvents.get(keyText(key))?.length ?? 0;
      if (window !== null) yield { ...window, settlingCount };
    }
    for (const settling of settlingEvents.values()) {
      const key = keyOf(this.labels, settling[0].arrival.event);
      if (this.#windowOf(key) === null) yield* this.#comingWindow(key, settling);
    }
  }

  /** A key that is new: the window that its first event is about to open, so that people see that the event arrived. */
  *#comingWindow(key: Key, settling: readonly SettlingEvent[]): Iterable<OpenWindow> {
    const opener = settling.find(({ role }) => this.#opensFirst(role));
    if (opener === undefined) return;
    const start = this.#schedule === null ? opener.arrival.event.occurred : null; // with a schedule, a tick opens it
    yield {
      ...this.#shown(key, nothingWatched),
      ...(start === null ? {} : { start, end: start + this.compiled.within }),
      deadline: start === null ? null : start + this.compiled.within + this.compiled.lateness,
      lastEventId: settling.at(-1)?.arrival.event.id ?? null,
      settlingCount: settling.length,
    };
  }

  #windowOf(key: Key): OpenWindow | null {
    const watched = this.#states.get(key);
    if (watched === undefined) return null;
    const { window, unresolved, seen } = watched;
    return window === null && unresolved === null && seen === null ? null : this.#shown(key, watched);
  }

  #shown(key: Key, { window, last, unresolved }: Watched): OpenWindow {
    return {
      path: this.path,
      labels: labelsOf(this.labels, key),
      start: window?.start ?? null,
      end: window?.end ?? null,
      count: window?.count ?? 0,
      threshold: this.compiled.threshold,
      deadline: window === null ? null : window.end + this.compiled.lateness,
      lastEventId: last?.event.id ?? null,
      unresolved: unresolved !== null,
      quietUntil: null,
      settlingCount: 0,
      awaited: [],
    };
  }
}

/** The log position, 1 or 0 for `expected` and for `after`, and the time that it waits for if that is not `occurred`. */
type StoredWaiting = [position: string, expected: number, after: number, at?: Micros];
