/** What the naive evaluator's triggers have in common: each is a node of its automation's tree. */

import type { Event } from "../../../src/core/model/event.ts";
import type { Micros } from "../../../src/core/model/time.ts";
import type { TriggerDefinition } from "../../../src/core/model/trigger.ts";
import type { Beats } from "./gaps.ts";

/** An event when it is evaluated. */
export interface Arrival {
  readonly event: Event;
  /** Log time of its evaluation: of its arrival, or of its leader's if it had to wait. */
  readonly logTime: Micros;
  /** Log order: it grows with each event evaluated and each absence noticed. */
  readonly order: number;
}

export interface NodeFiring {
  readonly state: "Triggered" | "Resolved";
  readonly triggered: Micros;
  /** When it happened; ties go by `order`. */
  readonly happened: Micros;
  readonly order: number;
  /** The values of the labels that separate this node's evaluations: its own and those of the enclosing composites. */
  readonly labels: Readonly<Record<string, string>>;
  readonly event: Event | null;
  /** For an absence: the window that ended, and how many expected events it had counted. */
  readonly window: (Window & { readonly count: number }) | null;
  /** For a resolution: the event occurred in the window that fired. */
  readonly late: boolean;
  /** For a composite: the firings of its children that it used. */
  readonly firings: readonly NodeFiring[];
}

export interface Window {
  readonly start: Micros;
  readonly end: Micros;
}

/** Something that happens only because time passes. Steps are taken by deadline, then by when they were due, by time, and by kind. */
export interface Step {
  /** Log time. */
  readonly deadline: Micros;
  /** When it would be taken if it did not have to wait for a beat. */
  readonly due: Micros;
  /** Event time: the window's end, the schedule's tick, the event's `occurred`. */
  readonly time: Micros;
  /** A window's end comes before a tick, and a tick before an event, at the same time. */
  readonly kind: 0 | 1 | 2;
  /** Takes the step; `order` is its place in log order. */
  readonly take: (order: number) => NodeFiring[];
}

export interface Node {
  /** Evaluates an event: at most one firing, and for a Proactive trigger at most one resolution. */
  arrive(arrival: Arrival): NodeFiring[];
  /** What is due next, or null when nothing is. */
  nextStep(): Step | null;
}

/** What a node needs to know about its place in the tree. */
export interface Place {
  /** Log time at which the automation took its present form. */
  readonly created: Micros;
  /** Log time. */
  readonly now: () => Micros;
  /** The beats so far. */
  readonly beats: Beats;
  /** The lateness of triggers that set none. */
  readonly lateness: Micros;
  /** The labels of the enclosing composites. */
  readonly inherited: readonly string[];
}

export function earliest(steps: Iterable<Step | null>): Step | null {
  let first: Step | null = null;
  for (const step of steps) {
    if (step !== null && (first === null || isBefore(step, first))) first = step;
  }
  return first;
}

/** The labels that separate a node's evaluations. */
export function allLabels(trigger: TriggerDefinition, place: Place): string[] {
  return [...new Set([...place.inherited, ...(trigger.for_each ?? [])])].sort();
}

/** The values of some labels of a tuple. */
export function pick(
  tuple: Readonly<Record<string, string>>,
  labels: readonly string[],
): Record<string, string> {
  return Object.fromEntries([...labels].sort().map((label) => [label, tuple[label] ?? ""]));
}

function isBefore(a: Step, b: Step): boolean {
  if (a.deadline !== b.deadline) return a.deadline < b.deadline;
  if (a.due !== b.due) return a.due < b.due;
  if (a.time !== b.time) return a.time < b.time;
  return a.kind < b.kind;
}
