/** Dead letters: deliveries that failed for good, to be read and redelivered. Nothing here holds a secret. */

import { z } from "zod";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import { Refusal } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";
import { type DeadLetter, DeadLetterPageSchema, DeadLetterSchema } from "./dead-letter.ts";

/** What this needs from a workspace's action queue. Every method may throw RedisUnreachable. */
export interface DeadLetters {
  /** Newest first. */
  listDeadLetters(options: { start: number; count: number }): Promise<readonly DeepReadonly<DeadLetter>[]>;
  deadLetter(id: string): Promise<DeepReadonly<DeadLetter> | null>;
  /** Gives a dead letter all its attempts again. @returns false when there is no such dead letter */
  redeliver(id: string): Promise<boolean>;
  counts(): Promise<{ readonly deadLetters: number }>;
}

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

const deliveriesPerPageMax = 200;

const wholeNumber = (max: number) => z.coerce.number().pipe(z.int().min(0).max(max));

const DeliveriesQuerySchema = z.object({
  limit: wholeNumber(deliveriesPerPageMax).default(50).meta({ description: "How many to return at most." }),
  offset: wholeNumber(1_000_000).default(0).meta({ description: "How many to skip, newest first." }),
});

const byId = z.object({
  id: z.string().meta({ description: "The delivery's id, which is its `webhook-id`." }),
});

/** @param deadLettersOf the queue of a workspace; null when this server does not serve it */
export function deliveryRoutes(deadLettersOf: (workspace: string) => DeadLetters | null): Route[] {
  const queueOf = (workspace: string): DeadLetters => {
    const queue = deadLettersOf(workspace);
    if (queue === null) throw new Error(`this server has no queue for the workspace ${workspace}`);
    return queue;
  };

  return [
    route(
      {
        method: "get",
        path: "/deliveries",
        id: "listDeadLetters",
        summary: "List dead letters: deliveries that failed for good",
        tag: "deliveries",
        scope: "automations:read",
        query: DeliveriesQuerySchema,
        answers: { 200: { description: "Newest first.", schema: DeadLetterPageSchema } },
      },
      async ({ tenant, query: { limit: count, offset: start } }, context) => {
        const queue = queueOf(tenant.workspace);
        const [deliveries, counts] = await Promise.all([
          queue.listDeadLetters({ start, count }),
          queue.counts(),
        ]);
        return context.json({ deliveries, total: counts.deadLetters });
      },
    ),

    route(
      {
        method: "get",
        path: "/deliveries/:id",
        id: "readDeadLetter",
        summary: "Read a dead letter",
        tag: "deliveries",
        scope: "automations:read",
        params: byId,
        answers: {
          200: { description: "The dead letter with its latest attempts.", schema: DeadLetterSchema },
        },
      },
      async ({ tenant, params: { id } }, context) => {
        const letter = isUuid(id) ? await queueOf(tenant.workspace).deadLetter(normalizeUuid(id)) : null;
        if (letter === null) throw noSuchLetter();
        return context.json(letter);
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
        if (!found) throw noSuchLetter();
        return context.body(null, 202);
      },
    ),
  ];
}

function noSuchLetter(): Refusal {
  const message = "Dead letter not found: it never existed, was redelivered, or is no longer kept";
  return new Refusal(404, "not_found", { exception_message: message });
}
