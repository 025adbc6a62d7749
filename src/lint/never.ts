/** Warnings about triggers that can never fire, and expectations that can never be met. */

import { type Glob, hasClass } from "../core/model/glob.ts";
import { findCommonValue, findValue } from "./pattern-search.ts";
import { type CompositePart, conditionsOf, type EventPart, leavesOf, type TriggerPart } from "./triggers.ts";
import { quoted, type TriggerFinding } from "./warning.ts";

/** True when no events can make the trigger fire. */
export function neverFires(part: TriggerPart): boolean {
  if (part.kind === "event") return !eventReach(part).fires;
  const firingCount = part.children.filter((child) => !neverFires(child)).length;
  return firingCount < part.requiredCount || conflictOf(part) !== null;
}

/** Why the trigger can never fire; null if it can, or if it has so many patterns that this is not worth knowing. */
export function neverReason(part: TriggerPart): string | null {
  if (searchedCount(part) > searchedMax || !neverFires(part)) return null;
  return findNeverFiring(part)[0]?.reason ?? null;
}

/** Each may take milliseconds, for each pattern of another child. */
const searchedMax = 10;

/** How many patterns have to be searched for values that they match. */
function searchedCount(part: TriggerPart): number {
  const isComposite = part.kind === "composite";
  return leavesOf(part).flatMap((leaf) => {
    const conditions = [...conditionsOf(leaf)].flatMap(({ condition }) => condition.patterns);
    const names = [...leaf.compiled.expect, ...leaf.compiled.after];
    const compared = isComposite ? conditions.filter(({ literal }) => literal === null) : [];
    return [...compared, ...[...conditions, ...names].filter((pattern) => !isCertainlyMet(pattern))];
  }).length;
}

/** Whether some value matches a pattern, as its form shows: only what is negated or has a class may match nothing. */
function isCertainlyMet({ literal, negated, pattern }: Glob): boolean {
  return literal !== null || (!negated && !hasClass(pattern));
}

/** Why parts of the trigger can never fire: each cause once, at its place. */
export function findNeverFiring(part: TriggerPart, root: TriggerPart = part): TriggerFinding[] {
  if (part.kind === "event") return findInEventTrigger(part, root);
  const conflict = conflictOf(part);
  const own: TriggerFinding[] = [];
  if (conflict !== null) {
    const { label, first, second } = conflict;
    const reason = `triggers[${first}] and triggers[${second}] match different values of ${quoted(label)}, which for_each separates: they never share a key, so ${consequence(part, root)}`;
    own.push({
      code: "TL104",
      path: [...part.path, "for_each"],
      reason,
      fix: `remove ${quoted(label)} from for_each, or match the same values`,
    });
  }
  return [...own, ...part.children.flatMap((child) => findNeverFiring(child, root))];
}

interface Reach {
  readonly fires: boolean;
  /** An event can be covered and expected. */
  readonly expects: boolean;
  /** The conditions on labels can be met. */
  readonly covers: boolean;
}

function eventReach(part: EventPart): Reach {
  const { definition, compiled, labels } = part;
  const covers = [...conditionsOf(part)].every(({ condition }) =>
    canBeMet(condition.patterns, condition.label),
  );
  const expects = covers && (compiled.expect.length === 0 || canBeMet(compiled.expect, null));
  const opens = covers && canBeMet(compiled.after, null);
  const isKeyed = labels.length > 0;
  if (definition.posture === "Proactive") {
    const fires = compiled.after.length > 0 ? opens : !isKeyed || expects;
    return { fires, expects, covers };
  }
  const hasAfter = compiled.after.length > 0;
  return { fires: expects && (!hasAfter || (opens && !alwaysReopens(part))), expects, covers };
}

/** True for a window without end that every expected event opens again instead of counting in it. */
function alwaysReopens({ compiled }: EventPart): boolean {
  const { expect, after, within } = compiled;
  if (within !== 0 || after.length === 0) return false;
  const counts = findValue([...expect, ...after], (matches) => {
    const isExpected = expect.length === 0 || matches.slice(0, expect.length).includes(true);
    return isExpected && !matches.slice(expect.length).includes(true);
  });
  return counts.kind === "none";
}

/** False when certainly no value matches any of the patterns. */
function canBeMet(patterns: readonly Glob[], label: string | null): boolean {
  return patterns.some((pattern) => canMatch(pattern, label));
}

function canMatch(pattern: Glob, label: string | null): boolean {
  const nonEmpty = label === "prefect.resource.id"; // every resource has one
  if (pattern.literal !== null) return !nonEmpty || pattern.literal !== "";
  if (isCertainlyMet(pattern)) return true;
  return findValue([pattern], ([matches]) => matches === true, { nonEmpty }).kind !== "none";
}

function findInEventTrigger(part: EventPart, root: TriggerPart): TriggerFinding[] {
  const { definition, compiled, path } = part;
  const { fires, expects, covers } = eventReach(part);
  const found: TriggerFinding[] = [];
  const never = fires
    ? "the expectation can never be met, and every window ends with a firing"
    : consequence(part, root);
  for (const { condition, path: at } of conditionsOf(part)) {
    const { label, patterns } = condition;
    if (patterns.length === 0) {
      const reason = `the list of values of ${quoted(label)} is empty, which matches nothing: ${never}`;
      found.push({
        code: "TL101",
        path: at,
        reason,
        fix: `list the values you want, or remove the label`,
      });
    } else if (!canBeMet(patterns, label)) {
      const reason = `no value of ${quoted(label)} matches ${listOf(patterns)}: ${never}`;
      found.push({ code: "TL102", path: at, reason, fix: "write a pattern that some value matches" });
    }
  }
  for (const [field, patterns] of [
    ["expect", compiled.expect],
    ["after", compiled.after],
  ] as const) {
    if (patterns.length === 0 || canBeMet(patterns, null)) continue;
    if (field === "expect" && fires) continue; // reported below as TL105, because the trigger does fire
    const reason = `no event's name matches ${listOf(patterns)}: ${consequence(part, root)}`;
    found.push({
      code: "TL102",
      path: [...path, field],
      reason,
      fix: "write a pattern that can match a name",
    });
  }
  if (definition.posture === "Reactive" && expects && alwaysReopens(part)) {
    const reason = `every event in expect is also in after, and without within each of them opens a new window: ${consequence(part, root)}`;
    const fix = "give within, or expect an event that after does not name";
    found.push({ code: "TL103", path: [...path, "after"], reason, fix });
  }
  if (definition.posture === "Proactive" && fires && covers && !expects) {
    const reason = `no event's name matches ${listOf(compiled.expect)}: the expectation can never be met, and every window ends with a firing`;
    found.push({
      code: "TL105",
      path: [...path, "expect"],
      reason,
      fix: "expect a name that an event can have",
    });
  }
  return found;
}

function consequence(part: TriggerPart, root: TriggerPart): string {
  return part === root ? "the trigger can never fire" : "this part of the trigger can never fire";
}

function listOf(patterns: readonly Glob[]): string {
  return patterns.map(({ pattern }) => quoted(pattern)).join(" or ");
}

/** Two required children that match different values of a label in the key. */
function conflictOf({ children, labels, requiredCount }: CompositePart): {
  label: string;
  first: number;
  second: number;
} | null {
  if (requiredCount < children.length) return null;
  for (const label of labels) {
    if (label.startsWith("related:")) continue;
    const values = children.map((child) => valuesOf(child, label));
    for (const [first, firstValues] of values.entries()) {
      for (const [offset, otherValues] of values.slice(first + 1).entries()) {
        if (firstValues === null || otherValues === null) continue;
        if (findCommonValue(firstValues, otherValues).kind !== "none") continue;
        return { label, first, second: first + 1 + offset };
      }
    }
  }
  return null;
}

/** The patterns that the label's value matches whenever the trigger fires; null when it can be anything. */
function valuesOf(part: TriggerPart, label: string): readonly Glob[] | null {
  if (part.kind === "event") {
    return part.compiled.match.find((condition) => condition.label === label)?.patterns ?? null;
  }
  const values = part.children.map((child) => valuesOf(child, label));
  if (part.requiredCount === part.children.length)
    return values.find((patterns) => patterns !== null) ?? null;
  return values.includes(null) ? null : values.flatMap((patterns) => patterns ?? []);
}
