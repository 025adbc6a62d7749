/** Events, in and out. */

import { z } from "zod";
import { EventSchema } from "../../../core/model/event.ts";
import { CountableSchema, CountRequestSchema } from "../../../history/count-by.ts";
import { EventFilterSchema } from "../../../history/filter.ts";
import { DetailSchema, EventCountSchema, EventPageSchema, RefusalSchema } from "./answers.ts";
import type { Operation } from "./operation.ts";

const EventQuerySchema = z
  .object({
    filter: EventFilterSchema.nullish(),
    limit: z
      .int()
      .min(0)
      .max(100)
      .nullish()
      .meta({ description: "How many events on each page; 50 by default." }),
  })
  .meta({ id: "EventQuery" });

const upgrade = {
  101: { description: "The WebSocket is open." },
  426: { description: "No WebSocket was asked for.", schema: RefusalSchema },
};

export const eventOperations: readonly Operation[] = [
  {
    method: "post",
    path: "/events",
    id: "emitEvents",
    summary: "Post events",
    description:
      "All or none of a batch is taken, and only once it is stored is it acknowledged. The same id again is the same event: to repeat a batch is harmless.",
    tag: "events",
    scope: "events:write",
    body: z.array(EventSchema),
    answers: { 204: { description: "All of them are stored." } },
  },
  {
    method: "post",
    path: "/events/filter",
    id: "filterEvents",
    summary: "Find events",
    tag: "events",
    scope: "events:read",
    body: EventQuerySchema,
    bodyOptional: true,
    answers: { 200: { description: "The first page.", schema: EventPageSchema } },
  },
  {
    method: "get",
    path: "/events/filter/next",
    id: "nextEvents",
    summary: "The next page of events",
    tag: "events",
    scope: "events:read",
    query: z.object({
      "page-token": z.string().meta({ description: "Of the page before: part of its next_page." }),
    }),
    answers: {
      200: { description: "That page.", schema: EventPageSchema },
      403: { description: "The token is none of ours, or the key lacks the scope.", schema: DetailSchema },
    },
  },
  {
    method: "post",
    path: "/events/count-by/{countable}",
    id: "countEvents",
    summary: "Count events by day, span of time, name or resource",
    tag: "events",
    scope: "events:read",
    parameters: { countable: CountableSchema },
    body: CountRequestSchema,
    answers: {
      200: { description: "The groups.", schema: z.array(EventCountSchema) },
      404: { description: "There is no such thing.", schema: RefusalSchema },
    },
  },
  {
    method: "get",
    path: "/events/in",
    id: "emitEventsOverWebSocket",
    summary: "Events in, over a WebSocket",
    description:
      'Offer the subprotocol `prefect`, send `{"type": "auth", "token": <key or null>}`, wait for `auth_success`, then send one event a text frame. A pong says that everything before its ping is stored.',
    tag: "events",
    scope: "events:write",
    answers: upgrade,
  },
  {
    method: "get",
    path: "/events/out",
    id: "streamEvents",
    summary: "Events out, over a WebSocket, as they come",
    description:
      'After `auth` as for /events/in send `{"type": "filter", "filter": <EventFilter>, "backfill": true}`. Then each matching event comes as `{"type": "event", "event": …}`: first those of the last quarter of an hour, then new ones.',
    tag: "events",
    scope: "events:read",
    answers: upgrade,
  },
];
