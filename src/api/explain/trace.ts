/** The whole path of a firing: the events that led to it, its window, and each delivery with its answer. */

import { z } from "zod";
import {
  emittedEventIdOf,
  invocationIdAt,
  invocationIdOf,
  relatedEventIdOf,
  reportedBy,
} from "../../core/machine/consequence.ts";
import type { Automation } from "../../core/model/automation.ts";
import type { ReceivedEvent } from "../../core/model/event.ts";
import { formatTime, parseTime } from "../../core/model/time.ts";
import { resolveFilterOfAllTime } from "../../history/filter.ts";
import type { DeliveryLookup } from "../deliveries/deliveries.ts";
import { recordedDelivery } from "../deliveries/recorded-delivery.ts";
import { RefusalSchema } from "../http/answers.ts";
import { notFound } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";
import { requireScope, type Workspace } from "../http/tenant.ts";
import { lookUp } from "./lookup.ts";
import { loggedEvents } from "./newest-first.ts";
import { recordedEvents, unlessUnavailable } from "./recorded-events.ts";
import { type TracedFiring, TraceSchema } from "./trace-answers.ts";
import { tracedTriggers } from "./traced-triggers.ts";

/** Of an event that caused more firings than this, the first are traced. */
const firingCountMax = 20;
/** More events are about one firing only after many redeliveries. */
const consequenceCountMax = 500;

/** @param deliveriesOf the queue of a workspace; null when this server does not serve it */
export function traceRoutes(deliveriesOf: (workspace: string) => DeliveryLookup | null): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/trace",
        id: "trace",
        summary: "Trace the whole path of a firing",
        description:
          "The events that led to the firing, the window in which they counted, and every delivery with its attempts. Takes " +
          "the id of a firing or of the event about it, a `webhook-id`, or the id of an event, for each firing that it " +
          "caused. The key also needs the scope `events:read`.",
        tag: "explain",
        scope: "automations:read",
        query: z.object({
          id: z
            .string()
            .min(1)
            .meta({ description: "A whole id, or the first four characters or more of one." }),
        }),
        answers: {
          200: { description: "The firings, the earliest first.", schema: TraceSchema },
          404: { description: "Nothing has this id, or more than one thing.", schema: RefusalSchema },
        },
      },
      async ({ tenant, query: { id } }, context) => {
        requireScope(tenant, "events:read");
        const queue = deliveriesOf(tenant.workspace);
        const [match, ...others] = await lookUp(tenant, queue, id);
        if (match === undefined) throw notFound(`Nothing is known about the id ${JSON.stringify(id)}`);
        if (others.length > 0) throw notFound(`Several ids begin with ${id}; give more of one`);
        if (match.kind === "automation") {
          throw notFound("This is an automation. Give the id of a firing, a delivery or an event");
        }
        const found =
          match.firing_event_id === null
            ? await firingsCausedBy(tenant, match.id)
            : await eventsWithId(tenant, match.firing_event_id);
        const firings: TracedFiring[] = [];
        for (const event of found.slice(0, firingCountMax)) firings.push(await trace(tenant, queue, event));
        return context.json({ firings, truncated: found.length > firingCountMax });
      },
    ),
  ];
}

async function trace(
  workspace: Workspace,
  queue: DeliveryLookup | null,
  event: ReceivedEvent,
): Promise<TracedFiring> {
  const { payload } = event;
  const { id: automationId, name } = reportedBy(event)?.automation ?? { id: "", name: "" };
  const automation = await workspace.log.automation(automationId);
  const firingId = typeof payload["firing_id"] === "string" ? payload["firing_id"] : null;
  const isChanged = automation !== null && automation.updated > (parseTime(event.received) ?? 0);
  const deliveries = await deliveriesOfFiring(workspace, queue, { event, firingId, automation });
  const emitted = deliveries.filter(({ action_type: type }) => type === "emit-event");
  return {
    id: firingId,
    event_id: event.id,
    automation: { id: automationId, name },
    state: event.event.endsWith(".resolved") ? "Resolved" : "Triggered",
    triggered: event.occurred,
    triggering_event_id: relatedEventIdOf(event, "triggering-event"),
    late: typeof payload["late"] === "boolean" ? payload["late"] : null,
    triggers: await tracedTriggers(workspace, event, automation),
    changed_since: isChanged ? formatTime(automation.updated) : null,
    deliveries,
    emitted: await eventsWithId(workspace, ...emitted.map(({ id }) => emittedEventIdOf(id))),
  };
}

/** The deliveries of a firing, by the index of their action. */
async function deliveriesOfFiring(
  { log, history }: Workspace,
  queue: DeliveryLookup | null,
  {
    event,
    firingId,
    automation,
  }: {
    readonly event: ReceivedEvent;
    readonly firingId: string | null;
    readonly automation: Automation | null;
  },
): Promise<TracedFiring["deliveries"]> {
  const reports = await eventsAbout({ log, history }, event.id, ["prefect-cloud.automation.action."]);
  const reported = new Set(reports.flatMap((report) => invocationIdOf(report) ?? []));
  // One that no worker has begun is not reported yet; its id follows from that of the firing.
  const {
    actions = [],
    actions_on_trigger: onTrigger = [],
    actions_on_resolve: onResolve = [],
  } = automation ?? {};
  const count = firingId === null ? 0 : actions.length + onTrigger.length + onResolve.length;
  const derived = Array.from({ length: count }, (_, index) => invocationIdAt(firingId ?? "", index));
  const deliveries: TracedFiring["deliveries"][number][] = [];
  for (const id of new Set([...reported, ...derived])) {
    const queued = await queue?.delivery(id);
    if (queued != null) deliveries.push({ ...queued, source: "queue" });
    else if (history !== null && reported.has(id)) {
      const [recorded] = await unlessUnavailable(recordedDelivery(history, id).then((found) => [found]));
      if (recorded != null) deliveries.push(recorded);
    }
  }
  return deliveries.sort((a, b) => a.action_index - b.action_index);
}

function firingsCausedBy(workspace: Workspace, eventId: string): Promise<readonly ReceivedEvent[]> {
  return eventsAbout(workspace, eventId, [
    "prefect-cloud.automation.triggered",
    "prefect-cloud.automation.resolved",
  ]);
}

/** Tripline's own events that name another event, in the order in which they occurred. */
async function eventsAbout(
  { log, history }: Pick<Workspace, "log" | "history">,
  eventId: string,
  prefixes: string[],
): Promise<readonly ReceivedEvent[]> {
  const related = `prefect-cloud.event.${eventId}`;
  if (history === null) {
    return loggedEvents(log, consequenceCountMax, ({ name, wire }) => {
      const isOwn = prefixes.some((prefix) => name.startsWith(prefix));
      return isOwn && wire.related.some((resource) => resource["prefect.resource.id"] === related);
    });
  }
  const filter = resolveFilterOfAllTime({
    related: [{ id: [related] }],
    event: { prefix: prefixes },
    order: "ASC",
  });
  const found = history.queryEvents(filter, { limit: consequenceCountMax });
  return unlessUnavailable(found.then(({ events }) => events));
}

async function eventsWithId(
  { log, history }: Workspace,
  ...ids: string[]
): Promise<readonly ReceivedEvent[]> {
  if (ids.length === 0) return [];
  const recorded = await recordedEvents(history, ids);
  if (recorded.length > 0) return recorded;
  return loggedEvents(log, ids.length, (event) => ids.includes(event.id));
}
