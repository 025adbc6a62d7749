/** Deliveries: where each action of each firing stands; and another try for what failed. Nothing here holds a secret. */

import { z } from "zod";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import { untilRecorded } from "../events/until-recorded.ts";
import type { DeepReadonly } from "../http/answers.ts";
import { Refusal } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";
import type { Tenant } from "../http/tenant.ts";
import { type Delivery, DeliveryPageSchema, DeliverySchema, ListedStateSchema } from "./delivery-answers.ts";
import { recordedDelivery } from "./recorded-delivery.ts";

export type QueuedDelivery = DeepReadonly<Omit<Delivery, "source">>;

type QueueState = z.infer<typeof ListedStateSchema>;

/** What this needs from a workspace's action queue. Every method may throw RedisUnreachable. */
export interface DeliveryLookup {
  /** The next to be attempted first, or the latest to have ended. */
  deliveries(
    state: QueueState,
    options: { start: number; count: number },
  ): Promise<readonly QueuedDelivery[]>;
  count(state: QueueState): Promise<number>;
  /** A delivery in any state; null when the queue does not know it, or no longer. */
  delivery(id: string): Promise<QueuedDelivery | null>;
  /** Gives a dead letter all its attempts again. @returns false when there is no such dead letter */
  redeliver(id: string): Promise<boolean>;
}

const deliveriesPerPageMax = 200;

const wholeNumber = (max: number) => z.coerce.number().pipe(z.int().min(0).max(max));

const DeliveriesQuerySchema = z.object({
  state: ListedStateSchema.default("dead").meta({
    description: "Which ones. Those that wait for a busy or resting endpoint are listed as `retrying`.",
  }),
  limit: wholeNumber(deliveriesPerPageMax).default(50).meta({ description: "How many to return at most." }),
  offset: wholeNumber(1_000_000).default(0).meta({ description: "How many to skip." }),
});

const byId = z.object({
  id: z.string().meta({ description: "The delivery's id, which is its `webhook-id`." }),
});

/** @param deliveriesOf the queue of a workspace; null when this server does not serve it */
export function deliveryRoutes(deliveriesOf: (workspace: string) => DeliveryLookup | null): Route[] {
  const queueOf = (workspace: string): DeliveryLookup => {
    const queue = deliveriesOf(workspace);
    if (queue === null) throw new Error(`this server has no queue for the workspace ${workspace}`);
    return queue;
  };

  return [
    route(
      {
        method: "get",
        path: "/deliveries",
        id: "listDeliveries",
        summary: "List deliveries of one state; by default dead letters, which failed for good",
        tag: "deliveries",
        scope: "automations:read",
        query: DeliveriesQuerySchema,
        answers: {
          200: {
            description: "The next to be attempted first; of those that have ended, the latest first.",
            schema: DeliveryPageSchema,
          },
        },
      },
      async ({ tenant, query: { state, limit: count, offset: start } }, context) => {
        const queue = queueOf(tenant.workspace);
        const [found, total] = await Promise.all([
          queue.deliveries(state, { start, count }),
          queue.count(state),
        ]);
        const deliveries = found.map((delivery) => ({ ...delivery, source: "queue" }));
        return context.json({ deliveries, total });
      },
    ),

    route(
      {
        method: "get",
        path: "/deliveries/:id",
        id: "readDelivery",
        summary: "Read a delivery, whatever its state",
        description:
          "The queue knows deliveries until a day after they were delivered, and dead letters for 30 days. Older ones " +
          "come from the history.",
        tag: "deliveries",
        scope: "automations:read",
        params: byId,
        answers: { 200: { description: "Where it stands.", schema: DeliverySchema } },
      },
      async ({ tenant, params: { id } }, context) => {
        const delivery = isUuid(id) ? await findDelivery(tenant, queueOf, normalizeUuid(id)) : null;
        if (delivery === null) {
          throw notFound("Delivery not found: neither the queue nor the history knows this id");
        }
        return context.json(delivery);
      },
    ),

    route(
      {
        method: "post",
        path: "/deliveries/:id/redeliver",
        id: "redeliver",
        summary: "Redeliver a dead letter",
        description: "It gets all its attempts again, under the same `webhook-id`.",
        tag: "deliveries",
        scope: "automations:write",
        params: byId,
        answers: { 202: { description: "The delivery is queued." } },
      },
      async ({ tenant, params: { id } }, context) => {
        const found = isUuid(id) && (await queueOf(tenant.workspace).redeliver(normalizeUuid(id)));
        if (!found) {
          throw notFound("Dead letter not found: it never existed, was redelivered, or is no longer kept");
        }
        return context.body(null, 202);
      },
    ),
  ];
}

async function findDelivery(
  { workspace, log, history }: Tenant,
  queueOf: (workspace: string) => DeliveryLookup,
  id: string,
): Promise<DeepReadonly<Delivery> | null> {
  const queued = await queueOf(workspace).delivery(id);
  if (queued !== null) return { ...queued, source: "queue" };
  if (history === null) return null;
  await untilRecorded(log, history); // the queue may have let go of it a moment ago
  return recordedDelivery(history, id);
}

function notFound(message: string): Refusal {
  return new Refusal(404, "not_found", { exception_message: message });
}
