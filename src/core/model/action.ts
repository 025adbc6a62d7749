/**
 * Actions as they are written. The code that runs them is in src/delivery/.
 *
 * Every string that may hold a template (Jinja) or a reference to the environment (`${env.NAME}`) is kept as it was
 * written. References are filled in at delivery, so that no definition that people can read holds a secret.
 */

import { z } from "zod";
import { RelatedResourceSchema, ResourceSchema, UuidSchema } from "./event.ts";
import { headersSchema, isHostHeader } from "./header.ts";
import { relatedResourcesMax } from "./limits.ts";
import { refusing } from "./problem.ts";
import { isRecord } from "./record.ts";
import { referencesIn } from "./reference.ts";
import { RequestLimitsSchema } from "./request-limits.ts";
import { RetrySchema } from "./retry.ts";
import { signingSecretProblem } from "./secret.ts";
import { day, second } from "./time.ts";
import { DurationSchema } from "./trigger.ts";
import { takesFromEvent, takesHostFromEvent } from "./url.ts";

const Template = z
  .string()
  .meta({ description: "A Jinja template over automation, event, labels, firing, firings, events." });

type TemplateMapping = Readonly<Record<string, unknown>>;

/** JSON whose strings are templates. */
function templateTree<T = TemplateMapping | readonly unknown[]>() {
  return z.custom<T>(
    (value) => isRecord(value) || Array.isArray(value),
    "Input should be a template string, or a mapping or list whose strings are templates",
  );
}

const DoNothingSchema = z.strictObject({ type: z.literal("do-nothing") });

/** The fields that name the destination of an action: its id or its name. */
const destinationFields = {
  block_document_id: UuidSchema.optional().meta({
    format: "uuid",
    description: "The id of the destination (in Prefect, of a block).",
  }),
  destination: z
    .string()
    .min(1, "destination should not be empty")
    .optional()
    .meta({ description: "The name of the destination, instead of block_document_id." }),
};

/** A destination, by its id or its name. Exactly one of them is set. */
export interface DestinationReference {
  readonly block_document_id?: string | undefined;
  readonly destination?: string | undefined;
}

function checkDestination(
  action: DestinationReference & { readonly url?: string | undefined },
  context: z.RefinementCtx,
  required: { readonly key: string; readonly instead: string },
): void {
  const targets = ["url", "block_document_id", "destination"].filter((key) => Object.hasOwn(action, key));
  if (targets.length === 0) {
    const message = `Field required (${required.instead})`;
    context.addIssue({ code: "custom", path: [required.key], message, params: { type: "missing" } });
  }
  const [first, other] = targets;
  if (first !== undefined && other !== undefined) {
    const message = `${first} and ${other} both say where to send; remove one`;
    context.addIssue({ code: "custom", path: [other], message });
  }
}

/** The rule that `checkDestination` enforces, as JSON Schema for editors. */
function oneOf(...keys: readonly string[]): object[] {
  return keys.map((key) => ({ required: [key] }));
}

/** A timer can hold at most 2^31 - 1 ms. A longer one would fire immediately. */
const requestTimeoutMax = (24 * day) / second;

/** How long one attempt at a request may take, in seconds. */
export const RequestTimeoutSchema = DurationSchema.refine(
  (seconds) => seconds >= 0.001,
  "timeout should be longer than 0s; no request can be answered in no time",
).refine((seconds) => seconds <= requestTimeoutMax, "timeout should be at most 24d");

/** The secret that signs requests. */
export const SigningSecretSchema = z
  .string()
  .min(1, { error: "secret should not be empty", abort: true })
  .superRefine(refusing(signingSecretProblem))
  .meta({ description: "The key that signs each request (Standard Webhooks): whsec_… or any text." });

/** Whether a webhook sends something secret: it is signed, or refers to the environment. */
function holdsSecret(action: { readonly secret?: string | undefined }): boolean {
  return action.secret !== undefined || referencesIn(JSON.stringify(action)).length > 0;
}

export const CallWebhookSchema = z
  .strictObject({
    type: z.literal("call-webhook"),
    url: Template.min(1, "url should not be empty").optional().meta({
      description: "The URL to send to; may be a template. Alternatively, name a destination.",
    }),
    ...destinationFields,
    method: z
      .enum(["POST", "PUT", "PATCH", "GET", "DELETE"])
      .optional()
      .meta({ description: "The HTTP method. Default: the destination's, or POST." }),
    headers: headersSchema(Template)
      .default({})
      .meta({ description: "Additional headers; their values are templates." }),
    payload: z
      .union([Template, templateTree()])
      .optional()
      .meta({
        description:
          "A template string, sent as rendered; or a mapping whose strings are templates, sent as JSON. Default: the firing as JSON.",
        anyOf: [{ type: "string" }, { type: "object" }, { type: "array" }],
      }),
    secret: SigningSecretSchema.optional(),
    timeout: RequestTimeoutSchema.optional().meta({
      description: "The time limit of one attempt. Default: the destination's, or 15s.",
    }),
    retry: RetrySchema.optional(),
    limits: RequestLimitsSchema.optional(),
  })
  .superRefine((action, context) => {
    checkDestination(action, context, { key: "url", instead: "or destination: the name of one" });
    const host = action.url === undefined ? Object.keys(action.headers).find(isHostHeader) : undefined;
    if (host !== undefined) {
      // Otherwise whoever may write automations could send the destination's secrets to another site behind its address.
      const message = "a destination decides the host that its secrets go to; set this header there";
      context.addIssue({ code: "custom", path: ["headers", host], message });
    }
    if (action.url !== undefined && holdsSecret(action)) {
      const why = "comes from an event, so whoever can send events decides where the secret goes";
      const remedy = "write the host, or name a destination";
      if (takesHostFromEvent(action.url)) {
        const message = `the host of the url ${why}; ${remedy}`;
        context.addIssue({ code: "custom", path: ["url"], message });
      }
      for (const [name, value] of Object.entries(action.headers)) {
        if (!isHostHeader(name) || !takesFromEvent(value)) continue;
        context.addIssue({ code: "custom", path: ["headers", name], message: `the host ${why}; ${remedy}` });
      }
    }
    if (action.url !== undefined) return;
    const refuse = (field: "secret" | "limits", message: string) => {
      if (action[field] !== undefined) context.addIssue({ code: "custom", path: [field], message });
    };
    refuse("secret", "a destination has its own secret; remove this one");
    refuse("limits", "a destination has its own limits; set these there");
  })
  .transform((action) =>
    action.url === undefined
      ? action
      : { ...action, method: action.method ?? "POST", timeout: action.timeout ?? webhookTimeoutDefault },
  )
  .meta({ oneOf: oneOf("url", "block_document_id", "destination") });

/** The default time limit of one attempt at a request, in seconds. */
export const webhookTimeoutDefault = 15;

const SendNotificationSchema = z
  .strictObject({
    type: z.literal("send-notification"),
    ...destinationFields,
    subject: Template.default("{{ automation.name }}").meta({
      description: "The subject, as a template. Default: the automation's name.",
    }),
    body: Template.meta({ description: "The text, as a template." }),
    retry: RetrySchema.optional(),
  })
  .superRefine((action, context) => {
    checkDestination(action, context, {
      key: "destination",
      instead: "the name of one, or block_document_id",
    });
  });

export const EmitEventSchema = z.strictObject({
  type: z.literal("emit-event"),
  event: Template.min(1, "event should not be empty").meta({ description: "The new event's name." }),
  resource: ResourceSchema.optional().meta({
    description: "The new event's resource: labels, as templates. Default: the triggering event's resource.",
  }),
  related: z
    .array(RelatedResourceSchema)
    .max(relatedResourcesMax, `related should hold at most ${relatedResourcesMax} resources`)
    .default([])
    .meta({ description: "The new event's related resources, as templates." }),
  payload: templateTree<TemplateMapping>()
    .refine(
      (payload) => !Array.isArray(payload),
      "payload should be a mapping whose strings are templates; an event's payload cannot be a list",
    )
    .default({})
    .meta({
      type: "object",
      description: "The new event's payload: a mapping whose strings are templates.",
    }),
});

const automationFields = {
  source: z.enum(["selected", "inferred"]).default("selected").meta({
    description: "selected: the automation named here. inferred: the one that the triggering event is about.",
  }),
  automation_id: UuidSchema.nullable()
    .optional()
    .meta({ format: "uuid", description: "The id of the automation." }),
  automation: z
    .string()
    .min(1, "automation should be a name; it is empty")
    .optional()
    .meta({ description: "The name of the automation, instead of automation_id." }),
};

function checkAutomationFields(
  action: { source: string; automation_id?: string | null | undefined; automation?: string | undefined },
  context: z.RefinementCtx,
): void {
  const named = (action.automation_id ?? null) !== null || action.automation !== undefined;
  if (action.source === "selected" && !named) {
    const message = "source selected needs automation_id (or automation: its name)";
    context.addIssue({ code: "custom", path: ["automation_id"], message });
  }
  if (action.source === "inferred" && named) {
    const message = "source inferred takes the automation from the triggering event; remove automation_id";
    context.addIssue({ code: "custom", path: ["automation_id"], message });
  }
}

export const PauseAutomationSchema = z
  .strictObject({ type: z.literal("pause-automation"), ...automationFields })
  .superRefine(checkAutomationFields);

export const ResumeAutomationSchema = z
  .strictObject({ type: z.literal("resume-automation"), ...automationFields })
  .superRefine(checkAutomationFields);

export const ActionSchema = z
  .discriminatedUnion(
    "type",
    [
      DoNothingSchema,
      CallWebhookSchema,
      SendNotificationSchema,
      EmitEventSchema,
      PauseAutomationSchema,
      ResumeAutomationSchema,
    ],
    {
      error:
        "An action's type should be call-webhook, send-notification, emit-event, pause-automation, resume-automation or do-nothing",
    },
  )
  .meta({ id: "Action" });

export type CallWebhookDefinition = z.infer<typeof CallWebhookSchema>;
export type EmitEventDefinition = z.infer<typeof EmitEventSchema>;
export type PauseAutomationDefinition = z.infer<typeof PauseAutomationSchema>;
export type ResumeAutomationDefinition = z.infer<typeof ResumeAutomationSchema>;
export type ActionDefinition = z.infer<typeof ActionSchema>;

/** Fields that take effect when a rule is loaded. They hold neither templates nor secrets. */
const settingFields: ReadonlySet<string> = new Set([
  "type",
  "method",
  "timeout",
  "retry",
  "limits",
  "source",
  "automation_id",
  "automation",
  "destination",
  "block_document_id",
]);

/** The kind of text that a field of an action holds. Only the secret of a webhook is a `secret`. */
export function fieldKind(field: string): "setting" | "secret" | "template" {
  if (settingFields.has(field)) return "setting";
  return field === "secret" ? "secret" : "template";
}

/** A text in an action, and its place there. */
export interface ActionText {
  readonly path: readonly (string | number)[];
  readonly text: string;
}

/** Every text of an action that is a template or a secret. */
export function textsOf(action: Readonly<Record<string, unknown>>): ActionText[] {
  return Object.entries(action).flatMap(([field, value]) =>
    fieldKind(field) === "setting" ? [] : textsIn(value, [field]),
  );
}

/** How many characters the templates of actions have together. */
export function templatesLengthOf(actions: readonly Readonly<Record<string, unknown>>[]): number {
  const texts = actions.flatMap(textsOf).filter(({ text }) => /\{[{%#]/.test(text));
  return texts.reduce((sum, { text }) => sum + text.length, 0);
}

function textsIn(value: unknown, path: ActionText["path"]): ActionText[] {
  if (typeof value === "string") return [{ path, text: value }];
  const items = Array.isArray(value) ? value.entries() : isRecord(value) ? Object.entries(value) : [];
  return [...items].flatMap(([key, item]) => textsIn(item, [...path, key]));
}
