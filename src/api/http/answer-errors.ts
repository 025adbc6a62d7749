/** How errors become answers. Runs in Node and in a Worker. */

import type { Env, Hono } from "hono";
import { SecretUnreadable } from "../../store/secret-box.ts";
import { isUnreachable } from "../ingest/ingest.ts";
import { Refusal } from "./refusal.ts";

/** A logger in the form of pino's. */
export interface ErrorLogger {
  error(details: object, text: string): void;
  warn(details: object, text: string): void;
}

/** When a client should try again while Redis or the history is unavailable. */
const retryAfterSeconds = "1";

/** @param isHistoryUnavailable true for errors that a history throws while it is unavailable */
export function answerErrors<E extends Env>(
  app: Hono<E>,
  logger: ErrorLogger,
  isHistoryUnavailable: (error: unknown) => boolean = () => false,
): void {
  app.onError((error, context) => {
    if (error instanceof Refusal)
      return Response.json(error.body, { status: error.status, headers: error.headers });
    const { method, path } = context.req;
    if (isUnreachable(error)) {
      logger.warn({ method, path, err: error }, "Redis is unavailable; answered 503");
      const detail = "Redis is unavailable or full; try again";
      return context.json({ detail }, 503, { "Retry-After": retryAfterSeconds });
    }
    if (isHistoryUnavailable(error)) {
      logger.warn({ method, path, err: error }, "The history is unavailable; answered 503");
      const detail = "The history is unavailable; try again";
      return context.json({ detail }, 503, { "Retry-After": retryAfterSeconds });
    }
    if (error instanceof SecretUnreadable) {
      logger.error({ method, path, reason: error.message }, "A stored secret cannot be read; answered 503");
      return context.json({ detail: `The server cannot do this: ${error.message}` }, 503);
    }
    logger.error({ method, path, err: error }, "Request failed");
    return context.json({ exception_message: "Internal Server Error" }, 500);
  });
  app.notFound((context) => context.json({ detail: "Not Found" }, 404));
}
