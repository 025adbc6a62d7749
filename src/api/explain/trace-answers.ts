/** The path of a firing, as the API answers it. */

import { z } from "zod";
import { DeliverySchema } from "../deliveries/delivery-answers.ts";
import { ReceivedEventSchema } from "../events/event-answers.ts";
import { type DeepReadonly, IdSchema, LabelsSchema, TimeSchema } from "../http/answers.ts";

export const TracedWindowSchema = z
  .object({
    start: TimeSchema,
    end: TimeSchema.nullable(),
    count: z.int().meta({ description: "Expected events that were counted in it." }),
    threshold: z.int(),
  })
  .meta({ id: "TracedWindow" });

const TracedEventSchema = z
  .object({
    role: z.enum(["expected", "after", "last"]).meta({
      description:
        "`expected`: it counted. `after`: it opened the window. `last`: the last event before an absence.",
    }),
    event: ReceivedEventSchema,
  })
  .meta({ id: "TracedEvent" });

const TracedTriggerSchema = z
  .object({
    trigger: z.string().meta({ description: "The trigger's path from the root; empty for the root itself." }),
    state: z.enum(["Triggered", "Resolved"]),
    triggered: TimeSchema,
    labels: LabelsSchema.meta({ description: "The values of the key." }),
    window: TracedWindowSchema.nullable().meta({ description: "Null for a composite." }),
    summary: z.string().meta({ description: "Why it fired, in a sentence." }),
    events: z.array(TracedEventSchema).meta({ description: "In the order in which they occurred." }),
    more_events: z.boolean().meta({ description: "Whether more events counted than are listed." }),
  })
  .meta({ id: "TracedTrigger" });

const TracedFiringSchema = z
  .object({
    id: IdSchema.nullable().meta({ description: "Null if an older version recorded it." }),
    event_id: IdSchema.meta({ description: "The event about the firing." }),
    automation: z.object({ id: IdSchema, name: z.string() }),
    state: z.enum(["Triggered", "Resolved"]),
    triggered: TimeSchema,
    triggering_event_id: IdSchema.nullable().meta({
      description: "The event that caused it, or the last one before an absence; null if there was none.",
    }),
    late: z
      .boolean()
      .nullable()
      .meta({ description: "Of a resolution: whether the event had occurred in time." }),
    triggers: z
      .array(TracedTriggerSchema)
      .meta({ description: "The trigger that fired first, then those below it whose firings it used." }),
    changed_since: TimeSchema.nullable().meta({
      description:
        "When the automation was changed after the firing: `events` are found by its present trigger.",
    }),
    deliveries: z.array(DeliverySchema),
    emitted: z
      .array(ReceivedEventSchema)
      .meta({ description: "Events that its `emit-event` actions emitted." }),
  })
  .meta({ id: "TracedFiring", description: "The path of one firing: what led to it, and what followed." });

export const TraceSchema = z
  .object({
    firings: z
      .array(TracedFiringSchema)
      .meta({ description: "One for a firing or a delivery; for an event, each firing that it caused." }),
    truncated: z.boolean().meta({ description: "Whether the event caused more firings than are listed." }),
  })
  .meta({ id: "Trace" });

export type TracedFiring = DeepReadonly<z.infer<typeof TracedFiringSchema>>;
export type TracedTrigger = DeepReadonly<z.infer<typeof TracedTriggerSchema>>;
