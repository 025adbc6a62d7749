/**
 * Explanations: why an event did, or did not, make an automation fire.
 *
 * Nothing is judged here a second time. The core runs over the same log and takes notes of its decisions; which
 * condition fails is asked of the very function that evaluation asks.
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
import { keyOf, labelsOf } from "./key.ts";
import type { LogEntry } from "./log-entry.ts";
import type { Note, OpenWindow, TriggerOutcome } from "./node.ts";

/** The condition that failed, what it asks for, and what was found. */
export interface FailedCondition {
  readonly condition: "name" | "match" | "match_related";
  /** Which object of a list under `match_related`. */
  readonly index: number | null;
  readonly label: string | null;
  readonly wanted: readonly string[];
  /** The value that met none of the wanted patterns; null where there was none. */
  readonly found: string | null;
}

export interface TriggerExplanation {
  /** From the root: "" is the root itself, "0.1" the second child of the first child. */
  readonly path: string;
  readonly type: "event" | "compound" | "sequence";
  /** Null for a composite. */
  readonly covered: boolean | null;
  readonly failed: FailedCondition | null;
  readonly labels: Readonly<Record<string, string>>;
  /** What became of the event here, in order. */
  readonly decisions: readonly Note[];
  /** Where it stands after the event: how many more events or firings are needed, and until when they may come. */
  readonly missing: number | null;
  readonly until: Micros | null;
  /** Of a composite: the paths of the children that have yet to fire. */
  readonly awaited: readonly string[];
  /** Until when nothing counts, because it has fired. */
  readonly quietUntil: Micros | null;
}

export interface Explanation {
  readonly automation: Automation;
  readonly event: Event;
  /** What decided, in a sentence. */
  readonly summary: string;
  readonly fired: boolean;
  readonly triggers: readonly TriggerExplanation[];
}

export interface ExplainOptions {
  /** The lateness of triggers that name none. */
  readonly latenessDefault?: Micros;
  /** The fields of a shard's state to begin with; left out, the run begins with nothing. */
  readonly state?: Iterable<readonly [field: string, value: string]>;
}

/**
 * Runs the core over a log, entry by entry, and explains what one event was to one automation.
 *
 * The log is given from the automation's creation on, or from as far back as it is kept.
 */
export class Explainer {
  readonly #eventId: string;
  readonly #latenessDefault: Micros;
  readonly #core: Core;
  readonly #notes: Note[] = [];
  readonly #automationId: string;
  #event: Event | null = null;
  /** The automation when the event arrived; null when there was none. */
  #then: Automation | null = null;
  #cut = false;

  constructor(automationId: string, eventId: string, options: ExplainOptions = {}) {
    this.#automationId = automationId;
    this.#eventId = eventId;
    this.#latenessDefault = options.latenessDefault ?? latenessDefault;
    const coreOptions: CoreOptions = {
      latenessDefault: this.#latenessDefault,
      stored: false,
      trace: (note) => this.#take(note),
    };
    this.#core = Core.restore(options.state ?? [], coreOptions);
  }

  /** The event has been met. */
  get found(): boolean {
    return this.#event !== null;
  }

  apply(entry: LogEntry): void {
    if (entry.kind === "event") {
      if (this.#event === null && entry.event.id === this.#eventId) {
        this.#event = entry.event;
        this.#then = this.#current;
      }
    } else if (
      (entry.kind === "automation-put" ? entry.automation.id : entry.automationId) !== this.#automationId
    ) {
      return;
    }
    this.#core.apply(entry);
    this.#cut ||= this.#core.drain().loopCuts.some(({ event }) => event.id === this.#eventId);
  }

  /** Lets time pass after the last entry. */
  advance(until: Micros): void {
    this.#core.advance(until);
  }

  /** @returns null when the log held no such event */
  explain(automation: Automation): Explanation | null {
    const event = this.#event;
    if (event === null) return null;
    const then = this.#then;
    const notes = this.#notes;
    const current = then ?? automation;
    const triggers = triggersOf(current, event, notes, this.#latenessDefault);
    const fired = notes.some(({ path, outcome }) => path === "" && outcome === "fires");
    const summary = summaryOf({ event, then, cut: this.#cut, notes, triggers, fired });
    return { automation: current, event, triggers, fired, summary };
  }

  get #current(): Automation | null {
    for (const automation of this.#core.automations()) return automation;
    return null;
  }

  #take(note: Note): void {
    if (note.eventId !== this.#eventId || note.automationId !== this.#automationId) return;
    // A silence that lasts is told window by window; that it was told once explains the others.
    const isTold = this.#notes.some(({ path, outcome }) => path === note.path && outcome === note.outcome);
    if (!isTold || !repeating.has(note.outcome)) this.#notes.push(note);
  }
}

/** Explains an event of a log that is at hand as a whole. @returns null when the log holds no such event */
export function explainEvent(
  entries: readonly LogEntry[],
  eventId: string,
  automation: Automation,
  { until, ...options }: ExplainOptions & { readonly until?: Micros | undefined } = {},
): Explanation | null {
  const explainer = new Explainer(automation.id, eventId, options);
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
      // A sequence of which no step is reached can begin at any time.
      until: isOpen && !isQuiet && (type === "event" || after.count > 0) ? after.end : null,
      awaited: isOpen && !isQuiet ? after.awaited : [],
      quietUntil: isQuiet ? after.end : null,
    });
  });
  return explained;
}

/** Which condition of a trigger an event fails first, or null when it is covered. */
export function failedCondition({ compiled }: EventTriggerNode, event: Event): FailedCondition | null {
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
  then,
  cut,
  notes,
  triggers,
  fired,
}: {
  readonly event: Event;
  readonly then: Automation | null;
  readonly cut: boolean;
  readonly notes: readonly Note[];
  readonly triggers: readonly TriggerExplanation[];
  readonly fired: boolean;
}): string {
  if (then === null) return "The automation did not exist when the event arrived.";
  if (!then.enabled) return "The automation was disabled when the event arrived.";
  const root = triggers.find(({ path }) => path === "");
  const resolved = notes.some(({ path, outcome }) => path === "" && outcome === "resolved");
  if (fired) return firedSentence(root?.decisions ?? [], resolved);
  if (resolved) return "The automation was resolved by this event: the silence that had fired is over.";
  if (cut) return "The event was caused by the automation's own firing, to which it never reacts.";
  const last = notes.filter(({ path }) => path === "").at(-1) ?? notes.at(-1);
  if (last !== undefined) {
    const { count = 0, threshold = 0 } = last.after ?? {};
    const tally =
      last.outcome === "counted" || last.outcome === "remembered" ? ` (${count} of ${threshold})` : "";
    return `The event was covered, but did not fire it: ${last.outcome}${tally}.`;
  }
  if (triggers.some(({ covered }) => covered === true)) {
    return event.follows === null
      ? "The event was covered, but the log ends before it was evaluated, or its id had been seen before."
      : `The event waits for the one that it follows (${event.follows}), for at most ${followerPatience / second} s.`;
  }
  const failed = root?.failed ?? triggers.find((trigger) => trigger.failed !== null)?.failed ?? null;
  return `The event is not covered: ${failed === null ? "no trigger asks for it" : sentenceOf(failed)}.`;
}

function firedSentence(decisions: readonly Note[], resolved: boolean): string {
  const note = decisions.find(({ outcome }) => outcome === "fires");
  const before = note?.before ?? null;
  // Only a silence is judged at a deadline; this event is the last one before it.
  if (note === undefined || before === null || before.deadline === null || before.deadline > note.at)
    return "The automation fired with this event.";
  const { count, threshold, end } = before;
  const until = end === null ? "" : ` until ${formatTime(end)}`;
  const fired = resolved ? "was resolved by this event, and fired again" : "fired after this event";
  return `The automation ${fired}: of ${threshold} expected, ${count} came${until}.`;
}

/** A failed condition in words. */
export function sentenceOf({ condition, index, label, wanted, found }: FailedCondition): string {
  const list =
    wanted.length === 0
      ? "nothing (the list is empty)"
      : wanted.map((text) => JSON.stringify(text)).join(" or ");
  const value = found === null ? "absent" : JSON.stringify(found);
  if (condition === "name") return `its name is ${value}; wanted is ${list}`;
  const where =
    condition === "match"
      ? "its resource"
      : `no related resource meets match_related[${index ?? 0}]: the closest`;
  return condition === "match"
    ? `the label ${label} of ${where} is ${value}; wanted is ${list}`
    : `${where} has ${label} ${value}; wanted is ${list}`;
}

/** An explanation as JSON: times as RFC 3339, and nothing of the automation but its id and name. */
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
    awaited: [...rest.awaited],
  };
}

/** Having fired, a Reactive trigger with `within` ignores what comes too soon. */
function keepsQuiet(definition: TriggerDefinition): boolean {
  if (definition.type !== "event" || definition.posture === "Proactive") return false;
  return definition.within > 0 && definition.after.length === 0 && definition.schedule === undefined;
}

const quiet: TriggerOutcome = "ignored: quiet after a firing";

/** What one silence may lead to again and again. */
const repeating: ReadonlySet<TriggerOutcome> = new Set(["fires", "silent until resolved"]);

/** Nodes that only explain never ask anything of the machine. */
const idle = {} as never;
