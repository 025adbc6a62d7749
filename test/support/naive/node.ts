/** What the naive evaluator's triggers have in common: each is a node of its automation's tree. */

import type { Event } from "../../../src/core/model/event.ts";
import type { Micros } from "../../../src/core/model/time.ts";
import type { TriggerDefinition } from "../../../src/core/model/trigger.ts";

/** An event at the moment at which it is evaluated. */
export interface Arrival {
  readonly event: Event;
  /** Log time of its evaluation: of its arrival, or of its leader's when it had to wait. */
  readonly at: Micros;
  /** Grows with each event evaluated and each silence noticed: log order. */
  readonly order: number;
}

export interface NodeFiring {
  readonly state: "Triggered" | "Resolved";
  readonly triggered: Micros;
  /** When it happened; ties go by `order`. */
  readonly happened: Micros;
  readonly order: number;
  /** Values of the labels that separate this node's evaluations: of its own `for_each`, and of what encloses it. */
  readonly labels: Readonly<Record<string, string>>;
  readonly event: Event | null;
  /** Of a silence: the window that ended, and how many expected events it had counted. */
  readonly window: (Window & { readonly count: number }) | null;
  /** Of a resolution: the event had occurred in the window that fired. */
  readonly late: boolean;
  /** Of a composite: the firings of its children that it used. */
  readonly firings: readonly NodeFiring[];
}

export interface Window {
  readonly start: Micros;
  readonly end: Micros;
}

/** Something that time alone brings about. Steps are taken by deadline, then by time, then by kind. */
export interface Step {
  /** Log time. */
  readonly deadline: Micros;
  /** Event time: the window's end, the schedule's tick, the event's `occurred`. */
  readonly time: Micros;
  /** A window's end comes before a tick, and a tick before an event, at the same time. */
  readonly kind: 0 | 1 | 2;
  /** Takes the step; `order` is its place in log order. */
  readonly take: (order: number) => NodeFiring[];
}

export interface Node {
  /** An event is evaluated: at most one firing, and for a Proactive trigger at most one resolution. */
  arrive(arrival: Arrival): NodeFiring[];
  /** What is due next, or null when nothing is. */
  nextStep(): Step | null;
}

/** What a node needs to know about its place. */
export interface Place {
  /** Log time from which on the automation, as it is, exists. */
  readonly created: Micros;
  /** Lateness of triggers that name none. */
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

/** The part of a tuple that some of its labels make. */
export function pick(
  tuple: Readonly<Record<string, string>>,
  labels: readonly string[],
): Record<string, string> {
  return Object.fromEntries([...labels].sort().map((label) => [label, tuple[label] ?? ""]));
}

function isBefore(a: Step, b: Step): boolean {
  if (a.deadline !== b.deadline) return a.deadline < b.deadline;
  if (a.time !== b.time) return a.time < b.time;
  return a.kind < b.kind;
}
