/** Why an automation fired, or did not: what a single event did to it or to all automations. */

import { z } from "zod";
import { EventSchema, eventOf, UuidSchema } from "../../core/model/event.ts";
import { requestDepthMax } from "../../core/model/limits.ts";
import { type Micros, millisecond } from "../../core/model/time.ts";
import { automationOf } from "../automations/automations.ts";
import { RefusalSchema } from "../http/answers.ts";
import { notFound, type Refusal } from "../http/refusal.ts";
import { jsonBody } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import { explainPastToAll, explainSupposedToAll, findEvent, showPast } from "./explain-all.ts";
import { AllExplanationsSchema, ExplanationSchema } from "./explain-answers.ts";
import { type ExplainSettings, replay, suppose } from "./replay.ts";

const ExplainRequestSchema = z
  .strictObject({
    event: z
      .union([
        z.string("event should be the id of an event, or an event as it would be posted").pipe(UuidSchema),
        EventSchema,
      ])
      .meta({ description: "The id of an event in the log, or an event that might come now." }),
  })
  .meta({ id: "ExplainRequest" });

/** To explain an event that has not come, the state of each automation is read. */
const supposedCountMax = 20;

const ExplainToAllRequestSchema = ExplainRequestSchema.extend({
  limit: z
    .int()
    .min(0)
    .max(200)
    .default(50)
    .meta({
      description:
        "How many automations that cover the event to explain; the others are counted. At most " +
        `${supposedCountMax} when the event is given whole.`,
    }),
}).meta({ id: "ExplainToAllRequest" });

const explainExamples = {
  pastEvent: { event: "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d44" },
  possibleEvent: {
    event: {
      id: "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d45",
      occurred: "2026-03-01T09:30:00Z",
      event: "pump.stopped",
      resource: { "prefect.resource.id": "pump.1" },
    },
  },
};

/** Room for a whole event; one that holds more values can be explained by its id. */
const wholeEvent = { bytesMax: 2_000_000, depthMax: requestDepthMax + 10 };

const byId = z.object({ id: z.string().meta({ description: "The automation's id." }) });

export function explainRoutes(settings: ExplainSettings): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/automations/:id/explain",
        id: "explainEvent",
        summary: "Explain what an event did, or would do, to an automation",
        tag: "explain",
        scope: "automations:read",
        params: byId,
        body: jsonBody(ExplainRequestSchema, { examples: explainExamples, limits: wholeEvent }),
        answers: {
          200: { description: "What decided, and where every trigger stands.", schema: ExplanationSchema },
        },
      },
      async ({ tenant, params, body: { event } }, context) => {
        const { log } = tenant;
        const automation = await automationOf(log, params.id);
        if (typeof event !== "string") {
          const explanation = await suppose(log, automation, eventOf(event, now()), settings);
          return context.json(showPast({ explanation, complete: true, changedSince: null }));
        }
        const found = await findEvent(tenant, event);
        const [past] = found === null ? [] : (await replay(tenant, [automation], found, settings)).values();
        if (past === undefined || past.explanation === null) throw unknown(event);
        return context.json(showPast({ ...past, explanation: past.explanation }));
      },
    ),

    route(
      {
        method: "post",
        path: "/explain",
        id: "explainEventToAll",
        summary: "Explain what an event did, or would do, to all automations",
        description:
          "Explains the automations that cover the event, and a few that nearly do; the others are counted. The log is " +
          "read once for all of them.",
        tag: "explain",
        scope: "automations:read",
        body: jsonBody(ExplainToAllRequestSchema, { examples: explainExamples, limits: wholeEvent }),
        answers: {
          200: { description: "What the event was to each automation.", schema: AllExplanationsSchema },
          404: { description: "Neither the log nor the history holds the event.", schema: RefusalSchema },
        },
      },
      async ({ tenant, body: { event, limit } }, context) => {
        if (typeof event !== "string") {
          const count = Math.min(limit, supposedCountMax);
          return context.json(await explainSupposedToAll(tenant, eventOf(event, now()), count, settings));
        }
        const answer = await explainPastToAll(tenant, event, limit, settings);
        if (answer === null) throw unknown(event);
        return context.json(answer);
      },
    ),
  ];
}

function unknown(eventId: string): Refusal {
  const message = `Neither the log nor the history holds the event ${eventId}. Send the event itself to see what it would do now`;
  return notFound(message);
}

function now(): Micros {
  return Date.now() * millisecond;
}
