/** What a server shows of its automations as a whole: which set off which others, and which can never fire. */

import type { Automation } from "../core/model/automation.ts";
import type { Micros } from "../core/model/time.ts";
import type { CompiledRule } from "./consequences.ts";
import { type FoundLoops, loopSteps, type Reactions, reactionSteps } from "./loops.ts";
import { neverReason } from "./never.ts";
import { partOf } from "./triggers.ts";

export interface ReactionMap extends Omit<Reactions, "isComplete">, FoundLoops {
  /** By the index of the automation: why it can never fire; null if it can. */
  readonly neverFires: readonly (string | null)[];
}

export interface MapBounds {
  readonly linksMax: number;
  readonly loopsMax: number;
  /** Asked between two steps: whether it has taken too long. */
  readonly isOver: () => boolean;
}

/** A comparison takes about a microsecond. */
const comparisonsMax = 3_000_000;
const followedMax = 3_000_000;

/**
 * Maps the automations, in steps of some milliseconds.
 *
 * @param latenessDefault the server's lateness for triggers that set none
 * @returns what was found; not complete if there was more than the bounds allow
 */
export function* mapSteps(
  automations: readonly Automation[],
  latenessDefault: Micros,
  { linksMax, loopsMax, isOver }: MapBounds,
): Generator<void, ReactionMap> {
  const rules: CompiledRule[] = [];
  const neverFires: (string | null)[] = [];
  for (const automation of automations) {
    yield;
    const part = partOf(automation.trigger, latenessDefault);
    rules.push({ automation, part });
    yield;
    neverFires.push(isOver() ? null : neverReason(part));
  }
  const reactions = yield* reactionSteps(rules, { linksMax, comparisonsMax, isOver });
  const { loops, isComplete } = yield* loopSteps(reactions, loopsMax, isOver() ? 0 : followedMax);
  return {
    rules,
    links: reactions.links,
    loops,
    neverFires,
    isComplete: reactions.isComplete && isComplete && !isOver(),
  };
}
