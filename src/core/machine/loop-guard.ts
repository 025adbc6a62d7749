/**
 * The loop guard: keeps consequences from causing further consequences without end.
 *
 * Every event that a firing causes carries its lineage: first the root, which is the event from outside (or the silence)
 * that started the chain, then the automations whose firings lie in between. An automation never reacts to what its own
 * firing caused. That alone ends every loop, but not soon: a hundred rules that match everything would still react to
 * each other in every possible order. So the number of firings for the consequences of one root is limited, for each
 * automation and for all together. Once the limit is reached, further events with that root are skipped.
 */

import {
  consequencesPerAutomationMax,
  consequencesPerRootMax,
  lineageLengthMax,
  ownConsequencesMax,
  seenFor,
} from "../model/limits.ts";
import type { Micros } from "../model/time.ts";
import { type Deadline, rank, type Waiter } from "./deadlines.ts";
import type { Cells } from "./state.ts";

const rootMark = "root:";

/** The automations in a lineage, oldest first. */
export function automationsIn(lineage: readonly string[]): string[] {
  return lineage.filter((step) => !step.startsWith(rootMark));
}

/** The lineage of the events that a firing causes. @param rootId the root, used if `causes` has none */
export function lineageAfter(causes: readonly string[], rootId: string, automationId: string): string[] {
  const root = causes.find((step) => step.startsWith(rootMark)) ?? `${rootMark}${rootId}`;
  return [root, ...automationsIn(causes).filter((id) => id !== automationId), automationId];
}

/** What the consequences of one event from outside have caused in a shard. */
export interface Consequences {
  latest: Micros;
  firingCount: number;
  /** Firings by automation. */
  firingCounts: Record<string, number>;
  /** The automations that have been reported as held back. The stored state has this name, so it stays. */
  told: string[];
}

export class LoopGuard {
  readonly #cells: Cells;
  readonly #await: (waiter: Waiter, deadline: Deadline) => void;
  readonly #byRoot = new Map<string, Consequences>();

  constructor(cells: Cells, awaitDeadline: (waiter: Waiter, deadline: Deadline) => void) {
    this.#cells = cells;
    this.#await = awaitDeadline;
  }

  /** True when nothing fires anymore for an event of this lineage. */
  isUsedUp(lineage: readonly string[]): boolean {
    const [root] = lineage;
    return root !== undefined && (this.#byRoot.get(root)?.firingCount ?? 0) >= consequencesPerRootMax;
  }

  /** True when an automation may react to an event of this lineage. */
  admits(automationId: string, lineage: readonly string[]): boolean {
    const [root] = lineage;
    if (root === undefined) return true;
    const automations = automationsIn(lineage);
    const ownCount = automations.filter((id) => id === automationId).length;
    if (ownCount > ownConsequencesMax || automations.length >= lineageLengthMax) return false;
    if (this.isUsedUp(lineage)) return false;
    return (this.#byRoot.get(root)?.firingCounts[automationId] ?? 0) < consequencesPerAutomationMax;
  }

  /** Counts a firing of an automation for an event of this lineage. */
  countFiring(automationId: string, lineage: readonly string[], at: Micros): void {
    const [root] = lineage;
    if (root === undefined) return;
    const consequences = this.#consequencesOf(root, at);
    consequences.firingCount++;
    consequences.firingCounts[automationId] = (consequences.firingCounts[automationId] ?? 0) + 1;
    this.#cells.write(`l:${root}`, () => JSON.stringify(consequences));
  }

  /** Records that an automation was held back. @returns true the first time for a root: then it has to be reported */
  holdBack(automationId: string, lineage: readonly string[], at: Micros): boolean {
    const [root = ""] = lineage;
    const consequences = this.#consequencesOf(root, at);
    if (consequences.told.includes(automationId)) return false;
    consequences.told.push(automationId);
    this.#cells.write(`l:${root}`, () => JSON.stringify(consequences));
    return true;
  }

  #consequencesOf(root: string, at: Micros): Consequences {
    const known = this.#byRoot.get(root);
    if (known !== undefined) {
      known.latest = at;
      return known;
    }
    const begun: Consequences = { latest: at, firingCount: 0, firingCounts: {}, told: [] };
    this.#keep(root, begun);
    return begun;
  }

  restore(root: string, json: string): void {
    this.#keep(root, JSON.parse(json) as Consequences);
  }

  #keep(root: string, consequences: Consequences): void {
    this.#byRoot.set(root, consequences);
    const due = consequences.latest + seenFor;
    const meet = (): void => {
      if (consequences.latest + seenFor > due) this.#keep(root, consequences);
      else {
        this.#byRoot.delete(root);
        this.#cells.write(`l:${root}`, null);
      }
    };
    this.#await({ place: root, meet }, { due, rank: rank.forget, order: 0, key: "" });
  }
}

/** Divides what shards have counted for one root among other shards. A shard has no entry if none of its automations counts. */
export function divideConsequences(
  parts: readonly Consequences[],
  shardOf: (automationId: string) => number,
): Map<number, Consequences> {
  const divided = new Map<number, Consequences>();
  for (const { latest, firingCounts, told } of parts) {
    const ofShard = (automationId: string): Consequences => {
      const shard = shardOf(automationId);
      const known = divided.get(shard) ?? { latest, firingCount: 0, firingCounts: {}, told: [] };
      known.latest = Math.max(known.latest, latest);
      divided.set(shard, known);
      return known;
    };
    for (const [id, count] of Object.entries(firingCounts)) {
      const consequences = ofShard(id);
      consequences.firingCounts[id] = count;
      consequences.firingCount += count;
    }
    for (const id of told) ofShard(id).told.push(id);
  }
  return divided;
}
