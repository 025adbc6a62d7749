/** What the API answers, as schemas: for its document, and the types of its clients. */

import { z } from "zod";
import { AutomationSchema } from "../../../core/model/automation.ts";
import { DestinationSchema } from "../../../core/model/destination.ts";
import { EventSchema } from "../../../core/model/event.ts";

const Time = z.string().meta({ format: "date-time" });
const Uuid = z.string().meta({ format: "uuid" });
const Labels = z.record(z.string(), z.string());

/** The mistakes of a request. */
export const InvalidRequestSchema = z
  .object({
    exception_message: z.string(),
    exception_detail: z.array(
      z.object({
        type: z.string().meta({ description: "A stable word, such as missing or extra_forbidden." }),
        loc: z.array(z.union([z.string(), z.int()])).meta({ description: "The path to the mistake." }),
        msg: z.string().meta({ description: "For people." }),
        input: z.unknown().meta({ description: "What was found there, cut short." }),
      }),
    ),
    request_body: z.unknown(),
  })
  .meta({ id: "InvalidRequest" });

export const DetailSchema = z.object({ detail: z.string() }).meta({ id: "Detail" });

export const ExceptionSchema = z.object({ exception_message: z.string() }).meta({ id: "Exception" });

/** Any refusal. */
export const RefusalSchema = z
  .union([DetailSchema, ExceptionSchema, InvalidRequestSchema])
  .meta({ id: "Refusal" });

export const ReceivedEventSchema = EventSchema.extend({
  received: Time.meta({ description: "When the log received it." }),
}).meta({ id: "ReceivedEvent", description: "An event as it is stored." });

export const EventPageSchema = z
  .object({
    events: z.array(ReceivedEventSchema),
    total: z
      .int()
      .meta({ description: "How many events match in all; with `distinct`, how many resources." }),
    next_page: z.string().nullable().meta({ description: "The address of the next page; null on the last." }),
  })
  .meta({ id: "EventPage" });

export const EventCountSchema = z
  .object({
    value: z.string(),
    label: z.string(),
    count: z.int(),
    start_time: Time,
    end_time: Time,
  })
  .meta({ id: "EventCount", description: "A group of events." });

export const AutomationSourceSchema = z
  .object({
    kind: z.enum(["api", "file"]),
    file: z.string().optional().meta({ description: "The rule file, for kind file." }),
    enabled: z.boolean().optional().meta({ description: "What the file itself says." }),
    applied: z
      .object({ file: z.string(), enabled: z.boolean() })
      .optional()
      .meta({ description: "The rule file that `tripline apply` sent it from, for kind api." }),
  })
  .meta({
    id: "AutomationSource",
    description: "Where it is defined. One from a file can only be changed there.",
  });

const { name: _name, ...definition } = AutomationSchema.shape;

export const AutomationViewSchema = z
  .object({
    id: Uuid,
    name: z.string(),
    ...definition,
    source: AutomationSourceSchema,
    created: Time,
    updated: Time,
  })
  .meta({ id: "AutomationView", description: "An automation as it is stored, secrets masked." });

export const DestinationViewSchema = z
  .intersection(
    DestinationSchema,
    z.object({ id: Uuid, source: AutomationSourceSchema, created: Time, updated: Time }),
  )
  .meta({ id: "DestinationView", description: "A destination as it is stored, secrets masked." });

const Named = z.object({ id: Uuid, name: z.string(), enabled: z.boolean() });

export const WindowSchema = z
  .object({
    trigger: z
      .string()
      .meta({ description: "The path of the trigger from the root: empty for the root itself." }),
    labels: Labels.meta({ description: "The values of its key." }),
    start: Time.nullable(),
    end: Time.nullable(),
    count: z.int(),
    threshold: z.int(),
    deadline: Time.nullable().meta({ description: "When it is judged, if nothing happens before." }),
    last_event: Uuid.nullable(),
    unresolved: z.boolean().meta({ description: "An absence has fired here and has not ended." }),
    awaited: z
      .array(z.string())
      .meta({ description: "Of a composite: the paths of the triggers that have yet to fire." }),
  })
  .meta({ id: "Window" });

export const WindowsSchema = z
  .object({
    automation: Named,
    as_of: Time.nullable().meta({
      description: "How far log time has been consumed; null before it is taken up.",
    }),
    windows: z.array(WindowSchema),
  })
  .meta({ id: "Windows" });

const FailedConditionSchema = z.object({
  condition: z.enum(["name", "match", "match_related"]),
  index: z.int().nullable(),
  label: z.string().nullable(),
  wanted: z.array(z.string()),
  found: z.string().nullable(),
});

export const ExplanationSchema = z
  .object({
    automation: Named,
    event: z.object({ id: Uuid, event: z.string(), occurred: Time, received: Time }),
    fired: z.boolean(),
    summary: z.string().meta({ description: "What decided, in a sentence." }),
    triggers: z.array(
      z.object({
        path: z.string(),
        type: z.enum(["event", "compound", "sequence"]),
        covered: z.boolean().nullable(),
        failed: FailedConditionSchema.nullable(),
        labels: Labels,
        decisions: z.array(
          z.object({
            at: Time,
            outcome: z.string(),
            labels: Labels,
            before: WindowSchema.nullable(),
            after: WindowSchema.nullable(),
          }),
        ),
        missing: z
          .int()
          .nullable()
          .meta({ description: "How many more events, or firings of its triggers, are needed." }),
        until: Time.nullable().meta({ description: "Until when they may come; null: without end." }),
        awaited: z
          .array(z.string())
          .meta({ description: "Of a composite: the paths of the triggers that have yet to fire." }),
        quiet_until: Time.nullable().meta({
          description: "It has fired, and nothing counts that occurred before this.",
        }),
      }),
    ),
    complete: z
      .boolean()
      .meta({ description: "false: the log does not reach back to the automation's creation." }),
  })
  .meta({ id: "Explanation" });

export const DeadLetterSchema = z
  .object({
    id: Uuid.meta({ description: "Also its webhook-id." }),
    automation: z.object({ id: Uuid, name: z.string() }),
    action_type: z.string(),
    action_index: z.int(),
    firing_id: Uuid,
    reason: z.string(),
    failed: Time.meta({ description: "When it was given up." }),
    attempts: z
      .array(
        z.object({
          at: Time,
          reason: z.string(),
          duration_ms: z.number(),
          status_code: z.int().optional(),
        }),
      )
      .meta({ description: "The latest ones, oldest first." }),
    redeliveries: z.int(),
  })
  .meta({ id: "DeadLetter", description: "A delivery that was given up. It holds no secrets." });

export const DeadLetterPageSchema = z
  .object({
    deliveries: z.array(DeadLetterSchema),
    total: z.int().meta({ description: "How many dead letters there are." }),
  })
  .meta({ id: "DeadLetterPage" });

export type DestinationView = z.infer<typeof DestinationViewSchema>;
export type EventPage = z.infer<typeof EventPageSchema>;
export type EventCount = z.infer<typeof EventCountSchema>;
export type Window = z.infer<typeof WindowSchema>;
export type Windows = z.infer<typeof WindowsSchema>;
export type ShownExplanation = z.infer<typeof ExplanationSchema>;
export type DeadLetter = z.infer<typeof DeadLetterSchema>;
export type DeadLetterPage = z.infer<typeof DeadLetterPageSchema>;
