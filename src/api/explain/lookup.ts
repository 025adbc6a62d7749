/** What an id belongs to, so that a person can ask about any id that they hold. */

import { z } from "zod";
import {
  actionEventIdsOf,
  firingEventIdOf,
  invocationIdOf,
  reportedBy,
} from "../../core/machine/consequence.ts";
import { isUuid, normalizeUuid, type ReceivedEvent, receivedEvent } from "../../core/model/event.ts";
import type { DeliveryLookup, QueuedDelivery } from "../deliveries/deliveries.ts";
import { untilRecorded } from "../events/until-recorded.ts";
import { type Route, route } from "../http/route.ts";
import type { Workspace } from "../http/tenant.ts";
import { type LookupMatch, LookupSchema } from "./explain-answers.ts";
import { eventsNewestFirst } from "./newest-first.ts";
import { recordedEvents, unlessUnavailable } from "./recorded-events.ts";

/** More matches than this help no one: a longer prefix does. */
const matchCountMax = 20;

/** Nothing stores the ids of deliveries in order, so a prefix of one is looked for in this many of the newest events. */
const newestEventCount = 10_000;

/** The queue lists the latest of each state; this many are looked through. */
const queuedCountMax = 200;

const queueStates = ["dead", "retrying", "waiting", "active"] as const;

const idPrefix = /^[0-9a-f][0-9a-f-]{3,35}$/i;

const LookupQuerySchema = z.object({
  id: z.string().min(1).meta({
    description: "A whole id, the first four characters or more of one, or the name of an automation.",
  }),
});

/** @param deliveriesOf the queue of a workspace; null when this server does not serve it */
export function lookupRoutes(deliveriesOf: (workspace: string) => DeliveryLookup | null): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/lookup",
        id: "lookUp",
        summary: "Find out what an id belongs to",
        description:
          "Finds automations, events, firings and deliveries by their ids, and automations by name. A whole id is found as " +
          "long as the history, the log or the queue holds anything about it. The first characters of an event's id are " +
          `found in the history; those of a delivery's id in the queue and in the newest ${newestEventCount} events.`,
        tag: "explain",
        scope: "automations:read",
        query: LookupQuerySchema,
        answers: {
          200: { description: "What has this id; nothing if it is unknown.", schema: LookupSchema },
        },
      },
      async ({ tenant, query: { id } }, context) => {
        const found = await lookUp(tenant, deliveriesOf(tenant.workspace), id);
        const matches = found.slice(0, matchCountMax);
        return context.json({
          matches: matches.length > 1 ? matches.map((match) => ({ ...match, event: null })) : matches,
          truncated: found.length > matches.length,
        });
      },
    ),
  ];
}

/**
 * Finds what has an id, begins with it, or has this name.
 *
 * @returns more than `matchCountMax` matches if there are that many
 */
export async function lookUp(
  workspace: Workspace,
  queue: DeliveryLookup | null,
  idOrName: string,
): Promise<LookupMatch[]> {
  if (isUuid(idOrName)) {
    const id = normalizeUuid(idOrName);
    const automation = await workspace.log.automation(id);
    const match = automation === null ? await byWholeId(workspace, queue, id) : ofAutomation(automation);
    return match === null ? [] : [match];
  }
  const automations = await workspace.log.automations();
  const named = automations.filter(({ name }) => name === idOrName);
  if (named.length > 0) return named.map(ofAutomation);
  if (!idPrefix.test(idOrName)) return [];
  const prefix = idOrName.toLowerCase();
  const found = new Matches();
  for (const automation of automations)
    if (automation.id.startsWith(prefix)) found.add(ofAutomation(automation));
  await addByPrefix(found, workspace, queue, prefix);
  return found.all;
}

async function byWholeId(
  workspace: Workspace,
  queue: DeliveryLookup | null,
  id: string,
): Promise<LookupMatch | null> {
  const ids = [id, firingEventIdOf(id), ...actionEventIdsOf(id)];
  const { log, history } = workspace;
  if (history !== null) await unlessUnavailable(untilRecorded(log, history).then(() => []));
  const recorded = await recordedEvents(history, ids);
  const itself = recorded.find((event) => event.id === id) ?? recorded[0];
  if (itself !== undefined) return ofEvent(itself, id);
  const queued = await queue?.delivery(id);
  if (queued != null) return ofDelivery(queued);
  for await (const event of eventsNewestFirst(log)) {
    if (ids.includes(event.id)) return ofEvent(receivedEvent(event), id);
  }
  return null;
}

async function addByPrefix(
  found: Matches,
  { log, history }: Workspace,
  queue: DeliveryLookup | null,
  prefix: string,
): Promise<void> {
  for (const state of queueStates) {
    const page = await queue?.deliveries(state, { start: 0, count: queuedCountMax, filter: {} });
    for (const delivery of page?.deliveries ?? []) {
      if (delivery.id.startsWith(prefix)) found.add(ofDelivery(delivery));
    }
  }
  let searchedCount = 0;
  for await (const event of eventsNewestFirst(log)) {
    const isAboutMatch = invocationIdOf(event.wire)?.startsWith(prefix) ?? false;
    if (event.id.startsWith(prefix) || isAboutMatch) found.add(ofEvent(receivedEvent(event), prefix));
    searchedCount += 1;
    if (searchedCount === newestEventCount || found.isFull) break;
  }
  if (history === null || found.isFull) return;
  const recorded = await unlessUnavailable(history.eventsByIdPrefix(prefix, matchCountMax + 1));
  for (const event of recorded) found.add(ofEvent(event, prefix));
}

/** Matches without repetition: several events are about one delivery. */
class Matches {
  readonly #byKey = new Map<string, LookupMatch>();

  get all(): LookupMatch[] {
    return [...this.#byKey.values()];
  }

  get isFull(): boolean {
    return this.#byKey.size > matchCountMax;
  }

  add(match: LookupMatch): void {
    const key = `${match.kind} ${match.id}`;
    if (!this.#byKey.has(key)) this.#byKey.set(key, match);
  }
}

function ofAutomation({ id, name }: { readonly id: string; readonly name: string }): LookupMatch {
  return {
    kind: "automation",
    id,
    automation: { id, name },
    firing_event_id: null,
    triggering_event_id: null,
    event: null,
  };
}

function ofDelivery(delivery: QueuedDelivery): LookupMatch {
  const { id, automation, firing_event_id, triggering_event_id } = delivery;
  return { kind: "delivery", id, automation, firing_event_id, triggering_event_id, event: null };
}

/**
 * What an event reports: a firing, a delivery, or just itself.
 *
 * @param asked the id, or the beginning of one, that someone holds: that of the event, or of what it reports
 */
function ofEvent(event: ReceivedEvent, asked: string): LookupMatch {
  const reported = reportedBy(event);
  if (reported === null) {
    const none = { automation: null, firing_event_id: null, triggering_event_id: null };
    return { kind: "event", id: event.id, ...none, event };
  }
  const { kind, id, automation, firingEventId, triggeringEventId } = reported;
  return {
    kind,
    id,
    automation,
    firing_event_id: firingEventId,
    triggering_event_id: triggeringEventId,
    event: kind === "firing" || event.id.startsWith(asked) ? event : null,
  };
}
