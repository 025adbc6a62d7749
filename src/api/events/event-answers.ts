/** The answers of the operations on events. */

import { z } from "zod";
import { EventSchema } from "../../core/model/event.ts";
import { TimeSchema } from "../http/answers.ts";

export const ReceivedEventSchema = EventSchema.extend({
  received: TimeSchema.meta({ description: "When Tripline received it." }),
}).meta({ id: "ReceivedEvent", description: "An event as it is stored." });

export const EventPageSchema = z
  .object({
    events: z.array(ReceivedEventSchema),
    total: z
      .int()
      .meta({ description: "How many events match in all; with `distinct`, how many resources." }),
    next_page: z.string().nullable().meta({ description: "The URL of the next page; null on the last." }),
  })
  .meta({ id: "EventPage" });

export const EventCountSchema = z
  .object({
    value: z.string(),
    label: z.string(),
    count: z.int(),
    start_time: TimeSchema,
    end_time: TimeSchema,
  })
  .meta({ id: "EventCount", description: "A group of events and its size." });
