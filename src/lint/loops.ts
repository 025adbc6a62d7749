/** Automations that react to their own consequences, directly or through others. */

import { isCovered, type PossibleEvent, possibleEvents, type Ruled } from "./consequences.ts";
import { isTooWide } from "./matching.ts";
import { type EventPart, leavesOf } from "./triggers.ts";
import { type Finding, quoted } from "./warning.ts";

/** Automation `from` causes `event`, to which `to` reacts. */
interface Link {
  readonly from: number;
  readonly to: number;
  readonly event: PossibleEvent;
}

/** Which automations' events can trigger which. */
export interface Reactions {
  readonly rules: readonly Ruled[];
  /** By the automation that they come from. */
  readonly links: readonly (readonly Link[])[];
}

export function reactionsAmong(rules: readonly Ruled[]): Reactions {
  const leaves = rules.flatMap(({ part }, to) => leavesOf(part).map((leaf) => ({ leaf, to })));
  const byName = new Map<string, typeof leaves>();
  /** Those that the event's name does not rule out: among thousands of rules, a few. */
  const candidatesFor = ({ name }: PossibleEvent): typeof leaves => {
    if (name.kind !== "written") return leaves;
    const known = byName.get(name.value) ?? leaves.filter(({ leaf }) => isNamed(name.value, leaf));
    byName.set(name.value, known);
    return known;
  };
  const links = rules.map((rule, from) => {
    const found = new Map<number, Link>();
    for (const event of possibleEvents(rule, rules)) {
      for (const { leaf, to } of candidatesFor(event)) {
        const isOwn = from === to;
        if (found.has(to) || !isCovered(event, leaf, !isOwn)) continue;
        // That a trigger which is too wide sees its own doings, too, is no news.
        if (!isOwn || !isTooWide(leaf)) found.set(to, { from, to, event });
      }
    }
    return [...found.values()];
  });
  return { rules, links };
}

function isNamed(name: string, { compiled: { expect, after } }: EventPart): boolean {
  if (expect.length === 0) return true;
  return [...expect, ...after].some((pattern) => name.startsWith(pattern.prefix) && pattern.matches(name));
}

/** The automations, by their ids, to whose firings another one reacts. */
export function watchedIn({ rules, links }: Reactions): ReadonlySet<string> {
  const watched = links
    .flat()
    .filter(({ from, to }) => from !== to)
    .map(({ from }) => rules[from]?.automation.id ?? "");
  return new Set(watched);
}

/** A shortest circle through each automation that is in one; each circle once. */
export function findLoops({ rules, links }: Reactions): Finding[] {
  const found = new Map<string, Finding>();
  for (const start of rules.keys()) {
    const circle = circleThrough(start, links);
    if (circle === null) continue;
    const first = Math.min(...circle.map(({ from }) => from));
    const turn = circle.findIndex(({ from }) => from === first);
    const turned = [...circle.slice(turn), ...circle.slice(0, turn)];
    const key = turned.map(({ from }) => from).join(" ");
    const finding = findingOf(turned, rules);
    if (!found.has(key) && finding !== null) found.set(key, finding);
  }
  return [...found.values()];
}

function circleThrough(start: number, links: Reactions["links"]): readonly Link[] | null {
  /** By which link each automation is first reached. */
  const reachedBy = new Map<number, Link | null>([[start, null]]);
  for (const at of reachedBy.keys()) {
    for (const link of links[at] ?? []) {
      if (link.to === start) return [...wayTo(at, reachedBy), link];
      if (!reachedBy.has(link.to)) reachedBy.set(link.to, link);
    }
  }
  return null;
}

function wayTo(end: number, reachedBy: ReadonlyMap<number, Link | null>): Link[] {
  const way: Link[] = [];
  for (let link = reachedBy.get(end) ?? null; link !== null; link = reachedBy.get(link.from) ?? null)
    way.unshift(link);
  return way;
}

function findingOf(circle: readonly Link[], rules: readonly Ruled[]): Finding | null {
  const automations = circle.map(({ from }) => rules[from]?.automation).filter((one) => one !== undefined);
  const [automation, ...others] = automations;
  if (automation === undefined) return null;
  const names = [...automations, automation].map(({ name }) => name).join(" → ");
  const steps = circle.map(({ from, event }) => `${rules[from]?.automation.name} causes ${event.shown}`);
  const reason = `it reacts to its own consequences: ${names} (${steps.join(", ")}); Tripline cuts such loops, so the last reaction never happens`;
  const fix = `narrow expect or match of ${quoted(automation.name)} so that it does not match what it causes`;
  return { code: "TL301", automation, path: ["trigger"], reason, fix, others };
}
