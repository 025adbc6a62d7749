/** Deliveries that the queue has forgotten, put together from the events about them. */

import { z } from "zod";
import { actionEventIdsOf, relatedEventIdOf } from "../../core/machine/consequence.ts";
import type { ReceivedEvent } from "../../core/model/event.ts";
import { resolveFilterOfAllTime, type WrittenFilter } from "../../history/filter.ts";
import type { History } from "../../history/history.ts";
import { type Delivery, TemplateFailureSchema } from "./delivery-answers.ts";

/** More events than this are about one delivery only after 100 redeliveries. */
const eventCountMax = 200;

/**
 * A delivery as the history knows it.
 *
 * @returns null when the history holds no event about it
 * @throws HistoryUnavailable
 */
export async function recordedDelivery(history: History, id: string): Promise<Delivery | null> {
  const [first] = await eventsOf(history, { id: { id: actionEventIdsOf(id) }, order: "ASC" });
  if (first === undefined) return null;
  const firingEventId = relatedEventIdOf(first, "automation-triggered-event");
  if (firingEventId === null) return null;
  const events = await eventsOf(history, {
    event: { prefix: ["prefect-cloud.automation.action."] },
    resource: { id: [first.resource["prefect.resource.id"] ?? ""] },
    related: [{ id: [`prefect-cloud.event.${firingEventId}`] }],
    order: "ASC",
  });
  const about = events.filter(({ payload }) => payload["invocation"] === id);
  return fromEvents(id, firingEventId, about.length === 0 ? [first] : about);
}

function fromEvents(id: string, firingEventId: string, events: readonly ReceivedEvent[]): Delivery | null {
  const last = events.at(-1);
  if (last === undefined) return null;
  const { payload, occurred } = last;
  const automation = last.related.find((resource) => resource["prefect.resource.role"] === "automation");
  const kind = last.event.split(".").at(-1);
  const { action_type: type, action_index: index, attempts, status_code: status, reason } = payload;
  const failures = z
    .array(TemplateFailureSchema)
    .optional()
    .catch(undefined)
    .parse(payload["template_failures"]);
  const target = payload["destination"] ?? payload["url"];
  const startCount = events.filter(({ event }) => event.endsWith(".action.triggered")).length;
  return {
    id,
    state: kind === "executed" ? "delivered" : kind === "failed" ? "dead" : "unknown",
    automation: {
      id: (automation?.["prefect.resource.id"] ?? "").replace("prefect-cloud.automation.", ""),
      name: automation?.["prefect.resource.name"] ?? "",
    },
    action_type: String(type),
    action_index: Number(index),
    target: typeof target === "string" ? target : null,
    firing_id: null,
    firing_event_id: firingEventId,
    triggering_event_id: relatedEventIdOf(last, "triggering-event"),
    reason: typeof reason === "string" ? reason : null,
    attempt_count: typeof attempts === "number" ? attempts : 0,
    attempts: [],
    next_attempt: null,
    status_code: typeof status === "number" ? status : null,
    delivered: kind === "executed" ? occurred : null,
    failed: kind === "failed" ? occurred : null,
    redeliveries: Math.max(0, startCount - 1),
    ...(failures === undefined ? {} : { template_failures: failures }),
    source: "history",
  };
}

async function eventsOf(history: History, written: WrittenFilter): Promise<readonly ReceivedEvent[]> {
  return (await history.queryEvents(resolveFilterOfAllTime(written), { limit: eventCountMax })).events;
}
