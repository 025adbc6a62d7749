/** Disabled endpoints: what responded 410 Gone, and is sent nothing until someone enables it. Nothing here is secret. */

import { z } from "zod";
import { IdSchema, TimeSchema } from "../http/answers.ts";
import { Refusal } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";

export const DisabledEndpointSchema = z
  .object({
    id: z.string().meta({ description: "A short hash over the destination's name and its address." }),
    destination: z
      .string()
      .nullable()
      .meta({ description: "The name of the destination; null for the URL of an action." }),
    url: z.string().nullable().meta({
      description: "The URL of an action, without credentials and secrets; null for a destination.",
    }),
    since: TimeSchema.meta({ format: "date-time", description: "When it was disabled." }),
    reason: z.string().meta({ description: "What it responded." }),
    delivery: IdSchema.meta({ format: "uuid", description: "The delivery that it refused." }),
    automation: z
      .object({ id: IdSchema, name: z.string() })
      .meta({ description: "The automation of that delivery." }),
  })
  .meta({ id: "DisabledEndpoint", description: "An endpoint that responded 410 Gone, and is sent nothing." });

export function endpointRoutes(): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/endpoints",
        id: "listDisabledEndpoints",
        summary: "List disabled endpoints",
        description:
          "An endpoint is a destination at its present address, or the URL of an action. It is disabled when it responds " +
          "410 Gone: nothing is sent to it until it is enabled, or until the destination has another address.",
        tag: "endpoints",
        scope: "automations:read",
        answers: {
          200: { description: "The latest to be disabled first.", schema: z.array(DisabledEndpointSchema) },
        },
      },
      async ({ tenant }, context) => context.json(await tenant.log.endpoints.list()),
    ),

    route(
      {
        method: "post",
        path: "/endpoints/:id/enable",
        id: "enableEndpoint",
        summary: "Enable an endpoint",
        description:
          "Deliveries to it are made again from now on. Those that it missed are dead letters; redeliver them if they " +
          "are still wanted.",
        tag: "endpoints",
        scope: "automations:write",
        params: z.object({ id: z.string().meta({ description: "The endpoint's id." }) }),
        answers: { 204: { description: "The endpoint is enabled." } },
      },
      async ({ tenant, params: { id } }, context) => {
        const enabling = { reason: "someone enabled it", actor: tenant.actor };
        if (await tenant.log.endpoints.enable(id, enabling)) return context.body(null, 204);
        throw new Refusal(404, "not_found", {
          exception_message: "Endpoint not found: it is not disabled, or no longer",
        });
      },
    ),
  ];
}
