/** Builds the request of one attempt: URL, headers, body, and the Standard Webhooks signature. */

import { Webhook } from "standardwebhooks";
import { headerNameProblem, headerValueProblem } from "../../core/model/header.ts";
import { signingKeysOf, signingSecretProblem } from "../../core/model/secret.ts";
import { type TraceContext, traceHeaders } from "../../core/model/trace-context.ts";
import { urlProblem } from "../../core/model/url.ts";
import type { EndpointAddress } from "../../store/disabled-endpoints.ts";
import { type Redact, redactionOf } from "../../templates/references.ts";
import { TemplateError } from "../../templates/template.ts";
import { version } from "../../version.ts";
import type { RequestLimit } from "./request-limit.ts";
import type { WebhookRequest } from "./webhook-client.ts";

/** Where a request goes, as literal texts. */
export interface Target {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly secret: string | undefined;
  /** Seconds. */
  readonly timeout: number;
  /** The limits that all processes share; null if there are none. */
  readonly limit: RequestLimit | null;
  /** The destination and its address; null for an action with its own url. */
  readonly destination: { readonly name: string; readonly address: string } | null;
  /** What results and errors may say about the target: its `url` or its `destination`. */
  readonly identity: Readonly<Record<string, string>>;
  /** Texts that results and errors must not contain. */
  readonly hidden: readonly string[];
}

export interface RenderedBody {
  readonly body: string | null;
  readonly contentType: string;
}

/** A request that is ready to send. */
export interface PreparedRequest {
  readonly request: WebhookRequest;
  /** The id of the delivery that it belongs to. */
  readonly deliveryId: string;
  readonly limit: Target["limit"];
  readonly endpoint: EndpointAddress;
  readonly identity: Target["identity"];
  /** Removes the target's secrets from a text. The automation's own secrets are removed elsewhere. */
  readonly redact: Redact;
}

/**
 * Builds a request to a target, and signs it when the target has a secret.
 *
 * @param id the delivery's id: the `webhook-id` header
 * @param sent goes into `webhook-timestamp` and the signature
 * @param trace goes into `traceparent` and `tracestate`, unless the target's own headers say otherwise
 * @throws TemplateError when the target or a header is invalid
 */
export function prepareRequest(
  target: Target,
  { body, contentType }: RenderedBody,
  id: string,
  sent: Date,
  trace: TraceContext | null,
): PreparedRequest {
  const [name = ""] = Object.values(target.identity);
  const url = parseHttpUrl(target.url, name);
  // By their names in lower case. A `Headers` would check again what is checked below, for each attempt.
  const headers = new Map(Object.entries({ "user-agent": `Tripline/${version}`, ...traceHeaders(trace) }));
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
  for (const [header, value] of Object.entries(target.headers)) setHeader(headers, header, value);

  headers.set("webhook-id", id);
  headers.set("webhook-timestamp", String(Math.floor(sent.getTime() / 1_000)));
  headers.delete("webhook-signature");
  if (target.secret !== undefined) {
    hidden[target.secret] = "…";
    const signatures = webhooksOf(target.secret).map((webhook) => webhook.sign(id, sent, body ?? ""));
    headers.set("webhook-signature", signatures.join(" "));
  }
  const request = {
    url,
    method: target.method,
    headers: Object.fromEntries(headers),
    body,
    timeoutMs: Math.max(1, Math.round(target.timeout * 1_000)),
  };
  const { limit, identity, destination } = target;
  const endpoint = { destination: destination?.name ?? null, address: destination?.address ?? url.href };
  return { request, deliveryId: id, limit, endpoint, identity, redact: redactionOf({}, hidden) };
}

function parseHttpUrl(text: string, name: string): URL {
  const problem = urlProblem(text);
  if (problem !== null) throw new TemplateError(problem.replace(/^url/, () => `the url ${name}`));
  return new URL(text);
}

function setHeader(headers: Map<string, string>, name: string, value: string): void {
  const problem = headerNameProblem(name) ?? headerValueProblem(value);
  if (problem !== null) throw new TemplateError(`cannot send the header ${JSON.stringify(name)}: ${problem}`);
  headers.set(name.toLowerCase(), value.trim());
}

/** What signs and verifies with each key of a secret, the newest first. */
export function webhooksOf(secret: string): readonly Webhook[] {
  const problem = signingSecretProblem(secret);
  if (problem !== null) throw new TemplateError(`the ${problem}`);
  return signingKeysOf(secret).map(
    (key) => new Webhook("base64" in key ? key.base64 : Buffer.from(key.text).toString("base64")),
  );
}
