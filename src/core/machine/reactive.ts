/**
 * Reactive triggers: presence, which is known as soon as it is seen.
 *
 * Two forms share this file because they differ only in what they count: every `threshold` events however far apart, or
 * enough events close together. A window that an event opened is in opened-reactive.ts, one that a schedule opened in
 * scheduled-reactive.ts.
 */

import { silentKeyGrace } from "../model/limits.ts";
import { packId, unpackId } from "../model/packed-id.ts";
import type { Micros } from "../model/time.ts";
import type { Arrival } from "./arrival.ts";
import type { CompiledEventTrigger } from "./event-trigger.ts";
import { type Key, keyOf, labelsOf } from "./key.ts";
import { KeyedStates, type StateKind } from "./keyed-states.ts";
import {
  decide,
  type EventRole,
  type Fired,
  firedBy,
  type Machine,
  type NodePlace,
  type OpenWindow,
  PlacedTrigger,
  type TriggerNode,
  type TriggerOutcome,
} from "./node.ts";
import { notOpen, openForever } from "./open-count.ts";

export abstract class ReactiveTrigger<S extends object>
  extends PlacedTrigger
  implements TriggerNode, StateKind<S>
{
  readonly compiled: CompiledEventTrigger;
  protected readonly machine: Machine;
  protected readonly states: KeyedStates<S>;

  constructor(place: NodePlace, compiled: CompiledEventTrigger, machine: Machine) {
    super(place);
    this.compiled = compiled;
    this.machine = machine;
    this.states = new KeyedStates<S>(this, machine, this);
  }

  evaluate(arrival: Arrival, order: number, roles: ReadonlyMap<TriggerNode, EventRole>): Fired | null {
    const role = roles.get(this);
    return role === undefined ? null : this.take(arrival, order, role);
  }

  /** Counts an event. @returns the firing that it completes */
  protected take(arrival: Arrival, order: number, role: EventRole): Fired | null {
    const key = keyOf(this.labels, arrival.event);
    const counted = decide(this.machine, this, {
      key,
      eventId: arrival.event.id,
      make: () => this.count(key, arrival, role),
      outcomeOf: (result) => (typeof result === "string" ? result : "fires"),
      window: () => this.#windowOf(key),
    });
    if (typeof counted === "string") return null;
    return firedBy(this, key, arrival.position, {
      triggered: this.machine.watermark,
      happened: arrival.event.occurred,
      order,
      arrival,
      window: { ...counted, threshold: this.compiled.threshold },
    });
  }

  /** Counts an event of a key. @returns the window that fires with it, or otherwise the outcome */
  protected abstract count(key: Key, arrival: Arrival, role: EventRole): Counted | TriggerOutcome;

  begin(_at: Micros, _position: string): void {
    // Reactive triggers wait for their first event.
  }

  restore(_kind: string, rest: string, stored: string): void {
    const restored = this.states.restore(rest, stored);
    if (restored !== null) this.awaitNext(restored.key, restored.state);
  }

  /** Waits for the next time at which the state of a key changes by itself. */
  protected abstract awaitNext(key: Key, state: S): void;

  abstract encode(state: S): string;

  /** @param text what any version has stored; before version 3, an object with names */
  abstract decode(text: string): S;

  abstract openUntil(state: S): Micros;

  meetEnd(_key: Key, _state: S, _due: Micros): void {
    // Most kinds await no end.
  }

  forgetAt(_state: S): Micros | null {
    return null;
  }

  forget(key: Key, _state: S): void {
    this.states.delete(key);
  }

  clear(): void {
    this.states.clear();
  }

  get lateness(): Micros {
    return this.compiled.lateness;
  }

  /** The open windows. State that is kept longer, for events that may still come late, is not an open window. */
  *openWindows(): Iterable<OpenWindow> {
    for (const [key] of this.states.entries()) {
      const window = this.#windowOf(key);
      if (window !== null && (window.start !== null || window.quietUntil !== null)) yield window;
    }
  }

  #windowOf(key: Key): OpenWindow | null {
    const state = this.states.get(key);
    if (state === undefined) return null;
    const { threshold } = this.compiled;
    return {
      path: this.path,
      labels: labelsOf(this.labels, key),
      threshold,
      unresolved: false,
      quietUntil: null,
      settlingCount: 0,
      awaited: [],
      ...this.shown(state),
    };
  }

  protected abstract shown(
    state: S,
  ): Pick<OpenWindow, "start" | "end" | "count" | "deadline" | "lastEventId"> & Partial<OpenWindow>;
}

export interface Counted {
  readonly start: Micros;
  readonly end: Micros | null;
  readonly count: number;
}

interface Tally {
  count: number;
  since: Micros;
  lastEventId: string;
}

/** `within: 0` without `after`: fires at every `threshold`-th expected event, however far apart they are. */
export class TallyTrigger extends ReactiveTrigger<Tally> {
  protected count(key: Key, { event }: Arrival): Counted | TriggerOutcome {
    const { threshold } = this.compiled;
    if (threshold === 1) return { start: event.occurred, end: null, count: 1 };
    const tally = this.states.get(key) ?? { count: 0, since: event.occurred, lastEventId: event.id };
    if (tally.count + 1 >= threshold) {
      this.states.delete(key);
      return { start: tally.since, end: null, count: threshold };
    }
    tally.count++;
    tally.lastEventId = event.id;
    this.states.put(key, tally);
    return "counted";
  }

  protected awaitNext(): void {}

  encode({ count, since, lastEventId }: Tally): string {
    return JSON.stringify([count, since, packId(lastEventId)]);
  }

  decode(text: string): Tally {
    const stored = JSON.parse(text) as Tally | [count: number, since: Micros, lastEventId: string];
    if (!Array.isArray(stored)) return stored;
    const [count, since, lastEventId] = stored;
    return { count, since, lastEventId: unpackId(lastEventId) };
  }

  openUntil(): Micros {
    return openForever;
  }

  protected shown({ count, since, lastEventId }: Tally) {
    return { start: since, end: null, count, deadline: null, lastEventId };
  }
}

interface Sliding {
  /** The times of the events that may still count, ascending. */
  times: Micros[];
  newest: Micros;
  /** After a firing, events that occurred before this time are ignored. */
  quietUntil: Micros;
  lastEventId: string;
}

/** `within` without `after`: fires when enough expected events occurred less than `within` apart. */
export class SlidingTrigger extends ReactiveTrigger<Sliding> {
  protected count(key: Key, { event }: Arrival): Counted | TriggerOutcome {
    const { threshold, within, lateness } = this.compiled;
    const at = event.occurred;
    const sliding = this.states.get(key) ?? {
      times: [],
      newest: at,
      quietUntil: Number.MIN_SAFE_INTEGER,
      lastEventId: event.id,
    };
    if (at < sliding.newest - within - lateness) return "ignored: it is late";
    sliding.lastEventId = event.id;
    const newest = Math.max(sliding.newest, at);
    const isQuiet = at < sliding.quietUntil;
    const counted = isQuiet ? null : this.#runWith(sliding, at, threshold, within);
    if (counted !== null) {
      sliding.quietUntil = counted.start + within;
      forgetUntil(sliding.times, (time) => time >= sliding.quietUntil);
    }
    sliding.newest = newest;
    // Older events cannot be in one run with an event that is not late itself.
    forgetUntil(sliding.times, (time) => time > newest - lateness - 2 * within);
    this.states.put(key, sliding);
    this.awaitNext(key, sliding);
    return counted ?? (isQuiet ? "ignored: quiet after a firing" : "counted");
  }

  /**
   * Adds an event and finds the earliest run of `threshold` events around it that spans less than `within`. If events
   * arrive in order there is at most one such run. The earliest leaves the most events for the next firing.
   */
  #runWith(sliding: Sliding, at: Micros, threshold: number, within: Micros): Counted | null {
    const { times } = sliding;
    const above = times.findLastIndex((time) => time <= at) + 1;
    times.splice(above, 0, at);
    const lastFirst = Math.min(above, times.length - threshold);
    for (let first = Math.max(0, above - threshold + 1); first <= lastFirst; first++) {
      const start = times[first];
      const last = times[first + threshold - 1];
      if (start === undefined || last === undefined || last - start >= within) continue;
      return { start, end: start + within, count: threshold };
    }
    return null;
  }

  protected awaitNext(key: Key, sliding: Sliding): void {
    this.states.awaitForgetting(key, sliding);
  }

  override forgetAt({ newest, quietUntil }: Sliding): Micros {
    return Math.max(newest, quietUntil) + 2 * this.compiled.within + this.compiled.lateness + silentKeyGrace;
  }

  encode({ times, newest, quietUntil, lastEventId }: Sliding): string {
    const isQuiet = quietUntil !== Number.MIN_SAFE_INTEGER;
    const ages = times.map((time) => newest - time);
    return JSON.stringify([newest, isQuiet ? quietUntil : null, packId(lastEventId), ...ages]);
  }

  decode(text: string): Sliding {
    const stored = JSON.parse(text) as Sliding | StoredSliding;
    if (!Array.isArray(stored)) return stored;
    const [newest, quietUntil, lastEventId, ...ages] = stored;
    return {
      times: ages.map((age) => newest - age),
      newest,
      quietUntil: quietUntil ?? Number.MIN_SAFE_INTEGER,
      lastEventId: unpackId(lastEventId),
    };
  }

  /** While the window that slides on holds an event, or the key is quiet (see `shown`). */
  openUntil({ times, quietUntil }: Sliding): Micros {
    const { within, lateness } = this.compiled;
    const latest = times.at(-1);
    const end = Math.max(latest === undefined ? notOpen : latest + within, quietUntil);
    return end === Number.MIN_SAFE_INTEGER ? notOpen : end + lateness;
  }

  protected shown({ times, newest, quietUntil, lastEventId }: Sliding) {
    const { within, threshold, lateness } = this.compiled;
    // From the viewpoint of the next event that is on time: the window slides on even while no events arrive.
    const now = Math.max(newest, this.machine.watermark - lateness);
    const recent = times.filter((time) => time > now - within);
    const isQuiet = recent.length === 0 && quietUntil > now;
    const start = isQuiet ? quietUntil - within : (recent[0] ?? null);
    const end = start === null ? null : start + within;
    return {
      start,
      end,
      count: Math.min(recent.length, threshold),
      deadline: null,
      lastEventId,
      quietUntil: isQuiet ? quietUntil : null,
    };
  }
}

/** The times of events as how long they lie before the newest. */
type StoredSliding = [newest: Micros, quietUntil: Micros | null, lastEventId: string, ...ages: Micros[]];

/** Drops the times before the first wanted one, in place, because copying thousands for each event would be slow. */
function forgetUntil(times: Micros[], isWanted: (time: Micros) => boolean): void {
  const first = times.findIndex(isWanted);
  times.splice(0, first === -1 ? times.length : first);
}
