/** Deliveries: where each action of each firing stands, and what it sends. Nothing here holds a secret. */

import { z } from "zod";
import type { Destination } from "../../core/model/destination.ts";
import type { DisabledEndpoint } from "../../core/model/disabled-endpoint.ts";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import type { RedeliveryOptions, RedeliveryRefusal } from "../../core/model/redelivery.ts";
import { millisecond, parseTime } from "../../core/model/time.ts";
import { WrittenTimeSchema } from "../../history/filter.ts";
import { untilRecorded } from "../events/until-recorded.ts";
import { type DeepReadonly, DetailSchema } from "../http/answers.ts";
import { conflict, notFound } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";
import type { Tenant } from "../http/tenant.ts";
import {
  byDeliveryId,
  type Delivery,
  DeliveryCountsSchema,
  DeliveryPageSchema,
  DeliverySchema,
  ListedStateSchema,
} from "./delivery-answers.ts";
import { type DestinationTest, type SentMessage, SentMessageSchema } from "./message-answers.ts";
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
  /** The first deliveries of a state in the same order, but no large ones; and whether those are all. */
  glance(
    state: QueueState,
    countMax: number,
  ): Promise<{ readonly deliveries: readonly QueuedDelivery[]; readonly isAll: boolean }>;
  /** A delivery in any state; null when the queue does not know it, or no longer. */
  delivery(id: string): Promise<QueuedDelivery | null>;
  /** Gives a delivery all its attempts again. @returns why that cannot be; null when it is done */
  redeliver(id: string, options: RedeliveryOptions): Promise<RedeliveryRefusal | null>;
  /** Cancels a delivery that has not ended. */
  cancel(id: string, by: string): Promise<"cancelled" | "ended" | "unknown" | "immediate">;
  /** Counts the deliveries in each state. */
  countsByState(): Promise<Readonly<Record<QueueState, number>>>;
  /** What waits for each of these endpoints, in their order, and until when each rests, in milliseconds since the epoch. */
  rests(
    origins: readonly string[],
  ): Promise<readonly { readonly waitingCount: number; readonly until: number | null }[]>;
}

/** What this needs to show and send messages in a workspace. Every method may throw RedisUnreachable. */
export interface DeliveryMessages {
  /**
   * What a delivery has sent, or will send.
   *
   * @param rendered from the rule as it was when it fired, or from the present one; null for that of the last or next attempt
   * @returns why it cannot be told
   */
  ofDelivery(id: string, rendered: SentMessage["rendered"] | null): Promise<SentMessage | RedeliveryRefusal>;
  /**
   * Sends a test message to a destination, once. Aborting the signal ends that.
   *
   * @returns the endpoint if it is disabled, or `busy` if too many tests are being made; then nothing is sent
   */
  test(
    destination: Destination,
    signal: AbortSignal,
  ): Promise<DestinationTest | { readonly disabled: DisabledEndpoint } | "busy">;
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

const RequestQuerySchema = z.object({
  rendered: z
    .enum(["as_sent", "now"])
    .optional()
    .meta({
      description:
        "`as_sent`: from the rule as it was when it fired. `now`: from the present rule. Left out, that of the last attempt " +
        "or, if the delivery has not ended, of the next one.",
    }),
});

/** The queue of a workspace. */
export type QueueOf = (workspace: string) => DeliveryLookup;

/** @param deliveriesOf the queue of a workspace; null when this server does not serve it */
export function queuesOf(deliveriesOf: (workspace: string) => DeliveryLookup | null): QueueOf {
  return (workspace) => {
    const queue = deliveriesOf(workspace);
    if (queue === null) throw new Error(`this server has no queue for the workspace ${workspace}`);
    return queue;
  };
}

/** @param messagesOf shows what the deliveries of a workspace send */
export function deliveryRoutes(
  queueOf: QueueOf,
  messagesOf: (workspace: string) => Promise<DeliveryMessages>,
): Route[] {
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
        path: "/deliveries/counts",
        id: "countDeliveries",
        summary: "Count the deliveries in each state",
        tag: "deliveries",
        scope: "automations:read",
        answers: { 200: { description: "As of one moment.", schema: DeliveryCountsSchema } },
      },
      async ({ tenant }, context) => context.json(await queueOf(tenant.workspace).countsByState()),
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
        params: byDeliveryId,
        answers: { 200: { description: "Where it stands.", schema: DeliverySchema } },
      },
      async ({ tenant, params: { id } }, context) => {
        const delivery = isUuid(id) ? await findDelivery(tenant, queueOf, normalizeUuid(id)) : null;
        if (delivery === null) {
          throw notFound(unknownId);
        }
        return context.json(delivery);
      },
    ),

    route(
      {
        method: "get",
        path: "/deliveries/:id/request",
        id: "readDeliveryRequest",
        summary: "Read what a delivery sends, with secrets masked",
        description:
          "Put together by the code that sends it, without sending anything. It is what the last attempt sent, or what the " +
          "next one will send; the destination and its secrets are the present ones. With `rendered=now`, it is what a " +
          "redelivery as the present rule has it would send. If a template fails, it is the plain message that goes out " +
          "in its place.",
        tag: "deliveries",
        scope: "automations:read",
        params: byDeliveryId,
        query: RequestQuerySchema,
        answers: {
          200: { description: "What is sent.", schema: SentMessageSchema },
          409: {
            description: "It is not known any more, or the present rule does not say; the answer says which.",
            schema: DetailSchema,
          },
        },
      },
      async ({ tenant, params: { id }, query: { rendered = null } }, context) => {
        const messages = await messagesOf(tenant.workspace);
        const found = isUuid(id) ? await messages.ofDelivery(normalizeUuid(id), rendered) : unknown;
        if (found.kind === "unknown") {
          const delivery = isUuid(id) ? await findDelivery(tenant, queueOf, normalizeUuid(id)) : null;
          throw delivery === null ? notFound(unknownId) : conflict(notKept);
        }
        if (found.kind === "no rule") {
          throw conflict(`${found.reason}. To see what the rule said when it fired, use rendered=as_sent`);
        }
        if (found.kind === "not kept" || found.kind === "no secrets" || found.kind === "outdated") {
          throw conflict(notKept);
        }
        return context.json(found);
      },
    ),
  ];
}

const unknown = { kind: "unknown" } as const;
const unknownId = "Delivery not found: neither the queue nor the history knows this id";
const notKept =
  "What this delivery sent is not known any more: of what was delivered, only requests and notifications of up to 16,384 " +
  "characters are kept, for a day; dead letters are kept for 30 days";

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
