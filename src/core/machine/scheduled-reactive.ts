/**
 * Reactive triggers with a schedule: enough events between a tick and `within` after it.
 *
 * All keys have the same windows, so the trigger keeps them once. Only a key that has fired has its own: its window is
 * gone, and the next tick opens another one for it, even if the window is still open for other keys.
 */

import type { Schedule } from "../model/schedule.ts";
import type { Micros } from "../model/time.ts";
import type { Arrival } from "./arrival.ts";
import { rank } from "./deadlines.ts";
import type { CompiledEventTrigger } from "./event-trigger.ts";
import type { Key } from "./key.ts";
import { type Machine, type NodePlace, ownerOf, type TriggerOutcome } from "./node.ts";
import { type Counted, ReactiveTrigger } from "./reactive.ts";

/** The open window, and the previous one for events that are still on their way. */
const windowsKept = 2;

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

export class ScheduledReactiveTrigger extends ReactiveTrigger<KeyWindows> {
  readonly #schedule: Schedule;
  #shared: SharedWindows = { nextTick: null, starts: [] };

  constructor(place: NodePlace, compiled: CompiledEventTrigger, machine: Machine, schedule: Schedule) {
    super(place, compiled, machine);
    this.#schedule = schedule;
  }

  override begin(at: Micros): void {
    this.#shared = { nextTick: this.#schedule.next(at - 1), starts: [] };
    this.#write();
    this.#awaitTick();
  }

  protected count(key: Key, { event }: Arrival): Counted | TriggerOutcome {
    const at = event.occurred;
    const { within, threshold } = this.compiled;
    const own = this.states.get(key) ?? { windows: [], apart: false, lastEventId: event.id };
    const starts = own.apart ? own.windows.map(({ start }) => start) : this.#shared.starts;
    const start = starts.find((candidate) => candidate <= at && at < candidate + within);
    if (start === undefined || start + within + this.compiled.lateness <= this.machine.watermark) {
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
    this.afterRestore(key);
    return count >= threshold ? { start, end: start + within, count } : "counted";
  }

  /** Removes the window that fired for this key. Its other windows stay as they were. */
  #goApart(own: KeyWindows, fired: Micros): void {
    const starts = own.apart ? own.windows.map(({ start }) => start) : this.#shared.starts;
    own.windows = starts
      .filter((start) => start !== fired)
      .map((start) => own.windows.find((window) => window.start === start) ?? { start, count: 0 });
    own.apart = true;
  }

  #tick(tick: Micros): void {
    const { within } = this.compiled;
    const [latest] = this.#shared.starts;
    if (latest === undefined || tick >= latest + within) {
      this.#shared.starts = [tick, ...this.#shared.starts].slice(0, windowsKept);
    }
    for (const [key, own] of [...this.states.entries()]) {
      const [open] = own.windows;
      if (!own.apart || (open !== undefined && tick < open.start + within)) continue;
      own.windows = [{ start: tick, count: 0 }, ...own.windows].slice(0, windowsKept);
      this.states.put(key, own);
      this.afterRestore(key);
    }
    this.#shared.nextTick = this.#schedule.next(tick);
    this.#write();
    this.#awaitTick();
  }

  #awaitTick(): void {
    const { nextTick } = this.#shared;
    if (nextTick === null) return;
    const meet = (): void => {
      if (this.#shared.nextTick === nextTick) this.#tick(nextTick);
    };
    this.machine.await({ due: nextTick, rank: rank.tick, order: 0, owner: ownerOf(this), meet });
  }

  protected afterRestore(key: Key): void {
    const { lateness } = this.compiled;
    const next = this.#ends(key).find((end) => end + lateness > this.machine.watermark);
    if (next !== undefined) this.states.awaitEnd(key, next, lateness, this.#end);
  }

  /** The ends of a key's own windows and of the shared ones, ascending. */
  #ends(key: Key): Micros[] {
    const own = this.states.get(key)?.windows.map(({ start }) => start) ?? [];
    return [...new Set([...own, ...this.#shared.starts])]
      .sort((a, b) => a - b)
      .map((start) => start + this.compiled.within);
  }

  /** A window of a key has ended. Forgets the key's own state if it no longer differs from the shared windows. */
  readonly #end = (key: Key, own: KeyWindows, due: Micros): void => {
    const isOpen = (start: Micros): boolean => this.#deadline(start) > due;
    own.windows = own.windows.filter(({ start }) => isOpen(start));
    const shared = this.#shared.starts.filter(isOpen);
    const isInStep = own.windows.every(({ start, count }) => count === 0 && shared.includes(start));
    if (isInStep && (!own.apart || own.windows.length === shared.length)) this.states.delete(key);
    else this.states.put(key, own);
    this.afterRestore(key);
  };

  #deadline(start: Micros): Micros {
    return start + this.compiled.within + this.compiled.lateness;
  }

  override restore(kind: string, rest: string, json: string): void {
    if (kind === "k") super.restore(kind, rest, json);
    else {
      this.#shared = JSON.parse(json) as SharedWindows;
      this.#awaitTick();
    }
  }

  override clear(): void {
    super.clear();
    this.#shared = { nextTick: null, starts: [] };
    this.machine.cells.write(this.#field, null);
  }

  #write(): void {
    this.machine.cells.write(this.#field, this.#shared);
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
    return { start, end: start + this.compiled.within, count, deadline: this.#deadline(start), lastEventId };
  }
}
