/**
 * A trigger in plain American English, for someone who was woken up and has never seen the rule.
 *
 * docs/triggers.md defines what a trigger means; this says the same in fewer words. The sentences follow from the trigger
 * alone, so that equal triggers read the same everywhere.
 */

import { tickText } from "./describe-schedule.ts";
import { latenessDefault, rememberDefault } from "./limits.ts";
import { type Micros, second } from "./time.ts";
import {
  type CompositeTriggerDefinition,
  type EventTriggerDefinition,
  type SpecificationDefinition,
  type TriggerDefinition,
  walkTrigger,
} from "./trigger.ts";
import {
  isNegated,
  lengthText,
  listText,
  nameText,
  patternText,
  sentence,
  wildcardText,
  withArticle,
} from "./words.ts";

export interface TriggerWords {
  /** One sentence that says when it fires. */
  readonly summary: string;
  /** More sentences: what counts, what happens after a firing, how long it waits. */
  readonly details: readonly string[];
  /** For a composite: each of its triggers, in order. */
  readonly children?: readonly TriggerWords[] | undefined;
}

export interface DescribeOptions {
  /** The server's lateness, for triggers that set none; left out if it is not known. */
  readonly lateness?: Micros;
}

/** A trigger in words. Bounded, whatever the trigger: of long lists, only the beginning is written out. */
export function describeTrigger(trigger: TriggerDefinition, options: DescribeOptions = {}): TriggerWords {
  const words = wordsOf(trigger, options, true);
  const wildcards = wildcardText(patternsIn(trigger));
  return wildcards === null ? words : { ...words, details: [...words.details, wildcards] };
}

function wordsOf(trigger: TriggerDefinition, options: DescribeOptions, isRoot: boolean): TriggerWords {
  const clause = clauseOf(trigger);
  const when = trigger.type === "event" && firesEachTime(trigger) ? "whenever" : "when";
  const summary = isRoot ? sentence(`fires ${when} ${clause}`) : sentence(clause);
  if (trigger.type === "event") return { summary, details: eventDetails(trigger, options, isRoot) };
  const children = trigger.triggers.map((child) => wordsOf(child, options, false));
  return { summary, details: isRoot ? compositeDetails(trigger) : [], children };
}

/** What has to happen, as the part of a sentence after "when". */
function clauseOf(trigger: TriggerDefinition): string {
  if (trigger.type !== "event") return compositeClause(trigger);
  const clause = trigger.posture === "Reactive" ? reactiveClause(trigger) : proactiveClause(trigger);
  return clause + keysText(trigger);
}

function reactiveClause(trigger: EventTriggerDefinition): string {
  const { expect, after, within, schedule } = trigger;
  const count = countOf(trigger);
  const events = `${there(count)} ${countedEvents(expect, count)}${aboutText(trigger)}`;
  if (schedule !== undefined) return `${events} ${windowText(trigger)}`;
  if (after.length > 0) {
    const opener = isSame(after, expect) ? "another" : withArticle(eventNoun(after));
    const span = within === 0 ? "at any time" : `within ${lengthText(within)}`;
    return `${events} ${span} after ${opener}`;
  }
  if (count > 1)
    return within === 0 ? `${events}, however far apart` : `${events} within ${lengthText(within)}`;
  return within === 0 ? events : `${events}, at most once in ${lengthText(within)}`;
}

function proactiveClause(trigger: EventTriggerDefinition): string {
  const { expect, after, within, schedule } = trigger;
  const count = countOf(trigger);
  const about = aboutText(trigger);
  const fewer = `fewer than ${count} ${eventNoun(expect, true)}`;
  if (schedule !== undefined) {
    const events = count === 1 ? `no ${eventNoun(expect)}` : fewer;
    return `${there(count)} ${events}${about} ${windowText(trigger)}`;
  }
  const span = lengthText(within);
  if (after.length > 0) {
    const again = count === 1 ? "another" : `${count} more`;
    const next = isSame(after, expect) ? again : countedEvents(expect, count);
    return `${withArticle(eventNoun(after))}${about} is not followed by ${next} within ${span}`;
  }
  const pass = /^1 \w+$/.test(span) ? "passes" : "pass";
  return `${span} ${pass} ${count === 1 ? `without ${countedEvents(expect, 1)}` : `with ${fewer}`}${about}`;
}

function there(count: number): string {
  return count === 1 ? "there is" : "there are";
}

/** How many events are needed: threshold 0 means 1. */
function countOf({ threshold }: EventTriggerDefinition): number {
  return Math.max(1, threshold);
}

function firesEachTime(trigger: EventTriggerDefinition): boolean {
  const { posture, after, within, schedule } = trigger;
  const isPlain = after.length === 0 && within === 0 && schedule === undefined;
  return posture === "Reactive" && isPlain && countOf(trigger) === 1;
}

/** `within 4 hours after 02:00 every day (UTC)`; only for triggers with a schedule. */
function windowText({ schedule, within }: EventTriggerDefinition): string {
  const { cron = "", timezone = "UTC", until } = schedule ?? {};
  const zone = `(${nameText(timezone)})`;
  return until === undefined
    ? `within ${lengthText(within)} after ${tickText(cron)} ${zone}`
    : `between ${tickText(cron)} and the next ${until} ${zone}`;
}

/** `pump.failed event`, `events other than *.heartbeat`. */
function eventNoun(names: readonly string[], plural = false): string {
  const noun = plural ? "events" : "event";
  if (expectsAny(names)) return noun;
  if (!names.some(isNegated)) return `${listText(names, "or", nameText)} ${noun}`;
  const [only = "", another] = names;
  if (another === undefined) return `${noun} other than ${nameText(only.slice(1))}`;
  return `${noun} ${plural ? "that are each" : "that is"} ${listText(names, "or", patternText)}`;
}

function expectsAny(names: readonly string[]): boolean {
  return names.length === 0 || names.includes("*");
}

function countedEvents(names: readonly string[], count: number): string {
  if (count > 1) return `${count} ${eventNoun(names, true)}`;
  return expectsAny(names) ? "any event" : withArticle(eventNoun(names));
}

const idLabel = "prefect.resource.id";
const roleLabel = "prefect.resource.role";

/** What an event must be about, with a space in front; empty if that does not matter. */
function aboutText({ match, match_related }: EventTriggerDefinition): string {
  const related = specificationsOf(match_related).filter(
    (specification) => Object.keys(specification).length > 0,
  );
  const withRelated = related.length === 0 ? "" : ` with ${listText(related, "and", relatedText)}`;
  return resourceText(match) + withRelated;
}

function specificationsOf(
  related: EventTriggerDefinition["match_related"],
): readonly SpecificationDefinition[] {
  return Array.isArray(related) ? related : [related as SpecificationDefinition];
}

function resourceText(match: SpecificationDefinition): string {
  const { [idLabel]: id, ...others } = match;
  const conditions = Object.entries(others);
  const whose = conditions.length === 0 ? "" : ` ${listText(conditions, "and", conditionText)}`;
  const ids = listOf(id ?? "*");
  if (ids.includes("*")) return whose === "" ? "" : ` about a resource${whose}`;
  if (ids.length > 0 && (ids.length === 1 || !ids.some(isNegated)))
    return ` about ${listText(ids, "or", patternText)}${whose}`;
  return ` about a resource ${listText([[idLabel, ids] as const, ...conditions], "and", conditionText)}`;
}

function relatedText(specification: SpecificationDefinition): string {
  const { [roleLabel]: role, ...others } = specification;
  const roles = role === undefined ? [] : listOf(role);
  const isPlain = roles.length > 0 && !roles.some(isNegated);
  const conditions = Object.entries(isPlain ? others : specification);
  const inRole = isPlain ? ` in the role ${listText(roles, "or", nameText)}` : "";
  const whose = conditions.length === 0 ? "" : ` ${listText(conditions, "and", conditionText)}`;
  return `a related resource${inRole}${whose}`;
}

/** `whose house is north or south`. */
function conditionText([label, written]: readonly [string, string | readonly string[]]): string {
  const patterns = listOf(written);
  const name = nameText(label);
  const [only = "", another] = patterns;
  if (patterns.length === 0) return `whose ${name} is in an empty list, which none is`;
  if (patterns.includes("*")) return `that has the label ${name}`;
  if (another === undefined && isNegated(only)) return `whose ${name} is not ${nameText(only.slice(1))}`;
  return `whose ${name} is ${listText(patterns, "or", patternText)}`;
}

function listOf(patterns: string | readonly string[]): readonly string[] {
  return typeof patterns === "string" ? [patterns] : patterns;
}

/** `, for each resource (prefect.resource.id)`; empty if all events are counted together. */
function keysText(trigger: TriggerDefinition): string {
  const { for_each = [] } = trigger;
  if (for_each.length === 0 || (trigger.type === "event" && firesEachTime(trigger))) return "";
  return `, for each ${listText(for_each, "and", keyText)}`;
}

function keyText(label: string): string {
  if (label === idLabel) return `resource (${idLabel})`;
  const [, role, ofRelated] = /^related:([^:]+):(.+)$/.exec(label) ?? [];
  if (role === undefined || ofRelated === undefined) return nameText(label);
  return `${nameText(ofRelated)} of the related ${nameText(role)}`;
}

function isSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((name) => other.includes(name));
}

function eventDetails(trigger: EventTriggerDefinition, options: DescribeOptions, isRoot: boolean): string[] {
  const details =
    trigger.posture === "Reactive" ? reactiveDetails(trigger, isRoot) : proactiveDetails(trigger, isRoot);
  return [...details, ...openerDetails(trigger), ...latenessDetails(trigger, options)].map(sentence);
}

function reactiveDetails(trigger: EventTriggerDefinition, isRoot: boolean): string[] {
  const { after, within, schedule, for_each } = trigger;
  const count = countOf(trigger);
  const firing = isRoot ? "firing" : "this";
  if (firesEachTime(trigger)) {
    return for_each.length === 0 ? [] : [`each firing is about one ${listText(for_each, "and", keyText)}`];
  }
  if (schedule !== undefined) return ["counts at most once per window"];
  if (after.length > 0) {
    const opener = withArticle(eventNoun(after));
    return within === 0
      ? [`each further opening event starts the wait over; after ${firing}, it waits for ${opener} again`]
      : [`further opening events in that time change nothing; after ${firing}, it waits for the next one`];
  }
  if (within === 0) return [`after ${firing}, it counts from zero again`];
  const start = count === 1 ? "that event" : "the first of them";
  return [`after ${firing}, it stays quiet until ${lengthText(within)} after ${start}`];
}

function proactiveDetails(trigger: EventTriggerDefinition, isRoot: boolean): string[] {
  const { after, schedule, on_gap, for_each } = trigger;
  const details: string[] = [];
  if (schedule !== undefined) {
    const { remember = rememberDefault / second, early = 0 } = schedule;
    if (for_each.length > 0)
      details.push(`each one is expected for ${lengthText(remember)} after it was last seen`);
    if (early > 0) details.push(`an event up to ${lengthText(early)} before the window counts as well`);
  } else if (after.length === 0) {
    details.push(
      for_each.length === 0
        ? "the wait begins when the automation is created or enabled, and again with each such event"
        : "each one is expected from its first such event on; one that never had any is not missed",
    );
  }
  details.push(
    repetitionText(trigger, isRoot),
    on_gap === "fire"
      ? "time in which nobody could post, because the API was down, counts like any other"
      : "time in which nobody could post, because the API was down, does not count",
  );
  return details;
}

/** Whether an absence that goes on is reported again, and its end. */
function repetitionText(trigger: EventTriggerDefinition, isRoot: boolean): string {
  const { after, expect, within, schedule, refire } = trigger;
  const opensByItself = after.length > 0 && isSame(after, expect);
  if (refire === "once" || opensByItself) {
    return isRoot
      ? "reports an absence once, however long it lasts, and then its end"
      : "counts an absence once, however long it lasts";
  }
  const verb = isRoot ? "fires" : "counts";
  const again =
    schedule !== undefined
      ? `${verb} for each window like this`
      : after.length > 0
        ? `${verb} for each wait that ends like this`
        : `${verb} again every ${lengthText(within)} for as long as it lasts`;
  return isRoot ? `${again}; the next ${eventNoun(expect)} ends the absence` : again;
}

/** What is also required of the events that open a window. */
function openerDetails(trigger: EventTriggerDefinition): string[] {
  const { after, expect, posture } = trigger;
  const isCovered = aboutText(trigger) === "" || after.length === 0 || isSame(after, expect);
  if (isCovered) return [];
  const closing = posture === "Reactive" ? after : expect;
  const what = closing.length === 0 ? "the event that follows" : `the ${eventNoun(closing)}`;
  return [`${what} must meet the same conditions`];
}

function latenessDetails(
  { posture, schedule, within, lateness }: EventTriggerDefinition,
  options: DescribeOptions,
): string[] {
  const isAbsence = posture === "Proactive";
  if (lateness !== undefined) {
    if (!isAbsence && within === 0 && schedule === undefined) return [];
    if (lateness === 0)
      return [`does not wait for ${isAbsence ? "events that are delayed" : "delayed events"}`];
    return isAbsence
      ? [`waits ${lengthText(lateness)} longer for events that are delayed on their way`]
      : [`an event counts even if it arrives up to ${lengthText(lateness)} late`];
  }
  if (!isAbsence) return [];
  const { lateness: ofServer } = options;
  if (ofServer === undefined) {
    const length = lengthText(latenessDefault / second);
    return [`waits a little longer for delayed events: the server's lateness, ${length} unless it is set`];
  }
  return ofServer === 0
    ? []
    : [`waits ${lengthText(ofServer / second)} longer for events that are delayed on their way`];
}

/** Of longer lists, only the count is in the sentence: `children` has the rest. */
const inlineCountMax = 4;
const inlineLengthMax = 400;

function compositeClause(trigger: CompositeTriggerDefinition): string {
  const { triggers } = trigger;
  const [only, another] = triggers;
  if (only !== undefined && another === undefined) return clauseOf(only) + keysText(trigger);
  const frame = compositeFrame(trigger) + keysText(trigger);
  if (triggers.length > inlineCountMax) return frame;
  const clauses = triggers.map((child) =>
    child.type === "event" ? clauseOf(child) : `(${clauseOf(child)})`,
  );
  const joined = clauses.join("; ");
  return joined.length <= inlineLengthMax ? `${frame}: ${joined}` : frame;
}

function compositeFrame(trigger: CompositeTriggerDefinition): string {
  const { triggers, within } = trigger;
  const count = triggers.length;
  const span =
    within === null
      ? "however far apart"
      : within === 0
        ? "at the same instant"
        : `within ${lengthText(within)}`;
  if (trigger.type === "sequence") return `these ${count} happen in this order, ${span}`;
  const { require } = trigger;
  const needed = require === "all" ? count : require === "any" ? 1 : require;
  if (needed === 1) return `any of these ${count} happens`;
  const which =
    needed < count
      ? `${needed} of these ${count} happen`
      : count === 2
        ? "both of these happen"
        : `all of these ${count} happen`;
  return within === 0
    ? `${which} ${span}`
    : `${which} ${span}${within === null ? "" : " of each other"}, in any order`;
}

function compositeDetails(trigger: CompositeTriggerDefinition): string[] {
  let hasAbsence = false;
  walkTrigger(trigger, (each) => {
    if (each.type === "event" && each.posture === "Proactive") hasAbsence = true;
  });
  const isAny = trigger.type === "compound" && (trigger.require === "any" || trigger.require === 1);
  return [
    ...(isAny ? [] : ["What has led to a firing is used up and does not count for the next one."]),
    ...(hasAbsence ? ["The end of an absence is not reported."] : []),
  ];
}

/** Every pattern that the description of a trigger may show. */
function patternsIn(trigger: TriggerDefinition): string[] {
  const found: string[] = [];
  const add = (patterns: string | readonly string[]): void => {
    // A star alone is told as "any event" or "has the label".
    found.push(...listOf(patterns).filter((pattern) => pattern !== "*"));
  };
  walkTrigger(trigger, (each) => {
    if (each.type !== "event") return;
    add(each.expect);
    add(each.after);
    for (const specification of [each.match, ...specificationsOf(each.match_related)]) {
      for (const patterns of Object.values(specification)) add(patterns);
    }
  });
  return found;
}
