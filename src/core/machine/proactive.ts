/**
 * Proactive triggers: absence, which is known only when time has settled.
 *
 * Events wait until log time has passed them by the lateness and are then counted in the order in which they occurred, so
 * any order of arrival within the lateness gives the same result. Windows are judged at their end in the same settled
 * time. Only a resolution looks at an event immediately.
 */

import { rememberDefault } from "../model/limits.ts";
import { Schedule } from "../model/schedule.ts";
import { type Micros, second } from "../model/time.ts";
import { absenceFiring, firstStart, resolution } from "./absence.ts";
import type { Arrival } from "./arrival.ts";
import { type Deadline, rank, type Waiter } from "./deadlines.ts";
import { countsForTick, latestCounted } from "./early.ts";
import { type CompiledEventTrigger, endOfWindow, latestOccurred } from "./event-trigger.ts";
import { heldCountOver, withHeld } from "./held.ts";
import { type Key, keyOf } from "./key.ts";
import { KeyedStates, type StateKind } from "./keyed-states.ts";
import {
  decide,
  type EventRole,
  keyText,
  type Machine,
  type NodePlace,
  type OpenWindow,
  ownerOf,
  PlacedTrigger,
  type TriggerNode,
  type TriggerOutcome,
} from "./node.ts";
import { OnGap } from "./on-gap.ts";
import { notOpen, openForever, openUnresolved } from "./open-count.ts";
import { restoredSettling, type SettlingEvent, SettlingEvents, storedSettling } from "./settling.ts";
import {
  claimStart,
  comingWindow,
  countFirst,
  type EarlyEvents,
  forgetHeldAt,
  forgetUnresolvedAt,
  never,
  nothingWatched,
  restoredWatched,
  shownWatched,
  startsAfter,
  storedWatched,
  type Watched,
  type WatchedWindow,
} from "./watched.ts";

export class ProactiveTrigger extends PlacedTrigger implements TriggerNode, Waiter, StateKind<Watched> {
  readonly place: string;
  readonly compiled: CompiledEventTrigger;
  readonly #machine: Machine;
  readonly #states: KeyedStates<Watched>;
  readonly #waiting = new SettlingEvents();
  readonly #schedule: Schedule | null;
  readonly #onGap: OnGap;
  #nextTick: Micros | null = null;

  constructor(place: NodePlace, compiled: CompiledEventTrigger, machine: Machine) {
    super(place);
    this.compiled = compiled;
    this.#machine = machine;
    this.place = ownerOf(this);
    this.#states = new KeyedStates(this, machine, this);
    this.#onGap = new OnGap(compiled.definition, machine);
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
    this.#writeWaiting(order, { arrival, at: arrival.event.occurred, role });
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
    const at = this.#machine.watermark;
    this.#machine.rise(this, resolution(this, key, { absence: fired, arrival, order, at }));
    return true;
  }

  #awaitSettling(order: number, waiting: SettlingEvent): void {
    this.#waiting.add(order, waiting);
    const { at } = waiting;
    const due = at + this.compiled.lateness + 1;
    this.#machine.await(this, { due, rank: rank.settledEvent, order, key: "" });
  }

  meet({ due, rank: met }: Deadline): void {
    const tick = due - this.compiled.lateness;
    if (met === rank.settledEvent) this.#settle(tick - 1);
    else if (this.#nextTick === tick) this.#tick(tick);
  }

  /** Evaluates the events of an instant, whose time has settled. */
  #settle(instant: Micros): void {
    for (const [order, waiting] of this.#waiting.take(instant)) {
      const { arrival } = waiting;
      const key = keyOf(this.labels, arrival.event);
      this.#endBefore(key, waiting.at);
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

  /** Judges the windows that have ended before an event and were waiting for a beat: the event shows that people can post. */
  #endBefore(key: Key, at: Micros): void {
    for (;;) {
      const watched = this.#states.get(key);
      const window = watched?.window ?? null;
      if (watched === undefined || window === null || at < this.#onGap.latestEndOf(window)) return;
      this.#judge(key, watched, window);
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
    const later = { ...waiting, at: latest };
    this.#writeWaiting(order, later);
    this.#awaitSettling(order, later);
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
      const end = watched.window === null ? at : this.#onGap.latestEndOf(watched.window);
      if (tick !== null && countsForTick(tick, arrival.event, at, watched, end, this.compiled)) {
        const count = watched.early?.tick === tick ? watched.early.count + 1 : 1;
        this.#setEarly(watched, { tick, count, last: arrival });
        this.#keep(key, watched);
        return "counts for the next tick";
      }
    }
    this.#hold(key, watched, at, role);
    if (watched.window === null) {
      if (this.#schedule !== null || !this.#opensFirst(role)) return "ignored: no window is open";
      const { occurred } = arrival.event;
      const end = this.#onGap.latestEndOf({ start: occurred, end: occurred + this.compiled.within });
      const now = this.#machine.watermark;
      const heldCount = heldCountOver(watched.held, arrival.event, end, this.compiled.lateness, now);
      if (heldCount >= this.compiled.threshold) return "was met by events that arrived before it";
      this.#remember(watched, arrival);
      const start = this.#isAlwaysOpen ? firstStart(at, now, this.compiled) : at;
      this.#open(key, watched, start, arrival.position);
      // The first event of a key counts if more than one is expected. An `after` event never counts in its own window.
      const countsItself = this.#isAlwaysOpen && start === at && this.compiled.threshold > 1;
      countFirst(watched, countsItself ? 1 : heldCount);
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

  #setEarly(watched: Watched, early: EarlyEvents | null): void {
    this.#machine.arrivals.hold(early?.last ?? null);
    this.#machine.arrivals.release(watched.early?.last ?? null);
    watched.early = early;
  }

  /** Keeps the time of an expected event for a window that opens later over it. */
  #hold(key: Key, watched: Watched, at: Micros, role: EventRole): void {
    if (this.compiled.after.length === 0 || !role.expected || role.after) return;
    watched.held = withHeld(watched.held, at, this.compiled);
    this.#keep(key, watched);
  }

  meetEnd(key: Key, watched: Watched, due: Micros): void {
    const { window } = watched;
    if (window === null) return;
    const { lateness } = this.compiled;
    const end = this.#onGap.endOf(window);
    if (end + lateness > due) this.#states.awaitEnd(key, end, lateness);
    else if (this.#onGap.confirms(end)) this.#judge(key, watched, window);
    else {
      const outcome = "waits until it is known whether anybody could post";
      this.#decideEnd(key, watched, outcome, () => this.#states.postponeEnd(key, end, due));
    }
  }

  #judge(key: Key, watched: Watched, window: WatchedWindow): void {
    const isSilent = this.compiled.definition.refire === "once" && watched.reported;
    const outcome = isSilent ? "silent until resolved" : "fires";
    this.#decideEnd(key, watched, outcome, () => this.#endWindow(key, watched, window, isSilent));
  }

  #decideEnd(key: Key, watched: Watched, outcome: TriggerOutcome, make: () => void): void {
    const eventId = watched.last?.event.id ?? null;
    const window = (): OpenWindow | null => this.#windowOf(key);
    decide(this.#machine, this, { key, eventId, make, outcomeOf: () => outcome, window });
  }

  #endWindow(key: Key, watched: Watched, window: WatchedWindow, isSilent: boolean): void {
    const { within, lateness } = this.compiled;
    const end = this.#onGap.endOf(window);
    const follows = watched.unresolved !== null && watched.unresolved.end === window.start;
    if (!isSilent) {
      const start = follows ? (watched.unresolved?.start ?? window.start) : window.start;
      watched.unresolved = { start, end };
      watched.reported = this.compiled.definition.refire === "once";
      const { last } = watched;
      const order = this.#machine.nextOrder();
      this.#machine.rise(this, absenceFiring(this, key, { window, last, end, order }));
    }
    if (!this.#isAlwaysOpen) {
      this.#close(key, watched, end);
      return;
    }
    // Skip the windows in which nothing can happen, so that a silence of years is one step.
    const idleCount =
      isSilent && this.#waiting.size === 0
        ? this.#onGap.regularCount(end, this.#machine.quietUntil - lateness, within)
        : 0;
    this.#open(key, watched, end + idleCount * within, window.opener);
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
    const nextTick = watched.window?.nextTick;
    watched.window = null;
    if (this.compiled.definition.schedule?.early) watched.freeSince = at;
    this.#keep(key, watched);
    if (nextTick !== undefined) this.#openAtTick(key, watched, nextTick);
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
    const { window, early } = watched;
    if (window !== null) {
      // Only a gap keeps a window open until a tick that comes after its end.
      if (window.end > tick) return;
      window.nextTick = tick;
      this.#keep(key, watched);
      return;
    }
    const count = early?.tick === tick ? early.count : 0;
    if (count < this.compiled.threshold) {
      if (early?.tick === tick) this.#remember(watched, early.last);
      this.#open(key, watched, tick, `tick ${tick}`);
      countFirst(watched, count);
    }
    this.#setEarly(watched, null);
    this.#keep(key, watched);
  }

  #awaitTick(): void {
    const tick = this.#nextTick;
    if (tick === null) return;
    this.#machine.await(this, { due: tick + this.compiled.lateness, rank: rank.tick, order: 0, key: "" });
  }

  #awaitJudgement(key: Key, { window }: Watched): void {
    if (window !== null) this.#states.awaitEnd(key, this.#onGap.endOf(window), this.compiled.lateness);
  }

  encode(watched: Watched): string {
    return storedWatched(watched, this.compiled.within);
  }

  decode(text: string): Watched {
    return restoredWatched(this.#machine.arrivals.read(text), this.compiled.within);
  }

  openUntil({ window, unresolved, seen }: Watched): Micros {
    if (unresolved !== null) return openUnresolved;
    return window === null && seen === null ? notOpen : openForever;
  }

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
    this.#states.awaitForgetting(key, watched);
  }

  forget(key: Key, watched: Watched): void {
    const now = this.#machine.watermark;
    if (forgetUnresolvedAt(watched, this.compiled) <= now) {
      watched.unresolved = null;
      watched.reported = false;
    }
    if (forgetHeldAt(watched, this.compiled) <= now) watched.held = [];
    this.#keep(key, watched);
  }

  forgetAt(watched: Watched): Micros | null {
    const next = Math.min(forgetUnresolvedAt(watched, this.compiled), forgetHeldAt(watched, this.compiled));
    return next === never ? null : next;
  }

  #remember(watched: Watched, arrival: Arrival | null): void {
    const { last } = watched;
    this.#machine.arrivals.hold(arrival);
    watched.last = arrival;
    this.#machine.arrivals.release(last);
  }

  /** Without `after` and without a schedule, each window follows the previous one without a gap. */
  get #isAlwaysOpen(): boolean {
    return this.#schedule === null && this.compiled.after.length === 0;
  }

  restore(kind: string, rest: string, stored: string): void {
    const { arrivals } = this.#machine;
    if (kind === "k") {
      const restored = this.#states.restore(rest, stored);
      if (restored !== null) this.#restoreKey(restored.key, restored.state);
    } else if (kind === "p") {
      const waiting = restoredSettling(arrivals.read(stored));
      arrivals.hold(waiting.arrival);
      waiting.arrival.compact();
      this.#awaitSettling(Number(rest), waiting);
    } else {
      this.#nextTick = (JSON.parse(stored) as { nextTick: Micros | null }).nextTick;
      this.#awaitTick();
    }
  }

  #restoreKey(key: Key, watched: Watched): void {
    this.#machine.arrivals.hold(watched.last);
    this.#machine.arrivals.hold(watched.early?.last ?? null);
    this.#awaitJudgement(key, watched);
    this.#states.awaitForgetting(key, watched);
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
    this.#machine.cells.write(this.#tickField, () => JSON.stringify({ nextTick: this.#nextTick }));
  }

  get #tickField(): string {
    return `s:${this.automationId}:${this.path}`;
  }

  #writeWaiting(order: number, waiting: SettlingEvent): void {
    this.#machine.cells.write(this.#waitingField(order), () => storedSettling(waiting));
  }

  #waitingField(order: number): string {
    return `p:${this.automationId}:${this.path}:${order}`;
  }

  get lateness(): Micros {
    return this.compiled.lateness;
  }

  *openWindows(): Iterable<OpenWindow> {
    const settlingEvents = this.#waiting.byKey(this.labels);
    for (const [key, watched] of this.#states.entries()) {
      if (this.openUntil(watched) === notOpen) continue;
      const settlingCount = settlingEvents.get(keyText(key))?.length ?? 0;
      yield { ...shownWatched(this, key, watched, this.#onGap), settlingCount };
    }
    for (const settling of settlingEvents.values()) {
      const key = keyOf(this.labels, settling[0].arrival.event);
      if (this.#windowOf(key) !== null) continue;
      const opener = settling.find(({ role }) => this.#opensFirst(role));
      if (opener !== undefined) yield comingWindow(this, key, opener, settling, this.#onGap);
    }
  }

  #windowOf(key: Key): OpenWindow | null {
    const watched = this.#states.get(key);
    if (watched === undefined || this.openUntil(watched) === notOpen) return null;
    return shownWatched(this, key, watched, this.#onGap);
  }
}
