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
import type { LogEntry } from "./log-entry.ts";

/** A step of a timeline: an event is received, or time passes. */
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

  /** @param automations created at the first step's time. Firings at the same instant are returned in their order */
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
   * Advances time to the step and applies it. A step that is earlier than the previous one happens at the time of that.
   *
   * @returns the firings since the previous step
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
   * Advances time to an instant and changes an automation then.
   *
   * @returns the firings since the previous step
   */
  put(automation: Automation, received: Micros): Firing[] {
    this.#start(received);
    const at = Math.max(received, this.#core.watermark);
    this.#core.apply(this.#entry({ kind: "automation-put", received: at, automation }));
    return this.#take();
  }

  /** Continues from the stored state alone, like an engine that is restarted. */
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
