/**
 * Hooks: how requests from other services become events.
 *
 * A hook's template makes events, which everyone with access to events can read, so it must not hold secrets. The hook's
 * own secret only authenticates the sender.
 */

import { z } from "zod";
import { RelatedResourceSchema, ResourceSchema } from "./event.ts";
import { headerNameProblem, headerValueProblem } from "./header.ts";
import { relatedResourcesMax } from "./limits.ts";
import { refusing } from "./problem.ts";
import { isRecord } from "./record.ts";
import { signingSecretProblem } from "./secret.ts";
import { DurationSchema } from "./trigger.ts";

/** The variables in every template of a hook. */
export const hookContextNames = ["body", "headers", "query", "method", "received"] as const;

/** The values of those variables, as JSON values. */
export type HookContext = Readonly<Record<(typeof hookContextNames)[number], unknown>>;

const Template = z.string().meta({ description: `A Jinja template over ${hookContextNames.join(", ")}.` });

/** JSON whose strings are templates. */
const TemplateTree = z.custom<Readonly<Record<string, unknown>>>(
  isRecord,
  "payload should be a mapping whose strings are templates, or a template that writes a JSON object",
);

/** One event as a template. Every string in it is rendered. */
const EventTemplateSchema = z
  .strictObject({
    event: Template.min(1, "event should not be empty").meta({ description: "The event's name." }),
    resource: ResourceSchema.meta({ description: "The resource that it happened to: labels, as templates." }),
    related: z
      .array(RelatedResourceSchema)
      .max(relatedResourcesMax, `related should hold at most ${relatedResourcesMax} resources`)
      .default([])
      .meta({ description: "Other resources involved: labels, as templates." }),
    payload: z
      .union([Template, TemplateTree], {
        error:
          "payload should be a mapping whose strings are templates, or a template that writes a JSON object",
      })
      .default({})
      .meta({
        description: "A mapping whose strings are templates, or a template that writes a JSON object.",
        anyOf: [{ type: "string" }, { type: "object" }],
      }),
    occurred: Template.optional().meta({
      description: "The time of the event: RFC 3339, or Unix time. Default: the time of receipt.",
    }),
    id: Template.optional().meta({
      description:
        "Two requests with the same id make the same event. Default: the id that the request itself carries.",
    }),
    follows: Template.optional().meta({ description: "The id of the event that this one follows." }),
  })
  .meta({ id: "EventTemplate" });

const Secret = z
  .string()
  .min(1, { error: "secret should not be empty; set it, or remove signature", abort: true })
  .meta({ description: "The key that the sender signs with, usually ${env.NAME}. Never shown." });

/** A shared secret arrives as the value of a header, so it is one line without white space around it. */
function sentSecretProblem(secret: string): string | null {
  if (secret !== secret.trim())
    return "secret should not begin or end with white space; headers lose it on the way";
  return headerValueProblem(secret) === null
    ? null
    : "secret should be one line of Latin-1 text, because it arrives in a header";
}

/** Allows for clocks that differ between the sender and Tripline, and for requests that take time to arrive. */
const Tolerance = DurationSchema.default(300).meta({
  description: "How far the time of a signature may be from now. Default: 5m.",
});

export const SignatureSchema = z
  .discriminatedUnion(
    "type",
    [
      z.strictObject({
        type: z.literal("standard-webhooks"),
        secret: Secret.superRefine(refusing(signingSecretProblem)),
        tolerance: Tolerance,
      }),
      z.strictObject({ type: z.literal("github"), secret: Secret }),
      z.strictObject({ type: z.literal("stripe"), secret: Secret, tolerance: Tolerance }),
      z.strictObject({ type: z.literal("slack"), secret: Secret, tolerance: Tolerance }),
      z.strictObject({
        type: z.literal("shared-secret"),
        header: z
          .string()
          .regex(/^[A-Za-z0-9-]+$/, {
            error: "header should be the name of a header, such as X-Gitlab-Token",
            abort: true,
          })
          .superRefine(refusing(headerNameProblem))
          .meta({ description: "The header that holds the secret, such as X-Gitlab-Token." }),
        secret: Secret.superRefine(refusing(sentSecretProblem)),
      }),
    ],
    {
      error: "A signature's type should be standard-webhooks, github, stripe, slack or shared-secret",
    },
  )
  .meta({ id: "Signature" });

/** How a hook authenticates its sender, with the secret. */
export type Signature = z.infer<typeof SignatureSchema>;

/** A hook whose template has one form. A schema for each form gives better messages than one schema for all. */
function hookSchemaWith<T extends z.ZodType>(template: T) {
  return z.strictObject({
    name: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
        "name should be letters, digits, dots, hyphens and underscores, because it is part of the address",
      )
      .meta({ description: "Unique in the workspace. Requests to /api/hooks/<name> go to this hook." }),
    description: z.string().default("").meta({ description: "What it is for, in one sentence." }),
    signature: SignatureSchema.optional().meta({
      description: "How requests are authenticated. Default: an API key with the scope events:write.",
    }),
    template: template.meta({
      description: "The event, or a list of them; or a template that writes them as JSON.",
    }),
  });
}

export const hookSchemas = {
  scalar: hookSchemaWith(Template),
  mapping: hookSchemaWith(EventTemplateSchema),
  list: hookSchemaWith(z.array(EventTemplateSchema)),
} as const;

/** A hook, whatever the form of its template. */
export const HookSchema = hookSchemaWith(
  z.union([Template, EventTemplateSchema, z.array(EventTemplateSchema)]),
).meta({ id: "Hook" });

/** A hook as it is written, with every default and the secret filled in. */
export type HookDefinition = z.infer<typeof HookSchema>;

/** A hook as it is stored. */
export interface Hook extends HookDefinition {
  readonly source: { readonly kind: "file"; readonly file: string };
}

/** A hook as readers see it. */
export interface HookView extends Omit<Hook, "signature"> {
  readonly signature: Omit<Signature, "secret"> | null;
}

export function hookView({ signature, ...hook }: Hook): HookView {
  if (signature === undefined) return { ...hook, signature: null };
  const { secret: _secret, ...withoutSecret } = signature;
  return { ...hook, signature: withoutSecret };
}
