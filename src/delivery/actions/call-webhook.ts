/** `call-webhook`: sends an HTTP request to a URL or a destination, signed per Standard Webhooks. */

import { parseExactJson } from "../../core/json/exact-json.ts";
import { type CallWebhookDefinition, webhookTimeoutDefault } from "../../core/model/action.ts";
import type { Destination } from "../../core/model/destination.ts";
import type { Invocation } from "../../core/model/invocation.ts";
import type { Renderer } from "../../templates/renderer.ts";
import { type RunAction, underRetry } from "../attempt.ts";
import { withoutCredentials } from "../delivery-view.ts";
import { findDestination } from "../destinations/find-destination.ts";
import { webhookTargetOf } from "../destinations/kinds.ts";
import { type PreparedRequest, prepareRequest, type RenderedBody, type Target } from "../http/request.ts";
import { sendRequest } from "../http/send-request.ts";

export const callWebhook: RunAction<"call-webhook"> = async (action, invocation, tools) => {
  const destination = await findDestination(action, tools.log);
  // It may come back: somebody is renaming it, or applies the rules before the destinations.
  if (typeof destination === "string") {
    return underRetry({ kind: "retry", reason: destination, afterMs: null }, action.retry, undefined);
  }
  const prepared = renderRequest(action, invocation, tools.renderer, new Date(), destination);
  const outcome = await sendRequest(prepared, tools);
  return underRetry(outcome, action.retry, destination?.definition.retry);
};

/**
 * Renders the request of one attempt. Sends nothing; equal arguments give an equal request.
 *
 * @param sent goes into `webhook-timestamp` and the signature
 * @param destination what the action refers to; null when the action has its own url
 * @throws TemplateError
 */
export function renderRequest(
  action: CallWebhookDefinition,
  invocation: Invocation,
  renderer: Renderer,
  sent: Date,
  destination: Destination | null = null,
): PreparedRequest {
  const target =
    destination === null ? actionTarget(action, renderer) : webhookTargetOf(destination.definition);
  const body = renderBody(action.payload, target.method, invocation, renderer);
  const headers: Record<string, string> = { ...target.headers };
  for (const [name, template] of Object.entries(action.headers)) headers[name] = renderer.text(template);
  const timeout = action.timeout ?? target.timeout;
  return prepareRequest({ ...target, headers, timeout }, body, invocation.id, sent, invocation.trace ?? null);
}

/** The target of an action with its own url. */
function actionTarget(action: CallWebhookDefinition, renderer: Renderer): Target {
  const { url = "", method = "POST", secret, timeout = webhookTimeoutDefault } = action;
  return {
    url: renderer.text(url).trim(),
    method,
    headers: {},
    secret: secret === undefined ? undefined : renderer.literal(secret),
    timeout,
    identity: { url: withoutCredentials(url) },
    hidden: [],
  };
}

/** Without a payload, the body is the firing as JSON; GET and DELETE have a body only when one is given. */
function renderBody(
  payload: CallWebhookDefinition["payload"],
  method: string,
  { automation, firing }: Invocation,
  renderer: Renderer,
): RenderedBody {
  const json = "application/json";
  if (typeof payload === "string") {
    const body = renderer.text(payload);
    return { body, contentType: isJson(body) ? json : "text/plain; charset=utf-8" };
  }
  if (payload !== undefined) return { body: JSON.stringify(renderer.tree(payload)), contentType: json };
  if (method === "GET" || method === "DELETE") return { body: null, contentType: json };
  const { triggering_event: event, triggering_labels: labels } = firing;
  return { body: JSON.stringify({ automation, event, labels, firing }), contentType: json };
}

function isJson(text: string): boolean {
  try {
    parseExactJson(text);
    return true;
  } catch {
    return false;
  }
}
