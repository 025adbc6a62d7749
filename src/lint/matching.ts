/** Warnings about triggers that cover every event, too many events, or too few. */

import { compileGlob, type Glob, hasClass } from "../core/model/glob.ts";
import { editDistance } from "../core/model/near-miss.ts";
import { alwaysWithin, findCommonValue } from "./pattern-search.ts";
import { conditionsOf, type EventPart } from "./triggers.ts";
import { quoted, type RulePath, type TriggerFinding } from "./warning.ts";

export function findMatchingMistakes(part: EventPart): TriggerFinding[] {
  return [
    ...findMisspelledLabels(part),
    ...findPayloadConditions(part),
    ...findComparisons(part),
    ...findRegularExpressions(part),
    ...findMatchingEverything(part),
    ...findNegatedRelated(part),
    ...findMixedLists(part),
    ...findAccidentalExpectations(part),
    ...findAccidentalClasses(part),
  ];
}

/** True when the trigger covers every event, whatever its name and resources. */
function matchesEverything({ compiled }: EventPart): boolean {
  const { expect, match, related } = compiled;
  const isAny = (patterns: readonly Glob[]): boolean => alwaysWithin(anything, patterns);
  const everyName = expect.length === 0 || isAny(expect);
  const everyResource = match.every(({ label, patterns }) => label === resourceId && isAny(patterns));
  return everyName && everyResource && related.every((specification) => specification.length === 0);
}

/** True when the trigger covers too much by mistake. Its other warnings would only follow from that one. */
export function isTooWide(part: EventPart): boolean {
  return matchesEverything(part) || findMixedLists(part).length > 0;
}

function findMatchingEverything(part: EventPart): TriggerFinding[] {
  if (!matchesEverything(part) || findMixedLists(part).length > 0) return [];
  const counts =
    part.definition.posture === "Reactive"
      ? "every event counts, including Tripline's own events about this automation"
      : "any event at all meets the expectation";
  const reason = `it matches everything: ${counts}`;
  return [
    { code: "TL201", path: part.path, reason, fix: "name the events in expect, or the resources in match" },
  ];
}

const resourceId = "prefect.resource.id";
const knownLabels = [resourceId, "prefect.resource.name", "prefect.resource.role"];

function findMisspelledLabels(part: EventPart): TriggerFinding[] {
  const { definition, path } = part;
  const matched = [...conditionsOf(part)].map(({ condition, path: at }) => [condition.label, at] as const);
  const separating = definition.for_each.map(
    (label, index) => [label, [...path, "for_each", index]] as const,
  );
  const known = [...knownLabels, ...part.compiled.match.map(({ label }) => label)];
  const found: TriggerFinding[] = [];
  for (const [label, at] of [...matched, ...separating]) {
    if (/^related:[^:]*$/.test(label)) {
      const reason = `${quoted(label)} does not name a label of a related resource`;
      found.push({
        code: "TL106",
        path: at,
        reason,
        fix: `write ${label}${label.endsWith(":") ? "" : ":"}<label>`,
      });
      continue;
    }
    const meant = meantLabel(label, separating.some(([, other]) => other === at) ? known : knownLabels);
    if (meant === null) continue;
    const reason = `no event has the label ${quoted(label)} as it is spelled`;
    found.push({ code: "TL106", path: at, reason, fix: `write ${meant}` });
  }
  return found;
}

/** Conditions and keys that name a part of the event's payload, or of the event, as templates do. */
function findPayloadConditions(part: EventPart): TriggerFinding[] {
  const { definition, path } = part;
  const labels = [
    ...[...conditionsOf(part)].map(({ condition, path: at }) => [condition.label, at] as const),
    ...definition.for_each.map((label, index) => [label, [...path, "for_each", index]] as const),
  ];
  return labels.flatMap(([label, at]): TriggerFinding[] => {
    if (!/^(?:event\.)?payload[.[]|^event\.(?:resource|name|event|id|occurred)\b/.test(label)) return [];
    const reason = `${quoted(label)} is read as the name of a label of the resource, and not as a part of the event: triggers see names and labels only`;
    const fix =
      "have the sender, or the hook's template, put the value into a label of the resource, and name that label";
    return [{ code: "TL107", path: at, reason, fix }];
  });
}

/** Patterns that look like a comparison of numbers. */
function findComparisons(part: EventPart): TriggerFinding[] {
  return [...conditionsOf(part)].flatMap(({ condition, path }): TriggerFinding[] => {
    const comparison = condition.patterns.find(({ pattern }) =>
      /^(?:[<>]=?|==?|!=|≤|≥)\s*[-+]?[\d.]|^\[?-?[\d.]*\d\.\.\d/.test(pattern),
    );
    if (comparison === undefined) return [];
    const reason = `${quoted(comparison.pattern)} is a pattern for text, and not a comparison: it ${comparison.negated ? "matches every value but one that begins like this" : "matches only a value that is written exactly like this"}`;
    const fix =
      "have the sender decide, and say so in the event's name or in a label, such as level: high; then match that";
    return [{ code: "TL108", path, reason, fix }];
  });
}

/** Patterns in the language of another program: regular expressions, and braces as in a shell. */
function findRegularExpressions({ definition, path, ...part }: EventPart): TriggerFinding[] {
  const texts: (readonly [string, RulePath])[] = [
    ...definition.expect.map((text, index) => [text, [...path, "expect", index]] as const),
    ...definition.after.map((text, index) => [text, [...path, "after", index]] as const),
  ];
  for (const { condition, path: at } of conditionsOf({ definition, path, ...part }))
    for (const { pattern } of condition.patterns) texts.push([pattern, at]);
  return texts.flatMap(([text, at]): TriggerFinding[] => {
    const positive = text.startsWith("!") ? text.slice(1) : text;
    const words = alternativesOf(positive);
    if (words === null && !looksLikeExpression(positive)) return [];
    const reason = `${quoted(text)} is not a regular expression: only * (any text), ? (one character) and [ab] (one of these) have a meaning, and all else stands for itself`;
    const fix =
      words === null || text.startsWith("!")
        ? "write it with these, and several patterns as a list"
        : `list them: [${words.join(", ")}]`;
    return [{ code: "TL109", path: at, reason, fix }];
  });
}

/** The words of `prod|stage`, `(prod|stage)` or `^prod|stage$`; null for anything else. */
function alternativesOf(pattern: string): string[] | null {
  const bare = pattern.replace(/^\^/, "").replace(/\$$/, "").replace(/^\(/, "").replace(/\)$/, "");
  const words = bare.split("|");
  return words.length > 1 && words.every((word) => /^[\w*][\w.*-]*$/.test(word)) ? words : null;
}

/** True for what no name or value contains by itself. */
function looksLikeExpression(pattern: string): boolean {
  const isBetweenSlashes = /^=?~?\/.*\/i?$/.test(pattern);
  const isMarked = pattern.startsWith("^") || /^=?~[^/]/.test(pattern) || isBetweenSlashes;
  const hasOperator = /\.[*+]|\\[dws.]|[()|$+^]/.test(pattern);
  if (isMarked && (hasOperator || pattern.startsWith("^") || pattern.startsWith("=~"))) return true;
  // A group or braces with alternatives, and a class of characters that is repeated.
  return /\([\w.*-]+\||\{[\w.*-]+,[\w.*,-]*\w\}|\\[dws][+*{]|\\\.|\.\*\$$|[)\]]\+/.test(pattern);
}

/** A known label that differs only in dots, hyphens and case; for Prefect's own labels, also in one or two letters. */
function meantLabel(label: string, known: readonly string[]): string | null {
  if (known.includes(label)) return null;
  const simple = (text: string): string => text.toLowerCase().replaceAll(/[-_.\s]/g, "");
  const isNear = (candidate: string): boolean =>
    simple(candidate) === simple(label) ||
    (knownLabels.includes(candidate) && editDistance(candidate, label) <= 2);
  return known.find(isNear) ?? null;
}

/** Roles in which Prefect's and Tripline's events have at most one resource. */
const singleRoles = [
  ...["flow", "flow-run", "task-run", "deployment", "work-pool", "work-queue", "worker", "creator"],
  ...["automation", "triggering-event", "automation-triggered-event"],
];

function findNegatedRelated(part: EventPart): TriggerFinding[] {
  const found: TriggerFinding[] = [];
  for (const { condition, specification, path, related } of conditionsOf(part)) {
    const [negated] = condition.patterns.filter((pattern) => pattern.negated);
    if (!related || negated === undefined) continue;
    const role = specification.find(({ label }) => label === "prefect.resource.role");
    if (role !== condition && role?.patterns.every(({ literal }) => singleRoles.includes(literal ?? "")))
      continue;
    const reason = `${quoted(negated.pattern)} is true as soon as any related resource does not match; it does not mean that no resource matches`;
    const fix =
      "match what must be present instead; if events have at most one resource in this role, say so in a tripline-ignore comment";
    found.push({ code: "TL202", path, reason, fix });
  }
  return found;
}

function findMixedLists(part: EventPart): TriggerFinding[] {
  const { path, compiled } = part;
  const lists: { patterns: readonly Glob[]; path: RulePath }[] = [
    { patterns: compiled.expect, path: [...path, "expect"] },
    { patterns: compiled.after, path: [...path, "after"] },
    ...[...conditionsOf(part)].map(({ condition, path: at }) => ({ patterns: condition.patterns, path: at })),
  ];
  return lists.flatMap(({ patterns, path: at }) => findMixed(patterns, at));
}

/**
 * One matching pattern of a list is enough, so a negated pattern includes everything except what it names, whatever else
 * is in the list. The only useful addition is an exception to what it excludes (`!pump.*` and `pump.3`).
 */
function findMixed(patterns: readonly Glob[], path: RulePath): TriggerFinding[] {
  const negated = patterns.find((pattern) => pattern.negated);
  if (negated === undefined || patterns.length < 2) return [];
  const excluded = compileGlob(negated.pattern.slice(1));
  const isException = (pattern: Glob): boolean =>
    !pattern.negated && alwaysWithin(pattern, [excluded]) && !alwaysWithin(excluded, [pattern]);
  const others = patterns.filter((pattern) => pattern !== negated);
  if (others.every(isException)) return [];
  const matched = alwaysWithin(excluded, others)
    ? "everything"
    : `everything but ${quoted(excluded.pattern)}`;
  const reason = `one matching pattern is enough, so with ${quoted(negated.pattern)} the list matches ${matched}`;
  const fix = others.some((pattern) => !pattern.negated)
    ? "list only the values you want, without the negated pattern"
    : "a list can hold only one negated pattern; list the values you want instead";
  return [{ code: "TL203", path, reason, fix }];
}

function findAccidentalExpectations({ compiled, definition, path }: EventPart): TriggerFinding[] {
  const found: TriggerFinding[] = [];
  for (const [index, opener] of compiled.after.entries()) {
    if (definition.expect.includes(opener.pattern)) continue; // the same name in both is on purpose
    for (const expected of compiled.expect) {
      if (definition.after.includes(expected.pattern)) continue;
      const common = findCommonValue([opener], [expected]);
      if (common.kind !== "found") continue;
      const reason = `${quoted(opener.pattern)} in after and ${quoted(expected.pattern)} in expect overlap: ${quoted(common.value)} opens a window, and counts in an open one`;
      const fix = "narrow the pattern, or list the same name in both if that is what you want";
      found.push({ code: "TL204", path: [...path, "after", index], reason, fix });
      break;
    }
  }
  return found;
}

function findAccidentalClasses(part: EventPart): TriggerFinding[] {
  const { definition, path } = part;
  const texts: (readonly [string, RulePath])[] = [
    ...definition.expect.map((text, index) => [text, [...path, "expect", index]] as const),
    ...definition.after.map((text, index) => [text, [...path, "after", index]] as const),
  ];
  for (const { condition, path: at } of conditionsOf(part))
    for (const { pattern } of condition.patterns) texts.push([pattern, at]);
  return texts.flatMap(([text, at]): TriggerFinding[] => {
    const brackets = accidentalClass(text);
    if (brackets === null) return [];
    const { written, literal, example } = brackets;
    const reason = `${quoted(written)} in ${quoted(text)} is a character class: it matches one character, as in ${quoted(example)}, and not the brackets themselves`;
    return [{ code: "TL205", path: at, reason, fix: `write ${quoted(literal)} to match the brackets` }];
  });
}

/** The first class in a pattern that looks like part of a name, the pattern for it as a name, and a value that matches now. */
function accidentalClass(pattern: string): { written: string; literal: string; example: string } | null {
  if (!hasClass(pattern.startsWith("!") ? pattern.slice(1) : pattern)) return null;
  for (let start = pattern.indexOf("["); start !== -1; start = pattern.indexOf("[", start + 1)) {
    if (pattern[start + 1] === "]" || pattern[start + 1] === "!") continue;
    const end = pattern.indexOf("]", start + 2);
    if (end === -1) return null;
    const written = pattern.slice(start, end + 1);
    const inside = written.slice(1, -1);
    const before = pattern.slice(0, start);
    const after = pattern.slice(end + 1);
    start = end;
    if (!looksLikeName(inside, before) && !looksLikeWord(inside, before, after)) continue;
    const example = `${before.replace(/^!/, "")}${[...inside][0]}${after}`;
    return { written, literal: `${before}[[]${inside}]${after}`, example };
  }
  return null;
}

/** True for an unusual class: a single character, a duplicate, unsorted characters, or digits right after a letter (`run[12]`). */
function looksLikeName(inside: string, before: string): boolean {
  const ranges = [...inside.matchAll(/[a-z]-[a-z]|[A-Z]-[A-Z]|\d-\d/g)].map(([range]) => range);
  const singles = [...ranges.reduce((rest, range) => rest.replace(range, ""), inside)];
  const [first = ""] = singles;
  if (singles.length === 1 && ranges.length === 0) return !"*?[".includes(first);
  const isInRange = (single: string): boolean =>
    ranges.some(([low, , high]) => low! <= single && single <= high!);
  if (new Set(singles).size < singles.length || singles.some(isInRange)) return true;
  const plain = singles
    .filter((single) => /[\p{L}\p{N}]/u.test(single))
    .map((single) => single.toLowerCase());
  const isUnordered = plain.some((single, at) => at > 0 && single < (plain[at - 1] ?? ""));
  const isNumber = /^\d+$/.test(inside);
  return (isUnordered && (isNumber || plain.length >= 3)) || (isNumber && /\p{L}$/u.test(before));
}

/** True for letters right after a name and before a separator or the end: `orders[eu]`, but not `row[ab]` or `o[nf]*`. */
function looksLikeWord(inside: string, before: string, after: string): boolean {
  if (!/^\p{L}{2,}$/u.test(inside) || !/[\p{L}\p{N}]$/u.test(before) || !/^([-_.:/]|$)/.test(after))
    return false;
  const codes = [...inside].map((letter) => letter.codePointAt(0) ?? 0);
  return codes.some((code, index) => index > 0 && code !== (codes[index - 1] ?? 0) + 1);
}

const anything = compileGlob("*");
