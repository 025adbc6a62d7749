/** The refusals that many routes share. */

import { DetailSchema, ExceptionSchema, RefusalSchema } from "./answers.ts";
import type { Answer, Operation } from "./operation.ts";

/** What any operation of this kind may answer; its own answers go before. */
export function commonAnswers({ scope, path, body, query, outside }: Operation): Record<number, Answer> {
  const answers: Record<number, Answer> = {};
  if (scope !== null) {
    answers[401] = { description: "A valid key is needed.", schema: ExceptionSchema };
    answers[403] = {
      description: "The key lacks the scope, or a browser sent this from a page of another site.",
      schema: DetailSchema,
    };
    answers[429] = {
      description: "The key's rate is used up.",
      schema: DetailSchema,
      headers: retryAfter,
    };
    answers[503] = {
      description: "The log or the history cannot be reached; try again.",
      schema: DetailSchema,
      headers: retryAfter,
    };
  }
  if (outside !== true) {
    answers[400] = {
      description: "The version in X-PREFECT-API-VERSION is not understood.",
      schema: DetailSchema,
    };
  }
  if (path.includes("{")) answers[404] = { description: "There is no such thing.", schema: RefusalSchema };
  if (body !== undefined) {
    answers[413] = { description: "The body is too large.", schema: RefusalSchema };
    answers[415] = {
      description: "The body is of a type or encoding that is not understood.",
      schema: DetailSchema,
    };
  }
  if (body !== undefined || query !== undefined) {
    answers[422] = { description: "The request has mistakes; each is named.", schema: RefusalSchema };
  }
  return answers;
}

export const retryAfter = { "Retry-After": "In how many seconds to try again." };
