/** What refusals look like, and which of them many operations share. */

import { z } from "zod";
import type { Answer, Operation } from "./route.ts";

export const TimeSchema = z.string().meta({ format: "date-time" });
export const IdSchema = z.string().meta({ format: "uuid" });
export const LabelsSchema = z.record(z.string(), z.string());

const MistakeSchema = z
  .object({
    type: z.string().meta({ description: "A stable word, such as missing or extra_forbidden." }),
    loc: z.array(z.union([z.string(), z.int()])).meta({ description: "The path to the mistake." }),
    msg: z.string().meta({ description: "What is wrong, for people." }),
    input: z.unknown().optional().meta({ description: "What was found there, cut short." }),
  })
  .meta({ id: "RequestMistake", description: "One mistake in a request." });

export const DetailSchema = z
  .object({ detail: z.string() })
  .meta({ id: "Detail", description: "Why the request was refused." });

const ExceptionSchema = z
  .object({ exception_message: z.string() })
  .meta({ id: "Exception", description: "Why the request was refused." });

/** Any refusal, as one object: every client generator can express that, and not all can express a union here. */
export const RefusalSchema = z
  .object({
    detail: z.string().optional(),
    exception_message: z.string().optional(),
    exception_detail: z.array(MistakeSchema).optional(),
    request_body: z
      .unknown()
      .optional()
      .meta({ description: "The body, cut short; null where it may hold secrets." }),
  })
  .meta({
    id: "Refusal",
    description:
      "Why the request was refused: `detail`, or `exception_message` with each mistake in `exception_detail`.",
  });

export const retryAfter = { "Retry-After": "Seconds to wait before the next attempt." };

/** What an operation of this kind may answer besides what it declares. */
export function commonAnswers({
  scope,
  path,
  body,
  query,
  params,
  outside,
}: Operation): Record<number, Answer> {
  const answers: Record<number, Answer> = {};
  if (scope !== null) {
    answers[401] = { description: "A valid API key is required.", schema: ExceptionSchema };
    answers[403] = {
      description: "The key lacks the scope, or a browser sent the request from a page of another site.",
      schema: DetailSchema,
    };
    answers[429] = {
      description: "The key's rate limit is used up.",
      schema: DetailSchema,
      headers: retryAfter,
    };
    answers[503] = {
      description: "Redis or the history is unavailable; try again.",
      schema: DetailSchema,
      headers: retryAfter,
    };
    if (scope !== "any" && outside !== true) {
      answers[400] = {
        description: "X-PREFECT-API-VERSION names a version that is not supported.",
        schema: DetailSchema,
      };
    }
  }
  if (path.includes(":")) answers[404] = { description: "Not found.", schema: RefusalSchema };
  if (body !== undefined) {
    answers[400] = {
      description: "The body ended early, or X-PREFECT-API-VERSION names a version that is not supported.",
      schema: DetailSchema,
    };
    answers[413] = { description: "The body is too large.", schema: RefusalSchema };
    answers[415] = {
      description: "The body has a type or an encoding that is not supported.",
      schema: DetailSchema,
    };
  }
  if (body !== undefined || query !== undefined || params !== undefined) {
    answers[422] = { description: "The request has mistakes; each is listed.", schema: RefusalSchema };
  }
  return answers;
}

/** An answer's type, for what is only read: nothing has to be copied to answer it. */
export type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;
