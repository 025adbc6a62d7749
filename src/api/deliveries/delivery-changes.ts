/** Redelivering and cancelling deliveries: one, or many in one request. */

import { z } from "zod";
import { DetailSchema } from "../http/answers.ts";
import { Refusal } from "../http/refusal.ts";
import { jsonBody } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import type { QueueOf } from "./deliveries.ts";
import { byDeliveryId } from "./delivery-answers.ts";
import { cancelOne, redeliverOne } from "./delivery-steps.ts";

/** Each takes some round trips to Redis, one after the other. */
const idsMax = 200;

const asSentText = "send what the rule said when it fired. By default, the present rule says what to send.";
const evenIfOutdatedText = "send it even if its target has accepted a later delivery about the same thing.";

const flag = z.enum(["true", "false"]).default("false");

const RedeliverQuerySchema = z.object({
  as_sent: flag.meta({ description: `\`true\`: ${asSentText}` }),
  even_if_outdated: flag.meta({ description: `\`true\`: ${evenIfOutdatedText}` }),
});

const ids = z
  .array(z.string())
  .min(1, "ids should hold at least one id")
  .max(idsMax, `ids should hold at most ${idsMax} ids`)
  .meta({ description: "The ids of deliveries. They are taken in this order, each once." });

const RedeliveriesSchema = z
  .strictObject({
    ids,
    as_sent: z
      .boolean()
      .default(false)
      .meta({ description: `True: ${asSentText}` }),
    even_if_outdated: z
      .boolean()
      .default(false)
      .meta({ description: `True: ${evenIfOutdatedText}` }),
  })
  .meta({ id: "Redeliveries" });

const CancellationsSchema = z.strictObject({ ids }).meta({ id: "Cancellations" });

export const DeliveryOutcomesSchema = z
  .object({
    outcomes: z
      .array(
        z.object({
          id: z.string().meta({ description: "The id as it was sent." }),
          accepted: z.boolean().meta({ description: "Whether it was done." }),
          status: z.int().meta({
            description: "What the operation for a single delivery would answer: 202, 404 or 409.",
          }),
          reason: z.string().nullable().meta({ description: "Why it was refused; null if it was done." }),
        }),
      )
      .meta({ description: "In the order of the ids." }),
    accepted_count: z.int(),
    refused_count: z.int(),
  })
  .meta({
    id: "DeliveryOutcomes",
    description: "What became of each delivery of a request.",
    example: {
      outcomes: [
        { id: "3861b6c1-e5ff-5050-8e65-beae8703cd72", accepted: true, status: 202, reason: null },
        {
          id: "3d086ea6-d63e-5778-bcd2-3e1ed51bb224",
          accepted: false,
          status: 409,
          reason: "The delivery has ended, so there is nothing to cancel",
        },
      ],
      accepted_count: 1,
      refused_count: 1,
    },
  });

type DeliveryOutcomes = z.infer<typeof DeliveryOutcomesSchema>;

const severalIds = {
  several: { ids: ["3861b6c1-e5ff-5050-8e65-beae8703cd72", "3d086ea6-d63e-5778-bcd2-3e1ed51bb224"] },
};
const outcomes = {
  200: { description: "What became of each, even if all were refused.", schema: DeliveryOutcomesSchema },
};

export function deliveryChangeRoutes(queueOf: QueueOf): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/deliveries/redeliver",
        id: "redeliverMany",
        summary: "Redeliver up to 200 deliveries",
        description:
          "As the operation for a single one. Name the oldest first: once a target has accepted the end of an alarm, the " +
          "alarm is refused. After an error, some may have been redelivered.",
        tag: "deliveries",
        scope: "automations:write",
        body: jsonBody(RedeliveriesSchema, { examples: severalIds }),
        answers: outcomes,
      },
      async ({ tenant, body }, context) => {
        const queue = queueOf(tenant.workspace);
        const options = { asSent: body.as_sent, insists: body.even_if_outdated };
        const automationOf = remembered((id) => tenant.log.sealedAutomation(id));
        return context.json(
          await outcomesOf(body.ids, (id) => redeliverOne(queue, id, options, automationOf)),
        );
      },
    ),

    route(
      {
        method: "post",
        path: "/deliveries/cancel",
        id: "cancelMany",
        summary: "Cancel up to 200 deliveries that have not ended",
        description:
          "As the operation for a single one. Name the latest first: otherwise the end of one lets the next one about the " +
          "same thing go out. After an error, some may have been cancelled.",
        tag: "deliveries",
        scope: "automations:write",
        body: jsonBody(CancellationsSchema, { examples: severalIds }),
        answers: outcomes,
      },
      async ({ tenant, body }, context) => {
        const queue = queueOf(tenant.workspace);
        return context.json(await outcomesOf(body.ids, (id) => cancelOne(queue, id, tenant)));
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
        params: byDeliveryId,
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
        const options = { asSent: query.as_sent === "true", insists: query.even_if_outdated === "true" };
        const automationOf = (automationId: string) => tenant.log.sealedAutomation(automationId);
        await redeliverOne(queueOf(tenant.workspace), id, options, automationOf);
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
        params: byDeliveryId,
        answers: {
          202: { description: "It will be cancelled." },
          409: { description: "It has ended.", schema: DetailSchema },
        },
      },
      async ({ tenant, params: { id } }, context) => {
        await cancelOne(queueOf(tenant.workspace), id, tenant);
        return context.body(null, 202);
      },
    ),
  ];
}

/** Takes a step for each delivery, one after the other. An id that is repeated has the outcome of its first mention. */
async function outcomesOf(
  wanted: readonly string[],
  step: (id: string) => Promise<void>,
): Promise<DeliveryOutcomes> {
  const known = new Map<string, DeliveryOutcomes["outcomes"][number]>();
  for (const id of wanted) {
    const key = id.toLowerCase();
    if (!known.has(key)) known.set(key, { id, ...(await outcomeOf(() => step(id))) });
  }
  const found = wanted.map((id) => ({ ...known.get(id.toLowerCase())!, id }));
  const acceptedCount = found.filter(({ accepted }) => accepted).length;
  return { outcomes: found, accepted_count: acceptedCount, refused_count: found.length - acceptedCount };
}

/** @throws whatever is not about this delivery, such as RedisUnreachable */
async function outcomeOf(
  step: () => Promise<void>,
): Promise<Omit<DeliveryOutcomes["outcomes"][number], "id">> {
  try {
    await step();
    return { accepted: true, status: 202, reason: null };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { detail, exception_message: message } = error.body as Record<string, string | undefined>;
    return { accepted: false, status: error.status, reason: detail ?? message ?? error.message };
  }
}

/** The same function, which looks up each id once. */
function remembered<T>(look: (id: string) => Promise<T>): (id: string) => Promise<T> {
  const found = new Map<string, Promise<T>>();
  return (id) => {
    const known = found.get(id) ?? look(id);
    found.set(id, known);
    return known;
  };
}
