/** Dead letters: deliveries that were given up, to be read, understood and redelivered. Nothing here holds a secret. */

import { Hono } from "hono";
import { z } from "zod";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import { invalidRequest, mistakesOf, Refusal } from "../http/refusal.ts";
import { type ApiEnv, requireScope } from "../http/tenant.ts";
import type { DeadLetter } from "../openapi/operations/answers.ts";

/** What this needs of a workspace's queue of actions. Every method may throw RedisUnreachable. */
export interface DeadLetters {
  /** The newest first. */
  listDeadLetters(options: { start: number; count: number }): Promise<readonly Shown<DeadLetter>[]>;
  deadLetter(id: string): Promise<Shown<DeadLetter> | null>;
  /** Gives a dead letter all its attempts again. @returns false when there is no such dead letter */
  redeliver(id: string): Promise<boolean>;
  counts(): Promise<{ readonly deadLetters: number }>;
}

type Shown<T> = T extends readonly (infer Item)[]
  ? readonly Shown<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Shown<T[Key]> }
    : T;

const deliveriesPerPageMax = 200;

const wholeNumber = (max: number) => z.coerce.number().pipe(z.int().min(0).max(max));

export const DeliveriesQuerySchema = z.object({
  limit: wholeNumber(deliveriesPerPageMax).default(50).meta({ description: "How many at most." }),
  offset: wholeNumber(1_000_000).default(0).meta({ description: "How many to pass over, the newest first." }),
});

/** @param deadLettersOf those of a workspace; null where this server does not know it */
export function deliveryRoutes(deadLettersOf: (workspace: string) => DeadLetters | null): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  const mayRead = requireScope("automations:read");
  const of = (workspace: string): DeadLetters => {
    const found = deadLettersOf(workspace);
    if (found === null) throw new Error(`the server knows no queue of the workspace ${workspace}`);
    return found;
  };

  routes.get("/deliveries", mayRead, async (context) => {
    const query = context.req.query();
    const parsed = DeliveriesQuerySchema.safeParse(query);
    if (!parsed.success) throw invalidRequest(mistakesOf(parsed.error.issues, ["query"], query), null);
    const { limit: count, offset: start } = parsed.data;
    const letters = of(context.var.tenant.workspace);
    const [deliveries, counts] = await Promise.all([
      letters.listDeadLetters({ start, count }),
      letters.counts(),
    ]);
    return context.json({ deliveries, total: counts.deadLetters });
  });

  routes.get("/deliveries/:id", mayRead, async (context) => {
    const id = context.req.param("id");
    const letter = isUuid(id) ? await of(context.var.tenant.workspace).deadLetter(normalizeUuid(id)) : null;
    if (letter === null) throw noSuchLetter();
    return context.json(letter);
  });

  routes.post("/deliveries/:id/redeliver", requireScope("automations:write"), async (context) => {
    const id = context.req.param("id");
    const found = isUuid(id) && (await of(context.var.tenant.workspace).redeliver(normalizeUuid(id)));
    if (!found) throw noSuchLetter();
    return context.body(null, 202);
  });

  return routes;
}

function noSuchLetter(): Refusal {
  const message = "There is no such dead letter: it never was, was redelivered, or is no longer kept";
  return new Refusal(404, "not_found", { exception_message: message });
}
