/**
 * What an event was to every automation of a workspace.
 *
 * A workspace may have thousands of automations, and an event concerns few of them. Only these are followed through the
 * log: those whose definition covers the event or nearly does, and those that were changed since the event came.
 */

import { unmetConditionCount } from "../../core/machine/concern.ts";
import { type Explanation, showExplanation } from "../../core/machine/explain.ts";
import type { Automation } from "../../core/model/automation.ts";
import { type Event, eventOf } from "../../core/model/event.ts";
import { formatTime, type Micros, parseTime } from "../../core/model/time.ts";
import type { Log } from "../../store/log.ts";
import type { Workspace } from "../http/tenant.ts";
import { eventsNewestFirst } from "./newest-first.ts";
import { recordedEvents } from "./recorded-events.ts";
import { Breather, type ExplainSettings, replay, suppose } from "./replay.ts";

/** How many automations that come close to covering the event to explain at most, the closest first. */
const nearCountMax = 10;

interface Explained {
  readonly explanation: Explanation;
  readonly complete: boolean;
  readonly changedSince: Micros | null;
}

/**
 * Explains an event of the log.
 *
 * @param limit how many automations that cover the event to explain in full, those that fired first
 * @returns null when neither log nor history holds the event, or the log no longer does
 */
export async function explainPastToAll(
  workspace: Workspace,
  eventId: string,
  limit: number,
  settings: ExplainSettings,
): Promise<ReturnType<typeof answerOf> | null> {
  const event = await findEvent(workspace, eventId);
  if (event === null) return null;
  const automations = await workspace.log.automations();
  const { covering, near } = await concernedBy(event, automations, settings);
  const listed = new Set([...covering, ...near]);
  // What was changed since may have covered the event as it was then.
  const changed = automations.filter(
    (automation) => automation.updated > event.received && !listed.has(automation),
  );
  const followed = [...listed, ...changed];
  const found = await replay(workspace, followed, event, settings);
  if (followed.length > 0 && [...found.values()].every(({ explanation }) => explanation === null))
    return null;
  const explained = [...found.values()].filter((each): each is Explained => each.explanation !== null);
  const covers = ({ explanation }: Explained) => explanation.triggers.some(({ covered }) => covered === true);
  const nearIds = new Set(near.map(({ id }) => id));
  const coveringThen = explained.filter(covers).sort(byFiredAndName);
  const nearThen = explained.filter((each) => !covers(each) && nearIds.has(each.explanation.automation.id));
  return answerOf(event, [...coveringThen.slice(0, limit), ...nearThen], {
    covering: Math.max(0, coveringThen.length - limit),
    not_covering: automations.length - coveringThen.length - nearThen.length,
  });
}

/** Explains what an event would do if it came now. The states of automations are read one by one, so `limit` is small. */
export async function explainSupposedToAll(
  { log }: Workspace,
  event: Event,
  limit: number,
  settings: ExplainSettings,
): Promise<ReturnType<typeof answerOf>> {
  const automations = await log.automations();
  const { covering, near } = await concernedBy(event, automations, settings);
  const explain = async (automation: Automation): Promise<Explained> => ({
    explanation: await suppose(log, automation, event, settings),
    complete: true,
    changedSince: null,
  });
  const listed: Explained[] = [];
  for (const automation of covering.slice(0, limit)) listed.push(await explain(automation));
  const nearby: Explained[] = [];
  for (const automation of near) nearby.push(await explain(automation));
  return answerOf(event, [...listed.sort(byFiredAndName), ...nearby], {
    covering: covering.length - listed.length,
    not_covering: automations.length - covering.length - near.length,
  });
}

/** The explanation of a past event, as the API answers it. */
export function showPast({ explanation, complete, changedSince }: Explained) {
  const changed_since = changedSince === null ? null : formatTime(changedSince);
  return { ...showExplanation(explanation), complete, changed_since };
}

function answerOf(
  event: Event,
  listed: readonly Explained[],
  notListed: { readonly covering: number; readonly not_covering: number },
) {
  return {
    event: {
      id: event.id,
      event: event.name,
      occurred: formatTime(event.occurred),
      received: formatTime(event.received),
    },
    explanations: listed.map(showPast),
    not_listed: notListed,
  };
}

function byFiredAndName({ explanation: a }: Explained, { explanation: b }: Explained): number {
  if (a.fired !== b.fired) return a.fired ? -1 : 1;
  return a.automation.name < b.automation.name ? -1 : 1;
}

/** Which automations cover the event by their present definition, and which come closest of the others. */
async function concernedBy(
  event: Event,
  automations: readonly Automation[],
  { latenessDefault }: ExplainSettings,
): Promise<{ covering: Automation[]; near: Automation[] }> {
  const breather = new Breather();
  const covering: Automation[] = [];
  const near: { readonly automation: Automation; readonly unmetCount: number }[] = [];
  for (const automation of automations) {
    await breather.breathe();
    const unmetCount = unmetConditionCount(automation, event, latenessDefault);
    if (unmetCount === 0) covering.push(automation);
    else if (unmetCount !== null) near.push({ automation, unmetCount });
  }
  covering.sort((a, b) => (a.name < b.name ? -1 : 1));
  near.sort((a, b) => a.unmetCount - b.unmetCount || (a.automation.name < b.automation.name ? -1 : 1));
  return { covering, near: near.slice(0, nearCountMax).map(({ automation }) => automation) };
}

/** The event as the history or, where it is not recorded, the log holds it. */
export async function findEvent(workspace: Workspace, id: string): Promise<Event | null> {
  return (await recordedEvent(workspace, id)) ?? loggedEvent(workspace.log, id);
}

async function recordedEvent({ history }: Workspace, id: string): Promise<Event | null> {
  const [found] = await recordedEvents(history, [id]);
  if (found === undefined) return null;
  const { received, ...wire } = found;
  return eventOf(wire, parseTime(received) ?? 0);
}

async function loggedEvent(log: Log, id: string): Promise<Event | null> {
  for await (const event of eventsNewestFirst(log)) if (event.id === id) return event;
  return null;
}
