/**
 * Explanations: why an event did, or did not, make an automation fire.
 *
 * No decision is made here a second time. The core runs over the same log and notes its decisions, and the failed
 * condition comes from the same function that evaluation uses.
 */

import type { Automation } from "../model/automation.ts";
import type { Event } from "../model/event.ts";
import { followerPatience, latenessDefault } from "../model/limits.ts";
import { includes, unmetCondition } from "../model/specification.ts";
import { formatTime, type Micros, second } from "../model/time.ts";
import { type TriggerDefinition, walkTrigger } from "../model/trigger.ts";
import { buildTrigger, type EventTriggerNode } from "./build-trigger.ts";
import { Core, type CoreOptions } from "./core.ts";
import { obstacleTo } from "./event-trigger.ts";
import type { Gap } from "./gaps.ts";
import { keyOf, labelsOf } from "./key.ts";
import { changedAutomationOf, type LogEntry } from "./log-entry.ts";
import type { Note, OpenWindow, TriggerOutcome } from "./node.ts";

/** The condition that failed, what it wants, and what was found. */
export interface FailedCondition {
  readonly condition: "name" | "match" | "match_related";
  /** The index in a list under `match_related`. */
  readonly index: number | null;
  readonly label: string | null;
  readonly wanted: readonly string[];
  /** The value that matched none of the wanted patterns; null when there was no value. */
  readonly found: string | null;
}

export interface TriggerExplanation {
  /** The path from the root: "" is the root itself, "0.1" the second child of the first child. */
  readonly path: string;
  readonly type: "event" | "compound" | "sequence";
  /** Null for a composite. */
  readonly covered: boolean | null;
  readonly failed: FailedCondition | null;
  readonly labels: Readonly<Record<string, string>>;
  /** The decisions about the event here, in order. */
  readonly decisions: readonly Note[];
  /** How many more events or firings are needed after the event, and until when they may come. */
  readonly missing: number | null;
  readonly until: Micros | null;
  /** For a composite: the paths of the children that have yet to fire. */
  readonly awaited: readonly string[];
  /** Until when nothing counts because the trigger has fired. */
  readonly quietUntil: Micros | null;
}

export interface Explanation {
  readonly automation: Automation;
  readonly event: Event;
  /** The reason in one sentence. */
  readonly summary: string;
  readonly fired: boolean;
  readonly triggers: readonly TriggerExplanation[];
}

export interface ExplainOptions {
  /** The lateness of triggers that set none. */
  readonly latenessDefault?: Micros;
  /** Times in which nobody could post, where the log holds no beats that say it. */
  readonly gaps?: readonly Gap[];
}

/**
 * Runs the core over a log, entry by entry, and explains what one event meant for some automations.
 *
 * The log should start at the creation of the oldest of them, or as far back as it is kept.
 */
export class Explainer {
  readonly #eventId: string;
  readonly #latenessDefault: Micros;
  readonly #coreOptions: CoreOptions;
  #core: Core;
  readonly #automationIds: ReadonlySet<string>;
  readonly #notes = new Map<string, Note[]>();
  /** The automations as of the last entry. */
  readonly #current = new Map<string, Automation>();
  #event: Event | null = null;
  /** The automations as they were when the event arrived. */
  #automationsAtEvent: ReadonlyMap<string, Automation> = new Map();
  #lostTime: Micros = 0;
  /** The automations that did not react, because their own firing had caused the event. */
  readonly #cutIds = new Set<string>();

  constructor(automationIds: Iterable<string>, eventId: string, options: ExplainOptions = {}) {
    this.#automationIds = new Set(automationIds);
    this.#eventId = eventId;
    this.#latenessDefault = options.latenessDefault ?? latenessDefault;
    this.#coreOptions = {
      latenessDefault: this.#latenessDefault,
      stored: false,
      gaps: options.gaps ?? [],
      trace: (note) => this.#keepNote(note),
    };
    this.#core = new Core(this.#coreOptions);
  }

  /** Starts from a shard's state instead of an empty one, in short steps. Call it before anything is applied. */
  *restoreInSteps(state: Iterable<readonly [field: string, value: string]>): Generator<void, void> {
    this.#core = yield* Core.restoreInSteps(state, this.#coreOptions);
    for (const automation of this.#core.automations()) this.#current.set(automation.id, automation);
  }

  /** The event, once the log has reached it; null before. */
  get event(): Event | null {
    return this.#event;
  }

  /** For how long nobody could post since the event. Windows may end so much later. */
  get lostTime(): Micros {
    return this.#lostTime;
  }

  apply(entry: LogEntry): void {
    if (entry.kind === "event") {
      if (this.#event === null && entry.event.id === this.#eventId) {
        this.#event = entry.event;
        this.#automationsAtEvent = new Map(this.#current);
      }
    } else if (!this.#concerns(entry)) return;
    this.#core.apply(entry);
    const { loopCuts, gaps } = this.#core.drain();
    for (const { event, automation } of loopCuts) {
      if (event.id === this.#eventId) this.#cutIds.add(automation.id);
    }
    if (this.#event !== null) for (const { from, to } of gaps) this.#lostTime += to - from;
  }

  /** Lets time pass after the last entry. */
  advance(until: Micros): void {
    this.#core.advance(until);
  }

  /**
   * @param automation as it is now; used if it did not exist when the event arrived
   * @returns null when the log does not hold the event
   */
  explain(automation: Automation): Explanation | null {
    const event = this.#event;
    if (event === null) return null;
    const automationAtEvent = this.#automationsAtEvent.get(automation.id) ?? null;
    const notes = this.#notes.get(automation.id) ?? [];
    const explained = automationAtEvent ?? automation;
    const triggers = triggersOf(explained, event, notes, this.#latenessDefault);
    const fired = notes.some(({ path, outcome }) => path === "" && outcome === "fires");
    const wasCut = this.#cutIds.has(automation.id);
    const summary = summaryOf({ event, automationAtEvent, wasCut, notes, triggers, fired });
    return { automation: explained, event, triggers, fired, summary };
  }

  /** False for a change of an automation that is not explained. Remembers a change of one that is. */
  #concerns(entry: LogEntry): boolean {
    const id = changedAutomationOf(entry);
    if (id === null) return true;
    if (!this.#automationIds.has(id)) return false;
    if (entry.kind === "automation-put") this.#current.set(id, entry.automation);
    else this.#current.delete(id);
    return true;
  }

  #keepNote(note: Note): void {
    if (note.eventId !== this.#eventId || !this.#automationIds.has(note.automationId)) return;
    const notes = this.#notes.get(note.automationId) ?? [];
    this.#notes.set(note.automationId, notes);
    // A long silence is noted for each window. The first of those notes explains the others.
    const isKnown = notes.some(({ path, outcome }) => path === note.path && outcome === note.outcome);
    if (!isKnown || !repeating.has(note.outcome)) notes.push(note);
  }
}

/** Explains an event in a complete log. @returns null when the log does not hold the event */
export function explainEvent(
  entries: readonly LogEntry[],
  eventId: string,
  automation: Automation,
  { until, ...options }: ExplainOptions & { readonly until?: Micros | undefined } = {},
): Explanation | null {
  const explainer = new Explainer([automation.id], eventId, options);
  for (const entry of entries) explainer.apply(entry);
  if (until !== undefined) explainer.advance(until);
  return explainer.explain(automation);
}

function triggersOf(
  automation: Automation,
  event: Event,
  notes: readonly Note[],
  lateness: Micros,
): TriggerExplanation[] {
  const { nodes } = buildTrigger(automation, lateness, idle);
  const explained: TriggerExplanation[] = [];
  walkTrigger(automation.trigger, (definition, path) => {
    const { type } = definition;
    const node = nodes.get(path);
    if (node === undefined) return;
    const decisions = notes.filter((note) => note.path === path);
    const failed = type === "event" ? failedCondition(node as EventTriggerNode, event) : null;
    const { outcome, after = null } = decisions.at(-1) ?? {};
    const isOpen = after !== null && after.start !== null;
    const isQuiet =
      isOpen && after.count === 0 && (outcome === quiet || (outcome === "fires" && keepsQuiet(definition)));
    explained.push({
      path,
      type,
      covered: type === "event" ? failed === null : null,
      failed,
      labels: labelsOf(node.labels, keyOf(node.labels, event)),
      decisions,
      missing: isOpen && !isQuiet ? Math.max(0, after.threshold - after.count) : null,
      // A sequence that has reached no step yet can begin at any time.
      until: isOpen && !isQuiet && (type === "event" || after.count > 0) ? after.end : null,
      awaited: isOpen && !isQuiet ? after.awaited : [],
      quietUntil: isQuiet ? after.end : null,
    });
  });
  return explained;
}

/** The first condition of a trigger that an event does not meet, or null when the trigger covers it. */
function failedCondition({ compiled }: EventTriggerNode, event: Event): FailedCondition | null {
  const obstacle = obstacleTo(compiled, event);
  if (obstacle === null) return null;
  if (obstacle.condition === "name") {
    const wanted = [...compiled.expect, ...compiled.after].map(({ pattern }) => pattern);
    return { condition: "name", index: null, label: null, wanted, found: event.name };
  }
  if (obstacle.condition === "match") {
    const { label, patterns } = obstacle.unmet;
    const wanted = patterns.map(({ pattern }) => pattern);
    return { condition: "match", index: null, label, wanted, found: event.resource.get(label) ?? null };
  }
  // Of several related resources, show the one that comes closest: it meets the most conditions.
  const { index, unmet } = obstacle;
  const met = (resource: Event["resource"]): number =>
    unmet.filter((condition) => includes([condition], resource)).length;
  const [closest] = [...event.related].sort((a, b) => met(b) - met(a));
  const condition = closest === undefined ? unmet[0] : (unmetCondition(unmet, closest) ?? unmet[0]);
  const label = condition?.label ?? null;
  const found = label === null ? null : (closest?.get(label) ?? null);
  const wanted = condition?.patterns.map(({ pattern }) => pattern) ?? [];
  return { condition: "match_related", index, label, wanted, found };
}

function summaryOf({
  event,
  automationAtEvent,
  wasCut,
  notes,
  triggers,
  fired,
}: {
  readonly event: Event;
  readonly automationAtEvent: Automation | null;
  readonly wasCut: boolean;
  readonly notes: readonly Note[];
  readonly triggers: readonly TriggerExplanation[];
  readonly fired: boolean;
}): string {
  if (automationAtEvent === null) return "The automation did not exist when the event arrived.";
  if (!automationAtEvent.enabled) return "The automation was disabled when the event arrived.";
  const root = triggers.find(({ path }) => path === "");
  const resolved = notes.some(({ path, outcome }) => path === "" && outcome === "resolved");
  if (fired) return firedSentence(root?.decisions ?? [], resolved);
  if (resolved) return "This event resolved the automation: the absence has ended.";
  if (wasCut)
    return "The automation's own firing caused this event, and an automation never reacts to its own firing.";
  const last = notes.filter(({ path }) => path === "").at(-1) ?? notes.at(-1);
  if (last !== undefined) {
    const { count = 0, threshold = 0 } = last.after ?? {};
    const tally =
      last.outcome === "counted" || last.outcome === "remembered" ? ` (${count} of ${threshold})` : "";
    return `The event was covered, but did not fire the automation: ${last.outcome}${tally}.`;
  }
  if (triggers.some(({ covered }) => covered === true)) {
    return event.follows === null
      ? "The event was covered, but the log ends before it was evaluated, or its id had been seen before."
      : `The event waits for the one that it follows (${event.follows}), for at most ${followerPatience / second} s.`;
  }
  const failed = root?.failed ?? triggers.find((trigger) => trigger.failed !== null)?.failed ?? null;
  return `The event is not covered: ${failed === null ? "no trigger expects it" : sentenceOf(failed)}.`;
}

function firedSentence(decisions: readonly Note[], resolved: boolean): string {
  const note = decisions.find(({ outcome }) => outcome === "fires");
  const before = note?.before ?? null;
  // Only an absence is judged at a deadline. Then this event is the last one before it.
  if (note === undefined || before === null || before.deadline === null || before.deadline > note.at)
    return "The automation fired with this event.";
  const { count, threshold, end } = before;
  const deadline = end === null ? "" : ` by ${formatTime(end)}`;
  const moved = before.gaps?.length ? ` (${movedSentence(before.gaps)})` : "";
  const fired = resolved ? "was resolved by this event, then fired again" : "fired after this event";
  const arrived = count === 0 ? "no expected event" : `only ${count} of ${threshold} expected events`;
  return `The automation ${fired}: ${arrived} had arrived${deadline}${moved}.`;
}

/** Why the end of a window has moved. */
export function movedSentence(gaps: readonly Gap[]): string {
  const times = gaps.map(({ from, to }) => `from ${formatTime(from)} to ${formatTime(to)}`);
  return `moved, because nobody could post ${times.join(" and ")}`;
}

/** A failed condition in words. */
export function sentenceOf({ condition, index, label, wanted, found }: FailedCondition): string {
  const list =
    wanted.length === 0
      ? "nothing (the list is empty)"
      : wanted.map((text) => JSON.stringify(text)).join(" or ");
  const value = found === null ? "absent" : JSON.stringify(found);
  if (condition === "name") return `its name is ${value}; expected ${list}`;
  const where =
    condition === "match"
      ? "its resource"
      : `no related resource meets match_related[${index ?? 0}]: the closest`;
  return condition === "match"
    ? `the label ${label} of ${where} is ${value}; expected ${list}`
    : `${where} has ${label} ${value}; expected ${list}`;
}

/** An explanation as JSON: times as RFC 3339, and of the automation only its id, name and `enabled`. */
export function showExplanation({ automation, event, summary, fired, triggers }: Explanation) {
  return {
    automation: { id: automation.id, name: automation.name, enabled: automation.enabled },
    event: {
      id: event.id,
      event: event.name,
      occurred: formatTime(event.occurred),
      received: formatTime(event.received),
    },
    fired,
    summary,
    triggers: triggers.map(({ decisions, until, awaited, quietUntil, ...trigger }) => ({
      ...trigger,
      awaited: [...awaited],
      decisions: decisions.map((note) => ({
        at: formatTime(note.at),
        outcome: note.outcome,
        labels: note.labels,
        before: note.before === null ? null : showWindow(note.before),
        after: note.after === null ? null : showWindow(note.after),
      })),
      until: until === null ? null : formatTime(until),
      quiet_until: quietUntil === null ? null : formatTime(quietUntil),
    })),
  };
}

/** A window as JSON: times as RFC 3339. */
export function showWindow({ path, labels, start, end, count, threshold, ...rest }: OpenWindow) {
  const time = (instant: Micros | null): string | null => (instant === null ? null : formatTime(instant));
  return {
    trigger: path,
    labels,
    start: time(start),
    end: time(end),
    count,
    threshold,
    deadline: time(rest.deadline),
    last_event: rest.lastEventId,
    unresolved: rest.unresolved,
    quiet_until: time(rest.quietUntil),
    settling: rest.settlingCount,
    awaited: [...rest.awaited],
    gaps: (rest.gaps ?? []).map(({ from, to }) => ({ from: formatTime(from), to: formatTime(to) })),
    unreachable_since: time(rest.unreachableSince ?? null),
  };
}

/** True for a Reactive trigger that ignores events for a while after it fired: one with `within` that nothing opens. */
function keepsQuiet(definition: TriggerDefinition): boolean {
  if (definition.type !== "event" || definition.posture === "Proactive") return false;
  return definition.within > 0 && definition.after.length === 0 && definition.schedule === undefined;
}

const quiet: TriggerOutcome = "ignored: quiet after a firing";

/** The outcomes that one silence may have many times. */
const repeating: ReadonlySet<TriggerOutcome> = new Set([
  "fires",
  "silent until resolved",
  "waits until it is known whether anybody could post",
]);

/** Nodes that only explain never use the machine. */
const idle = {} as never;
