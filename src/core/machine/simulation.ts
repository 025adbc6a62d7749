/**
 * A simulation: the core over a timeline, in virtual time.
 *
 * What the server does with a log, this does with a list: the same machine, without Redis, as fast as it can count.
 */

import type { Automation } from "../model/automation.ts";
import { eventOf, type WireEvent } from "../model/event.ts";
import { seenFor } from "../model/limits.ts";
import type { Micros } from "../model/time.ts";
import { Core, type CoreOptions } from "./core.ts";
import type { Firing } from "./firing.ts";
import type { LogEntry } from "./log-entry.ts";

/** A step of a timeline: an event is received, or time just passes. */
export type TimelineStep =
  | { readonly received: Micros; readonly event: WireEvent }
  | { readonly received: Micros; readonly event: null };

export class Simulation {
  readonly #automations: readonly Automation[];
  readonly #options: CoreOptions;
  readonly #rank: ReadonlyMap<string, number>;
  #core: Core;
  #started = false;
  #entryCount = 0;
  #stored = new Map<string, string>();
  #recent: { id: string; at: Micros }[] = [];

  /** @param automations exist from the first step's time on, in the order in which firings of one instant are given */
  constructor(automations: readonly Automation[], options: CoreOptions = {}) {
    this.#automations = automations;
    this.#options = options;
    this.#rank = new Map(automations.map(({ id }, index) => [id, index]));
    this.#core = new Core(options);
  }

  get core(): Core {
    return this.#core;
  }

  /**
   * Carries time to the step's instant and lets it happen.
   *
   * @returns the firings since the step before. A step that lies before the one before it happens at that one's time.
   */
  step({ received, event }: TimelineStep): Firing[] {
    this.#start(received);
    const at = Math.max(received, this.#core.watermark);
    if (event === null) this.#core.advance(at);
    else {
      if (this.#options.stored !== false) this.#recent.push({ id: event.id, at });
      this.#core.apply(this.#entry({ kind: "event", received: at, event: eventOf(event, at) }));
    }
    return this.#take();
  }

  /**
   * Carries time to the instant and changes an automation there.
   *
   * @returns the firings since the step before
   */
  put(automation: Automation, received: Micros): Firing[] {
    this.#start(received);
    const at = Math.max(received, this.#core.watermark);
    this.#core.apply(this.#entry({ kind: "automation-put", received: at, automation }));
    return this.#take();
  }

  /** Stores the state, forgets everything, and goes on from what was stored: as an engine that is started again. */
  restart(): void {
    this.#core = Core.restore(this.#stored, this.#options);
    this.#recent = this.#recent.filter(({ at }) => this.#core.watermark - at <= seenFor);
    for (const { id, at } of this.#recent) this.#core.markSeen(id, at);
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
    const rankOf = ({ automation }: Firing): number => this.#rank.get(automation.id) ?? 0;
    return [...firings].sort((a, b) => a.triggered - b.triggered || rankOf(a) - rankOf(b));
  }
}
