/** The answers of the operations on events. */

import { z } from "zod";
import { EventSchema } from "../../core/model/event.ts";
import { IdSchema, TimeSchema } from "../http/answers.ts";

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

/** How much of a chain is listed at most. */
export const chainLimits = { ancestorCount: 20, descendantCount: 200, depth: 6 } as const;

const DescendantSchema = z
  .object({
    event: ReceivedEventSchema,
    parent: IdSchema.meta({ description: "The event that it follows." }),
    depth: z.int().meta({ description: "How many steps it is away from the event asked about, from 1." }),
  })
  .meta({ id: "EventDescendant" });

export const EventChainSchema = z
  .object({
    event: ReceivedEventSchema,
    ancestors: z.array(ReceivedEventSchema).meta({
      description: "The event that it follows, the one that this follows, and so on: the oldest first.",
    }),
    descendants: z.array(DescendantSchema).meta({
      description:
        "The events that follow it, then those that follow these, and so on. Events about firings follow the event " +
        "that caused the firing; those about deliveries, and events that an action emitted, follow these.",
    }),
    truncated: z.boolean().meta({
      description: `Whether there is more: than ${chainLimits.ancestorCount} ancestors, than ${chainLimits.descendantCount} descendants, or deeper than ${chainLimits.depth} steps.`,
    }),
  })
  .meta({ id: "EventChain" });
