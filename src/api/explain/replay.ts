/**
 * Explanations by replay: the core runs over the log again, for the automations that are asked about.
 *
 * The log is read once for all of them. A replay may take seconds, so it pauses often enough that the server goes on
 * answering other requests.
 */

import { setImmediate as pause } from "node:timers/promises";
import { Explainer, type Explanation } from "../../core/machine/explain.ts";
import type { LogEntry } from "../../core/machine/log-entry.ts";
import type { Automation } from "../../core/model/automation.ts";
import { type Event, eventOf } from "../../core/model/event.ts";
import { followerPatience, gapTolerance } from "../../core/model/limits.ts";
import { day, hour, type Micros, millisecond, minute, parseTime, second } from "../../core/model/time.ts";
import { longestWindow, walkTrigger } from "../../core/model/trigger.ts";
import type { History } from "../../history/history.ts";
import { finishInSlices } from "../../retry/slices.ts";
import type { Log } from "../../store/log.ts";
import { positionBefore, startOfLog } from "../../store/position.ts";
import { isHistoryUnavailable } from "../events/events.ts";
import type { Workspace } from "../http/tenant.ts";

export interface ExplainSettings {
  /** The lateness of triggers that set none; must be the engine's. */
  readonly latenessDefault: Micros;
}

export interface PastExplanation {
  /** Null when the log does not hold the event. */
  readonly explanation: Explanation | null;
  /** False: what was read does not reach back to the automation's creation, so windows that were open before are unknown. */
  readonly complete: boolean;
  /**
   * When the automation was changed after the event, if its definition at that time is not known anymore. The explanation
   * is then by its present definition.
   */
  readonly changedSince: Micros | null;
}

/** Of the history, at most this many events before the event are read: some seconds of work. */
const recordedCountMax = 100_000;

const entriesPerRead = 1_000;

/** Lets other work of the process have its turn, when the last time was a while ago. */
export class Breather {
  #last = performance.now();

  async breathe(): Promise<void> {
    if (performance.now() - this.#last < breathIntervalMs) return;
    await pause();
    this.#last = performance.now();
  }
}

const breathIntervalMs = 10;

/**
 * What a past event did to automations. What the log no longer holds is read from the history.
 *
 * @param event as the log or the history holds it
 */
export async function replay(
  workspace: Pick<Workspace, "log" | "history">,
  automations: readonly Automation[],
  event: Event,
  settings: ExplainSettings,
): Promise<Map<string, PastExplanation>> {
  const ids = automations.map(({ id }) => id);
  const explainer = new Explainer(ids, event.id, settings);
  const breather = new Breather();
  const incomplete = new Set<string>();
  // Those by their present definition: the log does not hold what they were before.
  const present = new Set<string>();
  const put = (automation: Automation, received: Micros) => {
    present.add(automation.id);
    explainer.apply({ kind: "automation-put", position: "0-0", received, automation });
  };
  const span = await spanOfLog(workspace, event);
  // The history holds events, and not the definitions of automations.
  let unlogged = automations.filter(({ created }) => span.isTrimmed && created < span.start);
  let isFirst = true;
  let until = event.received + minute;
  for await (const entry of automations.length === 0
    ? []
    : entriesAbout(workspace, automations, event, span)) {
    await breather.breathe();
    if (entry.received > until + explainer.lostTime + gapTolerance) break;
    if (isFirst) {
      for (const automation of automations.filter(({ created }) => entry.received > created + second)) {
        incomplete.add(automation.id);
        put(automation, entry.received);
      }
      unlogged = unlogged.filter(({ id }) => !incomplete.has(id));
      isFirst = false;
    }
    if (unlogged.length > 0) {
      for (const automation of unlogged)
        if (automation.created <= entry.received) put(automation, entry.received);
      unlogged = unlogged.filter(({ id }) => !present.has(id));
    }
    const wasMet = explainer.event !== null;
    explainer.apply(entry);
    if (!wasMet && explainer.event !== null) until = decidedAt(automations, explainer.event, settings);
  }
  if (explainer.event !== null)
    explainer.advance(Math.min(until + explainer.lostTime, Date.now() * millisecond));
  const explanations = new Map<string, PastExplanation>();
  for (const automation of automations) {
    await breather.breathe();
    const complete = !incomplete.has(automation.id);
    const explanation = explainer.explain(automation);
    const isByPresent = present.has(automation.id) && explanation?.automation === automation;
    const changedSince = isByPresent && automation.updated > event.received ? automation.updated : null;
    explanations.set(automation.id, { explanation, complete, changedSince });
  }
  return explanations;
}

interface LogSpan {
  /** When its oldest entry was received. */
  readonly start: Micros;
  readonly isTrimmed: boolean;
}

async function spanOfLog({ log }: Pick<Workspace, "log">, event: Event): Promise<LogSpan> {
  const [[oldest], { trimmed }] = await Promise.all([log.read(startOfLog, { count: 1 }), log.entryCounts()]);
  const start = oldest?.received ?? Number.MAX_SAFE_INTEGER;
  return { start, isTrimmed: trimmed > 0 || event.received < start };
}

/** What automations may have seen up to an event and after it: from the log, and before its start from the history. */
async function* entriesAbout(
  { log, history }: Pick<Workspace, "log" | "history">,
  automations: readonly Automation[],
  event: Event,
  { start: logStart, isTrimmed }: LogSpan,
): AsyncGenerator<LogEntry> {
  const created = Math.min(...automations.map((automation) => automation.created)) - minute;
  if (history !== null && isTrimmed) {
    const from = Math.max(created, event.received - longestMemory(automations));
    yield* recordedEntries(history, { from, until: Math.min(logStart, event.received) });
    if (event.received < logStart) {
      const later = { from: event.received + 1, until: logStart };
      yield* recordedEntries(history, later, Number.MAX_SAFE_INTEGER);
    }
  }
  for (let position = positionBefore(created); ; ) {
    const batch = await log.readBatch(position, { count: entriesPerRead });
    yield* batch.entries;
    if (batch.readCount === 0) return;
    position = batch.position;
  }
}

/** Events of the history as entries of the log; none while it is unavailable. The core skips those that come twice. */
async function* recordedEntries(
  history: History,
  span: { readonly from: Micros; readonly until: Micros },
  countMax = recordedCountMax,
): AsyncGenerator<LogEntry> {
  let count = 0;
  try {
    for await (const { received, ...wire } of history.eventsReceived({ ...span, countMax })) {
      const event = eventOf(wire, parseTime(received) ?? 0);
      // Positions of the log are `milliseconds-number`; these need only differ from each other and from those.
      const position = `recorded-${span.from}-${count++}`;
      yield { kind: "event", position, received: event.received, event };
    }
  } catch (error) {
    if (!isHistoryUnavailable(error)) throw error;
  }
}

/** How far back what happened may still matter: twice the time that the triggers count over, at least an hour. */
function longestMemory(automations: readonly Automation[]): Micros {
  const memories = automations.map(({ trigger }) => {
    let memory = 0;
    walkTrigger(trigger, (part) => {
      memory += 2 * (part.within ?? 0) * second;
      if (part.type !== "event") return;
      memory += (part.lateness ?? 0) * second;
      // A schedule expects the keys that it has seen, and ticks at most daily as a rule.
      if (part.schedule !== undefined) memory += 2 * day;
    });
    return memory;
  });
  return Math.max(hour, ...memories);
}

/** What an event would do to an automation if it came now. */
export async function suppose(
  log: Log,
  automation: Automation,
  event: Event,
  settings: ExplainSettings,
): Promise<Explanation> {
  const state = await log.automationState(automation.id);
  const explainer = new Explainer([automation.id], event.id, settings);
  const position = "0-0";
  if (state === null)
    explainer.apply({ kind: "automation-put", position, received: event.received, automation });
  else await finishInSlices(explainer.restoreInSteps(state));
  explainer.apply({ kind: "event", position: "supposed", received: event.received, event });
  explainer.advance(event.received + settlingTime(automation, event, settings));
  const explanation = explainer.explain(automation);
  if (explanation === null) throw new Error("the explainer did not find the event that it was given");
  return explanation;
}

/** When nothing more can become of an event at any of these automations, but for what later events bring about. */
function decidedAt(automations: readonly Automation[], event: Event, settings: ExplainSettings): Micros {
  const waits = automations.map(
    (automation) => settlingTime(automation, event, settings) + longestSilence(automation),
  );
  return event.received + waits.reduce((longest, wait) => Math.max(longest, wait), 0);
}

/** How long after its arrival an event may take to be evaluated. */
function settlingTime({ trigger }: Automation, event: Event, { latenessDefault }: ExplainSettings): Micros {
  let longest = latenessDefault;
  walkTrigger(trigger, (part) => {
    if (part.type === "event" && part.lateness !== undefined)
      longest = Math.max(longest, part.lateness * second);
  });
  return longest + (event.follows === null ? 0 : followerPatience);
}

/** How much longer a silence that begins with the event may take to fire. */
function longestSilence({ trigger }: Automation): Micros {
  let longest = 0;
  walkTrigger(trigger, (part) => {
    if (part.type === "event" && part.posture === "Proactive")
      longest = Math.max(longest, longestWindow(part) * second);
  });
  return longest;
}
