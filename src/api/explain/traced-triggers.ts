/** What led to a firing: for each trigger that took part, why it fired, and the events that it counted. */

import { type TriggerOfKey, triggerOfKey } from "../../core/machine/firing-events.ts";
import type { Automation } from "../../core/model/automation.ts";
import { eventOf, type ReceivedEvent } from "../../core/model/event.ts";
import type { ShownFiring } from "../../core/model/invocation.ts";
import { isRecord } from "../../core/model/record.ts";
import { type Micros, parseTime } from "../../core/model/time.ts";
import { walkTrigger } from "../../core/model/trigger.ts";
import { type EventFilter, resolveFilterOfAllTime } from "../../history/filter.ts";
import { isHistoryUnavailable } from "../events/events.ts";
import type { Workspace } from "../http/tenant.ts";
import { loggedEvents } from "./newest-first.ts";
import type { TracedTrigger } from "./trace-answers.ts";

/** Someone who reads a trace wants to see what counted, not thousands of heartbeats. */
const eventCountMax = 50;
/** How many events of a window to look through. */
const searchedCountMax = 10_000;

type PartOfFiring = Pick<
  ShownFiring,
  "trigger_states" | "triggered" | "triggering_labels" | "triggering_event" | "window" | "late"
> & {
  /** Null for the root. */
  readonly trigger_id: string | null;
  readonly triggering_firings: readonly ShownFiring[];
};

/**
 * @param event about the firing
 * @param automation as it is now; null if it was deleted, and then the events of composites cannot be found again
 */
export async function tracedTriggers(
  workspace: Workspace,
  event: ReceivedEvent,
  automation: Automation | null,
): Promise<TracedTrigger[]> {
  const traced: TracedTrigger[] = [];
  const add = async (part: PartOfFiring): Promise<void> => {
    const trigger =
      automation === null ? null : triggerOfKey(automation, part.trigger_id, part.triggering_labels);
    traced.push({
      trigger: automation === null ? "" : pathOf(automation, part.trigger_id),
      state: part.trigger_states[0],
      triggered: part.triggered,
      labels: part.triggering_labels,
      window: part.window,
      summary: summaryOf(part),
      ...(await eventsOf(workspace, part, trigger)),
    });
    for (const child of part.triggering_firings) await add(child);
  };
  await add(rootOf(event));
  return traced;
}

/** The firing as the event about it tells it. */
function rootOf({ event, occurred, payload }: ReceivedEvent): PartOfFiring {
  const { triggering_labels: labels, triggering_event: cause, window, late, triggering_firings } = payload;
  return {
    trigger_id: null,
    trigger_states: [event.endsWith(".resolved") ? "Resolved" : "Triggered"],
    triggered: occurred,
    triggering_labels: (isRecord(labels) ? labels : {}) as Record<string, string>,
    triggering_event: isRecord(cause) ? (cause as unknown as ReceivedEvent) : null,
    window: isRecord(window) ? (window as unknown as ShownFiring["window"]) : null,
    late: late === true,
    triggering_firings: (Array.isArray(triggering_firings) ? triggering_firings : []) as ShownFiring[],
  };
}

function pathOf({ trigger }: Automation, triggerId: string | null): string {
  let found = "";
  walkTrigger(trigger, (part, path) => {
    if (part.id === triggerId) found = path;
  });
  return found;
}

function summaryOf({
  trigger_states: [state],
  window,
  late,
  triggering_firings: children,
}: PartOfFiring): string {
  if (children.length > 0)
    return `${children.length === 1 ? "A trigger" : `${children.length} triggers`} below it fired.`;
  const span =
    window === null ? "" : ` from ${window.start} ${window.end === null ? "on" : `to ${window.end}`}`;
  if (state === "Resolved") {
    const delayed = late ? " It had occurred in that time, but arrived late." : "";
    return `An expected event arrived, and ended the absence${span}.${delayed}`;
  }
  if (window === null) return "An expected event arrived.";
  const { count, threshold } = window;
  if (count >= threshold) {
    return threshold === 1
      ? "An expected event arrived."
      : `${count} of ${threshold} expected events occurred${span}.`;
  }
  const arrived = count === 0 ? "No expected event" : `Only ${count} of ${threshold} expected events`;
  return `${arrived} occurred${span}.`;
}

async function eventsOf(
  workspace: Workspace,
  part: PartOfFiring,
  trigger: TriggerOfKey | null,
): Promise<Pick<TracedTrigger, "events" | "more_events">> {
  const { triggering_event: cause, window, trigger_states, triggering_firings: children } = part;
  if (children.length > 0) return { events: [], more_events: false };
  const isAbsence = trigger_states[0] === "Triggered" && window !== null && window.count < window.threshold;
  const known = cause === null ? [] : [{ role: isAbsence ? "last" : "expected", event: cause } as const];
  if (trigger === null || window === null || trigger_states[0] === "Resolved")
    return { events: known, more_events: false };
  const events: TracedTrigger["events"][number][] = [];
  for await (const event of eventsInWindow(workspace, part, trigger)) {
    const { received, ...wire } = event;
    const role = trigger.roleOf(eventOf(wire, parseTime(received) ?? 0));
    if (role === null || event.id === cause?.id) continue;
    if (events.length === eventCountMax) return { events: [...events, ...known], more_events: true };
    events.push({ role: role.expected ? "expected" : "after", event });
  }
  const all = [...events, ...known];
  all.sort((a, b) => (parseTime(a.event.occurred) ?? 0) - (parseTime(b.event.occurred) ?? 0));
  return { events: all, more_events: false };
}

/** The events that may have counted in a window, in the order in which they occurred. */
async function* eventsInWindow(
  { log, history }: Workspace,
  { window, triggered, triggering_labels: labels }: PartOfFiring,
  { namePrefixes }: TriggerOfKey,
): AsyncGenerator<ReceivedEvent> {
  const start = parseTime(window?.start ?? "") ?? 0;
  const known = parseTime(triggered) ?? 0;
  const end: Micros = Math.min(known, parseTime(window?.end ?? "") ?? known);
  if (history === null) {
    const isIn = ({ occurred, received }: { readonly occurred: Micros; readonly received: Micros }) =>
      occurred >= start && occurred <= end && received <= known;
    yield* await loggedEvents(log, searchedCountMax, isIn, start);
    return;
  }
  const resource = labels["prefect.resource.id"];
  const filter: EventFilter = {
    ...resolveFilterOfAllTime({
      ...(namePrefixes.length === 0 ? {} : { event: { prefix: [...namePrefixes] } }),
      ...(resource === undefined ? {} : { resource: { id: [resource], distinct: false } }),
      order: "ASC",
    }),
    since: start,
    until: end,
  };
  let searchedCount = 0;
  try {
    for await (const event of history.eachEvent(filter)) {
      if ((parseTime(event.received) ?? 0) <= known) yield event;
      if (++searchedCount === searchedCountMax) return;
    }
  } catch (error) {
    if (!isHistoryUnavailable(error)) throw error;
  }
}
