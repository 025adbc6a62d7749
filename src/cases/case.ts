/** A case that is ready to run: times are instants, repetitions are expanded, and its automations are loaded. */

import type { Automation } from "../core/model/automation.ts";
import type { WireEvent } from "../core/model/event.ts";
import type { Micros } from "../core/model/time.ts";
import type { Place } from "../rules/diagnostic.ts";
import type { NotificationDefinition, RequestDefinition } from "./case-schema.ts";

interface StepFields {
  readonly at: Micros;
  /** The index of the step in the case file. Its repetitions share it. */
  readonly stepIndex: number;
}

export interface EventStep extends StepFields {
  readonly kind: "event";
  readonly event: WireEvent;
  /** True when the case gives the event an id. */
  readonly isNamed: boolean;
}

export interface RestartStep extends StepFields {
  readonly kind: "restart";
}

/** Automations are paused or resumed. */
export interface SwitchStep extends StepFields {
  readonly kind: "switch";
  readonly enabled: boolean;
  readonly automationIds: readonly string[];
  readonly names: readonly string[];
}

export type CaseStep = EventStep | RestartStep | SwitchStep;

export interface ExpectedFiring {
  readonly place: Place;
  readonly automation: string;
  readonly at: Micros;
  readonly state: "Triggered" | "Resolved";
  readonly labels: Readonly<Record<string, string>>;
  /** Not compared when undefined. Null means no event. */
  readonly event?: string | null;
  readonly late?: boolean;
  /** Set only when two runs of a case are compared. */
  readonly id?: string;
  /** All requests of the firing, in order. */
  readonly requests?: readonly RequestDefinition[];
  /** All notifications of the firing, in order. */
  readonly notifications?: readonly NotificationDefinition[];
}

export interface Case {
  readonly file: string;
  readonly place: Place;
  readonly name: string;
  readonly automations: readonly Automation[];
  /** The lateness of triggers that set none. */
  readonly lateness: Micros;
  readonly start: Micros;
  readonly end: Micros;
  /** Sorted by time. */
  readonly steps: readonly CaseStep[];
  readonly expected: readonly ExpectedFiring[];
}
