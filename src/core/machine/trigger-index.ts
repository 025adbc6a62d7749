/**
 * The trigger index: finds the triggers that may cover an event without looking at the others.
 *
 * A trigger is filed under each name pattern that it waits for, and there under one label that its specification
 * restricts to plain values (preferably the resource's id). An event is looked up by its name and labels. The triggers
 * found are then checked in full, so the index may find too many but never too few.
 */

import { canaryEventName } from "../model/canary.ts";
import type { Event } from "../model/event.ts";
import { compileGlob, type Glob } from "../model/glob.ts";
import type { LabelCondition } from "../model/specification.ts";
import { type CompiledEventTrigger, resourceObstacle } from "./event-trigger.ts";
import type { EventRole } from "./node.ts";

/** The triggers filed in one place, each with the role that the place's pattern gives to events. */
type IndexPlace<T> = Map<T, EventRole>;

interface Indexed {
  readonly compiled: CompiledEventTrigger;
}

/** Triggers that wait for one name pattern, filed by the label that restricts them to plain values. */
class Bucket<T> {
  readonly glob: Glob;
  readonly unpinned: IndexPlace<T> = new Map();
  readonly byLabel = new Map<string, Map<string, IndexPlace<T>>>();
  readonly byRelatedLabel = new Map<string, Map<string, IndexPlace<T>>>();

  constructor(glob: Glob) {
    this.glob = glob;
  }

  *find(event: Event): Iterable<[T, EventRole]> {
    yield* this.unpinned;
    for (const [label, byValue] of this.byLabel) yield* byValue.get(event.resource.get(label) ?? "") ?? [];
    for (const [label, byValue] of this.byRelatedLabel) {
      const values = new Set(event.related.map((resource) => resource.get(label) ?? ""));
      for (const value of values) yield* byValue.get(value) ?? [];
    }
  }
}

export class TriggerIndex<T extends Indexed> {
  readonly #byName = new Map<string, Bucket<T>>();
  /** Buckets of patterns with wildcards, by the beginning that all matching names share. */
  readonly #byPrefix = new Map<string, Map<string, Bucket<T>>>();
  readonly #prefixLengths = new Set<number>();
  readonly #none: ReadonlyMap<T, EventRole> = new Map<T, EventRole>();

  /** Every trigger that covers the event, with the event's role for it, in no particular order. */
  find(event: Event): ReadonlyMap<T, EventRole> {
    const buckets = this.#bucketsFor(event.name);
    if (buckets.length === 0) return this.#none; // as for most events
    const found = new Map<T, EventRole | null>();
    for (const bucket of buckets) {
      for (const [trigger, role] of bucket.find(event)) {
        const known = found.get(trigger);
        if (known !== undefined) found.set(trigger, known === null ? null : both(known, role));
        else found.set(trigger, resourceObstacle(trigger.compiled, event) === null ? role : null);
      }
    }
    const covering = new Map<T, EventRole>();
    for (const [trigger, role] of found) if (role !== null) covering.set(trigger, role);
    return covering;
  }

  add(trigger: T): void {
    for (const [place, role] of this.#placesOf(trigger))
      place.set(trigger, both(place.get(trigger) ?? role, role));
  }

  remove(trigger: T): void {
    for (const [place] of this.#placesOf(trigger)) place.delete(trigger);
  }

  *#placesOf(trigger: T): Iterable<[IndexPlace<T>, EventRole]> {
    const { expect, after } = trigger.compiled;
    for (const pattern of expect.length === 0 ? [compileGlob("*")] : expect) {
      for (const place of placesIn(this.#bucketOf(pattern), trigger.compiled)) yield [place, expectedOnly];
    }
    for (const pattern of after) {
      for (const place of placesIn(this.#bucketOf(pattern), trigger.compiled)) yield [place, afterOnly];
    }
  }

  #bucketOf(pattern: Glob): Bucket<T> {
    if (pattern.literal !== null)
      return getOrCreate(this.#byName, pattern.literal, () => new Bucket<T>(pattern));
    const { prefix } = pattern;
    this.#prefixLengths.add(prefix.length);
    const buckets = getOrCreate(this.#byPrefix, prefix, () => new Map<string, Bucket<T>>());
    return getOrCreate(buckets, pattern.pattern, () => new Bucket<T>(pattern));
  }

  #bucketsFor(name: string): Bucket<T>[] {
    const exact = this.#byName.get(name);
    const buckets = exact === undefined ? [] : [exact];
    if (name === canaryEventName) return buckets;
    for (const length of this.#prefixLengths) {
      if (length > name.length) continue;
      for (const bucket of this.#byPrefix.get(name.slice(0, length))?.values() ?? []) {
        if (bucket.glob.matches(name)) buckets.push(bucket);
      }
    }
    return buckets;
  }
}

const expectedOnly: EventRole = { expected: true, after: false };
const afterOnly: EventRole = { expected: false, after: true };

function both(a: EventRole, b: EventRole): EventRole {
  return { expected: a.expected || b.expected, after: a.after || b.after };
}

function placesIn<T>(bucket: Bucket<T>, { match, related }: CompiledEventTrigger): IndexPlace<T>[] {
  const own = pinOf(match);
  const pin = own ?? related.map(pinOf).find((condition) => condition !== null) ?? null;
  if (pin === null) return [bucket.unpinned];
  const byLabel = own === null ? bucket.byRelatedLabel : bucket.byLabel;
  const byValue = getOrCreate(byLabel, pin.label, () => new Map<string, IndexPlace<T>>());
  return pin.patterns.map(({ literal }) =>
    getOrCreate(byValue, literal ?? "", () => new Map<T, EventRole>()),
  );
}

/** A condition that only plain, non-empty values meet; preferably the one on the resource's id. */
function pinOf(specification: readonly LabelCondition[]): LabelCondition | null {
  const pins = specification.filter(
    ({ patterns }) =>
      patterns.length > 0 && patterns.every(({ literal }) => literal !== null && literal !== ""),
  );
  return pins.find(({ label }) => label === "prefect.resource.id") ?? pins[0] ?? null;
}

function getOrCreate<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const created = create();
  map.set(key, created);
  return created;
}
