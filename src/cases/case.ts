/** A case made ready to run: every time an instant, every repetition written out, its automations loaded. */

import type { Automation } from "../core/model/automation.ts";
import type { WireEvent } from "../core/model/event.ts";
import type { Micros } from "../core/model/time.ts";
import type { Place } from "../rules/diagnostic.ts";
import type { RequestDefinition } from "./case-schema.ts";

interface StepFields {
  readonly at: Micros;
  /** Which step of the case it is, from 0; repetitions share it. */
  readonly stepIndex: number;
}

export interface EventStep extends StepFields {
  readonly kind: "event";
  readonly event: WireEvent;
  /** False when the case gave no id. */
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
  /** Not compared when left out; null is no event. */
  readonly event?: string | null;
  readonly late?: boolean;
  /** Said only where two runs of a case are compared. */
  readonly id?: string;
  /** All requests of the firing, in order. */
  readonly requests?: readonly RequestDefinition[];
}

export interface Case {
  readonly file: string;
  readonly place: Place;
  readonly name: string;
  readonly automations: readonly Automation[];
  /** Of triggers that name none. */
  readonly lateness: Micros;
  readonly start: Micros;
  readonly end: Micros;
  /** In the order in which they happen. */
  readonly steps: readonly CaseStep[];
  readonly expected: readonly ExpectedFiring[];
}
