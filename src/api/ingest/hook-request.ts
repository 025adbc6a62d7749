/** Requests to hooks, as templates see them. Runs in Node and in a Worker. */

import type { HookContext, Signature } from "../../core/model/hook.ts";
import { isRecord } from "../../core/model/record.ts";
import { dataLimits, jsonType } from "../http/body.ts";
import { FormTooLong, type FormValues, formFieldsMax, readFormFields } from "../http/form.ts";
import { JsonTooComplex, parseInSlices } from "../http/parse-json.ts";
import { invalidRequest } from "../http/refusal.ts";
import { standardWebhooksPrefixes } from "./hook-signatures.ts";

/** A request to a hook. */
export interface HookRequest {
  readonly context: HookContext;
  /** The sender's id for this delivery, the same for each attempt; null when the request has none. */
  readonly id: string | null;
  /** The body as text; null when it is not UTF-8. */
  readonly text: string | null;
  readonly bytes: Uint8Array;
  /** Why the body is not what its Content-Type says; null when it is. */
  readonly problem: string | null;
}

/** @param received when the request came, RFC 3339 */
export async function readHookRequest(
  request: Request,
  bytes: Uint8Array,
  signature: Signature | undefined,
  received: string,
): Promise<HookRequest> {
  const { method, headers } = request;
  const text = textOf(bytes);
  const { body, problem } = await readBody(text, headers.get("content-type") ?? "");
  const query = await readQuery(request);
  const context = { body, headers: shownHeaders(headers, signature), query, method, received };
  return { context, id: deliveryIdOf(headers, body, signature), text, bytes, problem };
}

async function readQuery(request: Request): Promise<FormValues> {
  try {
    return await readFormFields(new URL(request.url).search.slice(1));
  } catch (error) {
    if (!(error instanceof FormTooLong)) throw error;
    const msg = `The query has more than ${formFieldsMax} fields`;
    throw invalidRequest([{ type: "too_long", loc: ["query"], msg, input: null }], null);
  }
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** A form as a mapping, JSON as its value, and anything else as text. */
async function readBody(
  text: string | null,
  contentType: string,
): Promise<{ body: unknown; problem: string | null }> {
  if (text === null) return { body: null, problem: "the body is not UTF-8 text" };
  const type = contentType.split(";")[0]?.trim().toLowerCase() ?? "";
  const saysForm = type === "application/x-www-form-urlencoded";
  const saysJson = jsonType.test(type);
  // Some services send JSON as text/plain, or without a type; and curl calls everything a form.
  const looksLikeJson = /^\s*[[{]/.test(text);
  if (saysForm && !looksLikeJson) return await readAsForm(text);
  if (text.trim() === "" || (!saysJson && !looksLikeJson)) return { body: text, problem: null };
  try {
    return { body: await parseInSlices(text, dataLimits), problem: null };
  } catch (error) {
    if (error instanceof JsonTooComplex) return { body: text, problem: error.message };
    if (!(error instanceof SyntaxError)) throw error;
    if (saysForm) return await readAsForm(text);
    return {
      body: text,
      problem: saysJson ? `the body is not valid JSON, although its Content-Type is ${type}` : null,
    };
  }
}

async function readAsForm(text: string): Promise<{ body: unknown; problem: string | null }> {
  try {
    return { body: await readForm(text), problem: null };
  } catch (error) {
    if (!(error instanceof FormTooLong)) throw error;
    return { body: text, problem: error.message };
  }
}

/** The forms of GitHub and Slack hold everything as JSON in this one field. */
const jsonField = "payload";

/** A form as a mapping. What such a field holds is the body, as if it had been sent as JSON; also by the field's name. */
async function readForm(text: string): Promise<Record<string, unknown>> {
  const form: Record<string, unknown> = await readFormFields(text);
  const field = form[jsonField];
  if (typeof field !== "string" || !field.startsWith("{")) return form;
  try {
    const value = await parseInSlices(field, dataLimits);
    return isRecord(value) ? { ...value, ...form, [jsonField]: value } : form;
  } catch {
    return form;
  }
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

/** Without the headers that authenticate the sender: what a template sees may end up in an event. */
function shownHeaders(headers: Headers, signature: Signature | undefined): Record<string, string> {
  const own = signature?.type === "shared-secret" ? signature.header.toLowerCase() : null;
  return Object.fromEntries([...headers].filter(([name]) => name !== own && !secretHeaders.includes(name)));
}

/** Headers in which services send an id that stays the same when a delivery is repeated. */
const deliveryHeaders = [
  ...standardWebhooksPrefixes.map((prefix) => `${prefix}-id`),
  "x-github-delivery",
  "x-shopify-webhook-id",
  "idempotency-key",
];

function deliveryIdOf(headers: Headers, body: unknown, signature: Signature | undefined): string | null {
  switch (signature?.type) {
    // These sign the id in the body. Anyone who replays a request may set any header.
    case "stripe":
      return textAt(body, "id");
    case "slack":
      return textAt(body, "event_id");
    case "standard-webhooks": {
      const prefix =
        standardWebhooksPrefixes.find((prefix) => headers.has(`${prefix}-signature`)) ?? "webhook";
      return headers.get(`${prefix}-id`);
    }
  }
  const name = deliveryHeaders.find((header) => (headers.get(header) ?? "") !== "");
  return name === undefined ? null : headers.get(name);
}

function textAt(body: unknown, key: string): string | null {
  if (!isRecord(body) || !Object.hasOwn(body, key)) return null;
  const value = body[key];
  return typeof value === "string" && value !== "" ? value : null;
}
