/** Firings (a trigger went off) and resolutions (an absence that had fired ended). */

import type { Automation } from "../model/automation.ts";
import type { Event } from "../model/event.ts";
import type { Micros } from "../model/time.ts";

export interface FiringWindow {
  readonly start: Micros; // inclusive
  readonly end: Micros | null; // exclusive; null means no end
  readonly count: number; // expected events counted in it
  readonly threshold: number;
}

/** A firing or resolution of one trigger in an automation's tree. */
export interface TriggerFiring {
  /** UUIDv5 of its cause (trigger, key, and window or log position). The same cause always gives the same id. */
  readonly id: string;
  readonly triggerId: string;
  readonly state: "Triggered" | "Resolved";
  /** When it became known: the log time of the arrival, or the window's end plus the lateness. */
  readonly triggered: Micros;
  /** When it happened: the event's time (Reactive), or the window's end (Proactive). */
  readonly happened: Micros;
  /** The values of the `for_each` labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** The event that caused it, or the last event before the silence. */
  readonly event: Event | null;
  readonly window: FiringWindow | null;
  /** For a resolution: true when the event had occurred inside the window that fired. */
  readonly late: boolean;
  /** For a composite: the firings of its children that it used. */
  readonly firings: readonly TriggerFiring[];
}

/** A firing of an automation's root trigger. Actions run for it. */
export interface Firing extends TriggerFiring {
  /** The automation as it was when it fired. */
  readonly automation: Automation;
  /** The lineage of the events that this firing causes (see loop-guard.ts). Its own automation comes last. */
  readonly lineage: readonly string[];
}

/** Says that an automation did not react to an event because its own firing had caused it. */
export interface LoopCut {
  readonly id: string;
  readonly automation: Automation;
  readonly event: Event;
  readonly at: Micros;
}
