/** Warnings about triggers that forget too soon, or never. */

import { rememberDefault } from "../core/model/limits.ts";
import { Schedule } from "../core/model/schedule.ts";
import { formatDuration, type Micros, parseTime, second } from "../core/model/time.ts";
import { longestWindow } from "../core/model/trigger.ts";
import { alwaysWithin } from "./pattern-search.ts";
import { type CompositePart, type EventPart, isAlwaysOpen, leavesOf, type TriggerPart } from "./triggers.ts";
import { quoted, type TriggerFinding } from "./warning.ts";

export function findMemoryMistakes(part: TriggerPart): TriggerFinding[] {
  return part.kind === "event"
    ? [
        ...findShortWithin(part),
        ...findKeptForever(part),
        ...findExpectedForever(part),
        ...findForgottenKeys(part),
      ]
    : [
        ...findInstant(part),
        ...findKeptByComposite(part),
        ...findForgettingTooSoon(part),
        ...findGuards(part),
      ];
}

function findShortWithin({ compiled, definition, path }: EventPart): TriggerFinding[] {
  const { within, lateness } = compiled;
  // The server may change the default, so it does not make a short burst a mistake.
  if (within === 0 || within >= lateness) return [];
  if (definition.posture === "Reactive" && definition.lateness === undefined) return [];
  const means =
    definition.posture === "Proactive"
      ? "waiting for delayed events takes longer than the window itself"
      : "events may be delayed by more than a whole window";
  const reason = `within (${formatDuration(within)}) is shorter than the lateness (${formatDuration(lateness)}): ${means}`;
  return [
    { code: "TL401", path: [...path, "within"], reason, fix: "give a shorter lateness, or a longer within" },
  ];
}

function findKeptForever(part: EventPart): TriggerFinding[] {
  const { compiled, definition, labels, path } = part;
  const { within, threshold } = compiled;
  if (definition.posture === "Proactive" || within !== 0 || !isUnbounded([part], labels)) return [];
  const hasAfter = compiled.after.length > 0;
  if (!hasAfter && threshold === 1) return [];
  const kept = hasAfter ? "an open window" : "a count";
  const reason = `without within, ${kept} is kept for every value of ${listOf(labels)} until it fires, however long that takes`;
  return [
    {
      code: "TL402",
      path: [...path, "for_each"],
      reason,
      fix: "give within, after which a key is forgotten",
    },
  ];
}

function findKeptByComposite(part: CompositePart): TriggerFinding[] {
  const { definition, labels, requiredCount, path } = part;
  if (definition.within !== null || requiredCount === 1 || !isUnbounded(leavesOf(part), labels)) return [];
  const reason = `with within: null, what has fired is remembered for every value of ${listOf(labels)} until the rest fires, however long that takes`;
  return [
    {
      code: "TL402",
      path: [...path, "within"],
      reason,
      fix: "give within, after which a firing is forgotten",
    },
  ];
}

/** False when `match` restricts each label of the key to plain values, in all of the triggers. */
function isUnbounded(parts: readonly EventPart[], labels: readonly string[]): boolean {
  if (labels.length === 0) return false;
  const isPinned = ({ compiled }: EventPart, label: string): boolean =>
    compiled.match.some(
      (condition) => condition.label === label && condition.patterns.every(({ literal }) => literal !== null),
    );
  return parts.some((part) => labels.some((label) => label.startsWith("related:") || !isPinned(part, label)));
}

function findExpectedForever(part: EventPart): TriggerFinding[] {
  if (!isAlwaysOpen(part)) return [];
  const passing = part.labels.find((label) => isPassing(label, part));
  if (passing === undefined) return [];
  const reason = `once seen, each value of ${quoted(passing)} is expected to keep coming forever, but it looks like a value that does not come back`;
  const fix = "open the window with an event in after, or use a label whose values stay";
  return [{ code: "TL403", path: [...part.path, "for_each"], reason, fix }];
}

/** Names of labels whose value changes with each run, request or event, rather than with each machine, service or job. */
const passing =
  "(?:(?:flow|task|job)[-_]?)?run|event|request|trace|span|session|invocation|order|message|transaction|execution|correlation|attempt|uuid";
const passingLabel = new RegExp(`(?:^|[.:_-])(?:${passing})(?:[._-]?(?:id|uuid|number|key))?$`, "i");
const passingRole = new RegExp(`^related:(?:${passing}):prefect\\.resource\\.(?:id|name)$`, "i");
const passingPrefix = new RegExp(`(?:^|[.])(?:${passing})[./:-]`, "i");

function isPassing(label: string, { compiled }: EventPart): boolean {
  if (label.startsWith("related:")) return passingRole.test(label);
  if (!label.startsWith("prefect.resource.")) return passingLabel.test(label);
  if (label !== "prefect.resource.id") return false;
  const ids = compiled.match.find((condition) => condition.label === label)?.patterns ?? compiled.expect;
  return ids.length > 0 && ids.every(({ literal, prefix }) => passingPrefix.test(literal ?? prefix));
}

/** Keys that a schedule expects at each tick, and that it has forgotten when the next one comes. */
function findForgottenKeys({ definition, labels, path }: EventPart): TriggerFinding[] {
  const { schedule, posture } = definition;
  if (schedule === undefined || posture === "Reactive" || labels.length === 0) return [];
  const remember = schedule.remember === undefined ? rememberDefault : Math.round(schedule.remember * second);
  const apart = longestPauseOf(schedule.cron);
  if (apart <= remember + longestWindow(definition) * second) return [];
  const reason = `a key is remembered for ${formatDuration(remember)}, and ticks are up to ${formatDuration(apart)} apart: a key that is seen only around a tick is forgotten before the next one, so its absence goes unnoticed`;
  const fix = `set remember in schedule to more than ${formatDuration(apart)}`;
  return [{ code: "TL406", path: [...path, "schedule", "remember"], reason, fix }];
}

/** The longest time between two ticks, ignoring daylight saving, which would not make a rule wrong. */
function longestPauseOf(cron: string): Micros {
  const ticks = new Schedule(cron, "UTC");
  let longest = 0;
  let last = ticks.next(someNewYear);
  for (let count = 0; last !== null && count < tickCountMax; count++) {
    const next = ticks.next(last);
    if (next !== null) longest = Math.max(longest, next - last);
    last = next;
  }
  return longest;
}

const someNewYear = parseTime("2026-01-01T00:00:00Z") ?? 0;
const tickCountMax = 50; // a year of weekly ticks

function findInstant({ definition, requiredCount, path }: CompositePart): TriggerFinding[] {
  if (definition.within === null || Math.round(definition.within * second) > 0 || requiredCount === 1)
    return [];
  const reason = "within is 0: the children must fire in the same microsecond";
  const fix = "set within to the time that may lie between them, or to null for no limit";
  return [{ code: "TL404", path: [...path, "within"], reason, fix }];
}

/**
 * "This, and not that": a silence fires at the moment at which its window ends, and not while it lasts. Without `after`, that
 * moment has nothing to do with the other events.
 */
function findGuards({ definition, children, requiredCount, path }: CompositePart): TriggerFinding[] {
  if (requiredCount < children.length) return [];
  const isReactive = (child: TriggerPart): boolean =>
    child.kind === "event" && child.definition.posture === "Reactive";
  return children.flatMap((child, index): TriggerFinding[] => {
    if (child.kind !== "event" || !isAlwaysOpen(child)) return [];
    const before = definition.type === "sequence" ? children.slice(0, index) : children;
    const isTooShort =
      definition.within !== null && Math.round(definition.within * second) < child.compiled.within;
    if (!before.some(isReactive) || (definition.type === "compound" && !isTooShort)) return [];
    const length = formatDuration(child.compiled.within);
    const reason = `triggers[${index}] fires once for every ${length} without its events, at the moment at which these end, and not as long as the silence lasts: whether that is close enough to the other triggers is a matter of chance`;
    const fix =
      definition.type === "sequence"
        ? "name the event of the step before in its after, so that the silence begins there"
        : `begin the silence with an event, by naming it in after; or set the composite's within to at least ${length}`;
    return [{ code: "TL409", path: [...path, "triggers", index], reason, fix }];
  });
}

/** An absence is known only when its window ends. The event that opened the window must still be remembered then. */
function findForgettingTooSoon({
  definition,
  children,
  requiredCount,
  path,
}: CompositePart): TriggerFinding[] {
  const { within } = definition;
  if (within === null || requiredCount < children.length) return [];
  for (const absence of children) {
    if (absence.kind !== "event" || absence.definition.posture === "Reactive") continue;
    const { after, within: window } = absence.compiled;
    if (after.length === 0 || Math.round(within * second) >= window) continue;
    const opener = children.find(
      (child) =>
        child.kind === "event" &&
        child.definition.posture === "Reactive" &&
        child.compiled.after.length === 0 &&
        child.compiled.expect.length > 0 &&
        child.compiled.expect.every((pattern) => alwaysWithin(pattern, after)),
    );
    if (opener === undefined) continue;
    const [first, last] = [children.indexOf(opener), children.indexOf(absence)];
    const reason = `within (${formatDuration(within * second)}) is shorter than the window of triggers[${last}] (${formatDuration(window)}): when the window ends, the event of triggers[${first}] that opened it has been forgotten`;
    const fix = `set within to at least ${formatDuration(window)}, or remove triggers[${first}], because after already names its events`;
    return [{ code: "TL405", path: [...path, "within"], reason, fix }];
  }
  return [];
}

function listOf(labels: readonly string[]): string {
  return labels.map(quoted).join(" and ");
}
