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
import { KeyedStates, type StateKind } from "./keyed-states.ts";
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
  type TriggerNode,
  type TriggerOutcome,
} from "./node.ts";
import { openForever } from "./open-count.ts";
import {
  isBefore,
  latestOnly,
  newestOf,
  type Remembered,
  withFiring,
  withinBounds,
  withoutOlderThan,
  withoutUsed,
} from "./remembered.ts";
import { chooseInOrder, latestStart } from "./sequence.ts";
import { type RememberedFirings, restoredFirings, storedFirings } from "./stored-firings.ts";

type ChildFiring = readonly [childIndex: number, Fired];

export class CompositeTrigger extends PlacedTrigger implements Parent, StateKind<RememberedFirings> {
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
    this.#states = new KeyedStates(this, machine, this);
  }

  begin(at: Micros, position: string): void {
    for (const child of this.children) child.begin(at, position);
  }

  evaluate(arrival: Arrival, order: number, roles: ReadonlyMap<TriggerNode, EventRole>): Fired | null {
    const fired: ChildFiring[] = [];
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
  #remember(fired: readonly ChildFiring[]): Fired | null {
    const [[, first] = []] = fired;
    if (first === undefined) return null;
    const key = this.labels.map((label) => first.labels[label] ?? "");
    return decide(this.#machine, this, {
      key,
      eventId: first.arrival?.event.id ?? null,
      make: () => this.#rememberAs(key, fired),
      outcomeOf: ({ own, isRemembered }): TriggerOutcome | null => {
        if (own !== null) return "fires";
        if (isRemembered) return "remembered";
        return this.#isSequence ? "ignored: it is late" : "ignored: a newer firing is remembered";
      },
      window: () => this.#windowOf(key),
    }).own;
  }

  #rememberAs(key: Key, fired: readonly ChildFiring[]): { own: Fired | null; isRemembered: boolean } {
    const before = this.#states.get(key)?.firings ?? this.children.map(() => []);
    let remembered = before;
    for (const [index, firing] of fired) {
      this.#hold(firing);
      remembered = withFiring(remembered, index, firing);
    }
    const all = remembered.flat();
    remembered = this.#withoutOld(remembered);
    const used = this.#isSequence ? this.#chooseSteps(remembered, fired) : this.#chooseAny(remembered, fired);
    const completing = fired.findLast(([, firing]) => used?.includes(firing))?.[1];
    const own = used === null || completing === undefined ? null : this.#fire(key, completing, used);
    const isRemembered = fired.some(([index, firing]) => {
      const latest = remembered[index]?.at(-1);
      return (
        remembered[index]?.includes(firing) === true &&
        (this.#isSequence || latest?.happened === firing.happened)
      );
    });
    this.#replace(key, all, own === null ? remembered : withoutUsed(remembered, used ?? []));
    return { own, isRemembered };
  }

  /** A sequence fires when some choice of firings is in the order of its steps, and close enough together. */
  #chooseSteps(remembered: Remembered, fired: readonly ChildFiring[]): Fired[] | null {
    for (const [, { happened }] of fired) {
      const chosen = chooseInOrder(remembered, this.#within, happened);
      if (chosen !== null) return chosen;
    }
    return null;
  }

  /**
   * A compound fires when enough children have fired. Of a child that fired several times, the latest counts: but not one
   * that happened at the same time as the last of all, if there is an earlier one. Otherwise it would depend on the order
   * of their arrival which of them is left.
   */
  #chooseAny(remembered: Remembered, fired: readonly ChildFiring[]): Fired[] | null {
    const present = remembered.filter((firings) => firings.length > 0);
    if (present.length < this.#requiredCount) return null;
    const newest = newestOf(present);
    const completing = fired.map(([, firing]) => firing);
    return present.flatMap((firings) => {
      const own = firings.find((firing) => completing.includes(firing));
      return own ?? firings.findLast(({ happened }) => happened < newest) ?? firings[0] ?? [];
    });
  }

  /** Forgets what can no longer be part of a choice with anything that is in time. */
  #withoutOld(remembered: Remembered): Remembered {
    const newest = newestOf(remembered);
    if (!this.#isSequence) {
      return latestOnly(
        this.#within === null ? remembered : withoutOlderThan(remembered, newest - this.#within),
      );
    }
    const kept =
      this.#within === null
        ? remembered
        : withoutOlderThan(remembered, newest - this.#within - this.lateness);
    return withinBounds(kept, this.#machine.watermark - this.lateness);
  }

  /** Writes what is still remembered, and releases the rest. */
  #replace(key: Key, before: readonly Fired[], after: Remembered): void {
    const kept = new Set(after.flat());
    for (const firing of before) if (!kept.has(firing)) this.#release(firing);
    if (after.every((firings) => firings.length === 0)) this.#states.delete(key);
    else {
      const state = { firings: after };
      this.#states.put(key, state);
      this.#states.awaitForgetting(key, state);
    }
  }

  #fire(key: Key, completing: Fired, used: readonly Fired[]): Fired {
    const cause = used.map(({ id }) => id).join(" ");
    // The one that completed it may be of a delayed event. What happened last decides when the composite's firing happened.
    const { happened, order } = used.reduce((last, firing) => (isBefore(firing, last) ? last : firing));
    const triggered = Math.max(...used.map((firing) => firing.triggered));
    const { arrival } = completing;
    return firedBy(this, key, cause, { triggered, happened, order, arrival, window: null, firings: used });
  }

  encode(state: RememberedFirings): string {
    return storedFirings(state);
  }

  decode(text: string): RememberedFirings {
    return restoredFirings(this.#machine.arrivals.read(text));
  }

  openUntil({ firings }: RememberedFirings): Micros {
    return this.#within === null ? openForever : newestOf(firings) + this.#within + this.lateness;
  }

  meetEnd(): void {
    // What happened is remembered for a time and has no end of its own.
  }

  forgetAt({ firings }: RememberedFirings): Micros | null {
    return this.#within === null ? null : newestOf(firings) + this.#within + silentKeyGrace;
  }

  forget(key: Key, { firings }: RememberedFirings): void {
    this.#replace(key, firings.flat(), []);
  }

  #hold(fired: Fired): void {
    this.#machine.arrivals.hold(fired.arrival);
    for (const firing of fired.firings) this.#hold(firing);
  }

  #release(fired: Fired): void {
    this.#machine.arrivals.release(fired.arrival);
    for (const firing of fired.firings) this.#release(firing);
  }

  restore(_kind: string, rest: string, stored: string): void {
    const restored = this.#states.restore(rest, stored);
    if (restored === null) return;
    const { key, state } = restored;
    for (const firing of state.firings.flat()) this.#hold(firing);
    this.#states.awaitForgetting(key, state);
  }

  clear(): void {
    for (const [, { firings }] of this.#states.entries()) {
      for (const firing of firings.flat()) this.#release(firing);
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
    const present = firings.flat();
    if (present.length === 0) return null;
    const reached = this.#isSequence ? this.#reached(firings) : firings.map((list) => list.at(-1) ?? null);
    const counted = reached.filter((firing) => firing !== null);
    const start = Math.min(...(counted.length > 0 ? counted : present).map(({ happened }) => happened));
    const newest = newestOf(firings);
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
      quietUntil: null,
      settlingCount: 0,
      awaited: this.children.filter((_, index) => (reached[index] ?? null) === null).map(({ path }) => path),
    };
  }

  /** The most steps that are in order, from the first. A later step must happen again after an earlier one. */
  #reached(firings: Remembered): readonly (Fired | null)[] {
    for (let count = firings.length; count > 0; count--) {
      const chosen = latestStart(firings.slice(0, count));
      const [first, last] = [chosen?.at(0), chosen?.at(-1)];
      if (chosen === null || first === undefined || last === undefined) continue;
      if (this.#within === null || last.happened - first.happened <= this.#within) return chosen;
    }
    return [];
  }

  get #isSequence(): boolean {
    return this.#definition.type === "sequence";
  }

  /** How many children must have fired. */
  get #requiredCount(): number {
    const { require = "all" } = this.#definition.type === "compound" ? this.#definition : {};
    return require === "any" ? 1 : require === "all" ? this.children.length : require;
  }
}
