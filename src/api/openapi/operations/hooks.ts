/** What other services send. */

import { z } from "zod";
import { HookSchema, SignatureSchema } from "../../../core/model/hook.ts";
import { CloudEventSchema } from "../../ingest/cloudevents.ts";
import { RefusalSchema } from "./answers.ts";
import { retryAfter } from "./common.ts";
import type { Operation } from "./operation.ts";

const HookAnswerSchema = z
  .object({
    events: z.array(z.string().meta({ format: "uuid" })).meta({ description: "The ids of the events made." }),
    reason: z.string().optional().meta({ description: "Why the template made none of what was sent." }),
  })
  .meta({ id: "WebhookAnswer" });

const HookViewSchema = HookSchema.extend({
  signature: z
    .object({
      type: z.enum(SignatureSchema.options.map((option) => option.shape.type.value)),
      header: z.string().optional(),
      tolerance: z.number().optional(),
    })
    .nullable(),
  source: z.object({ kind: z.literal("file"), file: z.string() }),
}).meta({ id: "WebhookView", description: "A webhook without its secret." });

export const hookOperations: readonly Operation[] = [
  {
    method: "post",
    path: "/hooks/{name}",
    id: "callHook",
    summary: "Send what another service sends",
    description:
      "The template of the webhook of that name makes events of it: JSON, a form or a text. A webhook with a signature needs no key; one without needs a key with the scope `events:write`.",
    tag: "events",
    scope: null,
    body: z.unknown(),
    bodyTypes: ["application/json", "application/x-www-form-urlencoded", "text/plain"],
    bodyOptional: true,
    answers: {
      200: { description: "These events are stored.", schema: HookAnswerSchema },
      202: {
        description: "The template made none; what was sent is stored in an event that says why.",
        schema: HookAnswerSchema,
      },
      401: { description: "The signature is missing or wrong, or the key.", schema: RefusalSchema },
      403: { description: "The key lacks the scope.", schema: RefusalSchema },
      404: { description: "There is no such webhook.", schema: RefusalSchema },
      413: { description: "It is too large.", schema: RefusalSchema },
      415: { description: "Its encoding is not known.", schema: RefusalSchema },
      429: { description: "The key's rate is used up.", schema: RefusalSchema, headers: retryAfter },
      503: {
        description: "The log cannot be reached; try again.",
        schema: RefusalSchema,
        headers: retryAfter,
      },
    },
  },
  {
    method: "get",
    path: "/hooks",
    id: "readHooks",
    summary: "The webhooks that other services can call",
    tag: "events",
    scope: "automations:read",
    answers: { 200: { description: "All of them, by name.", schema: z.array(HookViewSchema) } },
  },
  {
    method: "post",
    path: "/cloudevents",
    id: "postCloudEvents",
    summary: "Post CloudEvents",
    description:
      "CloudEvents 1.0: structured, batched, or in binary mode (attributes in `ce-…` headers, any data as the body).",
    tag: "events",
    scope: "events:write",
    body: z.union([CloudEventSchema, z.array(CloudEventSchema)]),
    bodyTypes: ["application/cloudevents+json", "application/cloudevents-batch+json"],
    answers: { 204: { description: "All of them are stored." } },
  },
];
