/** `call-webhook`: sends an HTTP request to a URL or a destination, signed per Standard Webhooks. */

import { parseExactJson } from "../../core/json/exact-json.ts";
import { type CallWebhookDefinition, webhookTimeoutDefault } from "../../core/model/action.ts";
import type { Destination } from "../../core/model/destination.ts";
import { headerValueProblem } from "../../core/model/header.ts";
import type { Invocation } from "../../core/model/invocation.ts";
import { withoutCredentials } from "../../core/model/url.ts";
import { uuid5 } from "../../core/model/uuid.ts";
import type { Renderer, TemplateFailure } from "../../templates/renderer.ts";
import { TemplateError } from "../../templates/template.ts";
import { type RunAction, underRetry } from "../attempt.ts";
import { findDestination } from "../destinations/find-destination.ts";
import { chatMessageOf, webhookTargetOf } from "../destinations/kinds.ts";
import { type PreparedRequest, prepareRequest, type RenderedBody, type Target } from "../http/request.ts";
import { sendRequest } from "../http/send-request.ts";
import { plainMessage } from "../plain-message.ts";

export const callWebhook: RunAction<"call-webhook"> = async (action, invocation, tools) => {
  const destination = await findDestination(action, tools.log);
  // It may come back: somebody is renaming it, or applies the rules before the destinations.
  if (typeof destination === "string") {
    return underRetry({ kind: "retry", reason: destination, afterMs: null }, action.retry, undefined);
  }
  const { clock, renderer } = tools;
  const prepared = renderRequest(action, invocation, renderer, new Date(clock.timeOfDay()), destination);
  const outcome = await sendRequest(prepared, tools);
  return underRetry(outcome, action.retry, destination?.definition.retry);
};

/**
 * Renders the request of one attempt. Sends nothing; equal arguments give an equal request.
 *
 * An alarm goes out even if its template fails: a plain text takes the place of a part of the body that cannot be
 * rendered, and a header that cannot is left out. The renderer records both. Nothing can take the place of a url.
 *
 * @param sent goes into `webhook-timestamp` and the signature
 * @param destination what the action refers to; null when the action has its own url
 * @throws TemplateError when the url or the secret cannot be rendered
 */
export function renderRequest(
  action: CallWebhookDefinition,
  invocation: Invocation,
  renderer: Renderer,
  sent: Date,
  destination: Destination | null = null,
): PreparedRequest {
  const { target, body } = renderWebhook(action, invocation, renderer, destination);
  return prepareRequest(target, body, invocation.id, sent, invocation.trace ?? null);
}

/** The parts of a request before it is put together and signed; see `renderRequest`. @throws TemplateError */
export function renderWebhook(
  action: CallWebhookDefinition,
  invocation: Invocation,
  renderer: Renderer,
  destination: Destination | null,
): { readonly target: Target; readonly body: RenderedBody } {
  const target =
    destination === null
      ? actionTarget(action, invocation, renderer)
      : webhookTargetOf(destination.definition);
  const headers = { ...target.headers, ...renderHeaders(action.headers, renderer) };
  const plainBody = (failures: readonly TemplateFailure[]) =>
    (destination === null ? null : chatMessageOf(destination.definition, failures, invocation)) ?? {
      text: plainMessage(invocation, failures),
      template_failures: failures,
      ...defaultBody(invocation),
    };
  const body = renderBody(action.payload, { ...target, headers }, invocation, renderer, plainBody);
  return { target: { ...target, headers, timeout: action.timeout ?? target.timeout }, body };
}

/** The target of an action with its own url. @throws TemplateError */
function actionTarget(action: CallWebhookDefinition, { automation }: Invocation, renderer: Renderer): Target {
  const { url = "", method = "POST", secret, timeout = webhookTimeoutDefault, limits } = action;
  // Whatever the template makes of the URL, so that an automation's alarm and its end share the limits.
  const limitId = () => uuid5(automation.id, `limits of ${url}`);
  return {
    url: renderUrl(url, renderer),
    method,
    headers: {},
    secret: secret === undefined ? undefined : renderer.literal(secret),
    timeout,
    limit: limits === undefined ? null : { id: limitId(), name: "this action", limits },
    destination: null,
    identity: { url: withoutCredentials(url) },
    hidden: [],
  };
}

function renderUrl(url: string, renderer: Renderer): string {
  try {
    return renderer.text(url).trim();
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new TemplateError(`nothing was sent, because the template of the url failed: ${error.message}`);
  }
}

function renderHeaders(templates: CallWebhookDefinition["headers"], renderer: Renderer) {
  const headers: Record<string, string> = {};
  for (const [name, template] of Object.entries(templates)) {
    const field = `headers.${name}`;
    const value = renderer.textOr(field, template, () => null);
    if (value === null) continue;
    const problem = headerValueProblem(value);
    if (problem === null) headers[name] = value;
    else renderer.fail(field, new TemplateError(`the header was left out: ${problem}`));
  }
  return headers;
}

/** Without a payload, the body is the firing as JSON; GET and DELETE have a body only when one is given. */
function renderBody(
  payload: CallWebhookDefinition["payload"],
  { method, headers }: Target,
  invocation: Invocation,
  renderer: Renderer,
  plainBody: (failures: readonly TemplateFailure[]) => object,
): RenderedBody {
  if (typeof payload === "string") return renderText(payload, headers, invocation, renderer, plainBody);
  if (payload !== undefined) {
    const rendered = renderer.tree(payload, "payload", (failure) => plainMessage(invocation, [failure]));
    return jsonBody(rendered);
  }
  if (method === "GET" || method === "DELETE") return { body: null, contentType: json };
  return jsonBody(defaultBody(invocation));
}

/** A body that is one template. If it fails, the plain one is JSON unless the template writes something else. */
function renderText(
  payload: string,
  headers: Target["headers"],
  invocation: Invocation,
  renderer: Renderer,
  plainBody: (failures: readonly TemplateFailure[]) => object,
): RenderedBody {
  const type = new Headers(headers).get("content-type");
  const isJsonType = type !== null && /[/+]json\b/i.test(type);
  const plain = (failure: TemplateFailure, writesJson: boolean): RenderedBody =>
    writesJson
      ? jsonBody(plainBody([failure]))
      : { body: plainMessage(invocation, [failure]), contentType: text };
  const rendered = renderer.textOr("payload", payload, (failure) =>
    plain(failure, isJsonType || (type === null && /^\s*[{[](?![{%#])/.test(payload))),
  );
  if (typeof rendered !== "string") return rendered;
  const problem = jsonProblem(rendered);
  if (problem === null) return { body: rendered, contentType: json };
  if (!isJsonType && (type !== null || !looksLikeJson(rendered)))
    return { body: rendered, contentType: text };
  const remedy = "put each value through the filter tojson, or write the payload as a mapping";
  return plain(
    renderer.fail("payload", new TemplateError(`it renders invalid JSON (${problem}); ${remedy}`)),
    true,
  );
}

const json = "application/json";
const text = "text/plain; charset=utf-8";

function jsonBody(value: unknown): RenderedBody {
  return { body: JSON.stringify(value), contentType: json };
}

function defaultBody({ automation, firing }: Invocation): object {
  const { triggering_event: event, triggering_labels: labels } = firing;
  return { automation, event, labels, firing };
}

/** True for a text that was surely meant as JSON: an object, or a list of objects or strings. */
function looksLikeJson(rendered: string): boolean {
  const trimmed = rendered.trim();
  return (
    (/^\{\s*["}]/.test(trimmed) && trimmed.endsWith("}")) ||
    (/^\[\s*["{]/.test(trimmed) && trimmed.endsWith("]"))
  );
}

function jsonProblem(rendered: string): string | null {
  try {
    parseExactJson(rendered);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
