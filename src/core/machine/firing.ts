/** A firing: one time a trigger went off; or a resolution: the end of an absence that had fired. */

import type { Automation } from "../model/automation.ts";
import type { Event } from "../model/event.ts";
import type { Micros } from "../model/time.ts";

export interface FiringWindow {
  readonly start: Micros; // inclusive
  readonly end: Micros | null; // exclusive; null has no end
  readonly count: number; // expected events counted in it
  readonly threshold: number;
}

/** What one trigger of an automation's tree has to say of its going off. */
export interface TriggerFiring {
  /** UUIDv5 of its cause (trigger, key, and window or log position): the same cause, the same id. */
  readonly id: string;
  readonly triggerId: string;
  readonly state: "Triggered" | "Resolved";
  /** When it was known: log time of the arrival, or the window's end plus the lateness. */
  readonly triggered: Micros;
  /** When it happened: the event's time (Reactive), or the window's end (Proactive). */
  readonly happened: Micros;
  /** Values of the `for_each` labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** The event that brought it about, or the last one seen before the silence. */
  readonly event: Event | null;
  readonly window: FiringWindow | null;
  /** Of a resolution: the event had occurred inside the window that fired. */
  readonly late: boolean;
  /** Of a composite: the firings of its children that it used. */
  readonly firings: readonly TriggerFiring[];
}

/** A firing of an automation's root trigger: what actions are run for. */
export interface Firing extends TriggerFiring {
  /** The automation as it was when it fired. */
  readonly automation: Automation;
  /** What led to the events that this firing causes (see loop-guard.ts); its own automation comes last. */
  readonly lineage: readonly string[];
}

/** An automation did not react to an event that its own firing had caused. */
export interface LoopCut {
  readonly id: string;
  readonly automation: Automation;
  readonly event: Event;
  readonly at: Micros;
}
