/** Runs a thread that checks rules, until it ends or has taken too long. */

import { Worker } from "node:worker_threads";
import type { Logger } from "pino";
import type { CheckMessage, CheckOrder, MoreAutomations } from "./check-link.ts";

export interface CheckThreadOptions {
  /** Called for each message, in order. */
  readonly onMessage: (message: CheckMessage) => void;
  /** Ends the thread when it is aborted. */
  readonly signal: AbortSignal;
  /** How long it may take. */
  readonly limitMs: number;
  readonly logger: Pick<Logger, "warn">;
  /** What follows the order. */
  readonly more?: AsyncIterable<MoreAutomations>;
}

/**
 * Thousands of rules, and cases with thousands of events, stay far below this. What needs more ends its thread, and not the
 * server.
 */
const resourceLimits = { maxOldGenerationSizeMb: 1_024, maxYoungGenerationSizeMb: 24 };

// The compiler does not rewrite the extension of a path in a string.
const threadFile = import.meta.url.endsWith(".ts") ? "./check-thread.ts" : "./check-thread.js";

/** Resolves when the thread has ended, for whatever reason. */
export async function runCheckThread(
  order: CheckOrder,
  { onMessage, signal, limitMs, logger, more }: CheckThreadOptions,
): Promise<void> {
  if (signal.aborted) return;
  const worker = new Worker(new URL(threadFile, import.meta.url), {
    name: "rule-checks",
    workerData: order,
    resourceLimits,
  });
  const end = () => void worker.terminate();
  const timer = setTimeout(() => {
    logger.warn({ limitMs }, "Checking the rules takes too long; ended it");
    end();
  }, limitMs);
  signal.addEventListener("abort", end);
  worker.on("message", onMessage);
  worker.on("error", (error) => logger.warn({ err: error }, "The rules could not be checked completely"));
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  try {
    for await (const some of more ?? []) worker.postMessage(some);
    await ended;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  }
}
