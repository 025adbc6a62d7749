/** Finds the event triggers that may cover an event among thousands, by its name and the id of its resource. */

import type { CompiledRule, PossibleEvent } from "./consequences.ts";
import { type EventPart, leavesOf } from "./triggers.ts";

/** An event trigger, and the index of the rule that it belongs to. */
interface Leaf {
  readonly leaf: EventPart;
  readonly to: number;
  /** Its place among all, so that what is found by several ways stays in order. */
  readonly order: number;
}

/** The triggers for events of one name, by the resource that they name. */
interface LeavesByResource {
  readonly named: ReadonlyMap<string, readonly Leaf[]>;
  readonly ofAnyResource: readonly Leaf[];
}

/** All automations cause events with these few names; the names of others are nearly all different. */
const isShared = (name: string): boolean => name.startsWith("prefect-cloud.automation.");

export class TriggerFinder {
  readonly #all: readonly Leaf[];
  /** Triggers by each name that they name. */
  readonly #byName = new Map<string, Leaf[]>();
  /** Triggers by the beginning of each pattern that they name; and by nothing, where any beginning may match. */
  readonly #byPrefix = new Map<string, Leaf[]>();
  readonly #prefixLengths: readonly number[];
  readonly #shared = new Map<string, LeavesByResource>();

  constructor(rules: readonly CompiledRule[]) {
    const found = rules.flatMap(({ part }, to) => leavesOf(part).map((leaf) => ({ leaf, to })));
    this.#all = found.map((each, order) => ({ ...each, order }));
    for (const each of this.#all) {
      const { expect, after } = each.leaf.compiled;
      if (expect.length === 0) addTo(this.#byPrefix, "", each);
      for (const { literal, prefix } of [...expect, ...after]) {
        if (literal === null) addTo(this.#byPrefix, prefix, each);
        else addTo(this.#byName, literal, each);
      }
    }
    this.#prefixLengths = [...new Set([...this.#byPrefix.keys()].map(({ length }) => length))];
  }

  /** The triggers that neither the event's name nor the id of its resource rules out, in the order of the rules. */
  *candidateSteps({ name, resource }: PossibleEvent): Generator<void, readonly Leaf[]> {
    if (name.kind !== "written") return this.#all;
    if (!isShared(name.value)) return yield* this.#named(name.value);
    const known = this.#shared.get(name.value) ?? divided(yield* this.#named(name.value));
    this.#shared.set(name.value, known);
    const id = resource.labels.get("prefect.resource.id");
    const { named, ofAnyResource } = known;
    if (id?.kind !== "written") return inOrder([...[...named.values()].flat(), ...ofAnyResource]);
    return inOrder([...(named.get(id.value) ?? []), ...ofAnyResource]);
  }

  *#named(name: string): Generator<void, readonly Leaf[]> {
    const found = [...(this.#byName.get(name) ?? [])];
    for (const length of this.#prefixLengths) {
      if (length > name.length) continue;
      for (const each of this.#byPrefix.get(name.slice(0, length)) ?? []) {
        yield;
        if (isNamed(name, each.leaf)) found.push(each);
      }
    }
    return inOrder(found);
  }
}

function isNamed(name: string, { compiled: { expect, after } }: EventPart): boolean {
  if (expect.length === 0) return true;
  return [...expect, ...after].some((pattern) => name.startsWith(pattern.prefix) && pattern.matches(name));
}

function divided(leaves: readonly Leaf[]): LeavesByResource {
  const named = new Map<string, Leaf[]>();
  const ofAnyResource: Leaf[] = [];
  for (const each of leaves) {
    const condition = each.leaf.compiled.match.find(({ label }) => label === "prefect.resource.id");
    const ids = new Set(condition?.patterns.map(({ literal }) => literal));
    if (ids.size === 0 || ids.has(null)) ofAnyResource.push(each);
    else for (const id of ids) addTo(named, id ?? "", each);
  }
  return { named, ofAnyResource };
}

/** In order, and each once. */
function inOrder(leaves: readonly Leaf[]): readonly Leaf[] {
  return [...new Set(leaves)].sort((a, b) => a.order - b.order);
}

function addTo(lists: Map<string, Leaf[]>, key: string, leaf: Leaf): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [leaf]);
  else if (list.at(-1) !== leaf) list.push(leaf);
}
