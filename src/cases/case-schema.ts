/** The format of `*.test.yaml`, the cases for rules. docs/testing-rules.md explains the keys. */

import { z } from "zod";
import { RelatedResourceSchema, ResourceSchema, type WireResource } from "../core/model/event.ts";
import { isRecord } from "../core/model/record.ts";
import { formatTime, type Micros, parseDuration, parseTime, second } from "../core/model/time.ts";
import { DurationSchema } from "../core/model/trigger.ts";

/** An instant as it is written: an offset from the case's start, or a time. */
export type When =
  | { readonly kind: "offset"; readonly offset: Micros }
  | { readonly kind: "instant"; readonly instant: Micros };

export function instantOf(when: When, start: Micros): Micros {
  return when.kind === "offset" ? start + when.offset : when.instant;
}

/** A Monday at midnight, so that schedules are easy to think about. */
export const startDefault: Micros = parseTime("2026-01-05T00:00:00Z") ?? 0;

const WhenSchema = z
  .union([z.number(), z.string()], { error: "Input should be an offset such as 90s or 5m, or a time" })
  .transform((text, context): When => {
    const instant = typeof text === "string" && /^\d{4}-/.test(text) ? parseTime(text) : null;
    if (instant !== null) return { kind: "instant", instant };
    const offset = parseDuration(text);
    if (offset !== null) return { kind: "offset", offset };
    const found = JSON.stringify(text);
    const message = `${found} is not a valid time; write an offset from the start (90s, 5m, 1h30m), or ${formatTime(startDefault)}`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });

const StartSchema = z.string().transform((text, context): Micros => {
  const instant = parseTime(text);
  if (instant !== null) return instant;
  const message = `${JSON.stringify(text)} is not a valid time; write it as ${formatTime(startDefault)}`;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
});

const Names = z
  .union([z.string(), z.array(z.string())], { error: "Input should be a name, or a list of names" })
  .transform((names) => (typeof names === "string" ? [names] : names));

/** A mapping of labels, or only an id. */
const ResourceOrId = z.custom<string | WireResource>().transform((value: unknown, context): WireResource => {
  const labels = typeof value === "string" ? { "prefect.resource.id": value } : value;
  return passOn(ResourceSchema, labels, context, []);
});

/** A list of mappings of labels, or a mapping of role to labels or id. */
const Related = z
  .custom<readonly WireResource[] | Readonly<Record<string, unknown>>>()
  .transform((value: unknown, context): WireResource[] => {
    if (Array.isArray(value)) {
      return value.map((labels, index) => passOn(RelatedResourceSchema, labels, context, [index]));
    }
    if (!isRecord(value)) {
      const message = "related should be a mapping of role to resource, or a list of labels";
      context.addIssue({ code: "custom", message });
      return z.NEVER;
    }
    return Object.entries(value).map(([role, resource]: [string, unknown]) => {
      const labels = typeof resource === "string" ? { "prefect.resource.id": resource } : resource;
      const inRole = isLabels(labels) ? { "prefect.resource.role": role, ...labels } : labels;
      return passOn(RelatedResourceSchema, inRole, context, [role]);
    });
  });

const repetition = {
  every: DurationSchema.optional(),
  until: WhenSchema.optional(),
  times: z.int().min(1, "times should be 1 or more").optional(),
};

interface Repeated {
  readonly every?: number | undefined;
  readonly until?: When | undefined;
  readonly times?: number | undefined;
}

function checkRepetition({ every, until, times }: Repeated, context: z.RefinementCtx): void {
  const report = (key: string, message: string) => context.addIssue({ code: "custom", path: [key], message });
  if (every === undefined) {
    if (until !== undefined)
      report("until", "until needs every; add every: with the time between repetitions");
    if (times !== undefined)
      report("times", "times needs every; add every: with the time between repetitions");
  } else {
    if (every === 0) report("every", "every should be more than 0s");
    if (until === undefined && times === undefined)
      report("every", "every repeats without end; add until: or times:");
    if (until !== undefined && times !== undefined)
      report("times", "until and times both say when to stop; remove one of them");
  }
}

const stepKinds = ["event", "restart", "disable", "enable"] as const;

const StepSchema = z
  .strictObject({
    at: WhenSchema.optional(),
    event: z.string().min(1, "event should not be empty").optional(),
    resource: ResourceOrId.optional(),
    related: Related.optional(),
    payload: z.record(z.string(), z.unknown()).optional(),
    id: z.string().min(1, "id should not be empty").optional(),
    follows: z.string().min(1, "follows should not be empty").optional(),
    occurred: WhenSchema.optional(),
    received: WhenSchema.optional(),
    ...repetition,
    restart: z.literal(true).optional(),
    disable: Names.optional(),
    enable: Names.optional(),
  })
  .superRefine((step, context) => {
    const kinds = stepKinds.filter((kind) => step[kind] !== undefined);
    const [kind] = kinds;
    if (kind === undefined || kinds.length > 1) {
      const message =
        kind === undefined
          ? "a step needs one of event, restart, disable and enable; add one"
          : `a step is one of event, restart, disable and enable; found ${kinds.join(" and ")}; split it into two steps`;
      context.addIssue({ code: "custom", path: [kinds[1] ?? "event"], message });
      return;
    }
    checkRepetition(step, context);
    if (kind === "event") {
      if (step.resource === undefined) {
        const message = "the event needs a resource; add resource: with its id or its labels";
        context.addIssue({ code: "custom", path: ["resource"], message });
      }
      if (step.at !== undefined && step.occurred !== undefined && step.received !== undefined) {
        const message = "occurred and received already set both times; remove at";
        context.addIssue({ code: "custom", path: ["at"], message });
      }
      return;
    }
    for (const key of Object.keys(step)) {
      if (key === "at" || key === kind || step[key as keyof typeof step] === undefined) continue;
      context.addIssue({ code: "custom", path: [key], message: `${key} belongs to an event; remove it` });
    }
  });

const RequestSchema = z.strictObject({
  method: z.enum(["POST", "PUT", "PATCH", "GET", "DELETE"]).optional(),
  url: z.string().optional(),
  headers: z.record(z.string(), z.string().nullable()).optional(),
  /** Text must be equal; any other value must be equal as JSON; null means no body. */
  body: z.unknown().optional(),
  body_includes: z.unknown().optional(),
  signed: z.boolean().optional(),
});

const NotificationSchema = z.strictObject({
  destination: z.string().optional(),
  subject: z.string().optional(),
  body: z.string().optional(),
  /** A part of the body. */
  body_includes: z.string().optional(),
});

const ExpectationSchema = z
  .strictObject({
    automation: z.string().optional(),
    at: WhenSchema,
    state: z.enum(["Triggered", "Resolved"]).default("Triggered"),
    labels: z.record(z.string(), z.string()).default({}),
    event: z.string().nullable().optional(),
    late: z.boolean().optional(),
    request: RequestSchema.optional(),
    requests: z.array(RequestSchema).optional(),
    notification: NotificationSchema.optional(),
    notifications: z.array(NotificationSchema).optional(),
    ...repetition,
  })
  .superRefine((expectation, context) => {
    checkRepetition(expectation, context);
    for (const noun of ["request", "notification"] as const) {
      if (expectation[noun] === undefined || expectation[`${noun}s`] === undefined) continue;
      const message = `${noun} is for a firing with one ${noun}, ${noun}s for any number; remove one of them`;
      context.addIssue({ code: "custom", path: [`${noun}s`], message });
    }
  });

/** Keys of a case, or of its file for all its cases. */
const shared = {
  rules: Names.optional(),
  automations: Names.optional(),
  start: StartSchema.optional(),
  lateness: DurationSchema.optional(),
  env: z.record(z.string(), z.string()).default({}),
};

export const CaseSchema = z.strictObject({
  name: z
    .string({ error: "a case needs a name; add name: and say what it shows" })
    .min(1, "name should not be empty"),
  ...shared,
  steps: z.array(StepSchema).default([]),
  until: WhenSchema.optional(),
  expect: z.array(ExpectationSchema, {
    error: (issue) =>
      issue.input === undefined
        ? "a case needs expect; list the firings, or write expect: [] if nothing fires"
        : undefined,
  }),
});

/** A document of a `*.test.yaml`. */
export const CaseFileSchema = z.strictObject({
  ...shared,
  /** Each case is validated separately, so that a mistake in one does not hide mistakes in another. */
  cases: z.array(z.unknown()).min(1, "cases is empty; write a case with name, steps and expect"),
});

export type CaseFileDefinition = z.infer<typeof CaseFileSchema>;
export type CaseDefinition = z.infer<typeof CaseSchema>;
export type StepDefinition = z.infer<typeof StepSchema>;
export type ExpectationDefinition = z.infer<typeof ExpectationSchema>;
export type NotificationDefinition = z.infer<typeof NotificationSchema>;
export type RequestDefinition = z.infer<typeof RequestSchema>;

/** Seconds as microseconds. */
export function microsOf(seconds: number): Micros {
  return Math.round(seconds * second);
}

function isLabels(value: unknown): value is Record<string, string> {
  return isRecord(value);
}

function passOn<T>(
  schema: z.ZodType<T>,
  value: unknown,
  context: z.RefinementCtx,
  path: readonly (string | number)[],
): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  for (const issue of parsed.error.issues) {
    // A missing label has no place of its own to report.
    const inside = issue.path.filter((step) => isLabels(value) && Object.hasOwn(value, step));
    context.addIssue({ code: "custom", path: [...path, ...inside], message: issue.message });
  }
  return z.NEVER;
}
