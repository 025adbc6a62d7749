/** Deliveries: where each action of each firing stands; and another try for what failed. Nothing here holds a secret. */

import { z } from "zod";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import type { RedeliveryOptions, RedeliveryRefusal } from "../../core/model/redelivery.ts";
import { millisecond, parseTime } from "../../core/model/time.ts";
import { WrittenTimeSchema } from "../../history/filter.ts";
import { untilRecorded } from "../events/until-recorded.ts";
import { type DeepReadonly, DetailSchema } from "../http/answers.ts";
import { Refusal } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";
import type { Tenant } from "../http/tenant.ts";
import { type Delivery, DeliveryPageSchema, DeliverySchema, ListedStateSchema } from "./delivery-answers.ts";
import { recordedDelivery } from "./recorded-delivery.ts";

export type QueuedDelivery = DeepReadonly<Omit<Delivery, "source">>;

type QueueState = z.infer<typeof ListedStateSchema>;

/** Times are in milliseconds since the epoch. */
export interface QueueFilter {
  readonly automation?: string;
  readonly target?: string;
  readonly since?: number;
  readonly until?: number;
}

/** What this needs from a workspace's action queue. Every method may throw RedisUnreachable. */
export interface DeliveryLookup {
  /** The next to be attempted first, or the latest to have ended; and where to go on, null at the end of the list. */
  deliveries(
    state: QueueState,
    options: { start: number; count: number; filter: QueueFilter },
  ): Promise<{ readonly deliveries: readonly QueuedDelivery[]; readonly next: number | null }>;
  count(state: QueueState): Promise<number>;
  /** A delivery in any state; null when the queue does not know it, or no longer. */
  delivery(id: string): Promise<QueuedDelivery | null>;
  /** Gives a delivery all its attempts again. @returns why that cannot be; null when it is done */
  redeliver(id: string, options: RedeliveryOptions): Promise<RedeliveryRefusal | null>;
  /** Cancels a delivery that has not ended. */
  cancel(id: string, by: string): Promise<"cancelled" | "ended" | "unknown" | "immediate">;
}

const deliveriesPerPageMax = 200;

const wholeNumber = (max: number) => z.coerce.number().pipe(z.int().min(0).max(max));

const DeliveriesQuerySchema = z.object({
  state: ListedStateSchema.default("dead").meta({
    description: "Which ones. Those that wait for a busy or resting endpoint are listed as `retrying`.",
  }),
  limit: wholeNumber(deliveriesPerPageMax).default(50).meta({ description: "How many to return at most." }),
  offset: wholeNumber(1_000_000)
    .default(0)
    .meta({ description: "How many of that state to skip: the `next_offset` of the page before." }),
  automation: z
    .string()
    .optional()
    .meta({ description: "Only those of this automation: its id or its name." }),
  target: z.string().optional().meta({ description: "Only those whose target contains this text." }),
  since: WrittenTimeSchema.optional().meta({ description: "Only those that fired at this time or later." }),
  until: WrittenTimeSchema.optional().meta({ description: "Only those that fired before this time." }),
});

const flag = z.enum(["true", "false"]).default("false");

const RedeliverQuerySchema = z.object({
  as_sent: flag.meta({
    description:
      "`true`: send what the rule said when it fired. By default, the present rule says what to send.",
  }),
  even_if_outdated: flag.meta({
    description: "`true`: send it even if its target has accepted a later delivery about the same thing.",
  }),
});

const byId = z.object({
  id: z.string().meta({ description: "The delivery's id, which is its `webhook-id`." }),
});

/** The queue of a workspace that this server serves. */
export function queueIn(
  deliveriesOf: (workspace: string) => DeliveryLookup | null,
  workspace: string,
): DeliveryLookup {
  const queue = deliveriesOf(workspace);
  if (queue === null) throw new Error(`this server has no queue for the workspace ${workspace}`);
  return queue;
}

/** @param deliveriesOf the queue of a workspace; null when this server does not serve it */
export function deliveryRoutes(deliveriesOf: (workspace: string) => DeliveryLookup | null): Route[] {
  const queueOf = (workspace: string) => queueIn(deliveriesOf, workspace);

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
            description:
              "The next to be attempted first; of those that have ended, the latest first. With a filter, a page may be " +
              "short, or empty, and still have a `next_offset`.",
            schema: DeliveryPageSchema,
          },
        },
      },
      async ({ tenant, query: { state, limit: count, offset: start, ...filter } }, context) => {
        const queue = queueOf(tenant.workspace);
        const [{ deliveries: found, next }, total] = await Promise.all([
          queue.deliveries(state, { start, count, filter: filterOf(filter) }),
          queue.count(state),
        ]);
        const deliveries = found.map((delivery) => ({ ...delivery, source: "queue" }));
        return context.json({ deliveries, total, next_offset: next === null || next >= total ? null : next });
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
        summary: "Redeliver a delivery, as the present rule has it",
        description:
          "It gets all its attempts again, under the same `webhook-id`. A delivery that waits is tried at once. One that " +
          "would not be true any more, because its target has accepted a later one about the same thing, is refused.",
        tag: "deliveries",
        scope: "automations:write",
        params: byId,
        query: RedeliverQuerySchema,
        answers: {
          202: { description: "The delivery is queued." },
          409: {
            description: "It cannot be redelivered so; the answer says why, and what to do.",
            schema: DetailSchema,
          },
        },
      },
      async ({ tenant, params: { id }, query }, context) => {
        const queue = queueOf(tenant.workspace);
        const known = isUuid(id) ? await queue.delivery(normalizeUuid(id)) : null;
        if (known === null) throw notFound(notQueued);
        const refusal = await queue.redeliver(known.id, {
          automation: await tenant.log.sealedAutomation(known.automation.id),
          asSent: query.as_sent === "true",
          insists: query.even_if_outdated === "true",
        });
        if (refusal !== null) throw redeliveryRefused(refusal);
        return context.body(null, 202);
      },
    ),

    route(
      {
        method: "post",
        path: "/deliveries/:id/cancel",
        id: "cancelDelivery",
        summary: "Cancel a delivery that has not ended",
        description:
          "Nothing more is sent, except by an attempt that has already begun. The delivery is `cancelled` as soon as a " +
          "worker has seen that, and can be redelivered.",
        tag: "deliveries",
        scope: "automations:write",
        params: byId,
        answers: {
          202: { description: "It will be cancelled." },
          409: { description: "It has ended.", schema: DetailSchema },
        },
      },
      async ({ tenant, params: { id } }, context) => {
        const queue = queueOf(tenant.workspace);
        const { id: keyId } = tenant.actor;
        const by = keyId === null ? "a request without an API key" : `the API key ${keyId}`;
        const outcome = isUuid(id) ? await queue.cancel(normalizeUuid(id), by) : "unknown";
        if (outcome === "unknown") throw notFound(notQueued);
        if (outcome === "ended") throw conflict("The delivery has ended, so there is nothing to cancel");
        if (outcome === "immediate") throw conflict("The action does nothing, so there is nothing to cancel");
        return context.body(null, 202);
      },
    ),
  ];
}

const notQueued = "Delivery not found: it never existed, or the queue no longer keeps it";

function filterOf({
  automation,
  target,
  since,
  until,
}: Pick<z.infer<typeof DeliveriesQuerySchema>, "automation" | "target" | "since" | "until">): QueueFilter {
  const msOf = (text: string) => (parseTime(text) ?? 0) / millisecond;
  return {
    ...(automation === undefined ? {} : { automation }),
    ...(target === undefined ? {} : { target }),
    ...(since === undefined ? {} : { since: msOf(since) }),
    ...(until === undefined ? {} : { until: msOf(until) }),
  };
}

function redeliveryRefused(refusal: RedeliveryRefusal): Refusal {
  switch (refusal.kind) {
    case "unknown":
      return notFound(notQueued);
    case "not kept":
      return conflict("The delivery was made, and what it sent is not kept, so it cannot be repeated");
    case "no secrets":
      return conflict(
        "The delivery was made, so its secrets are not kept, and its automation no longer has them. To send it as the " +
          "present rule has it, leave out as_sent (--as-sent)",
      );
    case "no rule":
      return conflict(`${refusal.reason}. To send what the rule said when it fired, use as_sent (--as-sent)`);
    case "outdated":
      return conflict(
        "Its target has accepted a later delivery about the same thing, so what this one says is no longer true. To send " +
          "it all the same, use even_if_outdated (--even-if-outdated)",
      );
  }
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

function conflict(message: string): Refusal {
  return new Refusal(409, "conflict", { detail: message });
}

function notFound(message: string): Refusal {
  return new Refusal(404, "not_found", { exception_message: message });
}
