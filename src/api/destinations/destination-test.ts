/** Trying out a destination. */

import type { DeliveryMessages } from "../deliveries/deliveries.ts";
import { DestinationTestSchema } from "../deliveries/message-answers.ts";
import { DetailSchema } from "../http/answers.ts";
import { conflict, Refusal } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";
import { byIdOrName, destinationOf } from "./destinations.ts";

export function destinationTestRoutes(messagesOf: (workspace: string) => Promise<DeliveryMessages>): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/destinations/:id/test",
        id: "testDestination",
        summary: "Send a test message to a destination",
        description:
          "It is marked as a test, and sent once, now, as a delivery would be: with the same checks of addresses, the limits " +
          "of the destination, and its timeout, but 25 seconds at most. PagerDuty opens an incident of severity `info`, one " +
          "for all tests of a destination. A webhook gets `test: true` in its body. Nothing is recorded, and a 410 disables " +
          "nothing.",
        tag: "destinations",
        scope: "automations:write",
        params: byIdOrName,
        answers: {
          200: {
            description: "What became of it, even if the receiver refused it.",
            schema: DestinationTestSchema,
          },
          409: { description: "Its endpoint is disabled, so nothing is sent.", schema: DetailSchema },
        },
      },
      async ({ tenant: { workspace, log }, params: { id } }, context) => {
        const destination = await destinationOf(log, id);
        const messages = await messagesOf(workspace);
        const tested = await messages.test(destination, context.req.raw.signal);
        if (tested === "busy") {
          const detail = "As many tests are being made as are allowed at a time; try again in a moment";
          throw new Refusal(429, "busy", { detail }, { "Retry-After": "1" });
        }
        if ("disabled" in tested) {
          const { id: endpoint, since } = tested.disabled;
          throw conflict(
            `The destination is disabled since ${since}, because it responded 410 Gone. If it works again, enable it with ` +
              `POST /api/endpoints/${endpoint}/enable (tripline endpoints enable ${endpoint})`,
          );
        }
        return context.json(tested);
      },
    ),
  ];
}
