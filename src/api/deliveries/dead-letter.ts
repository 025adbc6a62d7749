/** A dead letter as the API answers it. */

import { z } from "zod";
import { IdSchema, TimeSchema } from "../http/answers.ts";

const FailedAttemptSchema = z
  .object({
    at: TimeSchema,
    reason: z.string(),
    duration_ms: z.number(),
    status_code: z.int().optional(),
  })
  .meta({ id: "FailedAttempt" });

export const DeadLetterSchema = z
  .object({
    id: IdSchema.meta({ description: "Also its `webhook-id`." }),
    automation: z.object({ id: IdSchema, name: z.string() }),
    action_type: z.string(),
    action_index: z.int(),
    firing_id: IdSchema,
    reason: z.string(),
    failed: TimeSchema.meta({ description: "When Tripline gave up." }),
    attempts: z.array(FailedAttemptSchema).meta({ description: "The latest attempts, oldest first." }),
    redeliveries: z.int(),
  })
  .meta({ id: "DeadLetter", description: "A delivery that failed for good. It holds no secrets." });

export const DeadLetterPageSchema = z
  .object({
    deliveries: z.array(DeadLetterSchema),
    total: z.int().meta({ description: "How many dead letters there are." }),
  })
  .meta({ id: "DeadLetterPage" });

export type DeadLetter = z.infer<typeof DeadLetterSchema>;
export type DeadLetterPage = z.infer<typeof DeadLetterPageSchema>;
