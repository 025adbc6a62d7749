/** What a delivery sends, as the API answers it. */

import { z } from "zod";
import type { DeepReadonly } from "../http/answers.ts";
import { TemplateFailureSchema } from "./delivery-answers.ts";

export const SentMessageSchema = z
  .object({
    kind: z.enum(["http", "email", "event", "automation", "none"]).meta({
      description:
        "`http`: a request. `email`: an email. `event`: an event is emitted. `automation`: one is paused or resumed. `none`: " +
        "nothing is sent; `note` says why.",
    }),
    method: z.string().nullable().meta({ description: "The method of a request." }),
    url: z
      .string()
      .nullable()
      .meta({
        description:
          "Where it goes, without credentials. Of the URL of a destination, what follows the host is masked. References to " +
          "the environment stand for their values.",
      }),
    headers: z
      .record(z.string(), z.string())
      .meta({ description: "The headers. Secret ones are masked, as are all that come from a destination." }),
    body: z.string().nullable().meta({ description: "The body, with references in place of secrets." }),
    body_type: z.string().nullable().meta({ description: "The media type of the body." }),
    truncated: z
      .boolean()
      .meta({ description: "Whether the body is longer than the 65,536 characters shown." }),
    rendered: z.enum(["as_sent", "now"]).meta({
      description: "`as_sent`: from the rule as it was when it fired. `now`: from the present rule.",
    }),
    note: z
      .string()
      .optional()
      .meta({ description: "What else is to be known, such as why nothing is sent." }),
    template_failures: z.array(TemplateFailureSchema).optional().meta({
      description: "Templates that fail. A plain message takes their place. Missing if none does.",
    }),
  })
  .meta({
    id: "SentMessage",
    description: "What a delivery sends, put together by the code that sends it. It holds no secrets.",
    example: {
      kind: "http",
      method: "POST",
      url: "https://example.org/alarms",
      headers: {
        authorization: "********",
        "content-type": "application/json",
        "webhook-id": "3861b6c1-e5ff-5050-8e65-beae8703cd72",
        "webhook-timestamp": "1772357401",
        "webhook-signature": "********",
      },
      body: '{"text":"pump.1 went quiet"}',
      body_type: "application/json",
      truncated: false,
      rendered: "as_sent",
    },
  });

export type SentMessage = DeepReadonly<z.infer<typeof SentMessageSchema>>;

export const DestinationTestSchema = z
  .object({
    ok: z.boolean().meta({ description: "Whether the receiver accepted it." }),
    status_code: z.int().nullable().meta({ description: "The status of its response, if there was one." }),
    reason: z
      .string()
      .nullable()
      .meta({ description: "Why it was not accepted, with the beginning of the response; null if it was." }),
    answer: z
      .string()
      .nullable()
      .meta({ description: "The beginning of the response, if it was accepted and there was any." }),
    duration_ms: z.int(),
    sent: SentMessageSchema,
  })
  .meta({ id: "DestinationTest", description: "What became of a test message." });

export type DestinationTest = DeepReadonly<z.infer<typeof DestinationTestSchema>>;
