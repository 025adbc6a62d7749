/** Deliveries as the API answers them. */

import { z } from "zod";
import { IdSchema, TimeSchema } from "../http/answers.ts";

const DeliveryAttemptSchema = z
  .object({
    at: TimeSchema.meta({ description: "When it ended." }),
    reason: z.string().optional().meta({ description: "Why it failed; left out if it succeeded." }),
    duration_ms: z.number(),
    status_code: z.int().optional().meta({ description: "The status of the response, if there was one." }),
    answer: z
      .string()
      .optional()
      .meta({ description: "The beginning of the response, if it succeeded. The reason quotes any other." }),
    early: z
      .enum(["probe", "recovered", "other"])
      .optional()
      .meta({
        description:
          "Why it was made before it was due; left out if it was due. `probe`: to find out whether an endpoint works again " +
          "that is down. `recovered`: the endpoint had accepted others. `other`: a person asked for it, or it came back from " +
          "waiting for something else. The `attempts` of a `retry` do not count it.",
      }),
  })
  .meta({ id: "DeliveryAttempt" });

export const TemplateFailureSchema = z
  .object({
    field: z.string().meta({ description: "Where it is in the action, such as `payload.text`." }),
    reason: z.string().meta({ description: "Why it failed, without secrets." }),
  })
  .meta({ id: "TemplateFailure" });

const states = [
  "waiting",
  "active",
  "retrying",
  "deferred",
  "delivered",
  "dead",
  "cancelled",
  "unknown",
] as const;

/** The lists of the queue. Those that wait for a busy or resting endpoint are among the `retrying` ones. */
export const ListedStateSchema = z.enum(["waiting", "active", "retrying", "delivered", "dead"]);

export const DeliverySchema = z
  .object({
    id: IdSchema.meta({ description: "Also its `webhook-id`." }),
    state: z.enum(states).meta({
      description:
        "`waiting`: a worker takes it next. `active`: an attempt is being made. `retrying`: the last attempt failed; the " +
        "next one is made at `next_attempt`. `deferred`: nothing was sent, because the endpoint is busy or rests, or because " +
        "an earlier delivery about the same thing comes first. `delivered`: done. `dead`: failed for good. `cancelled`: by " +
        "a person. `unknown`: it started, and neither queue nor history knows more.",
    }),
    automation: z.object({ id: IdSchema, name: z.string() }),
    action_type: z.string(),
    action_index: z.int(),
    target: z
      .string()
      .nullable()
      .meta({
        description:
          "The URL as the rule has it, without credentials, templates and references not filled in; or the name or id of " +
          "the destination. Null for other actions.",
      }),
    firing_id: IdSchema.nullable().meta({ description: "Null if only the history knows the delivery." }),
    fired: TimeSchema.optional().meta({ description: "When it fired, if the queue knows that." }),
    firing_event_id: IdSchema.meta({ description: "The event about the firing." }),
    triggering_event_id: IdSchema.nullable().meta({
      description: "The event that caused the firing; null if an absence did.",
    }),
    reason: z.string().nullable().meta({
      description: "Why the last attempt failed, or why nothing was sent. Without secrets.",
    }),
    attempt_count: z
      .int()
      .meta({ description: "Attempts made since the start, or since the last redelivery." }),
    early_count: z.int().optional().meta({
      description:
        "How many of them failed before they were due, such as probes of an endpoint that is down; missing if none.",
    }),
    attempts: z.array(DeliveryAttemptSchema).meta({
      description: "The latest attempts, oldest first. Empty if only the history knows the delivery.",
    }),
    next_attempt: TimeSchema.nullable().meta({
      description: "When a delivery that is `retrying` or `deferred` comes back to a worker.",
    }),
    status_code: z
      .int()
      .nullable()
      .meta({ description: "The status that the receiver last responded with." }),
    delivered: TimeSchema.nullable().meta({ description: "When it was delivered." }),
    failed: TimeSchema.nullable().meta({ description: "When Tripline gave up." }),
    redeliveries: z.int(),
    template_failures: z
      .array(TemplateFailureSchema)
      .optional()
      .meta({
        description:
          "The templates of the action that failed. A plain message that says what fired and why it is plain was sent in their " +
          "place. Missing if none failed, and until the delivery has ended.",
      }),
    source: z.enum(["queue", "history"]).meta({
      description: "`history`: the queue no longer keeps it, so it cannot be redelivered.",
    }),
  })
  .meta({
    id: "Delivery",
    description: "One action of one firing, in any state. It holds no secrets.",
    example: {
      id: "3861b6c1-e5ff-5050-8e65-beae8703cd72",
      state: "retrying",
      automation: { id: "0b0f3a52-4a57-4ff2-9d3c-6f5c0f6f2f10", name: "Pump went quiet" },
      action_type: "call-webhook",
      action_index: 0,
      target: "https://example.org/alarms",
      firing_id: "8a1f43c3-8d84-5e55-9d53-66f6e8f3d6a7",
      firing_event_id: "c0c7c2cf-5a4b-5c5f-8a57-2b0e1b5d8b11",
      triggering_event_id: "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d44",
      reason: "responded 503: busy",
      attempt_count: 1,
      attempts: [
        { at: "2026-03-01T09:30:01.120Z", reason: "responded 503: busy", duration_ms: 41, status_code: 503 },
      ],
      next_attempt: "2026-03-01T09:30:04.311Z",
      status_code: 503,
      delivered: null,
      failed: null,
      redeliveries: 0,
      source: "queue",
    },
  });

export const DeliveryPageSchema = z
  .object({
    deliveries: z.array(DeliverySchema),
    total: z.int().meta({ description: "How many deliveries there are in this state, whatever the filter." }),
    next_offset: z
      .int()
      .nullable()
      .meta({ description: "The `offset` of the next page; null if this is the last one." }),
  })
  .meta({ id: "DeliveryPage" });

export const DeliveryCountsSchema = z
  .object({
    waiting: z.int().meta({ description: "A worker takes them next." }),
    active: z.int().meta({ description: "An attempt is being made." }),
    retrying: z.int().meta({
      description:
        "They come back later: the last attempt failed, or they are `deferred`, for an endpoint or an earlier delivery.",
    }),
    delivered: z.int().meta({ description: "Delivered within the last day." }),
    dead: z.int().meta({ description: "Failed for good within the last 30 days, or cancelled." }),
  })
  .meta({
    id: "DeliveryCounts",
    description: "How many deliveries the queue has in each state.",
    example: { waiting: 0, active: 2, retrying: 14, delivered: 5310, dead: 3 },
  });

export const byDeliveryId = z.object({
  id: z.string().meta({ description: "The delivery's id, which is its `webhook-id`." }),
});

export type Delivery = z.infer<typeof DeliverySchema>;
