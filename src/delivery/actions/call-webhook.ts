/** `call-webhook`: sends a request, signed as Standard Webhooks has it, and judges the answer. */

import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
import { errors } from "undici";
import { type CallWebhookDefinition, webhookTimeoutDefault } from "../../core/model/action.ts";
import type { Destination } from "../../core/model/destination.ts";
import type { Invocation } from "../../core/model/invocation.ts";
import { type Redact, redactionOf } from "../../templates/references.ts";
import type { Renderer } from "../../templates/renderer.ts";
import { TemplateError } from "../../templates/template.ts";
import { AddressRefused } from "../address.ts";
import type { AttemptOutcome, AttemptTools, RunAction } from "../attempt.ts";
import { destinationOf, targetOf } from "../destinations/destination.ts";
import type { WebhookAnswer, WebhookRequest } from "../http-client.ts";

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** How much of an answer is quoted when it is no success, in characters. */
const quotedLengthMax = 500;

/** Answers that another attempt may change, besides those of 500 and above. */
const passing: ReadonlySet<number> = new Set([408, 425, 429]);

/** An endpoint may put off the next attempt by this much, and no more. */
export const retryAfterMsMax = 3_600_000;

/** A request as it is sent. */
export interface RenderedRequest {
  readonly request: WebhookRequest;
  /** What the outcome says of where it went. */
  readonly shown: Readonly<Record<string, string>>;
  /** Takes out of a text what must not be shown of the request, besides the automation's secrets. */
  readonly redact: Redact;
}

export const callWebhook: RunAction<"call-webhook"> = async (action, invocation, tools) => {
  const destination = await destinationOf(action, tools.log);
  if (typeof destination === "string") return { kind: "failed", reason: destination };
  const rendered = renderRequest(action, invocation, tools.renderer, new Date(), destination);
  return sendRequest(rendered, tools);
};

/** Sends a request and judges the answer. Of one whose endpoint is busy or resting nothing is sent. */
export async function sendRequest(rendered: RenderedRequest, tools: AttemptTools): Promise<AttemptOutcome> {
  const { request, shown } = rendered;
  const redact: Redact = (text) => rendered.redact(tools.redact(text));
  const { endpoints } = tools.webhooks;
  const entered = await endpoints.enter(request.url.origin);
  if ("waitMs" in entered) {
    return { kind: "deferred", reason: redact(entered.reason), waitMs: entered.waitMs };
  }
  let alive: boolean | null = null;
  try {
    const answer = await tools.webhooks.send(request, tools.signal);
    alive = answer.status < 500;
    const afterMs = retryAfterMs(answer, Date.now());
    if (afterMs !== null && [429, 503].includes(answer.status)) endpoints.rest(request.url.origin, afterMs);
    return judge(answer, afterMs, shown, redact);
  } catch (error) {
    if (tools.signal.aborted) throw error;
    const outcome = judgeError(error, request, shown, redact);
    alive = outcome.kind === "retry" ? false : null;
    return outcome;
  } finally {
    entered.leave(alive);
  }
}

/**
 * The request of one attempt. Nothing is sent, and equal arguments give an equal request.
 *
 * @param sent goes into `webhook-timestamp` and the signature
 * @param destination what the action refers to; null when it has a url of its own
 * @throws TemplateError
 */
export function renderRequest(
  action: CallWebhookDefinition,
  invocation: Invocation,
  renderer: Renderer,
  sent: Date,
  destination: Destination | null = null,
): RenderedRequest {
  const target = destination === null ? ownTarget(action, renderer) : targetOf(destination);
  const { body, contentType } = bodyOf(action.payload, target.method, invocation, renderer);
  const headers: Record<string, string> = { ...target.headers };
  for (const [name, template] of Object.entries(action.headers)) headers[name] = renderer.text(template);
  const timeout = action.timeout ?? target.timeout;
  return requestTo({ ...target, headers, timeout }, { body, contentType }, invocation.id, sent);
}

/** Where a request goes, as literal texts. */
export interface Target {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly secret: string | undefined;
  /** Seconds. */
  readonly timeout: number;
  /** What the outcome says of where it went, and what errors call the address. */
  readonly shown: Readonly<Record<string, string>>;
  /** What must not be shown. */
  readonly hidden: readonly string[];
}

/** A request to a target, signed when the target has a secret. @throws TemplateError */
export function requestTo(
  target: Target,
  { body, contentType }: RequestBody,
  id: string,
  sent: Date,
): RenderedRequest {
  const [address = ""] = Object.values(target.shown);
  const url = urlOf(target.url, address);
  const headers = new Headers({ "user-agent": `Tripline/${version}` });
  const hidden: Record<string, string> = {};
  for (const text of target.hidden) hidden[text] = "…";
  if (url.username !== "" || url.password !== "") {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    const basic = Buffer.from(credentials).toString("base64");
    headers.set("authorization", `Basic ${basic}`);
    hidden[basic] = "…";
    if (url.password !== "") hidden[decodeURIComponent(url.password)] = "…";
    url.username = "";
    url.password = "";
  }
  if (body !== null) headers.set("content-type", contentType);
  for (const [name, value] of Object.entries(target.headers)) setHeader(headers, name, value);

  headers.set("webhook-id", id);
  headers.set("webhook-timestamp", String(Math.floor(sent.getTime() / 1_000)));
  headers.delete("webhook-signature");
  if (target.secret !== undefined) {
    hidden[target.secret] = "…";
    headers.set("webhook-signature", webhookOf(target.secret).sign(id, sent, body ?? ""));
  }
  const request = {
    url,
    method: target.method,
    headers: Object.fromEntries(headers),
    body,
    timeoutMs: Math.max(1, Math.round(target.timeout * 1_000)),
  };
  return { request, shown: target.shown, redact: redactionOf({}, hidden) };
}

function ownTarget(action: CallWebhookDefinition, renderer: Renderer): Target {
  const { url = "", method = "POST", secret, timeout = webhookTimeoutDefault } = action;
  return {
    url: renderer.text(url).trim(),
    method,
    headers: {},
    secret: secret === undefined ? undefined : renderer.literal(secret),
    timeout,
    shown: { url: shownUrl(url) },
    hidden: [],
  };
}

function urlOf(text: string, shown: string): URL {
  const url = URL.parse(text);
  if (url === null) throw new TemplateError(`the url ${shown} does not render to an address`);
  if (url.protocol === "http:" || url.protocol === "https:") return url;
  throw new TemplateError(`the url ${shown} should begin with http:// or https://`);
}

interface RequestBody {
  readonly body: string | null;
  readonly contentType: string;
}

/** Without a payload the firing is sent; not with GET and DELETE, which have a body only when one is given. */
function bodyOf(
  payload: CallWebhookDefinition["payload"],
  method: string,
  { automation, firing }: Invocation,
  renderer: Renderer,
): RequestBody {
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
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function setHeader(headers: Headers, name: string, value: string): void {
  try {
    headers.set(name, value.trim());
  } catch {
    throw new TemplateError(
      `the header ${JSON.stringify(name)} cannot be sent: its name or its value is not allowed`,
    );
  }
}

/** A `whsec_` secret encodes its bytes; any other text is its own. */
export function webhookOf(secret: string): Webhook {
  const encoded = secret.startsWith("whsec_") ? secret : Buffer.from(secret).toString("base64");
  try {
    return new Webhook(encoded);
  } catch {
    throw new TemplateError("the secret begins with whsec_, but what follows is not base64");
  }
}

function judge(
  answer: WebhookAnswer,
  afterMs: number | null,
  shown: Target["shown"],
  redact: Redact,
): AttemptOutcome {
  const { status } = answer;
  const result = { status_code: status, ...shown };
  if (status >= 200 && status < 300) return { kind: "executed", result };
  if (status >= 300 && status < 400) {
    const to = typeof answer.headers["location"] === "string" ? ` to ${answer.headers["location"]}` : "";
    const reason = `answered ${status}, a redirect${to}; redirects are not followed: write the final address`;
    return { kind: "failed", reason: redact(reason).slice(0, quotedLengthMax), result };
  }
  const said = redact(answer.excerpt).trim().slice(0, quotedLengthMax);
  const reason = said === "" ? `answered ${status}` : `answered ${status}: ${said}`;
  if (status >= 500 || passing.has(status)) return { kind: "retry", reason, afterMs, result };
  return { kind: "failed", reason, result };
}

function judgeError(
  error: unknown,
  request: WebhookRequest,
  shown: Target["shown"],
  redact: Redact,
): AttemptOutcome {
  const result = { ...shown };
  if (error instanceof AddressRefused) return { kind: "failed", reason: redact(error.message), result };
  if (error instanceof errors.InvalidArgumentError) {
    return { kind: "failed", reason: redact(`the request cannot be sent: ${error.message}`), result };
  }
  const timedOut = error instanceof Error && error.name === "TimeoutError";
  const reason = timedOut ? `no complete answer within ${request.timeoutMs} ms` : messageOf(error);
  return { kind: "retry", reason: redact(reason), afterMs: null, result };
}

/** Of several addresses that were tried, the first error stands for all. */
function messageOf(error: unknown): string {
  const [first = error] = error instanceof AggregateError ? error.errors : [];
  return first instanceof Error ? first.message || first.name : String(first);
}

/** What `Retry-After` asks for (seconds, or a date), within bounds; null without it. */
export function retryAfterMs({ headers }: Pick<WebhookAnswer, "headers">, now: number): number | null {
  const text = headers["retry-after"];
  if (typeof text !== "string") return null;
  const ms = /^\s*\d+\s*$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), retryAfterMsMax);
}

/** As it stands in the definition, without credentials that were written into it. */
function shownUrl(template: string): string {
  return template.replace(/\/\/[^/@?#]*@/, "//…@");
}
