/**
 * Sends a prepared request and judges the response: delivered, worth a retry, or final.
 *
 * As Standard Webhooks and Svix have it, every response but 2xx is worth a retry: a 404 may be a deployment, a 401 a key
 * that is being changed, a redirect a maintenance page. Only 410 Gone is final. Rules and destinations can say otherwise
 * (`retry`).
 */

import { errors } from "undici";
import { cut } from "../../core/model/cut.ts";
import { type DisabledEndpoint, endpointName } from "../../core/model/disabled-endpoint.ts";
import { keepTrying } from "../../retry/keep-trying.ts";
import type { Redact } from "../../templates/references.ts";
import { type AttemptOutcome, type AttemptTools, attemptAt, type GoneEndpoint } from "../attempt.ts";
import { AddressRefused } from "./address-policy.ts";
import type { PreparedRequest, Target } from "./request.ts";
import type { WebhookRequest, WebhookResponse } from "./webhook-client.ts";

/** How much of a response is kept for people, in characters. */
const quotedLengthMax = 500;

/** An endpoint may put off the next attempt by this much, and no more. */
const retryAfterMsMax = 3_600_000;

/** The receiver says that it is gone for good. */
const goneStatus = 410;

/**
 * Makes one attempt, unless the endpoint is disabled. If the endpoint is busy or resting, or a limit is reached, it is deferred and nothing
 * is sent.
 */
export async function sendRequest(prepared: PreparedRequest, tools: AttemptTools): Promise<AttemptOutcome> {
  const { request, deliveryId, limit, identity, endpoint } = prepared;
  const redact: Redact = (text) => prepared.redact(tools.redact(text));
  const { endpoints } = tools.webhooks;
  const { clock } = tools;
  const { origin } = request.url;
  const disabled = await tools.log.endpoints.find(endpoint);
  if (disabled !== null) {
    return {
      kind: "failed",
      reason: redact(disabledReason(disabled)),
      result: { ...identity, endpoint: disabled.id },
    };
  }
  return attemptAt({ origin, limit, deliveryId }, tools, redact, async () => {
    try {
      const response = await tools.webhooks.send(request, tools.signal);
      const afterMs = retryAfterMs(response, clock.timeOfDay());
      if (afterMs !== null && [429, 503].includes(response.status)) endpoints.rest(origin, afterMs);
      const outcome = judgeResponse(response, afterMs, identity, redact);
      if (response.status !== goneStatus) return { outcome, alive: response.status < 500 };
      const url = endpoint.destination === null ? shownUrl(request, redact) : null;
      const idOf = () => tools.log.endpoints.idOf(endpoint);
      const id = await keepTrying(idOf, { signal: tools.signal, clock });
      const gone = { id, destination: endpoint.destination, url };
      return { outcome: goneOutcome(outcome, gone), alive: true };
    } catch (error) {
      if (tools.signal.aborted) throw error;
      const outcome = judgeError(error, request, identity, redact);
      return { outcome, alive: outcome.kind === "retry" ? false : null };
    }
  });
}

function judgeResponse(
  response: WebhookResponse,
  afterMs: number | null,
  identity: Target["identity"],
  redact: Redact,
): AttemptOutcome {
  const { status } = response;
  const result = { status_code: status, ...identity };
  const quoted = redact(response.excerpt).trim().slice(0, quotedLengthMax);
  if (status >= 200 && status < 300) {
    return { kind: "executed", result, ...(quoted === "" ? {} : { answer: quoted }) };
  }
  if (status >= 300 && status < 400) {
    const { location } = response.headers;
    const to = typeof location === "string" ? ` to ${location}` : "";
    const reason = `responded ${status}, a redirect${to}. Redirects are not followed; use the final URL`;
    return { kind: "retry", reason: redact(reason).slice(0, quotedLengthMax), afterMs, result };
  }
  const reason = quoted === "" ? `responded ${status}` : `responded ${status}: ${quoted}`;
  return { kind: "retry", reason, afterMs, result };
}

/** The outcome when an endpoint has responded that it is gone. */
function goneOutcome(outcome: AttemptOutcome, gone: GoneEndpoint): AttemptOutcome {
  if (outcome.kind !== "retry") return outcome;
  const { reason, result } = outcome;
  return { kind: "failed", reason, result: { ...result, endpoint: gone.id }, gone };
}

/** Longer URLs are cut. */
const shownUrlLengthMax = 500;

/** A URL as people may see it: without credentials and known secrets. */
function shownUrl({ url }: WebhookRequest, redact: Redact): string {
  return cut(redact(url.href), shownUrlLengthMax);
}

function disabledReason(endpoint: DisabledEndpoint): string {
  const { id, since } = endpoint;
  const remedy = `if it works again, run tripline endpoints enable ${id} and redeliver this`;
  return `not sent: ${endpointName(endpoint)} is disabled since ${since}, because it responded 410 Gone; ${remedy}`;
}

function judgeError(
  error: unknown,
  request: WebhookRequest,
  identity: Target["identity"],
  redact: Redact,
): AttemptOutcome {
  const result = { ...identity };
  // A name may resolve to another address later, and the server may be started with other settings.
  if (error instanceof AddressRefused) {
    return { kind: "retry", reason: redact(error.message), afterMs: null, result };
  }
  if (error instanceof errors.InvalidArgumentError) {
    return { kind: "failed", reason: redact(`cannot send the request: ${error.message}`), result };
  }
  const timedOut = error instanceof Error && error.name === "TimeoutError";
  const reason = timedOut
    ? `timed out: no complete response within ${request.timeoutMs} ms`
    : messageOf(error);
  return { kind: "retry", reason: redact(reason), afterMs: null, result };
}

/** When several addresses were tried, the first error stands for all. */
function messageOf(error: unknown): string {
  const [first = error] = error instanceof AggregateError ? error.errors : [];
  return first instanceof Error ? first.message || first.name : String(first);
}

/** The wait that `Retry-After` asks for (seconds, or a date), within bounds; null without the header, or if it is neither. */
export function retryAfterMs({ headers }: Pick<WebhookResponse, "headers">, now: number): number | null {
  const text = headers["retry-after"];
  if (typeof text !== "string") return null;
  const isDate = /[a-z]{3}/i.test(text); // Date.parse takes -5 for a month
  const ms = isDate ? Date.parse(text) - now : secondsIn(text) * 1_000;
  return Number.isNaN(ms) ? null : Math.min(Math.max(ms, 0), retryAfterMsMax);
}

/** Some endpoints ask for parts of a second. */
function secondsIn(text: string): number {
  return text.trim() === "" || /[^\d. ]/.test(text) ? Number.NaN : Number(text);
}
