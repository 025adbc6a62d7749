/** One try at an action, and what may come of it. */

import type { ActionDefinition } from "../core/model/action.ts";
import type { Invocation } from "../core/model/invocation.ts";
import type { Log } from "../store/log.ts";
import type { Redact } from "../templates/references.ts";
import type { Renderer } from "../templates/renderer.ts";
import type { WebhookClient } from "./http-client.ts";

export type AttemptOutcome =
  | { readonly kind: "executed"; readonly result: Readonly<Record<string, unknown>> }
  | { readonly kind: "failed"; readonly reason: string; readonly result?: Readonly<Record<string, unknown>> }
  /** Worth another attempt; `afterMs` when the other side said how long to wait. */
  | {
      readonly kind: "retry";
      readonly reason: string;
      readonly afterMs: number | null;
      readonly result?: Readonly<Record<string, unknown>>;
    }
  /** Nothing was tried, because the endpoint is busy or resting: no attempt is lost. */
  | { readonly kind: "deferred"; readonly reason: string; readonly waitMs: number };

export interface AttemptTools {
  readonly log: Log;
  readonly webhooks: WebhookClient;
  readonly renderer: Renderer;
  /** Takes secrets out of what the outcome says. */
  readonly redact: Redact;
  /** Aborted when the worker must end at once. */
  readonly signal: AbortSignal;
}

/** What an action of type `T` is run by. May throw TemplateError, which is final, and RedisUnreachable, which is not. */
export type RunAction<T extends ActionDefinition["type"]> = (
  action: Extract<ActionDefinition, { type: T }>,
  invocation: Invocation,
  tools: AttemptTools,
) => Promise<AttemptOutcome>;
