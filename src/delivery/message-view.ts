/**
 * What a delivery sends, as people may see it: composed by the code that sends it, with every secret masked.
 *
 * The texts are rendered with `${env.NAME}` in place of each value, and destinations with masks in place of their secrets,
 * so that no value gets into the result in any form. Templates cannot look at the values, so nothing else differs. What is
 * left over, such as an event that quotes a secret, is redacted.
 */

import type { CallWebhookDefinition, EmitEventDefinition } from "../core/model/action.ts";
import {
  type Destination,
  type DestinationDefinition,
  destinationSecrets,
  withSecrets,
} from "../core/model/destination.ts";
import type { Invocation } from "../core/model/invocation.ts";
import { mentionsReferences, referencesIn, referenceTo } from "../core/model/reference.ts";
import { secretMask } from "../core/model/secret.ts";
import { millisecond } from "../core/model/time.ts";
import { originOf, withoutCredentials } from "../core/model/url.ts";
import { breathe } from "../retry/slices.ts";
import { SecretUnreadable } from "../store/secret-box.ts";
import { type Redact, redactionOf } from "../templates/references.ts";
import { Renderer, type TemplateFailure } from "../templates/renderer.ts";
import { TemplateError } from "../templates/template.ts";
import { renderRequest, renderWebhook } from "./actions/call-webhook.ts";
import { renderEvent } from "./actions/emit-event.ts";
import { findTarget } from "./actions/pause-automation.ts";
import { renderNotification } from "./actions/send-notification.ts";
import { findDestination } from "./destinations/find-destination.ts";
import type { PreparedEmail } from "./destinations/kind.ts";
import { composed } from "./destinations/kinds.ts";
import { type PreparedRequest, prepareRequest } from "./http/request.ts";
import type { DeliveryLog } from "./ports.ts";

/** What is sent, without secrets. Everything but `kind` and the notes is null or empty if nothing is sent. */
export interface MessageView {
  /** `automation`: one is paused or resumed. `none`: nothing is sent; the note says why. */
  readonly kind: "http" | "email" | "event" | "automation" | "none";
  readonly method: string | null;
  readonly url: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly body_type: string | null;
  /** Whether the body is longer than what is shown. */
  readonly truncated: boolean;
  readonly note?: string;
  /** Templates that fail. A plain message takes their place. */
  readonly template_failures?: readonly TemplateFailure[];
}

export interface MessageViewOptions {
  readonly log: Pick<DeliveryLog, "automations" | "destinations">;
  /** The values of the references in the action; null if they are not known any more, or cannot be read. */
  readonly secrets: Invocation["secrets"] | null;
  /** Other values that must not be shown. */
  readonly alsoHidden?: Invocation["secrets"];
  /** When it is sent. */
  readonly sent: Date;
  /** When it was sent to a destination, in milliseconds since the epoch; null if that is still to come. */
  readonly wasSentMs?: number | null;
}

/** A body is cut to this length, in characters. */
const bodyLengthMax = 65_536;

/** So much more of a body is redacted, so that no part of a secret is left at the end. */
const cutMargin = 8_192;

/** Shows what an invocation sends. Sends nothing. @throws RedisUnreachable */
export async function viewMessage(invocation: Invocation, options: MessageViewOptions): Promise<MessageView> {
  const { secrets, alsoHidden = {} } = options;
  const hidden = Object.entries(alsoHidden).map(([name, value]) => [value, referenceTo(name)] as const);
  const redact = redactionOf(secrets ?? {}, Object.fromEntries(hidden));
  try {
    return await viewOf(invocation, options, redact);
  } catch (error) {
    if (error instanceof TemplateError || error instanceof SecretUnreadable) {
      return nothing(redact(error.message));
    }
    throw error;
  }
}

async function viewOf(
  invocation: Invocation,
  options: MessageViewOptions,
  redact: Redact,
): Promise<MessageView> {
  const { log, secrets, sent } = options;
  const { action } = invocation;
  const masked = { ...invocation, secrets: maskedValues(invocation, secrets) };
  const renderer = new Renderer(masked);
  switch (action.type) {
    case "do-nothing":
      return nothing("the action does nothing");
    case "pause-automation":
    case "resume-automation": {
      const target = await findTarget(action, masked, log);
      if ("reason" in target) return nothing(target.reason);
      const body = { automation_id: target.id, enabled: action.type === "resume-automation" };
      return { ...empty, kind: "automation", ...jsonBody(JSON.stringify(body), redact) };
    }
    case "emit-event":
      return eventView(action, masked, renderer, sent, redact);
    case "call-webhook":
    case "send-notification": {
      const destination = await findDestination(action, log);
      if (typeof destination === "string") return nothing(destination);
      const hide = destination === null ? redact : redactAlso(redact, destination.definition);
      const shown =
        destination === null ? null : { ...destination, definition: maskedDestination(destination) };
      if (action.type === "call-webhook") {
        const real = secrets === null ? null : { ...invocation, secrets };
        const view = await webhookView(action, {
          masked,
          real,
          renderer,
          shown,
          destination,
          sent,
          redact: hide,
        });
        return withNotes(view, { failures: renderer.failures, destination, redact: hide }, options);
      }
      if (shown === null) return nothing("the action does not name a destination");
      const texts = renderNotification(action, masked, renderer);
      // Before they are put into the form of the destination, which may change how a secret is written.
      const notification = { subject: hide(texts.subject), body: hide(texts.body), invocation: masked };
      const prepared = composed(shown.definition, notification, sent);
      const view = "email" in prepared ? emailView(prepared, hide) : requestView(prepared, hide, true);
      return withNotes(view, { failures: renderer.failures, destination, redact: hide }, options);
    }
  }
}

function nothing(reason: string): MessageView {
  return { ...empty, kind: "none", note: `Nothing is sent: ${reason}` };
}

const empty = {
  method: null,
  url: null,
  headers: {},
  body: null,
  body_type: null,
  truncated: false,
} as const;

/** Stands for each value that a rendering fills in. An empty one stays, because a default takes its place. */
function maskedValues(
  { action }: Invocation,
  secrets: Invocation["secrets"] | null,
): Readonly<Record<string, string>> {
  const names =
    secrets === null
      ? referencesIn(JSON.stringify(action)).map(({ name }) => [name, name] as const)
      : Object.entries(secrets);
  return Object.fromEntries(names.map(([name, value]) => [name, value === "" ? "" : referenceTo(name)]));
}

/** With masks for all its secrets. Of a URL, what follows the host is secret. */
function maskedDestination({ definition }: Destination): DestinationDefinition {
  return withSecrets(definition, ({ path: [field], value }) =>
    field === "url" ? `${originOf(value) ?? "https://unknown.invalid"}/${secretMask}` : secretMask,
  );
}

function redactAlso(redact: Redact, definition: DestinationDefinition): Redact {
  const hidden = destinationSecrets(definition).map(({ value }) => [value, secretMask] as const);
  const redactOwn = redactionOf({}, Object.fromEntries(hidden));
  return (text) => redactOwn(redact(text));
}

interface WebhookParts {
  /** With references in place of secrets. */
  readonly masked: Invocation;
  /** With the secrets; null if they are not known. */
  readonly real: Invocation | null;
  readonly renderer: Renderer;
  /** With masks in place of secrets. */
  readonly shown: Destination | null;
  readonly destination: Destination | null;
  readonly sent: Date;
  readonly redact: Redact;
}

/** @throws TemplateError */
async function webhookView(action: CallWebhookDefinition, parts: WebhookParts): Promise<MessageView> {
  const { masked, real, renderer, shown, destination, sent, redact } = parts;
  const { target, body } = renderWebhook(action, masked, renderer, shown);
  await breathe(); // each rendering may take as long as a template may
  const realRenderer = real === null ? null : new Renderer(real);
  // A value may be what cannot be sent: a line break in a header, or a quote that breaks JSON.
  const prepared =
    real === null || realRenderer === null
      ? null
      : renderRequest(action, real, realRenderer, sent, destination);
  const isSame = realRenderer === null || realRenderer.failures.length === renderer.failures.length;
  const isPlainUrl = destination !== null || !mentionsReferences(target.url);
  const url = isPlainUrl ? target.url : standInFor(target.url);
  const trace = masked.trace ?? null;
  const request = prepareRequest({ ...target, url, secret: undefined }, body, masked.id, sent, trace);
  const view = requestView(request, redact, destination !== null);
  const { headers } = prepared?.request ?? request.request;
  const names = [...Object.keys(headers), ...(target.secret === undefined ? [] : ["webhook-signature"])];
  return {
    ...view,
    url: isPlainUrl ? view.url : redact(withoutCredentials(target.url)),
    headers: Object.fromEntries(names.map((name) => [name, view.headers[name] ?? secretMask])),
    ...(isSame || prepared === null
      ? {}
      : {
          ...bodyOf(prepared.request.body, headers["content-type"] ?? null, redact),
          template_failures: realRenderer.failures,
        }),
  };
}

/** Whose own URL depends on a secret is not parsed with its reference in it. */
function standInFor(url: string): string {
  return withoutCredentials(url) === url
    ? "https://unknown.invalid/"
    : "https://user:password@unknown.invalid/";
}

function requestView({ request }: PreparedRequest, redact: Redact, isToDestination: boolean): MessageView {
  const { url, method, headers, body } = request;
  const shown = Object.entries(headers).map(([name, value]) => [
    name,
    secretHeader.test(name) ? secretMask : redact(value),
  ]);
  return {
    kind: "http",
    method,
    // That of a destination is masked. Redacting it again would take more away.
    url: isToDestination ? url.href : redact(url.href),
    headers: Object.fromEntries(shown),
    ...bodyOf(body, headers["content-type"] ?? null, redact),
  };
}

/** Headers whose values open something, however they got there. */
const secretHeader = /auth|cookie|signature|token|secret|passw|credential|api-?key|access-?key/i;

function emailView({ email, subject, text, messageId, headers }: PreparedEmail, redact: Redact): MessageView {
  const { host, port, from, to } = email;
  return {
    kind: "email",
    method: null,
    url: `smtp://${host}:${port}`,
    headers: { From: from, To: to.join(", "), Subject: redact(subject), "Message-ID": messageId, ...headers },
    ...bodyOf(text, "text/plain; charset=utf-8", redact),
  };
}

/** @throws TemplateError */
function eventView(
  action: EmitEventDefinition,
  invocation: Invocation,
  renderer: Renderer,
  sent: Date,
  redact: Redact,
): MessageView {
  const rendered = renderEvent(action, invocation, renderer, sent.getTime() * millisecond);
  if ("problem" in rendered) return nothing(redact(rendered.problem));
  const view = { ...empty, kind: "event" as const, ...jsonBody(JSON.stringify(rendered.event), redact) };
  return renderer.failures.length === 0 ? view : { ...view, template_failures: renderer.failures };
}

function jsonBody(text: string, redact: Redact): Pick<MessageView, "body" | "body_type" | "truncated"> {
  return bodyOf(text, "application/json", redact);
}

function bodyOf(
  body: string | null,
  type: string | null,
  redact: Redact,
): Pick<MessageView, "body" | "body_type" | "truncated"> {
  if (body === null) return { body: null, body_type: null, truncated: false };
  const shown = redact(body.slice(0, bodyLengthMax + cutMargin));
  return {
    body: shown.slice(0, bodyLengthMax).toWellFormed(),
    body_type: type === null ? null : redact(type),
    truncated: body.length > bodyLengthMax || shown.length > bodyLengthMax,
  };
}

/** Says what is not as one would expect. */
function withNotes(
  view: MessageView,
  {
    failures,
    destination,
    redact,
  }: {
    readonly failures: readonly TemplateFailure[];
    readonly destination: Destination | null;
    readonly redact: Redact;
  },
  { secrets, wasSentMs = null }: MessageViewOptions,
): MessageView {
  const failed = (view.template_failures ?? failures).map(({ field, reason }) => ({
    field,
    reason: redact(reason),
  }));
  const hasChanged =
    destination !== null && wasSentMs !== null && destination.updated > wasSentMs * millisecond;
  const notes = [
    ...(failed.length > 0 ? ["A template fails, so the message is plain."] : []),
    ...(hasChanged ? ["The destination has changed since; this is what it would be sent now."] : []),
    ...(secrets === null && wasSentMs === null
      ? ["A secret that it refers to cannot be read, so nothing is sent until its key is back."]
      : []),
  ];
  return {
    ...view,
    ...(failed.length > 0 ? { template_failures: failed } : {}),
    ...(notes.length > 0 ? { note: notes.join(" ") } : {}),
  };
}
