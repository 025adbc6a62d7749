/**
 * A second evaluator: another implementation of what triggers mean, as simple as possible.
 *
 * It shares with the core only the parsing of times, events and cron expressions. It keeps lists and searches them
 * slowly, so that the core can be tested against it.
 */

import { isDeepStrictEqual } from "node:util";
import type { AutomationDefinition } from "../../../src/core/model/automation.ts";
import { type Event, eventOf, type WireEvent } from "../../../src/core/model/event.ts";
import { type Micros, minute, parseTime } from "../../../src/core/model/time.ts";
import type { TriggerDefinition } from "../../../src/core/model/trigger.ts";
import { nodeOf } from "./composite.ts";
import { Beats } from "./gaps.ts";
import { earliest, type Node, type NodeFiring, type Step } from "./node.ts";

/** An automation; without an id, its name is its id. */
export type NaiveAutomation = AutomationDefinition & { readonly id?: string };

/** A line as `tripline simulate` reads it, or a change of an automation. Times are text. */
export type TimelineLine =
  | (WireEvent & { readonly received?: string })
  | { readonly tick: string }
  | { readonly beat: string }
  | { readonly at: string; readonly put: NaiveAutomation }
  | { readonly at: string; readonly remove: string };

export interface NaiveFiring {
  readonly automation: string;
  readonly triggered: Micros;
  readonly labels: Readonly<Record<string, string>>;
  readonly event: string | null;
  readonly state: "Triggered" | "Resolved";
  /** For an absence: the window that ended, and how many expected events it had counted. */
  readonly window: NodeFiring["window"];
  /** For a resolution: the event occurred in the window that fired. */
  readonly late: boolean;
  /** For a composite: its children's firings, in the order of its triggers. */
  readonly firings: readonly NaiveFiring[];
}

export interface NaiveOptions {
  /** Log time advances to here after the last line. */
  readonly until?: Micros;
  /** The lateness of triggers that set none. */
  readonly lateness: Micros;
}

/** Every firing and resolution over a timeline, in the order in which they are determined. */
export function naiveFirings(
  automations: readonly NaiveAutomation[],
  timeline: readonly TimelineLine[],
  { until, lateness }: NaiveOptions,
): NaiveFiring[] {
  const evaluator = new Evaluator(lateness);
  const [first] = timeline;
  if (first === undefined) return [];
  evaluator.advance(timeOf(first));
  for (const automation of automations) evaluator.put(automation);
  for (const line of timeline) {
    evaluator.advance(timeOf(line));
    if ("put" in line) evaluator.put(line.put);
    else if ("remove" in line) evaluator.remove(line.remove);
    else if ("beat" in line) evaluator.beat();
    else if (!("tick" in line)) evaluator.receive(eventOf(line, timeOf(line)));
  }
  if (until !== undefined) evaluator.advance(until);
  return evaluator.firings;
}

/** Log time of a line: when it was received. */
export function timeOf(line: TimelineLine): Micros {
  if ("tick" in line) return parseTime(line.tick) as Micros;
  if ("beat" in line) return parseTime(line.beat) as Micros;
  if ("at" in line) return parseTime(line.at) as Micros;
  return parseTime(line.received ?? line.occurred) as Micros;
}

const leaderWaitMax = 15 * minute;
const knownFor = 30 * minute;

interface Running {
  readonly id: string;
  readonly name: string;
  readonly trigger: TriggerDefinition;
  readonly root: Node;
}

class Evaluator {
  readonly firings: NaiveFiring[] = [];
  readonly #lateness: Micros;
  #now: Micros = -Infinity;
  #order = 0;
  /** The enabled automations. */
  #running: Running[] = [];
  /** Every event that was ever received, duplicates too. */
  readonly #sightings: Event[] = [];
  readonly #beats = new Beats();
  /** Followers whose leader has not come. */
  #waiting: Event[] = [];

  constructor(lateness: Micros) {
    this.#lateness = lateness;
  }

  put(automation: NaiveAutomation): void {
    const { id = automation.name, name, enabled } = automation;
    const trigger = withoutIds(automation.trigger);
    const before = this.#running.find((running) => running.id === id);
    this.remove(id);
    if (!enabled) return;
    const kept = before !== undefined && isDeepStrictEqual(before.trigger, trigger);
    const place = {
      created: this.#now,
      now: () => this.#now,
      beats: this.#beats,
      lateness: this.#lateness,
      inherited: [],
    };
    this.#running.push({ id, name, trigger, root: kept ? before.root : nodeOf(trigger, place) });
  }

  remove(id: string): void {
    this.#running = this.#running.filter((running) => running.id !== id);
  }

  /** Advances log time to `time` and does everything due by then, in the order in which it is due. */
  advance(time: Micros): void {
    for (;;) {
      const step = this.#nextStep();
      const follower = this.#nextReleased();
      const followerDue = follower === null ? Infinity : follower.received + leaderWaitMax;
      const stepDue = step?.deadline ?? Infinity;
      if (Math.min(stepDue, followerDue) > time) break;
      this.#now = Math.max(this.#now, Math.min(stepDue, followerDue));
      if (step !== null && stepDue <= followerDue) this.#take(step);
      else if (follower !== null) this.#evaluate(follower);
    }
    this.#now = Math.max(this.#now, time);
  }

  beat(): void {
    this.#beats.add(this.#now);
  }

  receive(event: Event): void {
    const known = this.#isKnown(event.id);
    this.#sightings.push(event);
    if (known) return;
    if (this.#mustWait(event)) this.#waiting.push(event);
    else this.#evaluate(event);
  }

  #isKnown(id: string): boolean {
    return this.#sightings.some(
      (sighting) => sighting.id === id && this.#now - sighting.received <= knownFor,
    );
  }

  #mustWait({ id, follows, occurred, received }: Event): boolean {
    if (follows === null || follows === id || received - occurred > leaderWaitMax) return false;
    return this.#waiting.some((other) => other.id === follows) || !this.#isKnown(follows);
  }

  /** The follower whose wait ends first. Ties go by log order, but a leader goes before its follower. */
  #nextReleased(): Event | null {
    const end = Math.min(...this.#waiting.map((event) => event.received));
    const due = this.#waiting.filter((event) => event.received === end);
    return due.find((event) => isInCycle(event, due) || leaderOf(event, due) === undefined) ?? null;
  }

  /** Evaluates an event and right after it, in order, those that waited for it. */
  #evaluate(event: Event): void {
    this.#waiting = this.#waiting.filter((other) => other !== event);
    this.#order += 1;
    const arrival = { event, logTime: this.#now, order: this.#order };
    for (const running of this.#running) this.#emit(running, running.root.arrive(arrival));
    this.#takeSettled();
    const followers = this.#waiting.filter((other) => other.follows === event.id);
    for (const follower of followers.sort((a, b) => a.occurred - b.occurred)) {
      if (this.#waiting.includes(follower)) this.#evaluate(follower);
    }
  }

  /** Takes the steps that are due at once because the last event came later than the lateness. */
  #takeSettled(): void {
    for (let step = this.#nextStep(); step !== null && step.deadline <= this.#now; step = this.#nextStep()) {
      this.#take(step);
    }
  }

  #nextStep(): Step | null {
    return earliest(
      this.#running.map((running) => {
        const step = running.root.nextStep();
        return step && { ...step, take: (order: number) => this.#emit(running, step.take(order)) };
      }),
    );
  }

  #take(step: Step): void {
    this.#order += 1;
    step.take(this.#order);
  }

  #emit({ name }: Running, firings: NodeFiring[]): NodeFiring[] {
    this.firings.push(...firings.map((firing) => publicFiring(name, firing)));
    return firings;
  }
}

function publicFiring(automation: string, firing: NodeFiring): NaiveFiring {
  const { triggered, labels, event, state, window, late } = firing;
  const firings = firing.firings.map((part) => publicFiring(automation, part));
  return { automation, triggered, labels, event: event?.id ?? null, state, window, late, firings };
}

function leaderOf(event: Event, among: readonly Event[]): Event | undefined {
  return among.find((other) => other.id === event.follows);
}

/** Whether the event is its own leader, through its leaders. */
function isInCycle(event: Event, among: readonly Event[]): boolean {
  let leader = leaderOf(event, among);
  for (let length = 0; length < among.length && leader !== undefined && leader !== event; length += 1) {
    leader = leaderOf(leader, among);
  }
  return leader === event;
}

function withoutIds(trigger: TriggerDefinition): TriggerDefinition {
  if (trigger.type === "event") return { ...trigger, id: "" };
  return { ...trigger, id: "", triggers: trigger.triggers.map(withoutIds) };
}
