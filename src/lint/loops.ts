/** Automations that react to their own consequences, directly or through others. */

import { type CompiledRule, isCovered, type PossibleEvent, possibleEvents } from "./consequences.ts";
import { isTooWide } from "./matching.ts";
import { type EventPart, leavesOf } from "./triggers.ts";
import { type Finding, quoted } from "./warning.ts";

/** The automation `from` causes `event`, and the automation `to` reacts to it. */
interface Link {
  readonly from: number;
  readonly to: number;
  readonly event: PossibleEvent;
}

/** Which automations can trigger which others. */
export interface Reactions {
  readonly rules: readonly CompiledRule[];
  /** By the index of the automation that they start from. */
  readonly links: readonly (readonly Link[])[];
}

/**
 * Finds which automations can trigger which others, in short steps.
 *
 * @param comparisonsMax how many events may be compared with triggers: automations that all react to each other are as many
 *   links as there are pairs of them
 * @returns null if that was not enough
 */
export function* reactionsInSteps(
  rules: readonly CompiledRule[],
  comparisonsMax = Number.POSITIVE_INFINITY,
): Generator<void, Reactions | null> {
  const leaves = rules.flatMap(({ part }, to) => leavesOf(part).map((leaf) => ({ leaf, to })));
  const byName = new Map<string, typeof leaves>();
  /** The triggers that the event's name does not rule out: a few among thousands of rules. */
  const candidatesFor = ({ name }: PossibleEvent): typeof leaves => {
    if (name.kind !== "written") return leaves;
    const known = byName.get(name.value) ?? leaves.filter(({ leaf }) => isNamed(name.value, leaf));
    byName.set(name.value, known);
    return known;
  };
  const links: Link[][] = [];
  let comparisonCount = 0;
  for (const [from, rule] of rules.entries()) {
    yield;
    const found = new Map<number, Link>();
    for (const event of possibleEvents(rule, rules)) {
      for (const { leaf, to } of candidatesFor(event)) {
        if (++comparisonCount > comparisonsMax) return null;
        if (comparisonCount % comparisonsPerStep === 0) yield;
        const isOwn = from === to;
        if (found.has(to) || !isCovered(event, leaf, !isOwn)) continue;
        // A trigger that matches too much has its own warning, and need not have this one as well.
        if (!isOwn || !isTooWide(leaf)) found.set(to, { from, to, event });
      }
    }
    links.push([...found.values()]);
  }
  return { rules, links };
}

/** So many take a few milliseconds. */
const comparisonsPerStep = 200;

function isNamed(name: string, { compiled: { expect, after } }: EventPart): boolean {
  if (expect.length === 0) return true;
  return [...expect, ...after].some((pattern) => name.startsWith(pattern.prefix) && pattern.matches(name));
}

/** The ids of the automations to whose firings another automation reacts. */
export function watchedIn({ rules, links }: Reactions): ReadonlySet<string> {
  const watched = links
    .flat()
    .filter(({ from, to }) => from !== to)
    .map(({ from }) => rules[from]?.automation.id ?? "");
  return new Set(watched);
}

/** Finds a shortest loop through each automation that is part of a loop, in short steps. Each loop is reported once. */
export function* loopsInSteps({ rules, links }: Reactions): Generator<void, Finding[]> {
  const found = new Map<string, Finding>();
  for (const start of rules.keys()) {
    yield;
    const circle = circleThrough(start, links);
    if (circle === null) continue;
    const first = Math.min(...circle.map(({ from }) => from));
    const firstIndex = circle.findIndex(({ from }) => from === first);
    const rotated = [...circle.slice(firstIndex), ...circle.slice(0, firstIndex)];
    const key = rotated.map(({ from }) => from).join(" ");
    const finding = findingOf(rotated, rules);
    if (!found.has(key) && finding !== null) found.set(key, finding);
  }
  return [...found.values()];
}

function circleThrough(start: number, links: Reactions["links"]): readonly Link[] | null {
  /** The link by which each automation is first reached. */
  const reachedBy = new Map<number, Link | null>([[start, null]]);
  for (const current of reachedBy.keys()) {
    for (const link of links[current] ?? []) {
      if (link.to === start) return [...pathTo(current, reachedBy), link];
      if (!reachedBy.has(link.to)) reachedBy.set(link.to, link);
    }
  }
  return null;
}

function pathTo(end: number, reachedBy: ReadonlyMap<number, Link | null>): Link[] {
  const path: Link[] = [];
  for (let link = reachedBy.get(end) ?? null; link !== null; link = reachedBy.get(link.from) ?? null)
    path.unshift(link);
  return path;
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
