/** What the operations that explain answer. */

import { z } from "zod";
import { ReceivedEventSchema } from "../events/event-answers.ts";
import { type DeepReadonly, IdSchema, LabelsSchema, TimeSchema } from "../http/answers.ts";

const AutomationNameSchema = z
  .object({ id: IdSchema, name: z.string(), enabled: z.boolean() })
  .meta({ id: "AutomationName" });

const AwaitedSchema = z
  .array(z.string())
  .meta({ description: "For a composite: the paths of the triggers that have yet to fire." });

export const WindowSchema = z
  .object({
    trigger: z.string().meta({ description: "The trigger's path from the root; empty for the root itself." }),
    labels: LabelsSchema.meta({ description: "The values of the window's key." }),
    start: TimeSchema.nullable(),
    end: TimeSchema.nullable(),
    count: z.int(),
    threshold: z.int(),
    deadline: TimeSchema.nullable().meta({
      description: "When the window is judged, if nothing happens before.",
    }),
    last_event: IdSchema.nullable(),
    unresolved: z.boolean().meta({ description: "True: an absence has fired and has not ended." }),
    quiet_until: TimeSchema.nullable().meta({
      description: "The trigger has fired, and events that occur before this time do not count.",
    }),
    settling: z.int().meta({
      description: "Events of the key that have arrived and wait out the lateness before they are counted.",
    }),
    awaited: AwaitedSchema,
    gaps: z.array(z.object({ from: TimeSchema, to: TimeSchema })).meta({
      description: "The times in which nobody could post, by which the end has moved.",
    }),
    unreachable_since: TimeSchema.nullable().meta({
      description:
        "The window is not judged, because nobody has been able to post since then; null if somebody can.",
    }),
  })
  .meta({ id: "Window" });

export const WindowsSchema = z
  .object({
    automation: AutomationNameSchema,
    as_of: TimeSchema.nullable().meta({
      description: "How far log time has been consumed; null until an engine has taken up the automation.",
    }),
    count: z.int().meta({
      description: "How many windows are open and asked for, of which `windows` has the first.",
    }),
    windows: z.array(WindowSchema),
  })
  .meta({ id: "Windows" });

const ListedWindowSchema = WindowSchema.omit({ settling: true })
  .extend({
    automation: z.object({ id: IdSchema, name: z.string() }),
  })
  .meta({ id: "ListedWindow", description: "A window, and the automation that it belongs to." });

export const AllWindowsSchema = z
  .object({
    as_of: TimeSchema.nullable().meta({
      description:
        "How far log time has been consumed, by the shard that is furthest behind; null if one never ran.",
    }),
    count: z.int().meta({
      description: "How many windows are asked for in all, of which `windows` has the first.",
    }),
    truncated: z.boolean().meta({ description: "Whether there are more than `windows` has." }),
    windows: z.array(ListedWindowSchema),
  })
  .meta({ id: "AllWindows" });

export const WindowCountsSchema = z.array(
  z
    .object({
      automation_id: IdSchema,
      open: z.int(),
      unresolved: z.int().meta({
        description: "How many of them have fired for an absence that has not ended.",
      }),
    })
    .meta({ id: "WindowCount", description: "How many windows of an automation are open." }),
);

const FailedConditionSchema = z
  .object({
    condition: z.enum(["name", "match", "match_related"]),
    index: z.int().nullable(),
    label: z.string().nullable(),
    wanted: z.array(z.string()),
    found: z.string().nullable(),
  })
  .meta({ id: "FailedCondition", description: "The condition of a trigger that an event did not meet." });

const DecisionSchema = z
  .object({
    at: TimeSchema,
    outcome: z.string(),
    labels: LabelsSchema,
    before: WindowSchema.nullable(),
    after: WindowSchema.nullable(),
  })
  .meta({ id: "Decision" });

const ExplainedTriggerSchema = z
  .object({
    path: z.string(),
    type: z.enum(["event", "compound", "sequence"]),
    covered: z.boolean().nullable(),
    failed: FailedConditionSchema.nullable(),
    labels: LabelsSchema,
    decisions: z.array(DecisionSchema),
    missing: z
      .int()
      .nullable()
      .meta({ description: "How many more events, or firings of child triggers, are needed." }),
    until: TimeSchema.nullable().meta({ description: "How long they may take; null: no limit." }),
    awaited: AwaitedSchema,
    quiet_until: TimeSchema.nullable().meta({
      description: "The trigger has fired, and events that occurred before this time do not count.",
    }),
  })
  .meta({ id: "ExplainedTrigger" });

export const ExplanationSchema = z
  .object({
    automation: AutomationNameSchema,
    event: z.object({ id: IdSchema, event: z.string(), occurred: TimeSchema, received: TimeSchema }),
    fired: z.boolean(),
    summary: z.string().meta({ description: "What decided, in a sentence." }),
    triggers: z.array(ExplainedTriggerSchema),
    complete: z
      .boolean()
      .meta({ description: "False: what was read does not reach back to the automation's creation." }),
    changed_since: TimeSchema.nullable().meta({
      description:
        "When the automation was changed after the event, if its definition at that time is not known anymore: the " +
        "explanation is by its present definition.",
    }),
  })
  .meta({ id: "Explanation" });

export const AllExplanationsSchema = z
  .object({
    event: ExplanationSchema.shape.event,
    explanations: z.array(ExplanationSchema).meta({
      description:
        "First the automations that cover the event, those that fired before the others; then up to 10 that ask for " +
        "events of this name and come closest to covering it.",
    }),
    not_listed: z
      .object({
        covering: z.int().meta({ description: "Automations that cover the event, beyond `limit`." }),
        not_covering: z.int().meta({ description: "Automations that do not cover the event." }),
      })
      .meta({ description: "How many automations are not explained." }),
  })
  .meta({ id: "AllExplanations" });

const LookupMatchSchema = z
  .object({
    kind: z.enum(["automation", "event", "firing", "delivery"]),
    id: IdSchema.meta({ description: "For a firing, the id of the event about it." }),
    automation: z
      .object({ id: IdSchema, name: z.string() })
      .nullable()
      .meta({ description: "The automation itself, or the one that fired; null for other events." }),
    firing_event_id: IdSchema.nullable().meta({
      description: "The event about the firing; null for automations and other events.",
    }),
    triggering_event_id: IdSchema.nullable().meta({
      description:
        "The event that caused the firing; null if an absence did, and for automations and other events.",
    }),
    event: ReceivedEventSchema.nullable().meta({
      description:
        "The event, or the event about the firing; for a delivery, the event about it that has the id. Null for others, and when there are several matches.",
    }),
  })
  .meta({ id: "LookupMatch", description: "Something that has the id." });

export type LookupMatch = DeepReadonly<z.infer<typeof LookupMatchSchema>>;

export const LookupSchema = z
  .object({
    matches: z.array(LookupMatchSchema),
    truncated: z.boolean().meta({ description: "Whether more things have an id that begins so." }),
  })
  .meta({ id: "Lookup" });
