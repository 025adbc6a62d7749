/**
 * Turns CloudEvents 1.0 into events. Accepts all three content modes of the HTTP binding: structured, batched, binary.
 *
 * `type` becomes the name of the event, `source` and `subject` its resource, `time` its time, and `data` its payload.
 * Every other attribute becomes a label of the resource. See docs/ingest.md for details. Runs in Node and in a Worker.
 */

import { z } from "zod";
import { ExactNumber } from "../../core/json/exact-number.ts";
import { isUuid, normalizeUuid, type WireEvent } from "../../core/model/event.ts";
import { eventNameLengthMax, labelLengthMax, labelsPerResourceMax } from "../../core/model/limits.ts";
import { isRecord } from "../../core/model/record.ts";
import { formatTime, millisecond, parseTime } from "../../core/model/time.ts";
import { triplineNamespace, uuid5 } from "../../core/model/uuid.ts";
import { breathe } from "../../retry/slices.ts";
import { base64Of } from "../http/base64.ts";
import { batchLimits, dataLimits, jsonType, parseJson, readBytes, readJson } from "../http/body.ts";
import { JsonTooComplex, parseInSlices } from "../http/parse-json.ts";
import { excerpt, invalidRequest, mistakesOf, Refusal, type RequestMistake } from "../http/refusal.ts";
import { bodyForHandler, type UnreadBody } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import {
  batchMistakesMax,
  type IngestMeter,
  ingest,
  limitMistake,
  type ReadEvents,
  refusalOf,
  tooComplexMistake,
} from "./ingest.ts";

/** A string attribute. Null is treated as absent. */
const Text = z.string({
  error: (issue) => (issue.input === undefined ? "Field required" : "Input should be a string"),
});
const NonEmpty = Text.min(1, "Input should not be empty").max(
  labelLengthMax,
  `Input should have at most ${labelLengthMax} characters`,
);
const notInUri = /[\s\p{Cc}]/u;
const UriReference = NonEmpty.refine(
  (text) => !notInUri.test(text),
  "Input should be a URI reference, without spaces",
).meta({ pattern: "^\\S*$" }); // a pattern that every language reads alike

/** An integer of any size: CloudEvents allows 32 bits, but some senders have larger ids. */
const Integer = z
  .custom<number | ExactNumber>((value) =>
    value instanceof ExactNumber ? value.isInteger : Number.isSafeInteger(value),
  )
  .meta({ type: "integer" });

/** A CloudEvent in JSON. Attributes beyond these are extensions. */
const CloudEventSchema = z
  .object({
    specversion: Text.refine((text) => text === "1.0", 'specversion should be "1.0"'),
    id: NonEmpty,
    source: UriReference,
    type: NonEmpty.max(eventNameLengthMax, `A type has at most ${eventNameLengthMax} characters`),
    subject: NonEmpty.nullish(),
    time: Text.refine(
      (text) => parseTime(text) !== null,
      "Input should be a valid RFC 3339 date-time, such as 2026-03-01T09:30:00Z",
    ).nullish(),
    datacontenttype: NonEmpty.nullish(),
    dataschema: UriReference.nullish(),
    data: z.unknown().optional(),
    data_base64: Text.regex(
      /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
      "Input should be base64",
    ).nullish(),
  })
  .catchall(
    z.union([z.string().max(labelLengthMax), z.boolean(), Integer, z.null()], {
      error: "An extension attribute should be a string, a boolean or an integer",
    }),
  )
  .meta({ id: "CloudEvent", description: "A CloudEvent 1.0 in JSON." });

/** `POST /cloudevents`. */
export function cloudEventRoutes(meter: IngestMeter): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/cloudevents",
        id: "postCloudEvents",
        summary: "Post CloudEvents",
        description:
          "Accepts CloudEvents 1.0 in any content mode. This shows the structured mode. Send a list of events as `application/cloudevents-batch+json`; in binary mode, attributes are `ce-…` headers and the body is the data.",
        tag: "events",
        scope: "events:write",
        body: bodyForHandler("application/cloudevents+json", CloudEventSchema, {
          examples: {
            pumpStopped: {
              specversion: "1.0",
              id: "17",
              source: "/greenhouse/north",
              subject: "pump.1",
              type: "pump.stopped",
              time: "2026-03-01T09:30:00Z",
              zone: "north",
              data: { litres: 3 },
            },
          },
        }),
        answers: { 204: { description: "All of them are stored." } },
      },
      async ({ tenant, body }, context) => {
        const { refused } = await ingest(tenant, meter, (batch) => readCloudEvents(body, batch));
        if (refused !== null) throw refused;
        return context.body(null, 204);
      },
    ),
  ];
}

type Schema = typeof CloudEventSchema;
type CloudEvent = z.infer<Schema>;

/**
 * Reads the CloudEvents of a request, and turns them into events. Those of a batch that are not valid harm only
 * themselves: the sender learns which they are, and the others are stored.
 *
 * @throws Refusal if there is nothing to store
 */
async function readCloudEvents(
  { request, schema }: UnreadBody<Schema>,
  batch: { length: number },
): Promise<ReadEvents> {
  const type = mediaTypeOf(request);
  if (type === "application/cloudevents+json") {
    const { value } = await readJson(request);
    return eventsOf([value], value, (item) => read(schema, item, ["body"]));
  }
  if (type === "application/cloudevents-batch+json") {
    const { value } = await readJson(request, batchLimits);
    if (!Array.isArray(value)) {
      const msg = "Input should be a list of CloudEvents; send a single one as application/cloudevents+json";
      throw invalidRequest([{ type: "list_type", loc: ["body"], msg, input: value }], value);
    }
    batch.length = value.length;
    return eventsOf(value, value, (item, index) => {
      const place = ["body", index];
      if (item instanceof JsonTooComplex) return { event: null, mistakes: [tooComplexMistake(item, place)] };
      return read(schema, item, place);
    });
  }
  if (type.startsWith("application/cloudevents")) {
    const known = "application/cloudevents+json, application/cloudevents-batch+json, or binary mode";
    const detail = `Content-Type is ${excerpt(type)}; send ${known} (attributes in ce-… headers)`;
    throw new Refusal(415, "unsupported_type", { detail });
  }
  const binary = await readBinary(schema, request, type);
  return eventsOf([binary.value], binary.value, () => binary);
}

/** A CloudEvent, or what is wrong with it. */
interface ReadCloudEvent {
  readonly event: CloudEvent | null;
  readonly mistakes: readonly RequestMistake[];
}

/** @param value the request, for refusals */
async function eventsOf(
  items: readonly unknown[],
  value: unknown,
  readItem: (item: unknown, index: number) => ReadCloudEvent,
): Promise<ReadEvents> {
  const received = formatTime(Date.now() * millisecond);
  const events: WireEvent[] = [];
  const mistakes: RequestMistake[] = [];
  let refusedCount = 0;
  for (const [index, item] of items.entries()) {
    await breathe();
    const checked = eventOf(
      readItem(item, index),
      received,
      item,
      items.length > 1 ? ["body", index] : ["body"],
    );
    if ("event" in checked) {
      events.push(checked.event);
      continue;
    }
    refusedCount += 1;
    if (mistakes.length < batchMistakesMax) mistakes.push(...checked.mistakes);
  }
  if (mistakes.length === 0) return { events, refused: null, refusedCount };
  const refused = refusalOf(mistakes, value);
  if (events.length === 0) throw refused;
  const message = `${refusedCount} of ${items.length} CloudEvents are refused; the others are stored.`;
  const body = { ...refused.body, exception_message: message };
  return { events, refused: new Refusal(refused.status, refused.reason, body), refusedCount };
}

function eventOf(
  { event, mistakes }: ReadCloudEvent,
  received: string,
  value: unknown,
  place: RequestMistake["loc"],
): { readonly event: WireEvent } | { readonly mistakes: readonly RequestMistake[] } {
  if (event === null) return { mistakes };
  const made = eventOfCloudEvent(event, received);
  const mistake = limitMistake(made, Number.POSITIVE_INFINITY, { value, place, payloadName: "data" });
  return mistake === null ? { event: made } : { mistakes: [mistake] };
}

/** Leaves room for the labels that the resource of every CloudEvent has. */
const extensionCountMax = labelsPerResourceMax - 10;

/** @param nameAt the place of an attribute in the request */
function read(
  schema: Schema,
  value: unknown,
  place: RequestMistake["loc"],
  nameAt: (name: string) => RequestMistake["loc"] = (name) => [...place, name],
): ReadCloudEvent {
  if (!isRecord(value)) {
    const msg = "Input should be a CloudEvent: a JSON object";
    return { event: null, mistakes: [{ type: "object_type", loc: place, msg, input: value }] };
  }
  const mistakes: RequestMistake[] = [];
  const names = Object.keys(value);
  const extensionCount = names.filter((name) => !Object.hasOwn(schema.shape, name)).length;
  if (extensionCount > extensionCountMax) {
    const msg = `A CloudEvent has at most ${extensionCountMax} extension attributes; this one has ${extensionCount}`;
    return { event: null, mistakes: [{ type: "too_long", loc: place, msg, input: null }] };
  }
  for (const name of names) {
    if (/^[a-z0-9]+$/.test(name) || name === "data_base64") continue;
    const msg = "The name of an attribute may have only lowercase letters and digits";
    mistakes.push({ type: "value_error", loc: nameAt(name), msg, input: name });
  }
  const attributes = value as Record<string, unknown>;
  if ((attributes["data"] ?? null) !== null && (attributes["data_base64"] ?? null) !== null) {
    const msg = "Send either data or data_base64, not both";
    mistakes.push({ type: "value_error", loc: nameAt("data_base64"), msg, input: null });
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    for (const mistake of mistakesOf(parsed.error.issues, [], value)) {
      mistakes.push({ ...mistake, loc: nameAt(String(mistake.loc[0])) });
    }
  }
  return { event: parsed.success && mistakes.length === 0 ? parsed.data : null, mistakes };
}

const attributePrefix = "ce-";

/** They say nothing if they are empty, and must not be. */
const optionalAttributes: ReadonlySet<string> = new Set(["subject", "time", "dataschema"]);

/** Reads binary mode: attributes in headers, data in the body. */
async function readBinary(
  schema: Schema,
  request: Request,
  type: string,
): Promise<ReadCloudEvent & { value: object }> {
  const attributes = new Map<string, unknown>();
  const mistakes: RequestMistake[] = [];
  for (const [header, text] of request.headers) {
    // Content-Type takes the place of ce-datacontenttype.
    if (!header.startsWith(attributePrefix) || header === "ce-datacontenttype") continue;
    const name = header.slice(attributePrefix.length);
    if (text === "" && optionalAttributes.has(name)) continue;
    attributes.set(name, uriAttributes.has(name) ? decodeUri(text) : decodeHeader(text));
  }
  const data = await readData(request, type);
  for (const name of ["data", "data_base64"]) {
    if (!attributes.delete(name)) continue;
    const msg = "In binary mode, send the data as the body";
    mistakes.push({ type: "extra_forbidden", loc: ["header", `ce-${name}`], msg, input: null });
  }
  const datacontenttype = request.headers.get("content-type") || null;
  const value = {
    ...Object.fromEntries(attributes),
    ...(datacontenttype === null ? {} : { datacontenttype }),
    ...data,
  };
  const found = read(schema, value, ["header"], (name) => ["header", `${attributePrefix}${name}`]);
  return { event: found.event, mistakes: [...mistakes, ...found.mistakes], value };
}

/**
 * Decodes a header as the HTTP binding says: removes quotes, which older senders use, then percent-decodes once. Some
 * official SDKs do not encode: a percent sign that begins no code stands for itself.
 */
function decodeHeader(text: string): string {
  const utf8 = asUtf8(text);
  const quoted = /^"(.*)"$/s.exec(utf8)?.[1];
  const unquoted = quoted === undefined ? utf8 : quoted.replaceAll(/\\(.)/gs, "$1");
  try {
    return decodeURIComponent(unquoted.replaceAll(/%(?![0-9a-f]{2})/gi, "%25"));
  } catch {
    return unquoted; // codes that are not UTF-8
  }
}

const uriAttributes: ReadonlySet<string> = new Set(["source", "dataschema"]);

/** The SDK for Go does not encode a URI again that holds codes itself. Decoding `/a%20b` would leave no URI. */
function decodeUri(text: string): string {
  const decoded = decodeHeader(text);
  return notInUri.test(decoded) && !notInUri.test(text) ? text : decoded;
}

/** Some senders do not encode non-ASCII text. Headers arrive with one character per byte, and most senders mean UTF-8. */
function asUtf8(text: string): string {
  if (!/[\x80-\xFF]/.test(text) || /[^\0-\xFF]/.test(text)) return text;
  try {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return text;
  }
}

/**
 * Reads JSON as its value, text as a string, and everything else as base64. Data that is not what its type says is kept
 * as it is: the SDK for JavaScript sends strings and bytes as JSON, and the event itself is good.
 */
async function readData(request: Request, type: string): Promise<Pick<CloudEvent, "data" | "data_base64">> {
  const bytes = await readBytes(request);
  if (bytes.byteLength === 0) return {};
  const isJson = jsonType.test(type) || type === "text/json";
  const isText = type.startsWith("text/") || /^application\/(?:.*\+)?(?:xml|yaml)$/.test(type);
  const text = isJson || isText || isUntyped(type) ? textOf(bytes) : null;
  if (text === null) return { data_base64: base64Of(bytes) };
  // Some senders, such as the Python SDK by default, send JSON without a type.
  if (!isJson && !(isUntyped(type) && /^\s*[[{]/.test(text))) return { data: text };
  try {
    return { data: await parseInSlices(text, dataLimits) };
  } catch (error) {
    if (error instanceof JsonTooComplex && isJson) return { data: await parseJson(bytes) }; // refuses it
    if (error instanceof SyntaxError || error instanceof JsonTooComplex) return { data: text };
    throw error;
  }
}

/** curl and Python's urllib call everything a form. */
function isUntyped(type: string): boolean {
  return type === "" || type === "application/x-www-form-urlencoded";
}

/** The bytes as text; null if they are not UTF-8. */
function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Turns a valid CloudEvent into an event. @param received the time to use if it has none */
function eventOfCloudEvent(event: CloudEvent, received: string): WireEvent {
  const { specversion: _, id, source, type, subject, time, data, data_base64: base64, ...further } = event;
  const { datacontenttype, dataschema, ...extensions } = further;
  const labels: Record<string, string> = {
    "prefect.resource.id": resourceIdOf(source, subject ?? null),
    "cloudevents.id": id,
    "cloudevents.source": source,
  };
  for (const [name, value] of Object.entries({ subject, datacontenttype, dataschema })) {
    if ((value ?? null) !== null) labels[`cloudevents.${name}`] = String(value);
  }
  for (const [name, value] of Object.entries(extensions)) if (value !== null) labels[name] = String(value);
  return {
    occurred: time ?? received,
    event: type,
    resource: labels,
    related: [],
    payload: payloadOf(data, base64 ?? null),
    id: isUuid(id)
      ? normalizeUuid(id)
      : uuid5(triplineNamespace, `cloudevent ${JSON.stringify([source, id])}`),
    follows: null,
  };
}

function resourceIdOf(source: string, subject: string | null): string {
  if (subject === null) return source;
  return source.endsWith("/") || subject.startsWith("/") ? `${source}${subject}` : `${source}/${subject}`;
}

function payloadOf(data: unknown, base64: string | null): Record<string, unknown> {
  if (base64 !== null) return { data_base64: base64 };
  if ((data ?? null) === null) return {};
  return isRecord(data) ? data : { data };
}

function mediaTypeOf(request: Request): string {
  return request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
}
