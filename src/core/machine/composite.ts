/**
 * Composite triggers: compound (enough children have fired) and sequence (all have fired, in the listed order).
 *
 * A child's firing is remembered by the time at which it *happened*: the event's own time, or the end of the silent
 * window. The order in which firings were computed does not matter.
 */

import { silentKeyGrace } from "../model/limits.ts";
import { type Micros, second } from "../model/time.ts";
import type { CompositeTriggerDefinition } from "../model/trigger.ts";
import type { Arrival } from "./arrival.ts";
import { type Key, labelsOf } from "./key.ts";
import { KeyedStates } from "./keyed-states.ts";
import {
  decide,
  type EventRole,
  type Fired,
  firedBy,
  type Machine,
  type NodePlace,
  type OpenWindow,
  type Parent,
  PlacedTrigger,
  type Revive,
  type TriggerNode,
  type TriggerOutcome,
} from "./node.ts";

interface RememberedFirings {
  /** One per child; null for a child that has not fired, or whose firing has been forgotten. */
  firings: (Fired | null)[];
}

export class CompositeTrigger extends PlacedTrigger implements Parent {
  children: readonly TriggerNode[] = [];
  readonly #definition: CompositeTriggerDefinition;
  readonly #within: Micros | null;
  readonly #machine: Machine;
  readonly #states: KeyedStates<RememberedFirings>;

  constructor(place: NodePlace, definition: CompositeTriggerDefinition, machine: Machine) {
    super(place);
    this.#definition = definition;
    this.#within = definition.within === null ? null : Math.round(definition.within * second);
    this.#machine = machine;
    this.#states = new KeyedStates(this, machine);
  }

  begin(at: Micros, position: string): void {
    for (const child of this.children) child.begin(at, position);
  }

  evaluate(arrival: Arrival, order: number, roles: ReadonlyMap<TriggerNode, EventRole>): Fired | null {
    const fired: [childIndex: number, Fired][] = [];
    for (const [index, child] of this.children.entries()) {
      const firing = child.evaluate(arrival, order, roles);
      if (firing !== null) fired.push([index, firing]);
    }
    return fired.length === 0 ? null : this.#remember(fired);
  }

  childRose(childIndex: number, fired: Fired): Fired | null {
    return this.#remember([[childIndex, fired]]);
  }

  /** Remembers the firings of children that one event or one silence caused. @returns the composite's own firing */
  #remember(fired: readonly [childIndex: number, Fired][]): Fired | null {
    const [[, first] = []] = fired;
    if (first === undefined) return null;
    const key = this.labels.map((label) => first.labels[label] ?? "");
    const remembered = this.#states.get(key) ?? { firings: this.children.map(() => null) };
    return decide(this.#machine, this, {
      key,
      eventId: first.arrival?.event.id ?? null,
      make: () => this.#rememberAs(key, remembered, fired),
      outcomeOf(own): TriggerOutcome {
        const isRemembered = fired.some(([index, firing]) => remembered.firings[index] === firing);
        return own !== null ? "fires" : isRemembered ? "remembered" : "ignored: a newer firing is remembered";
      },
      window: () => this.#windowOf(key),
    });
  }

  #rememberAs(
    key: Key,
    remembered: RememberedFirings,
    fired: readonly [childIndex: number, Fired][],
  ): Fired | null {
    // Hold first and release last, so that an event that moves from one place to another is not lost in between.
    for (const [, firing] of fired) this.#hold(firing);
    const completing =
      this.#definition.type === "sequence"
        ? this.#completeSequence(remembered, fired)
        : this.#completeCompound(remembered, fired);
    const used = remembered.firings.filter((firing) => firing !== null);
    const own = completing === null ? null : this.#fire(key, completing, used);
    if (own !== null) {
      for (const firing of used) this.#release(firing);
      this.#states.delete(key);
    } else if (used.length === 0) this.#states.delete(key);
    else this.#write(key, remembered);
    for (const [, firing] of fired) this.#release(firing);
    return own;
  }

  #completeCompound({ firings }: RememberedFirings, fired: readonly [number, Fired][]): Fired | null {
    let completing: Fired | null = null;
    for (const [index, firing] of fired) if (this.#place(firings, index, firing)) completing = firing;
    this.#forgetOld(firings);
    const count = firings.filter((firing) => firing !== null).length;
    return count >= this.#requiredCount ? completing : null;
  }

  /**
   * One event never counts as two steps. An event that could be several steps is tried from the last step to the first:
   * the first try that completes the sequence counts. If none does, it counts as the step that advances the sequence
   * furthest.
   */
  #completeSequence(remembered: RememberedFirings, fired: readonly [number, Fired][]): Fired | null {
    for (const [index, firing] of fired.toReversed()) {
      const attempt = [...remembered.firings];
      if (!this.#wouldPlace(attempt, index, firing)) continue;
      attempt[index] = firing;
      this.#forget(attempt, firing.happened, () => {});
      if (inOrderCount(attempt) < this.children.length) continue;
      this.#place(remembered.firings, index, firing);
      this.#forgetOld(remembered.firings);
      return firing;
    }
    // Forget what is too old compared to the new firing before deciding which step comes next.
    this.#forgetOld(remembered.firings, Math.max(...fired.map(([, { happened }]) => happened)));
    const reached = inOrderCount(remembered.firings);
    const chosen =
      fired.find(([index]) => index === reached) ??
      fired.find(([index]) => remembered.firings[index] === null) ??
      fired.at(-1);
    if (chosen !== undefined) this.#place(remembered.firings, ...chosen);
    this.#forgetOld(remembered.firings);
    return null;
  }

  /** Puts a firing in its child's place, unless the place holds a newer one. */
  #place(firings: (Fired | null)[], index: number, firing: Fired): boolean {
    if (!this.#wouldPlace(firings, index, firing)) return false;
    const before = firings[index] ?? null;
    this.#hold(firing);
    firings[index] = firing;
    if (before !== null) this.#release(before);
    return true;
  }

  #wouldPlace(firings: readonly (Fired | null)[], index: number, firing: Fired): boolean {
    const before = firings[index] ?? null;
    return before === null || before.happened <= firing.happened;
  }

  #forgetOld(firings: (Fired | null)[], newest: Micros = Number.NEGATIVE_INFINITY): void {
    this.#forget(firings, newest, (firing) => this.#release(firing));
  }

  /** Forgets firings that happened more than `within` before the newest firing or before `atLeast`, whichever is later. */
  #forget(firings: (Fired | null)[], atLeast: Micros, forgotten: (firing: Fired) => void): void {
    if (this.#within === null) return;
    const newest = Math.max(atLeast, newestOf(firings));
    for (const [index, firing] of firings.entries()) {
      if (firing === null || firing.happened >= newest - this.#within) continue;
      firings[index] = null;
      forgotten(firing);
    }
  }

  #fire(key: Key, completing: Fired, used: readonly Fired[]): Fired {
    const cause = used.map(({ id }) => id).join(" ");
    const { triggered, happened, order, arrival } = completing;
    return firedBy(this, key, cause, { triggered, happened, order, arrival, window: null, firings: used });
  }

  #write(key: Key, remembered: RememberedFirings): void {
    this.#states.put(key, remembered);
    this.#awaitForgetting(key);
  }

  #awaitForgetting(key: Key): void {
    this.#states.awaitForgetting(key, this.#forgetAt, (forgotten, { firings }) => {
      for (const firing of firings) if (firing !== null) this.#release(firing);
      this.#states.delete(forgotten);
    });
  }

  readonly #forgetAt = ({ firings }: RememberedFirings): Micros | null =>
    this.#within === null ? null : newestOf(firings) + this.#within + silentKeyGrace;

  #hold(fired: Fired): void {
    if (fired.arrival !== null) this.#machine.arrivals.hold(fired.arrival);
    for (const firing of fired.firings) this.#hold(firing);
  }

  #release(fired: Fired): void {
    this.#machine.arrivals.release(fired.arrival);
    for (const firing of fired.firings) this.#release(firing);
  }

  restore(_kind: string, rest: string, json: string, revive: Revive): void {
    const { firings } = JSON.parse(json) as { firings: (StoredFired | null)[] };
    const reviveFired = (stored: StoredFired): Fired => ({
      ...stored,
      arrival: stored.arrival === null ? null : revive(stored.arrival),
      firings: stored.firings.map(reviveFired),
    });
    const state = { firings: firings.map((stored) => (stored === null ? null : reviveFired(stored))) };
    this.#awaitForgetting(this.#states.restore(rest, state));
  }

  clear(): void {
    for (const [, { firings }] of this.#states.entries()) {
      for (const firing of firings) if (firing !== null) this.#release(firing);
    }
    this.#states.clear();
    for (const child of this.children) child.clear();
  }

  get lateness(): Micros {
    return Math.max(...this.children.map(({ lateness }) => lateness));
  }

  *openWindows(): Iterable<OpenWindow> {
    for (const [key, { firings }] of this.#states.entries()) {
      const forgotten = this.#within === null ? null : newestOf(firings) + this.#within + this.lateness;
      if (forgotten !== null && forgotten < this.#machine.watermark) continue;
      const window = this.#windowOf(key);
      if (window !== null) yield window;
    }
    for (const child of this.children) yield* child.openWindows();
  }

  #windowOf(key: Key): OpenWindow | null {
    const firings = this.#states.get(key)?.firings ?? [];
    const present = firings.filter((firing) => firing !== null);
    if (present.length === 0) return null;
    // In a sequence, only steps in order count: a later step must happen again after an earlier one.
    const reached = this.#definition.type === "sequence" ? firings.slice(0, inOrderCount(firings)) : firings;
    const counted = reached.filter((firing) => firing !== null);
    const start = Math.min(...(counted.length > 0 ? counted : present).map(({ happened }) => happened));
    const newest = newestOf(present);
    return {
      path: this.path,
      labels: labelsOf(this.labels, key),
      start,
      end: this.#within === null ? null : start + this.#within,
      count: counted.length,
      threshold: this.#requiredCount,
      deadline: null,
      lastEventId: present.find(({ happened }) => happened === newest)?.arrival?.event.id ?? null,
      unresolved: false,
      awaited: this.children.filter((_, index) => (reached[index] ?? null) === null).map(({ path }) => path),
    };
  }

  /** How many children must have fired. */
  get #requiredCount(): number {
    const { require = "all" } = this.#definition.type === "compound" ? this.#definition : {};
    return require === "any" ? 1 : require === "all" ? this.children.length : require;
  }
}

type StoredFired = Omit<Fired, "arrival" | "firings"> & {
  readonly arrival: string | null;
  readonly firings: readonly StoredFired[];
};

/** How many children have fired in order, starting with the first. */
function inOrderCount(firings: readonly (Fired | null)[]): number {
  let count = 0;
  let previous: Fired | null = null;
  for (const firing of firings) {
    if (firing === null || (previous !== null && !isBefore(previous, firing))) break;
    previous = firing;
    count++;
  }
  return count;
}

function isBefore(a: Fired, b: Fired): boolean {
  return a.happened < b.happened || (a.happened === b.happened && a.order < b.order);
}

function newestOf(firings: readonly (Fired | null)[]): Micros {
  return firings.reduce(
    (newest, firing) => Math.max(newest, firing?.happened ?? newest),
    Number.NEGATIVE_INFINITY,
  );
}
