/** Automations that react to their own consequences, directly or through others. */

import { finishAtOnce } from "../core/model/steps.ts";
import {
  automationsIn,
  type CompiledRule,
  isCovered,
  type PossibleEvent,
  possibleEvents,
} from "./consequences.ts";
import { isTooWide } from "./matching.ts";
import { TriggerFinder } from "./trigger-finder.ts";
import { type Finding, quoted } from "./warning.ts";

/** The automation `from` causes `event`, and the automation `to` reacts to it. */
export interface Link {
  readonly from: number;
  readonly to: number;
  readonly event: PossibleEvent;
}

/** Which automations can trigger which others. */
export interface Reactions {
  readonly rules: readonly CompiledRule[];
  /** By the index of the automation that they start from. */
  readonly links: readonly (readonly Link[])[];
  /** False if there was more to look at than allowed: the links of some automations are then missing. */
  readonly isComplete: boolean;
}

/** How much to look at. A command takes as long as it takes; a server has other things to do. */
export interface ReactionBounds {
  readonly linksMax: number;
  /** How many events are compared with triggers. */
  readonly comparisonsMax: number;
  /** Asked between two steps: whether it has taken too long. */
  readonly isOver: () => boolean;
}

/**
 * Finds which automations can trigger which others.
 *
 * @param comparisonsMax how many events may be compared with triggers: automations that all react to each other are as many
 *   links as there are pairs of them
 * @returns null if that was not enough
 */
export function reactionsAmong(rules: readonly CompiledRule[], comparisonsMax: number): Reactions | null {
  const bounds = { linksMax: Number.POSITIVE_INFINITY, comparisonsMax, isOver: () => false };
  const reactions = finishAtOnce(reactionSteps(rules, bounds));
  return reactions.isComplete ? reactions : null;
}

/** As `reactionsAmong`, in steps of some milliseconds at most. */
export function* reactionSteps(
  rules: readonly CompiledRule[],
  { linksMax, comparisonsMax, isOver }: ReactionBounds,
): Generator<void, Reactions> {
  const finder = new TriggerFinder(rules);
  const targets = automationsIn(rules);
  const links: Link[][] = [];
  let linkCount = 0;
  let comparisonCount = 0;
  for (const [from, rule] of rules.entries()) {
    const found = new Map<number, Link>();
    for (const event of possibleEvents(rule, targets)) {
      for (const { leaf, to } of yield* finder.candidateSteps(event)) {
        const isOwn = from === to;
        if (found.has(to)) continue;
        comparisonCount += 1;
        if (comparisonCount > comparisonsMax || linkCount >= linksMax || isOver())
          return { rules, links: [...links, [...found.values()]], isComplete: false };
        yield;
        if (!isCovered(event, leaf, !isOwn)) continue;
        // A trigger that matches too much has its own warning, and need not have this one as well.
        if (isOwn && isTooWide(leaf)) continue;
        found.set(to, { from, to, event });
        linkCount += 1;
      }
    }
    links.push([...found.values()]);
  }
  return { rules, links, isComplete: true };
}

/** The ids of the automations to whose firings another automation reacts. */
export function watchedIn({ rules, links }: Reactions): ReadonlySet<string> {
  const watched = links
    .flat()
    .filter(({ from, to }) => from !== to)
    .map(({ from }) => rules[from]?.automation.id ?? "");
  return new Set(watched);
}

/** A shortest loop through each automation that is part of a loop. Each loop is reported once. */
export function findLoops(reactions: Reactions): Finding[] {
  const { loops } = finishAtOnce(loopSteps(reactions, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY));
  return loops.flatMap((loop) => findingOf(loop, reactions.rules) ?? []);
}

/** What was found of the loops among automations. */
export interface FoundLoops {
  /** Each begins with the automation that comes first among the rules. */
  readonly loops: readonly (readonly Link[])[];
  /** False if there was more to look at than allowed. */
  readonly isComplete: boolean;
}

/**
 * Finds a shortest loop through each automation that is part of a loop, in short steps.
 *
 * @param loopsMax how many loops to find at most
 * @param followedMax how many links to follow at most
 */
export function* loopSteps(
  { links }: Reactions,
  loopsMax: number,
  followedMax: number,
): Generator<void, FoundLoops> {
  const found = new Map<string, readonly Link[]>();
  const partOfLoop = yield* loopedSteps(links);
  let followedLeft = followedMax;
  for (const start of partOfLoop) {
    if (found.size >= loopsMax || followedLeft <= 0) return { loops: [...found.values()], isComplete: false };
    const { circle, followedCount } = yield* circleSteps(start, links, partOfLoop, followedLeft);
    followedLeft -= followedCount;
    if (circle === null) continue;
    const first = Math.min(...circle.map(({ from }) => from));
    const firstIndex = circle.findIndex(({ from }) => from === first);
    const rotated = [...circle.slice(firstIndex), ...circle.slice(0, firstIndex)];
    const key = rotated.map(({ from }) => from).join(" ");
    if (!found.has(key)) found.set(key, rotated);
  }
  return { loops: [...found.values()], isComplete: followedLeft > 0 };
}

/** The automations that may be part of a loop: without those that nothing leads to or from, and so on. In order. */
function* loopedSteps(links: Reactions["links"]): Generator<void, ReadonlySet<number>> {
  const kept = new Set(links.keys());
  for (let before = -1; before !== kept.size; ) {
    before = kept.size;
    const reached = new Set<number>();
    for (const from of kept) {
      yield;
      const onward = (links[from] ?? []).filter(({ to }) => kept.has(to));
      if (onward.length === 0) kept.delete(from);
      for (const { to } of onward) reached.add(to);
    }
    for (const each of kept) if (!reached.has(each)) kept.delete(each);
  }
  return kept;
}

function* circleSteps(
  start: number,
  links: Reactions["links"],
  among: ReadonlySet<number>,
  followedMax: number,
): Generator<void, { circle: readonly Link[] | null; followedCount: number }> {
  /** The link by which each automation is first reached. */
  const reachedBy = new Map<number, Link | null>([[start, null]]);
  let followedCount = 0;
  for (const current of reachedBy.keys()) {
    for (const link of links[current] ?? []) {
      yield;
      followedCount += 1;
      if (followedCount > followedMax) return { circle: null, followedCount };
      if (link.to === start) return { circle: [...pathTo(current, reachedBy), link], followedCount };
      if (among.has(link.to) && !reachedBy.has(link.to)) reachedBy.set(link.to, link);
    }
  }
  return { circle: null, followedCount };
}

function pathTo(end: number, reachedBy: ReadonlyMap<number, Link | null>): Link[] {
  const path: Link[] = [];
  for (let link = reachedBy.get(end) ?? null; link !== null; link = reachedBy.get(link.from) ?? null)
    path.push(link);
  return path.reverse();
}

function findingOf(circle: readonly Link[], rules: readonly CompiledRule[]): Finding | null {
  const automations = circle.flatMap(({ from }) => rules[from]?.automation ?? []);
  const [automation, ...others] = automations;
  if (automation === undefined) return null;
  const names = [...automations, automation].map(({ name }) => name).join(" → ");
  const steps = circle.map(({ from, event }) => `${rules[from]?.automation.name} causes ${event.shown}`);
  const reason = `it reacts to its own consequences: ${names} (${steps.join(", ")}); Tripline cuts loops, so the last reaction never happens`;
  const fix = `narrow expect or match of ${quoted(automation.name)} so that it does not match what it causes`;
  return { code: "TL301", automation, path: ["trigger"], reason, fix, others };
}
