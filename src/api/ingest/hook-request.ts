/** A request to a hook, as its templates see it. Runs in Node and in a Worker. */

import type { HookContext, Signature } from "../../core/model/hook.ts";
import { jsonType } from "../http/body.ts";
import { standardWebhooksPrefixes } from "./hook-signatures.ts";

/** What a hook was sent. */
export interface Delivery {
  readonly context: HookContext;
  /** What the sender calls this delivery, the same at each of its attempts; null when it does not say. */
  readonly id: string | null;
  /** The body as a text; null when it is none. */
  readonly text: string | null;
  readonly bytes: Uint8Array;
  /** Why the body cannot be read as what it says it is; null when it can. */
  readonly problem: string | null;
}

/** @param received when it came, RFC 3339 */
export function readDelivery(
  request: Request,
  bytes: Uint8Array,
  signature: Signature | undefined,
  received: string,
): Delivery {
  const { method, headers } = request;
  const text = textOf(bytes);
  const { body, problem } = readBody(text, headers.get("content-type") ?? "");
  const query = valuesOf(new URL(request.url).searchParams);
  const context = { body, headers: shownHeaders(headers, signature), query, method, received };
  return { context, id: deliveryIdOf(headers, body, signature), text, bytes, problem };
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** A form as a mapping, JSON as what it holds, and everything else as a text. */
function readBody(text: string | null, contentType: string): { body: unknown; problem: string | null } {
  if (text === null) return { body: null, problem: "the body is not UTF-8 text" };
  const type = contentType.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type === "application/x-www-form-urlencoded") {
    return { body: readForm(text), problem: null };
  }
  if (text.trim() === "") return { body: text, problem: null };
  const saysJson = jsonType.test(type);
  // Some services send JSON as text/plain, or say nothing.
  if (!saysJson && !/^\s*[[{]/.test(text)) return { body: text, problem: null };
  try {
    return { body: JSON.parse(text) as unknown, problem: null };
  } catch {
    return { body: text, problem: saysJson ? `the body is no JSON, though its type is ${type}` : null };
  }
}

/** GitHub's and Slack's forms hold all there is as JSON in one field. */
const jsonField = "payload";

function readForm(text: string): Record<string, unknown> {
  const form: Record<string, unknown> = valuesOf(new URLSearchParams(text));
  const field = form[jsonField];
  if (typeof field !== "string" || !field.startsWith("{")) return form;
  try {
    return { ...form, [jsonField]: JSON.parse(field) as unknown };
  } catch {
    return form;
  }
}

/** By name; a list where a name is given more than once. */
function valuesOf(parameters: URLSearchParams): Record<string, string | string[]> {
  return Object.fromEntries(
    [...new Set(parameters.keys())].map((name) => {
      const [first = "", ...others] = parameters.getAll(name);
      return [name, others.length === 0 ? first : [first, ...others]];
    }),
  );
}

const secretHeaders: readonly string[] = [
  "authorization",
  "cookie",
  "proxy-authorization",
  "stripe-signature",
  "svix-signature",
  "webhook-signature",
  "x-hub-signature",
  "x-hub-signature-256",
  "x-slack-signature",
];

/** Without those that prove who is sending: what a template sees may end up in an event. */
function shownHeaders(headers: Headers, signature: Signature | undefined): Record<string, string> {
  const own = signature?.type === "shared-secret" ? signature.header.toLowerCase() : null;
  return Object.fromEntries([...headers].filter(([name]) => name !== own && !secretHeaders.includes(name)));
}

/** Headers by which services name a delivery so that its repetition can be told. */
const deliveryHeaders = [
  ...standardWebhooksPrefixes.map((prefix) => `${prefix}-id`),
  "x-github-delivery",
  "x-shopify-webhook-id",
  "idempotency-key",
];

function deliveryIdOf(headers: Headers, body: unknown, signature: Signature | undefined): string | null {
  switch (signature?.type) {
    // These sign an id in the body; whoever repeats a request may write any header.
    case "stripe":
      return textAt(body, "id");
    case "slack":
      return textAt(body, "event_id");
    case "standard-webhooks": {
      const prefix = standardWebhooksPrefixes.find((one) => headers.has(`${one}-signature`)) ?? "webhook";
      return headers.get(`${prefix}-id`);
    }
  }
  const name = deliveryHeaders.find((one) => (headers.get(one) ?? "") !== "");
  return name === undefined ? null : headers.get(name);
}

function textAt(body: unknown, key: string): string | null {
  if (typeof body !== "object" || body === null || !Object.hasOwn(body, key)) return null;
  const value = (body as Record<string, unknown>)[key];
  return typeof value === "string" && value !== "" ? value : null;
}
