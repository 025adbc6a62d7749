/** How whatever goes wrong is answered. Runs in Node and in a Worker. */

import type { Env, Hono } from "hono";
import { isUnreachable } from "../ingest/ingest.ts";
import { Refusal } from "./refusal.ts";

/** What is told of errors: pino's, or one of its shape. */
export interface ErrorLogger {
  error(details: object, text: string): void;
  warn(details: object, text: string): void;
}

/** How soon a client should try again while a store cannot be reached. */
const retryAfterSeconds = "1";

/** @param isHistoryUnavailable true for what a history throws that cannot answer now */
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
      logger.warn({ method, path, err: error }, "Redis cannot be reached; the client was asked to try again");
      const detail = "The log cannot be reached or cannot store now, so nothing was stored; try again";
      return context.json({ detail }, 503, { "Retry-After": retryAfterSeconds });
    }
    if (isHistoryUnavailable(error)) {
      logger.warn(
        { method, path, err: error },
        "The history is unavailable; the client was asked to try again",
      );
      const detail = "The history is unavailable; try again";
      return context.json({ detail }, 503, { "Retry-After": retryAfterSeconds });
    }
    logger.error({ method, path, err: error }, "A request failed");
    return context.json({ exception_message: "Internal Server Error" }, 500);
  });
  app.notFound((context) => context.json({ detail: "Not Found" }, 404));
}
