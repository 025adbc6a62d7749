/**
 * Triggers as they are written: Prefect's shape, plus Tripline's additions (`lateness`, `schedule`, `refire`,
 * `on_gap`, and `for_each` on composites). docs/triggers.md defines what they mean.
 */

import { z } from "zod";
import {
  childTriggersMax,
  durationMax,
  patternLengthMax,
  patternsMax,
  proactiveWithinMin,
  specificationLabelsMax,
} from "./limits.ts";
import { refusing } from "./problem.ts";
import { isRecord } from "./record.ts";
import { cronProblem, parseTimeOfDay, timezoneProblem } from "./schedule.ts";
import { day, formatDuration, hour, parseDuration, second } from "./time.ts";

/** For each label, the patterns of which one must match. A single pattern stands for a list of one. */
export type SpecificationDefinition = Readonly<Record<string, string | readonly string[]>>;

export interface ScheduleDefinition {
  readonly cron: string;
  readonly timezone: string;
  /** How many seconds a key is expected after it was last seen. */
  readonly remember?: number | undefined;
  /** The time of day at which a window ends, in the schedule's time zone, instead of `within`. */
  readonly until?: string | undefined;
  /** Proactive only: how many seconds before the tick an event counts in its window. */
  readonly early?: number | undefined;
}

export interface EventTriggerDefinition {
  readonly type: "event";
  readonly id: string;
  readonly match: SpecificationDefinition;
  readonly match_related: SpecificationDefinition | readonly SpecificationDefinition[];
  readonly after: readonly string[];
  readonly expect: readonly string[];
  readonly for_each: readonly string[];
  readonly posture: "Reactive" | "Proactive";
  readonly threshold: number;
  /** Seconds; 0 when the schedule's `until` ends the windows. */
  readonly within: number;
  /** Seconds. Default: the server's. */
  readonly lateness?: number | undefined;
  readonly schedule?: ScheduleDefinition | undefined;
  readonly refire?: "every-window" | "once" | undefined;
  /** Proactive only: what a time in which nobody could post means for a window. */
  readonly on_gap?: "extend" | "fire" | undefined;
}

export interface CompositeFields {
  readonly id: string;
  readonly triggers: readonly TriggerDefinition[];
  /** Seconds; null means no limit. */
  readonly within: number | null;
  readonly for_each?: readonly string[] | undefined;
}

export interface CompoundTriggerDefinition extends CompositeFields {
  readonly type: "compound";
  readonly require: "any" | "all" | number;
}

export interface SequenceTriggerDefinition extends CompositeFields {
  readonly type: "sequence";
}

export type CompositeTriggerDefinition = CompoundTriggerDefinition | SequenceTriggerDefinition;
export type TriggerDefinition = EventTriggerDefinition | CompositeTriggerDefinition;

/** A duration in any of its notations, read as seconds. */
export const DurationSchema = z
  .union([z.number(), z.string()], {
    error: "Input should be a duration: seconds, 90s, 30m, 2h, 1d or PT30M",
  })
  .superRefine((value, context) => {
    const length = parseDuration(value);
    if (length !== null && length <= durationMax) return;
    if (length !== null) {
      const message = "A duration should be less than or equal to 100 years";
      context.addIssue({ code: "custom", message, params: { type: "less_than_equal" } });
      return;
    }
    const negative = typeof value === "number" && value < 0;
    const message = negative
      ? "A duration should be greater than or equal to 0"
      : `${JSON.stringify(value)} is not a duration: write seconds, 90s, 30m, 2h, 1d or PT30M`;
    context.addIssue({
      code: "custom",
      message,
      params: { type: negative ? "greater_than_equal" : "value_error" },
    });
  })
  .transform((value) => (parseDuration(value) ?? 0) / second)
  .meta({ description: "A number of seconds, or a duration such as 90s, 30m, 2h, 1d or PT30M." });

const tooManyPatterns = `Input should have at most ${patternsMax} items`;
const patternTooLong = `A pattern should have at most ${patternLengthMax} characters; use * for a long part`;

/** Prefect's MetricTrigger, which computes over flow runs. */
export const metricTriggerProblem =
  "Metric triggers do not exist here, because Tripline does not know flow runs. Count or miss their events instead: docs/prefect.md, Metric triggers";

const NamesSchema = z
  .array(z.string().max(patternLengthMax, patternTooLong))
  .max(patternsMax, tooManyPatterns)
  .default([])
  .transform((names) => [...new Set(names)]);

const specificationJsonSchema = {
  type: "object",
  additionalProperties: { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }] },
} as const;

/** Checked by hand like a resource's labels, because zod's record would drop a label called `__proto__`. */
export const SpecificationSchema = z
  .custom<SpecificationDefinition>()
  .superRefine((value: unknown, context) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      context.addIssue({
        code: "custom",
        message: "Input should be an object: label to a pattern or a list of patterns",
      });
      return;
    }
    const labels = Object.entries(value);
    if (labels.length > specificationLabelsMax) {
      const message = `A specification may name at most ${specificationLabelsMax} labels; this one names ${labels.length}`;
      context.addIssue({ code: "custom", message, params: { type: "too_long" } });
      return;
    }
    for (const [label, patterns] of labels) {
      if (Array.isArray(patterns) && patterns.length > patternsMax) {
        const params = { type: "too_long" };
        context.addIssue({ code: "custom", path: [label], message: tooManyPatterns, params });
        continue;
      }
      for (const [index, pattern] of (Array.isArray(patterns) ? patterns : [patterns]).entries()) {
        const path = Array.isArray(patterns) ? [label, index] : [label];
        if (typeof pattern === "string") {
          if (pattern.length > patternLengthMax)
            context.addIssue({ code: "custom", path, message: patternTooLong });
          continue;
        }
        const remedy = ["number", "boolean"].includes(typeof pattern)
          ? `; put it in quotes: "${pattern}"`
          : "";
        context.addIssue({
          code: "custom",
          path,
          message: `A pattern should be a string${remedy}`,
          input: pattern,
        });
      }
    }
  })
  .meta(specificationJsonSchema);

const MatchRelatedSchema = z
  .custom<SpecificationDefinition | SpecificationDefinition[]>()
  .superRefine((value: unknown, context) => {
    for (const [index, specification] of (Array.isArray(value) ? value : [value]).entries()) {
      const parsed = SpecificationSchema.safeParse(specification);
      for (const { path, message, input } of parsed.error?.issues ?? []) {
        context.addIssue({
          code: "custom",
          path: Array.isArray(value) ? [index, ...path] : path,
          message,
          input,
        });
      }
    }
  })
  .default({})
  .meta({
    description: "What at least one related resource must match. With a list, each item must be matched.",
    anyOf: [specificationJsonSchema, { type: "array", items: specificationJsonSchema }],
  });

const ScheduleSchema = z
  .strictObject({
    cron: z
      .string()
      .superRefine(refusing(cronProblem))
      .meta({ description: "Five cron fields, or six with seconds first." }),
    timezone: z
      .string()
      .default("UTC")
      .superRefine(refusing(timezoneProblem))
      .meta({ description: "A time zone, such as America/New_York." }),
    remember: DurationSchema.optional().meta({
      description: "How long a key is expected after it was last seen. Default: 7d.",
    }),
    until: z
      .string('Input should be a time of day in quotes, such as "03:30"')
      .refine(
        (text) => parseTimeOfDay(text) !== null,
        'until should be a time of day from "00:00" to "23:59", such as "03:30" or "03:30:15"',
      )
      .optional()
      .meta({
        description:
          'Instead of within: the time of day at which a window ends, such as "03:30", in the schedule\'s time zone; the next one after the tick.',
      }),
    early: DurationSchema.optional().meta({
      description: "Proactive only: how long before the tick an event already counts for it. Default: 0.",
    }),
  })
  .meta({ description: "Opens a window at each tick, instead of an event named in `after`." });

const TriggerIdSchema = z
  .string()
  .optional()
  .meta({ description: "Assigned by Tripline; ignored on input." });

const EventTriggerSchema = z
  .strictObject({
    type: z.literal("event").optional(),
    id: TriggerIdSchema,
    match: SpecificationSchema.default({}).meta({ description: "What the event's own resource must match." }),
    match_related: MatchRelatedSchema,
    after: NamesSchema.meta({ description: "Event names or glob patterns that open a window." }),
    expect: NamesSchema.meta({ description: "Event names or glob patterns to count. Empty: every event." }),
    for_each: NamesSchema.meta({
      description: "Labels to group by: each combination of values is evaluated separately.",
    }),
    posture: z
      .enum(["Reactive", "Proactive"], {
        error: ({ input }) => (input === "Metric" ? metricTriggerProblem : undefined),
      })
      .default("Reactive")
      .meta({ description: "Reactive: fires when events arrive. Proactive: fires when they do not." }),
    threshold: z.int().min(0, "threshold should be greater than or equal to 0").default(1).meta({
      description:
        "Reactive: the number of events needed to fire. Proactive: fewer events than this are an absence.",
    }),
    within: DurationSchema.optional().meta({
      description:
        "The length of a window: seconds, or a duration such as 90s, 30m, 2h. Proactive: at least 10s, which is the default.",
    }),
    lateness: DurationSchema.optional().meta({
      description: "How long to wait for delayed events after a window ends.",
    }),
    schedule: ScheduleSchema.optional(),
    refire: z.enum(["every-window", "once"]).optional().meta({
      description:
        "Proactive only. every-window fires for each window without events; once waits until the absence ends. Default: every-window.",
    }),
    on_gap: z.enum(["extend", "fire"]).optional().meta({
      description:
        "Proactive only. When nobody could post, because the API was down: extend does not count that time; fire counts it as any other. Default: extend.",
    }),
  })
  .superRefine((trigger, context) => {
    const proactive = trigger.posture === "Proactive";
    const min = proactiveWithinMin / second;
    if (proactive && trigger.within !== undefined && trigger.within !== 0 && trigger.within < min) {
      const found = formatDuration(trigger.within * second);
      context.addIssue({
        code: "custom",
        path: ["within"],
        message: `within is ${found}; a Proactive trigger needs at least ${min}s, which is also the default`,
        params: { type: "greater_than_equal" },
      });
    }
    if (trigger.schedule !== undefined && trigger.after.length > 0) {
      const message = "schedule and after both open windows; remove one of them";
      context.addIssue({ code: "custom", path: ["schedule"], message });
    }
    const until = trigger.schedule?.until;
    if (trigger.schedule !== undefined && !proactive && until === undefined && (trigger.within ?? 0) === 0) {
      const message =
        "a schedule needs within, the length of the windows that it opens, or until, the time of day at which they end";
      context.addIssue({ code: "custom", path: ["within"], message });
    }
    if (until !== undefined && (trigger.within ?? 0) > 0) {
      const message = `within and until both end the windows; remove within, or until: ${JSON.stringify(until)} from the schedule`;
      context.addIssue({ code: "custom", path: ["within"], message });
    }
    if (trigger.schedule?.early !== undefined && !proactive) {
      const message =
        "early is for Proactive triggers; remove it (the windows of a Reactive trigger can simply begin earlier: change cron)";
      context.addIssue({ code: "custom", path: ["schedule", "early"], message });
    }
    if (trigger.refire !== undefined && !proactive) {
      const message =
        "refire is for Proactive triggers; remove it (a Reactive trigger stays quiet for `within` after it fires)";
      context.addIssue({ code: "custom", path: ["refire"], message });
    }
    if (trigger.on_gap !== undefined && !proactive) {
      const message =
        "on_gap is for Proactive triggers; remove it (a Reactive trigger waits for no time to pass, so an outage changes nothing)";
      context.addIssue({ code: "custom", path: ["on_gap"], message });
    }
  })
  .transform((trigger): EventTriggerDefinition => {
    const { lateness, schedule, refire, on_gap, within = 0 } = trigger;
    return {
      type: "event",
      id: "",
      match: trigger.match,
      match_related: trigger.match_related,
      after: trigger.after,
      expect: trigger.expect,
      for_each: trigger.for_each,
      posture: trigger.posture,
      threshold: trigger.threshold,
      within:
        trigger.posture === "Proactive" && schedule?.until === undefined
          ? Math.max(within, proactiveWithinMin / second)
          : within,
      ...(lateness === undefined ? {} : { lateness }),
      ...(schedule === undefined ? {} : { schedule }),
      ...(refire === undefined ? {} : { refire }),
      ...(on_gap === undefined ? {} : { on_gap }),
    };
  })
  .meta({ id: "EventTrigger" });

const compositeFields = {
  id: TriggerIdSchema,
  triggers: z
    .array(z.lazy((): z.ZodType<TriggerDefinition> => TriggerSchema))
    .min(1, "a composite trigger needs triggers")
    .max(childTriggersMax, `triggers should hold at most ${childTriggersMax} triggers`)
    .meta({ id: "Triggers", description: "The child triggers, of any kind." }),
  within: z
    .union([DurationSchema, z.null()], {
      error: (issue) =>
        issue.input === undefined
          ? "Field required (null means no limit)"
          : "Input should be a duration, or null for no limit",
    })
    .meta({ description: "How close together the children must fire; null means no limit." }),
  for_each: NamesSchema.optional().meta({
    description: "Labels to correlate the children by: each combination of values is evaluated separately.",
  }),
};

const CompoundTriggerSchema = z
  .strictObject({
    type: z.literal("compound"),
    ...compositeFields,
    require: z
      .union([z.enum(["any", "all"]), z.int()], {
        error: "require should be any, all or a number of triggers",
      })
      .default("all")
      .meta({ description: "How many of the triggers must have fired." }),
  })
  .superRefine(({ require, triggers }, context) => {
    if (typeof require !== "number" || (require >= 1 && require <= triggers.length)) return;
    const message = `require is ${require}; it should be any, all or a number from 1 to ${triggers.length}, the number of triggers`;
    context.addIssue({ code: "custom", path: ["require"], message });
  })
  .transform((trigger): CompoundTriggerDefinition => {
    const { type, triggers, within, require, for_each } = trigger;
    return { type, id: "", triggers, within, require, ...(for_each === undefined ? {} : { for_each }) };
  })
  .meta({ id: "CompoundTrigger" });

const SequenceTriggerSchema = z
  .strictObject({ type: z.literal("sequence"), ...compositeFields })
  .transform((trigger): SequenceTriggerDefinition => {
    const { type, triggers, within, for_each } = trigger;
    return { type, id: "", triggers, within, ...(for_each === undefined ? {} : { for_each }) };
  })
  .meta({ id: "SequenceTrigger" });

/** Any trigger. An event trigger may omit `type`. */
export const TriggerSchema: z.ZodType<TriggerDefinition> = z
  .discriminatedUnion("type", [EventTriggerSchema, CompoundTriggerSchema, SequenceTriggerSchema], {
    error: ({ input }) =>
      isRecord(input) && input["type"] === "metric"
        ? metricTriggerProblem
        : "A trigger's type should be event (the default), compound or sequence",
  })
  .meta({ id: "Trigger" });

/** Visits a trigger and all its descendants, each with its path from the root (`""`, `0`, `0.1`). */
export function walkTrigger(
  trigger: TriggerDefinition,
  visit: (trigger: TriggerDefinition, path: string) => void,
  path = "",
): void {
  visit(trigger, path);
  if (trigger.type === "event") return;
  for (const [index, child] of trigger.triggers.entries()) {
    walkTrigger(child, visit, path === "" ? String(index) : `${path}.${index}`);
  }
}

/** How many seconds a window of an event trigger can be long. Where clocks change, a day has more than 24 hours. */
export function longestWindow({ within, schedule }: EventTriggerDefinition): number {
  return schedule?.until === undefined ? within : dayLengthMax / second;
}

const dayLengthMax = day + 3 * hour;

/** The trigger with an id at every level, made from that level's path. */
export function withTriggerIds<T extends TriggerDefinition>(
  trigger: T,
  idOf: (path: string) => string,
  path = "",
): T {
  if (trigger.type === "event") return { ...trigger, id: idOf(path) };
  const triggers = trigger.triggers.map((child, index) =>
    withTriggerIds(child, idOf, path === "" ? String(index) : `${path}.${index}`),
  );
  return { ...trigger, id: idOf(path), triggers };
}
