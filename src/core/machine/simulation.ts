/**
 * Simulations: the core runs over a timeline in virtual time.
 *
 * The server runs the same machine over a log. Here it runs over a list of steps, without Redis and without waiting.
 */

import type { Automation } from "../model/automation.ts";
import { eventOf, type WireEvent } from "../model/event.ts";
import { seenFor } from "../model/limits.ts";
import type { Micros } from "../model/time.ts";
import { Core, type CoreOptions } from "./core.ts";
import type { Firing } from "./firing.ts";
import type { LogEntry, LogPosition } from "./log-entry.ts";

/** A step of a timeline: an event is received, or time passes. */
export type TimelineStep =
  | { readonly received: Micros; readonly event: WireEvent }
  | { readonly received: Micros; readonly event: null };

export interface SimulationOptions extends CoreOptions {
  /** The events that a firing emits. They arrive at the time of the firing. By default it emits none. */
  readonly emittedBy?: (firing: Firing) => readonly WireEvent[];
}

export class Simulation {
  readonly #automations: readonly Automation[];
  readonly #options: CoreOptions;
  readonly #emittedBy: ((firing: Firing) => readonly WireEvent[]) | null;
  readonly #rank: ReadonlyMap<string, number>;
  #core: Core;
  #started = false;
  #entryCount = 0;
  #stored = new Map<string, string>();
  #recent: { id: string; at: Micros; position: LogPosition }[] = [];

  /** @param automations created at the first step's time. Firings at the same instant are returned in their order */
  constructor(automations: readonly Automation[], { emittedBy, ...options }: SimulationOptions = {}) {
    this.#automations = automations;
    this.#emittedBy = emittedBy ?? null;
    this.#options = options;
    this.#rank = new Map(automations.map(({ id }, index) => [id, index]));
    this.#core = new Core(options);
  }

  get core(): Core {
    return this.#core;
  }

  /**
   * Advances time to the step and applies it. A step that is earlier than the previous one happens at the time of that.
   *
   * @returns the firings since the previous step
   */
  step({ received, event }: TimelineStep): Firing[] {
    this.#start(received);
    const at = Math.max(received, this.#core.watermark);
    const firings = this.#advance(at);
    if (event !== null) firings.push(...this.#withConsequences(this.#arrive(event, at, [])));
    return this.#inOrder(firings);
  }

  /**
   * Advances time to an instant and changes an automation then.
   *
   * @returns the firings since the previous step
   */
  put(automation: Automation, received: Micros): Firing[] {
    this.#start(received);
    const at = Math.max(received, this.#core.watermark);
    const firings = this.#advance(at);
    this.#core.apply(this.#entry({ kind: "automation-put", received: at, automation }));
    return this.#inOrder([...firings, ...this.#withConsequences(this.#take())]);
  }

  /** Lets time pass. Stops at each deadline, so that what a firing emits arrives before the next one. */
  #advance(until: Micros): Firing[] {
    const firings: Firing[] = [];
    while (this.#emittedBy !== null) {
      const due = this.#core.nextDeadline();
      if (due === null || due >= until || due <= this.#core.watermark) break;
      this.#core.advance(due);
      firings.push(...this.#withConsequences(this.#take()));
    }
    this.#core.advance(until);
    return [...firings, ...this.#withConsequences(this.#take())];
  }

  #arrive(event: WireEvent, at: Micros, lineage: readonly string[]): Firing[] {
    const entry = this.#entry({ kind: "event", received: at, event: eventOf(event, at, lineage) });
    if (this.#options.stored !== false) this.#recent.push({ id: event.id, at, position: entry.position });
    this.#core.apply(entry);
    return this.#take();
  }

  /** Lets what the firings emit arrive, and what that leads to. The loop guard ends chains, as in production. */
  #withConsequences(firings: readonly Firing[]): Firing[] {
    if (this.#emittedBy === null) return [...firings];
    const all: Firing[] = [];
    const waiting = [...firings];
    for (let firing = waiting.shift(); firing !== undefined; firing = waiting.shift()) {
      all.push(firing);
      const at = Math.max(firing.triggered, this.#core.watermark);
      for (const event of this.#emittedBy(firing)) waiting.push(...this.#arrive(event, at, firing.lineage));
    }
    return all;
  }

  /** Continues from the stored state alone, like an engine that is restarted. */
  restart(): void {
    this.#core = Core.restore(this.#stored, this.#options);
    this.#recent = this.#recent.filter(({ at }) => this.#core.watermark - at <= seenFor);
    const { seenUntil } = this.#core;
    const first = this.#recent.findIndex(({ position }) => position === seenUntil) + 1;
    for (const { id, at, position } of this.#recent.slice(first)) this.#core.markSeen(id, at, position);
  }

  #start(at: Micros): void {
    if (this.#started) return;
    this.#started = true;
    for (const automation of this.#automations) {
      const created = { ...automation, created: at, updated: at };
      this.#core.apply(this.#entry({ kind: "automation-put", received: at, automation: created }));
    }
  }

  #entry<E extends Omit<LogEntry, "position">>(entry: E): E & { position: string } {
    this.#entryCount++;
    return { ...entry, position: `${this.#entryCount}-0` };
  }

  #take(): Firing[] {
    const { firings, dirty } = this.#core.drain();
    for (const { field, value } of dirty) {
      if (value === null) this.#stored.delete(field);
      else this.#stored.set(field, value);
    }
    return [...firings];
  }

  #inOrder(firings: readonly Firing[]): Firing[] {
    const rankOf = ({ automation }: Firing): number => this.#rank.get(automation.id) ?? 0;
    return [...firings].sort((a, b) => a.triggered - b.triggered || rankOf(a) - rankOf(b));
  }
}
