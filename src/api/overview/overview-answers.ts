/** What the overview answers. */

import { z } from "zod";
import { DeliveryCountsSchema } from "../deliveries/delivery-answers.ts";
import { TimeSchema } from "../http/answers.ts";

const SeriesSchema = z
  .object({
    start: TimeSchema.meta({ description: "When the first second or minute begins." }),
    values: z.array(z.int()).meta({ description: "One number for each, oldest first." }),
  })
  .meta({ id: "Series", description: "Numbers for consecutive seconds or minutes." });

const FrequencySchema = z
  .object({
    total: z.int().meta({ description: "How many have been counted. It only grows." }),
    last_day: z.int().meta({ description: "The sum of `per_minute`." }),
    per_second: SeriesSchema.meta({ description: "The last 300 seconds that are complete." }),
    per_minute: SeriesSchema.meta({
      description: "The last 1,440 minutes. The last of them is not complete.",
    }),
  })
  .meta({ id: "Frequency", description: "How often something happened." });

export const OverviewSchema = z
  .object({
    as_of: TimeSchema.meta({ description: "The time of Redis." }),
    events: FrequencySchema.meta({
      description:
        "Events that were posted or that Tripline emitted, by when they were received. An id counts once. They are " +
        "counted when they are evaluated.",
    }),
    firings: FrequencySchema.meta({
      description:
        "Firings, by when they became known: for an absence, the end of its window plus the lateness.",
    }),
    resolutions: FrequencySchema.meta({ description: "Ends of absences that had fired." }),
    automations: z
      .object({ enabled: z.int(), paused: z.int() })
      .meta({ description: "Of thousands, the numbers may be some seconds old." }),
    windows: z
      .object({
        open: z.int(),
        unresolved: z.int().meta({
          description: "How many of them have fired for an absence that has not ended: what is silent now.",
        }),
      })
      .meta({ description: "At most two seconds old." }),
    deliveries: DeliveryCountsSchema,
    history: z.object({
      enabled: z.boolean(),
      behind_ms: z
        .number()
        .nullable()
        .meta({
          description:
            "How long the oldest event that is not recorded has been in the log; null if there is no history, or its " +
            "database does not answer.",
        }),
    }),
    shards: z.object({
      count: z.int().meta({ description: "The number of shards; 0 if no engine has ever run." }),
      owned: z.int().meta({ description: "How many of them an engine owns." }),
      entries_behind_max: z.int().meta({
        description: "How many entries of the log the shard has yet to consume that is furthest behind.",
      }),
      delay_ms_max: z.number().meta({
        description:
          "How long the oldest event that is not evaluated, or the earliest window that is overdue, has been waiting.",
      }),
    }),
  })
  .meta({ id: "Overview", description: "A workspace at a glance." });
