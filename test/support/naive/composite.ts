/** Compound and sequence triggers: they remember the children's firings in a list with a place for each child. */

import { type Micros, second } from "../../../src/core/model/time.ts";
import type { CompositeTriggerDefinition, TriggerDefinition } from "../../../src/core/model/trigger.ts";
import {
  type Arrival,
  allLabels,
  earliest,
  type Node,
  type NodeFiring,
  type Place,
  pick,
  type Step,
} from "./node.ts";
import { ProactiveNode } from "./proactive.ts";
import { ReactiveNode } from "./reactive.ts";

export function nodeOf(trigger: TriggerDefinition, place: Place): Node {
  if (trigger.type !== "event") return new CompositeNode(trigger, place);
  if (trigger.posture === "Reactive") return new ReactiveNode(trigger, place);
  return new ProactiveNode(trigger, place);
}

/** A child's firing, with the child's place among the composite's triggers. */
interface ChildFiring {
  readonly child: number;
  readonly firing: NodeFiring;
}

/** Everything that the children have fired and that has not been used or forgotten, in no particular order. */
type Remembered = readonly ChildFiring[];

class CompositeNode implements Node {
  readonly #trigger: CompositeTriggerDefinition;
  readonly #labels: readonly string[];
  readonly #children: readonly Node[];
  readonly #within: Micros;
  readonly #lateness: Micros;
  readonly #now: () => Micros;
  readonly #remembered = new Map<string, Remembered>();

  constructor(trigger: CompositeTriggerDefinition, place: Place) {
    this.#trigger = trigger;
    this.#labels = allLabels(trigger, place);
    this.#children = trigger.triggers.map((child) => nodeOf(child, { ...place, inherited: this.#labels }));
    this.#within = trigger.within === null ? Infinity : Math.round(trigger.within * second);
    this.#lateness = latenessOf(trigger, place);
    this.#now = place.now;
  }

  /** One event may make several children fire; the composite is judged once for all of them. */
  arrive(arrival: Arrival): NodeFiring[] {
    return this.#consider(
      this.#children.flatMap((node, child) => node.arrive(arrival).map((firing) => ({ child, firing }))),
    );
  }

  nextStep(): Step | null {
    return earliest(
      this.#children.map((node, child) => {
        const step = node.nextStep();
        if (step === null) return null;
        const take = (order: number) => this.#consider(step.take(order).map((firing) => ({ child, firing })));
        return { ...step, take };
      }),
    );
  }

  #consider(news: readonly ChildFiring[]): NodeFiring[] {
    const fired = news.filter(({ firing }) => firing.state === "Triggered");
    const latest = fired.at(-1)?.firing;
    if (latest === undefined) return [];
    const labels = pick(latest.labels, this.#labels);
    const key = JSON.stringify(labels);
    const remembered = this.#withoutOld([...(this.#remembered.get(key) ?? []), ...fired]);
    const used =
      this.#trigger.type === "compound" ? this.#compound(remembered, fired) : this.#sequence(remembered);
    if (used === null) {
      this.#remembered.set(key, remembered);
      return [];
    }
    const completing = used.findLast((childFiring) => fired.includes(childFiring))?.firing;
    if (completing === undefined) throw new Error("what fires was not complete before");
    this.#remembered.set(key, withoutUsed(remembered, used));
    const { happened, order } = (sorted(used).at(-1) as ChildFiring).firing;
    const triggered = Math.max(...used.map(({ firing }) => firing.triggered));
    return [
      {
        ...completing,
        happened,
        order,
        triggered,
        labels,
        window: null,
        firings: used.map(({ firing }) => firing),
      },
    ];
  }

  #compound(remembered: Remembered, fired: readonly ChildFiring[]): ChildFiring[] | null {
    const { type, triggers } = this.#trigger;
    const require = type === "compound" ? this.#trigger.require : "all";
    const required = require === "any" ? 1 : require === "all" ? triggers.length : require;
    const children = triggers
      .map((_, index) => sorted(remembered.filter(({ child }) => child === index)))
      .filter((firings) => firings.length > 0);
    if (children.length < required) return null;
    const newest = newestOf(remembered);
    return children.map((firings) => {
      const latest = latestOf(firings);
      const [now] = latest.filter((childFiring) => fired.includes(childFiring));
      const before = latest.filter(({ firing }) => firing.happened < newest).at(-1);
      return now ?? before ?? (latest[0] as ChildFiring);
    });
  }

  /** Tries every choice of one firing for each step. Of those that are complete, takes the one that docs/triggers.md names. */
  #sequence(remembered: Remembered): ChildFiring[] | null {
    const complete = choices(this.#trigger.triggers.length, remembered).filter(
      (choice) => isInOrder(choice) && spanOf(choice) <= this.#within,
    );
    return complete.toSorted(byPreference)[0] ?? null;
  }

  #withoutOld(remembered: Remembered): Remembered {
    const newest = newestOf(remembered);
    const isSequence = this.#trigger.type === "sequence";
    const oldest = newest - this.#within - (isSequence ? this.#lateness : 0);
    const recent = remembered.filter(({ firing }) => firing.happened >= oldest);
    return isSequence ? this.#withinBounds(recent, this.#now() - this.#lateness) : recent;
  }

  /** Of each step the latest 32, and those that an event in time may still need: the latest choices of what has settled. */
  #withinBounds(remembered: Remembered, settled: Micros): Remembered {
    const steps = this.#trigger.triggers.map((_, step) =>
      sorted(remembered.filter(({ child }) => child === step)),
    );
    const needed = steps.flatMap((_, last) => {
      const choice: ChildFiring[] = [];
      for (let step = last; step >= 0; step--) {
        const limit = choice[0] === undefined ? settled - 1 : timeOf(choice[0]);
        const possible = (steps[step] ?? []).filter(
          ({ firing }) =>
            firing.happened <= limit && choice.every((other) => other.firing.order !== firing.order),
        );
        const newest = possible.at(-1);
        if (newest === undefined) return [];
        choice.unshift(possible.find((other) => timeOf(other) === timeOf(newest)) ?? newest);
      }
      return choice;
    });
    return steps.flatMap((firings) => {
      let surplus = firings.length - 32;
      return firings.filter((childFiring) => needed.includes(childFiring) || surplus-- <= 0);
    });
  }
}

/** Every way to choose one firing for each of the steps, each with a different cause. */
function choices(stepCount: number, remembered: Remembered): ChildFiring[][] {
  if (stepCount === 0) return [[]];
  const last = remembered.filter(({ child }) => child === stepCount - 1);
  return choices(stepCount - 1, remembered).flatMap((choice) =>
    last
      .filter(({ firing }) => choice.every((other) => other.firing.order !== firing.order))
      .map((firing) => [...choice, firing])
      .filter(isInOrder),
  );
}

/** Firings that happened at the same time are in order either way. */
function isInOrder(choice: readonly ChildFiring[]): boolean {
  return choice.every(({ firing }, step) => step === 0 || timeOf(choice[step - 1]) <= firing.happened);
}

function spanOf(choice: readonly ChildFiring[]): Micros {
  return timeOf(choice.at(-1)) - timeOf(choice[0]);
}

/**
 * The choice that ends last is preferred, then the one that uses the fewest firings of that very time, then the one with
 * the latest firings, from the last step to the first.
 */
function byPreference(a: readonly ChildFiring[], b: readonly ChildFiring[]): number {
  const [endA, endB] = [timeOf(a.at(-1)), timeOf(b.at(-1))];
  if (endA !== endB) return endB - endA;
  const atEnd = (choice: readonly ChildFiring[]) =>
    choice.filter(({ firing }) => firing.happened === endA).length;
  if (atEnd(a) !== atEnd(b)) return atEnd(a) - atEnd(b);
  for (let step = a.length - 1; step >= 0; step--) {
    const difference = timeOf(b[step]) - timeOf(a[step]);
    if (difference !== 0) return difference;
  }
  // What happened at the same time goes in the order of arrival.
  for (let step = a.length - 1; step >= 0; step--) {
    const difference = (a[step]?.firing.order ?? 0) - (b[step]?.firing.order ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function withoutUsed(remembered: Remembered, used: readonly ChildFiring[]): Remembered {
  const newest = newestOf(used);
  return remembered.filter(
    ({ firing }) =>
      firing.happened >= newest && used.every((childFiring) => childFiring.firing.order !== firing.order),
  );
}

/** The latest of a child's firings, all those of the same time, and the one before them. */
function latestOf(firings: readonly ChildFiring[]): ChildFiring[] {
  const latest = firings.at(-1)?.firing.happened ?? 0;
  const before = firings.filter(({ firing }) => firing.happened < latest).at(-1);
  return [
    ...(before === undefined ? [] : [before]),
    ...firings.filter(({ firing }) => firing.happened === latest),
  ];
}

function newestOf(firings: readonly ChildFiring[]): Micros {
  return Math.max(...firings.map(({ firing }) => firing.happened));
}

function timeOf(childFiring: ChildFiring | undefined): Micros {
  return childFiring?.firing.happened ?? Number.NaN;
}

function sorted(firings: readonly ChildFiring[]): ChildFiring[] {
  return firings.toSorted((a, b) => a.firing.happened - b.firing.happened || a.firing.order - b.firing.order);
}

/** The longest lateness of the event triggers in a tree. */
function latenessOf(trigger: TriggerDefinition, place: Place): Micros {
  if (trigger.type !== "event") {
    return Math.max(...trigger.triggers.map((child) => latenessOf(child, place)));
  }
  return trigger.lateness === undefined ? place.lateness : Math.round(trigger.lateness * second);
}
