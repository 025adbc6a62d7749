/** The timeline of an automation, as the API answers it. */

import { z } from "zod";
import { type DeepReadonly, IdSchema, LabelsSchema, TimeSchema } from "../http/answers.ts";
import { WindowSchema } from "./explain-answers.ts";
import { TracedWindowSchema } from "./trace-answers.ts";

const TimelineEventSchema = z
  .object({
    id: IdSchema,
    event: z.string(),
    occurred: TimeSchema,
    received: TimeSchema,
    resource_id: z.string(),
    role: z.enum(["expected", "after"]).meta({
      description: "`expected`: it counts. `after`: it opens a window.",
    }),
    trigger: z
      .string()
      .meta({ description: "The path of the first trigger that covers it; empty for the root itself." }),
    labels: LabelsSchema.meta({ description: "The values of the key that it belongs to." }),
  })
  .meta({ id: "TimelineEvent" });

const TimelineFiringSchema = z
  .object({
    id: IdSchema.nullable().meta({ description: "Null if an older version recorded it." }),
    event_id: IdSchema.meta({ description: "The event about the firing." }),
    state: z.enum(["Triggered", "Resolved"]),
    triggered: TimeSchema,
    labels: LabelsSchema.meta({ description: "The values of the key." }),
    window: TracedWindowSchema.nullable().meta({ description: "Null for a composite." }),
  })
  .meta({ id: "TimelineFiring" });

export const TimelineSchema = z
  .object({
    since: TimeSchema,
    until: TimeSchema,
    events: z.array(TimelineEventSchema).meta({
      description: "The events that the automation's present trigger covers, the newest first.",
    }),
    events_since: TimeSchema.meta({
      description: "From when on `events` is complete: `since`, or later if it is truncated.",
    }),
    events_truncated: z.boolean().meta({
      description: "Whether there may be more events: beyond `limit`, or beyond what was looked through.",
    }),
    firings: z.array(TimelineFiringSchema).meta({ description: "The newest first." }),
    firings_truncated: z.boolean().meta({ description: "Whether there may be more firings." }),
    as_of: TimeSchema.nullable().meta({
      description: "To when `windows` is true; null until an engine has taken up the automation.",
    }),
    windows: z.array(WindowSchema).meta({
      description:
        "The windows that are open now, whatever the times asked about. The next to be judged comes first.",
    }),
    windows_truncated: z.boolean().meta({ description: "Whether more windows are open." }),
    deliveries: z
      .object({
        executed: z.int().meta({ description: "Made. A redelivery counts as another one." }),
        failed: z.int().meta({ description: "Failed for good." }),
      })
      .meta({
        id: "TimelineDeliveries",
        description: "The deliveries of `firings`, as far as they have ended.",
      }),
  })
  .meta({ id: "Timeline" });

export type TimelineEvent = DeepReadonly<z.infer<typeof TimelineEventSchema>>;
export type TimelineFiring = DeepReadonly<z.infer<typeof TimelineFiringSchema>>;
