/**
 * Explanations by replay: the core runs over the log again, for the automations that are asked about.
 *
 * The log is read once for all of them. A replay may take seconds, so it pauses often enough that the server goes on
 * answering other requests.
 */

import { setImmediate as pause } from "node:timers/promises";
import { Explainer, type Explanation } from "../../core/machine/explain.ts";
import type { Automation } from "../../core/model/automation.ts";
import type { Event } from "../../core/model/event.ts";
import { followerPatience } from "../../core/model/limits.ts";
import { type Micros, millisecond, minute, second } from "../../core/model/time.ts";
import { walkTrigger } from "../../core/model/trigger.ts";
import type { Log } from "../../store/log.ts";
import { positionBefore } from "../../store/position.ts";

export interface ExplainSettings {
  /** The lateness of triggers that set none; must be the engine's. */
  readonly latenessDefault: Micros;
}

export interface PastExplanation {
  /** Null when the log does not hold the event. */
  readonly explanation: Explanation | null;
  /** False: the log does not reach back to the automation's creation, so windows that were open before are unknown. */
  readonly complete: boolean;
}

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
 * What an event of the log did to automations.
 *
 * @param receivedMax the event is not sought among entries that the log received later
 */
export async function replay(
  log: Log,
  automations: readonly Automation[],
  eventId: string,
  settings: ExplainSettings,
  receivedMax: Micros = Number.MAX_SAFE_INTEGER,
): Promise<Map<string, PastExplanation>> {
  const ids = automations.map(({ id }) => id);
  const explainer = new Explainer(ids, eventId, settings);
  const breather = new Breather();
  const incomplete = new Set<string>();
  let position = positionBefore(Math.min(...automations.map(({ created }) => created)) - minute);
  let isFirst = true;
  let until = receivedMax;
  let isOver = false;
  while (!isOver && automations.length > 0) {
    const batch = await log.readBatch(position, { count: entriesPerRead });
    for (const entry of batch.entries) {
      await breather.breathe();
      isOver = entry.received > until;
      if (isOver) break;
      if (isFirst) {
        for (const automation of automations.filter(({ created }) => entry.received > created + second)) {
          incomplete.add(automation.id);
          explainer.apply({ kind: "automation-put", position: "0-0", received: entry.received, automation });
        }
        isFirst = false;
      }
      const wasMet = explainer.event !== null;
      explainer.apply(entry);
      if (!wasMet && explainer.event !== null) until = decidedAt(automations, explainer.event, settings);
    }
    position = batch.position;
    isOver ||= batch.readCount === 0;
  }
  if (explainer.event !== null) explainer.advance(Math.min(until, Date.now() * millisecond));
  const explanations = new Map<string, PastExplanation>();
  for (const automation of automations) {
    await breather.breathe();
    const complete = !incomplete.has(automation.id);
    explanations.set(automation.id, { explanation: explainer.explain(automation), complete });
  }
  return explanations;
}

/** What an event would do to an automation if it came now. */
export async function suppose(
  log: Log,
  automation: Automation,
  event: Event,
  settings: ExplainSettings,
): Promise<Explanation> {
  const state = await log.automationState(automation.id);
  const explainer = new Explainer([automation.id], event.id, {
    ...settings,
    ...(state === null ? {} : { state }),
  });
  const position = "0-0";
  if (state === null)
    explainer.apply({ kind: "automation-put", position, received: event.received, automation });
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
      longest = Math.max(longest, part.within * second);
  });
  return longest;
}
