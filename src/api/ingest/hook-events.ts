/**
 * Turns the output of a hook's template into events; or, when that fails, into the event that reports the failure.
 * Runs in Node and in a Worker.
 */

import { parseExactJson } from "../../core/json/exact-json.ts";
import { EventSchema, isUuid, normalizeUuid, type WireEvent } from "../../core/model/event.ts";
import type { Hook } from "../../core/model/hook.ts";
import { relatedResourcesMax } from "../../core/model/limits.ts";
import { isRecord } from "../../core/model/record.ts";
import { formatTime, millisecond, second } from "../../core/model/time.ts";
import { triplineNamespace, uuid5 } from "../../core/model/uuid.ts";
import { breathe } from "../../retry/slices.ts";
import type { RenderedHook } from "../../templates/hook-template.ts";
import { type HoleMark, holeProblem } from "../../templates/template.ts";
import { base64Of } from "../http/base64.ts";
import { dataLimits } from "../http/body.ts";
import { jsonMistakeInSlices } from "../http/json-mistake.ts";
import { JsonTooComplex, parseInSlices } from "../http/parse-json.ts";
import { mistakeText } from "../http/refusal.ts";
import type { HookRequest } from "./hook-request.ts";
import { batchMistakesMax, checkEvent } from "./ingest.ts";

/** A hook could not turn a request into events. */
export class HookFailure extends Error {
  override readonly name = "HookFailure";
}

/** What ids are derived from: the same name in another workspace is another hook. */
export interface HookPlace {
  readonly workspace: string;
  readonly hook: Hook;
}

/** The events that a request became; and what is wrong with those that are not valid. */
export interface MadeEvents {
  readonly events: readonly WireEvent[];
  readonly mistakes: readonly string[];
}

/**
 * @param made what the hook's template made of the request
 * @throws HookFailure if it is not JSON
 */
export async function eventsOfHook(
  { rendered, marked }: RenderedHook,
  place: HookPlace,
  request: HookRequest,
): Promise<MadeEvents> {
  const drafts = await draftsIn(rendered);
  const markedDrafts = marked === null ? [] : await markedDraftsIn(marked.rendered, marked.holes);
  const events: WireEvent[] = [];
  const mistakes: string[] = [];
  for (const [index, draft] of drafts.entries()) {
    await breathe();
    const { filled, found } = filledIn(draft, index, place, request);
    if (marked !== null) found.push(...holesIn(markedDrafts[index], index, marked.holes));
    const checked = checkEvent(EventSchema, filled, Number.POSITIVE_INFINITY, [index]);
    if ("mistakes" in checked) found.push(...checked.mistakes.map((mistake) => mistakeText(mistake)));
    if (found.length > 0) mistakes.push(...found);
    else if ("event" in checked) events.push(checked.event);
    if (mistakes.length >= batchMistakesMax) break;
  }
  return { events, mistakes };
}

async function draftsIn(rendered: unknown): Promise<readonly unknown[]> {
  const value = typeof rendered === "string" ? await readWritten(rendered) : rendered;
  return value === null ? [] : Array.isArray(value) ? value : [value];
}

/** The same drafts with marks. Outside of strings there are no ids, and a mark would break the JSON. */
async function markedDraftsIn(marked: unknown, { mark }: HoleMark): Promise<readonly unknown[]> {
  if (typeof marked !== "string") return draftsIn(marked);
  const pieces: string[] = [];
  let isInString = false;
  for (const [index, piece] of marked.split(mark).entries()) {
    if (index > 0 && isInString) pieces.push(mark);
    pieces.push(piece);
    for (let at = 0; at < piece.length; at++) {
      if (piece[at] === "\\" && isInString) at += 1;
      else if (piece[at] === '"') isInString = !isInString;
    }
    await breathe();
  }
  return draftsIn(pieces.join(""));
}

/** Ids in which an expression printed nothing. They would mix up different things, or make one event of several. */
function holesIn(draft: unknown, index: number, holes: HoleMark): string[] {
  if (!isRecord(draft)) return [];
  const ids: [place: string, id: unknown][] = [];
  // One that is empty as a whole has a default.
  for (const key of ["id", "follows"]) if (draft[key] !== holes.mark) ids.push([key, draft[key]]);
  const related = Array.isArray(draft["related"]) ? draft["related"].slice(0, relatedResourcesMax) : [];
  const resources = [["resource", draft["resource"]], ...related.map((each, at) => [`related.${at}`, each])];
  for (const [place, resource] of resources)
    if (isRecord(resource)) ids.push([`${place}.${resourceId}`, resource[resourceId]]);
  return ids.flatMap(([place, id]) =>
    typeof id === "string" && id.includes(holes.mark) ? [`${index}.${place}: ${holeProblem(id, holes)}`] : [],
  );
}

const resourceId = "prefect.resource.id";

/** JSON text; an empty text means no event. */
async function readWritten(text: string): Promise<unknown> {
  if (text.trim() === "") return null;
  try {
    return await parseInSlices(text, dataLimits);
  } catch (error) {
    if (error instanceof JsonTooComplex)
      throw new HookFailure(`the template wrote too much: ${error.message}`);
    if (!(error instanceof SyntaxError)) throw error;
    const mistake = await jsonMistakeInSlices(text);
    const where =
      mistake === null
        ? ""
        : ` at line ${mistake.line}, column ${mistake.column}: expected ${mistake.expected}`;
    throw new HookFailure(
      `the template did not write valid JSON${where}; pass values through the tojson filter`,
    );
  }
}

/** The event that a template wrote, with the fields that it left out filled in. */
function filledIn(
  draft: unknown,
  index: number,
  place: HookPlace,
  request: HookRequest,
): { readonly filled: unknown; readonly found: string[] } {
  if (!isRecord(draft)) {
    return {
      filled: draft,
      found: [`${index}: the template should write an event, a list of events, or nothing`],
    };
  }
  const { id, occurred, follows, payload, resource, related, ...rest } = draft;
  const unknownKeys = Object.keys(rest).filter((key) => !Object.hasOwn(EventSchema.shape, key));
  const filled = {
    ...rest,
    ...(resource === undefined ? {} : { resource: labelsOf(resource) }),
    ...(isEmpty(related) ? {} : { related: Array.isArray(related) ? related.map(labelsOf) : related }),
    ...(isEmpty(payload) ? {} : { payload: typeof payload === "string" ? readPayload(payload) : payload }),
    ...(isEmpty(follows) ? {} : { follows }),
    occurred: isEmpty(occurred) ? request.context.received : timeOf(occurred),
    id: idOf(id, index, place, request),
  };
  return {
    filled,
    found: unknownKeys
      .slice(0, batchMistakesMax)
      .map((key) => `${index}.${key.slice(0, 100)}: an event has no such key`),
  };
}

function isEmpty(value: unknown): value is undefined | null | "" {
  return value === undefined || value === null || (typeof value === "string" && value.trim() === "");
}

/** Labels are strings: numbers and booleans are converted, nulls are left out. */
function labelsOf(value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, label]) => label !== null)
      .map(([name, label]) => [name, isRecord(label) || Array.isArray(label) ? label : String(label)]),
  );
}

function readPayload(text: string): unknown {
  try {
    return parseExactJson(text) as unknown;
  } catch {
    return text; // not an object, which the schema will report
  }
}

/** Converts Unix time, in seconds or milliseconds, to RFC 3339; returns anything else unchanged. */
function timeOf(value: unknown): unknown {
  const text = String(value).trim();
  if (!/^\d{1,16}(?:\.\d+)?$/.test(text)) return value;
  const number = Number(text);
  const isSeconds = number < 100_000_000_000; // in milliseconds, the year 1973
  return formatTime(Math.round(number * (isSeconds ? second : millisecond)));
}

function idOf(own: unknown, index: number, place: HookPlace, { id }: HookRequest): string {
  if (typeof own === "string" && isUuid(own.trim())) return normalizeUuid(own.trim());
  if (!isEmpty(own)) return derivedId(place, "own", String(own));
  return id === null ? crypto.randomUUID() : derivedId(place, "delivery", id, index);
}

/** The id of an event that has a cause with an id of its own: the same at each repetition. */
export function derivedId({ workspace, hook }: HookPlace, ...cause: readonly (string | number)[]): string {
  // `webhook` is what hooks used to be called. Ids derived before an upgrade must be the same after it.
  return uuid5(triplineNamespace, `webhook ${JSON.stringify([workspace, hook.name, ...cause])}`);
}

/**
 * How much of a body is kept. One byte may take six in JSON, and an event has at most 1.5 million of those. Divisible
 * by 3, so that the base64 of the first part is the first part of the base64.
 */
const keptBytesMax = 201_000;
const reasonLengthMax = 2_000;

/**
 * The event that reports a failure: the request, and why it did not become events.
 *
 * Its name, `tripline.webhook.failed`, and its resource keep the word that hooks used to have: they are data that
 * rules match, and a second name beside them would count each failure twice under `tripline.*`.
 */
export function hookFailedEvent(reason: string, place: HookPlace, request: HookRequest): WireEvent {
  const { context, text, bytes } = request;
  const { method, query, headers, received } = context;
  const kept = bytes.subarray(0, keptBytesMax);
  const { name } = place.hook;
  return {
    occurred: String(received),
    event: "tripline.webhook.failed",
    resource: { "prefect.resource.id": `tripline.webhook.${name}`, "prefect.resource.name": name },
    related: [],
    payload: {
      reason: reason.slice(0, reasonLengthMax),
      method,
      query,
      headers,
      // A character that the cut splits becomes U+FFFD.
      ...(text === null ? { body_base64: base64Of(kept) } : { body: new TextDecoder().decode(kept) }),
      body_bytes: bytes.length,
      body_is_cut: kept.length < bytes.length,
    },
    id: request.id === null ? crypto.randomUUID() : derivedId(place, "failed", request.id),
    follows: null,
  };
}
