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

type Remembered = readonly (NodeFiring | null)[];

class CompositeNode implements Node {
  readonly #trigger: CompositeTriggerDefinition;
  readonly #labels: readonly string[];
  readonly #children: readonly Node[];
  readonly #remembered = new Map<string, Remembered>();

  constructor(trigger: CompositeTriggerDefinition, place: Place) {
    this.#trigger = trigger;
    this.#labels = allLabels(trigger, place);
    this.#children = trigger.triggers.map((child) => nodeOf(child, { ...place, inherited: this.#labels }));
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
    const newest = fired.at(-1)?.firing;
    if (newest === undefined) return [];
    const labels = pick(newest.labels, this.#labels);
    const key = JSON.stringify(labels);
    const before = this.#remembered.get(key) ?? this.#children.map(() => null);
    const { remembered, completing } =
      this.#trigger.type === "compound" ? this.#compound(before, fired) : this.#sequence(before, fired);
    if (completing === null) {
      this.#remembered.set(key, remembered);
      return [];
    }
    this.#remembered.delete(key);
    const firings = remembered.filter((firing) => firing !== null);
    return [{ ...completing, labels, window: null, firings }];
  }

  #compound(before: Remembered, fired: readonly ChildFiring[]): Judgement {
    let remembered = before;
    for (const childFiring of fired) remembered = withFiring(remembered, childFiring);
    remembered = this.#withoutOld(remembered);
    const { type, triggers } = this.#trigger;
    const require = type === "compound" ? this.#trigger.require : "all";
    const required = require === "any" ? 1 : require === "all" ? triggers.length : require;
    if (remembered.filter((firing) => firing !== null).length < required)
      return { remembered, completing: null };
    return { remembered, completing: fired.at(-1)?.firing ?? null };
  }

  /** An event that could be several steps counts as one: the last that completes the sequence, if any does. */
  #sequence(before: Remembered, fired: readonly ChildFiring[]): Judgement {
    for (const childFiring of fired.toReversed()) {
      const remembered = this.#withoutOld(withFiring(before, childFiring));
      if (inOrderCount(remembered) === remembered.length) {
        return { remembered, completing: childFiring.firing };
      }
    }
    const taken = this.#stepFor(before, fired);
    return { remembered: this.#withoutOld(withFiring(before, taken)), completing: null };
  }

  /** The step that an event counts as if it completes nothing. */
  #stepFor(before: Remembered, fired: readonly ChildFiring[]): ChildFiring {
    const latest = fired.at(-1) as ChildFiring;
    const kept = this.#withoutOld([...before, latest.firing]).slice(0, -1);
    const next = inOrderCount(kept);
    const extending = fired.find(
      ({ child, firing }) => child === next && (next === 0 || isAfter(firing, kept[next - 1] ?? null)),
    );
    return extending ?? fired.find(({ child }) => kept[child] === null) ?? latest;
  }

  #withoutOld(remembered: Remembered): Remembered {
    if (this.#trigger.within === null) return remembered;
    const within = Math.round(this.#trigger.within * second);
    const newest: Micros = Math.max(...remembered.map((firing) => firing?.happened ?? -Infinity));
    return remembered.map((firing) =>
      firing !== null && firing.happened >= newest - within ? firing : null,
    );
  }
}

interface Judgement {
  /** When it fires, the firings that it uses. */
  readonly remembered: Remembered;
  /** The firing that completed the composite, or null when it does not fire. */
  readonly completing: NodeFiring | null;
}

/** A newer firing of a child replaces an older one, never the reverse. */
function withFiring(remembered: Remembered, { child, firing }: ChildFiring): Remembered {
  const older = remembered[child] ?? null;
  return older === null || isAfter(firing, older) ? remembered.with(child, firing) : remembered;
}

/** How many of the first steps have fired, each after the one before. */
function inOrderCount(remembered: Remembered): number {
  const stop = remembered.findIndex(
    (firing, step) => firing === null || (step > 0 && !isAfter(firing, remembered[step - 1] ?? null)),
  );
  return stop < 0 ? remembered.length : stop;
}

function isAfter(firing: NodeFiring, other: NodeFiring | null): boolean {
  if (other === null) return false;
  if (firing.happened !== other.happened) return firing.happened > other.happened;
  return firing.order > other.order;
}
