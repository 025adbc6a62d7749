/** What all triggers of a tree have in common, and what they need from the machine that runs them. */

import type { Micros } from "../model/time.ts";
import { uuid5 } from "../model/uuid.ts";
import type { Arrival, Arrivals } from "./arrival.ts";
import type { Deadline, Waiter } from "./deadlines.ts";
import type { FiringWindow } from "./firing.ts";
import type { Gap, Reachability } from "./gaps.ts";
import { type Key, labelsOf } from "./key.ts";
import type { OpenCounts } from "./open-count.ts";
import type { Cells } from "./state.ts";

/** The role of an event for an event trigger, which depends on the event's name. */
export interface EventRole {
  readonly expected: boolean;
  readonly after: boolean;
}

/** A firing inside the core: as in firing.ts, but with the arrival and its place in the order of evaluation. */
export interface Fired {
  readonly id: string;
  /** The path of the trigger in the automation's tree. */
  readonly path: string;
  readonly state: "Triggered" | "Resolved";
  readonly triggered: Micros;
  readonly happened: Micros;
  readonly order: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly arrival: Arrival | null;
  readonly window: FiringWindow | null;
  readonly late: boolean;
  readonly firings: readonly Fired[];
}

/** What an event, a child's firing or the end of a window did to a trigger. */
export type TriggerOutcome =
  | "fires"
  | "counted"
  | "opened a window"
  | "noted as the last event of the window"
  | "met the expectation"
  | "met the expectation and opened the next window"
  | "was met by events that arrived before it"
  | "resolved"
  | "waits until its time has settled"
  | "waits for the next tick"
  | "counts for the next tick"
  | "remembered"
  | "ignored: no window is open"
  | "ignored: it occurred before the window's start"
  | "ignored: it occurred outside the window"
  | "ignored: it is late"
  | "ignored: quiet after a firing"
  | "ignored: a newer firing is remembered"
  | "silent until resolved"
  | "waits until it is known whether anybody could post";

/** A decision of a trigger, noted for explanations. */
export interface Note {
  /** Log time. */
  readonly at: Micros;
  readonly automationId: string;
  readonly path: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The event that it is about, or the last one before a silence; null when there was none. */
  readonly eventId: string | null;
  readonly outcome: TriggerOutcome;
  readonly before: OpenWindow | null;
  readonly after: OpenWindow | null;
}

/** The part of the machine that triggers use. */
export interface Machine {
  readonly watermark: Micros;
  /** Log time is advancing to this instant, and no event will be evaluated before it. */
  readonly quietUntil: Micros;
  readonly arrivals: Arrivals;
  readonly cells: Cells;
  /** The next place in the order of evaluation. */
  nextOrder(): number;
  /** Called with each decision; undefined when nothing is to be explained. */
  readonly trace: ((note: Note) => void) | undefined;
  await(waiter: Waiter, deadline: Deadline): void;
  /** Lets a deadline that is due wait until it is known whether people could post. */
  postpone(waiter: Waiter, deadline: Deadline): void;
  readonly reachability: Reachability;
  readonly openCounts: OpenCounts;
  /** A trigger fired because time passed, or was resolved, and not in response to the event that is being evaluated. */
  rise(from: TriggerNode, fired: Fired): void;
}

/** The place of a trigger in its automation's tree, and what it inherits from above. */
export interface NodePlace {
  readonly automationId: string;
  readonly path: string;
  readonly parent: Parent | null;
  readonly childIndex: number;
  /** The labels of its keys: its own `for_each` and those of the composites above it. */
  readonly labels: readonly string[];
}

/** The base of every kind of trigger: its place in the tree. */
export abstract class PlacedTrigger implements NodePlace {
  readonly automationId: string;
  readonly path: string;
  readonly parent: Parent | null;
  readonly childIndex: number;
  readonly labels: readonly string[];

  constructor({ automationId, path, parent, childIndex, labels }: NodePlace) {
    this.automationId = automationId;
    this.path = path;
    this.parent = parent;
    this.childIndex = childIndex;
    this.labels = labels;
  }
}

export interface TriggerNode extends NodePlace {
  /** Evaluates an event that this trigger or one below it covers. */
  evaluate(arrival: Arrival, order: number, roles: ReadonlyMap<TriggerNode, EventRole>): Fired | null;
  /** Called when the automation is created or enabled. */
  begin(at: Micros, position: string): void;
  /** Restores the state of one key, or the state that all keys share. */
  restore(kind: string, rest: string, stored: string): void;
  /** How long this trigger, or one below it, waits for delayed events. */
  readonly lateness: Micros;
  /** Deletes all state. */
  clear(): void;
  /** The open windows, without those that have ended and are kept only for events that come a day late. */
  openWindows(): Iterable<OpenWindow>;
}

/** The part of a composite that its children use. */
export interface Parent extends TriggerNode {
  /** A child fired because time passed. @returns the composite's own firing, if this completes it */
  childRose(childIndex: number, fired: Fired): Fired | null;
}

/** A window as people see it. */
export interface OpenWindow {
  readonly path: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly start: Micros | null;
  readonly end: Micros | null;
  readonly count: number;
  readonly threshold: number;
  /** When it will be judged if nothing else happens before; null when time alone changes nothing. */
  readonly deadline: Micros | null;
  readonly lastEventId: string | null;
  /** An absence fired and has not been resolved. */
  readonly unresolved: boolean;
  /** After a firing: events that occur before this time do not count. Null when the trigger is not quiet. */
  readonly quietUntil: Micros | null;
  /** How many events of the key wait until their time has settled, and are not counted yet. */
  readonly settlingCount: number;
  /** For a composite: the paths of the children that have yet to fire. */
  readonly awaited: readonly string[];
  /** The times in which nobody could post, by which its end has moved. */
  readonly gaps?: readonly Gap[];
  /** It is not judged, because nobody has been able to post since then; null if somebody can. */
  readonly unreachableSince?: Micros | null;
}

/** A decision of a trigger about one of its keys. */
export interface TriggerDecision<Result> {
  readonly key: Key;
  /** The event that it is about, or the last one before a silence; null when there was none. */
  readonly eventId: string | null;
  /** Makes the decision and changes the trigger's state. */
  make(): Result;
  /** What to note about the result; null to note nothing. */
  outcomeOf(result: Result): TriggerOutcome | null;
  /** The key's current window. */
  window(): OpenWindow | null;
}

/** Makes a decision. If the machine is traced, also notes it with the window before and after. */
export function decide<Result>(
  machine: Machine,
  node: TriggerNode,
  decision: TriggerDecision<Result>,
): Result {
  const { trace } = machine;
  if (trace === undefined) return decision.make();
  const before = decision.window();
  const result = decision.make();
  const outcome = decision.outcomeOf(result);
  if (outcome !== null) {
    const { automationId, path } = node;
    const { key, eventId } = decision;
    const labels = labelsOf(node.labels, key);
    const after = decision.window();
    trace({ at: machine.watermark, automationId, path, labels, eventId, outcome, before, after });
  }
  return result;
}

/** The place of a trigger as a text. */
export function ownerOf(node: NodePlace): string {
  return `${node.automationId}:${node.path}:`;
}

export function keyText(key: Key): string {
  return JSON.stringify(key);
}

/** A firing of `node` for a key. `cause` distinguishes it from every other firing of that node and key. */
export function firedBy(
  node: TriggerNode,
  key: Key,
  cause: string,
  fields: Pick<Fired, "triggered" | "happened" | "order" | "arrival" | "window"> & Partial<Fired>,
): Fired {
  return {
    id: uuid5(node.automationId, `${node.path} ${keyText(key)} ${cause}`),
    path: node.path,
    labels: labelsOf(node.labels, key),
    state: "Triggered",
    late: false,
    firings: [],
    ...fields,
  };
}
