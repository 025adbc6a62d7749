/**
 * Events in. This also runs at the edge, so nothing here may need Node.
 *
 * An event is acknowledged only once the log holds it. Of a batch with a mistake nothing is stored. If Redis fails in the
 * middle of a large batch, its beginning is; so a client sends all of it again: the ids make repeats harmless.
 */

import { z } from "zod";
import { isLongerThan, nestsDeeper } from "../../core/json/depth.ts";
import { assert } from "../../core/model/assert.ts";
import { EventSchema, type WireEvent } from "../../core/model/event.ts";
import { eventBytesMax, relatedResourcesMax } from "../../core/model/limits.ts";
import { isRecord } from "../../core/model/record.ts";
import { breathe } from "../../retry/slices.ts";
import type { EventLines } from "../../store/event-lines.ts";
import { batchLimits, parseJson, readJsonBytes } from "../http/body.ts";
import { JsonTooComplex } from "../http/parse-json.ts";
import { invalidRequest, mistakesOf, Refusal, type RequestMistake } from "../http/refusal.ts";
import { bodyForHandler } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import { chargeEvents, type Tenant } from "../http/tenant.ts";
import { scanEvents } from "./event-scanner.ts";

/** Counts the events that come in. */
export interface IngestMeter {
  eventsAccepted(count: number): void;
  eventsRejected(count: number, reason: string): void;
}

/** A batch of events, as posted. */
const EventsSchema = z.array(EventSchema, {
  error: "Input should be a list of events: put a single event in brackets, [{…}]",
});

/** Maximum nesting depth of a payload: deeper than any real one, and shallow enough for every program that reads it. */
const payloadDepthMax = 100;

/** `POST /events`. */
export function ingestRoutes(meter: IngestMeter): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/events",
        id: "emitEvents",
        summary: "Post events",
        description:
          "Of a batch with a mistake nothing is stored, and a batch is acknowledged only once all of it is stored. The same id is the same event, so repeating a batch is harmless.",
        tag: "events",
        scope: "events:write",
        body: bodyForHandler("application/json", EventsSchema, {
          examples: {
            pumpStopped: [
              {
                id: "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d44",
                occurred: "2026-03-01T09:30:00.123456Z",
                event: "pump.stopped",
                resource: { "prefect.resource.id": "pump.1", zone: "north" },
                related: [{ "prefect.resource.id": "greenhouse.1", "prefect.resource.role": "greenhouse" }],
                payload: { litres: 3 },
              },
            ],
          },
        }),
        answers: { 204: { description: "All of them are stored." } },
      },
      async ({ tenant, body: { request, schema } }, context) => {
        await ingest<EventLines | WireEvent[]>(tenant, meter, async (batch) => {
          const bytes = await readJsonBytes(request);
          const lines = await scanEvents(bytes);
          if (lines !== null) return { events: lines, refused: null, refusedCount: 0 };
          const value = await parseJson(bytes, batchLimits);
          if (Array.isArray(value)) batch.length = value.length;
          return { events: await readEvents(schema, value, bytes.length), refused: null, refusedCount: 0 };
        });
        return context.body(null, 204);
      },
    ),
  ];
}

/** What a request holds: events to store, and why others of it are refused, if some are. */
export interface ReadEvents<Events = readonly WireEvent[]> {
  readonly events: Events;
  readonly refused: Refusal | null;
  readonly refusedCount: number;
}

/**
 * Appends the events of a request to the log, and counts them.
 *
 * @param read reads the events, and sets the length of the batch as soon as it is known, for good events and bad
 * @throws RedisUnreachable, and whatever `read` throws
 */
export async function ingest<Events extends readonly WireEvent[] | EventLines>(
  tenant: Tenant,
  meter: IngestMeter,
  read: (batch: { length: number }) => Promise<ReadEvents<Events>>,
): Promise<ReadEvents<Events>> {
  const batch = { length: 1 };
  try {
    const found = await read(batch);
    const { events, refused, refusedCount } = found;
    batch.length = "bytes" in events ? events.count : events.length;
    await chargeEvents(tenant, batch.length + refusedCount);
    const { log, trace } = tenant;
    if ("bytes" in events) await log.appendLines(events, trace);
    else if (events.length > 0) await log.appendEvents(events.map((event) => ({ event, trace })));
    meter.eventsAccepted(batch.length);
    if (refused !== null) meter.eventsRejected(refusedCount, refused.reason);
    return found;
  } catch (error) {
    meter.eventsRejected(batch.length, reasonOf(error));
    throw error;
  }
}

/** A check of a batch stops after this many mistakes: a sender needs only a few to see what is wrong. */
export const batchMistakesMax = 100;

/**
 * Checks a batch of events as it was posted, one after the other.
 *
 * @param bytes the size of the batch as JSON
 * @throws Refusal that lists the mistakes of all events, up to `batchMistakesMax`
 */
async function readEvents(schema: typeof EventsSchema, value: unknown, bytes: number): Promise<WireEvent[]> {
  if (!Array.isArray(value)) {
    const { error } = schema.safeParse(value);
    throw invalidRequest(mistakesOf(error?.issues ?? [], ["body"], value), value);
  }
  const events: WireEvent[] = [];
  const mistakes: RequestMistake[] = [];
  for (const [index, item] of value.entries()) {
    await breathe();
    const place = ["body", index];
    const checked =
      item instanceof JsonTooComplex
        ? { mistakes: [tooComplexMistake(item, place)] }
        : checkEvent(schema.element, item, bytes, place);
    if ("event" in checked) events.push(checked.event);
    else mistakes.push(...checked.mistakes);
    if (mistakes.length >= batchMistakesMax) break;
  }
  if (mistakes.length > 0) throw refusalOf(mistakes, value);
  return events;
}

/** The mistake of an item of a batch that is too complex to be read. */
export function tooComplexMistake(
  { type, message }: JsonTooComplex,
  place: RequestMistake["loc"],
): RequestMistake {
  return type === "too_long" ? tooLarge(null, place) : { type, loc: place, msg: message, input: null };
}

/** An event, or what is wrong with it. */
export type CheckedEvent =
  | { readonly event: WireEvent }
  | { readonly mistakes: readonly [RequestMistake, ...RequestMistake[]] };

/**
 * Checks one event.
 *
 * @param bytes at least its size as JSON
 * @param place where it was found
 */
export function checkEvent(
  schema: typeof EventSchema,
  value: unknown,
  bytes: number,
  place: RequestMistake["loc"],
): CheckedEvent {
  const [first, ...others] = sizeMistakes(value, bytes, place);
  if (first !== undefined) return { mistakes: [first, ...others] };
  const parsed = schema.safeParse(value);
  if (!parsed.success) {
    const [mistake, ...more] = mistakesOf(parsed.error.issues, place, value);
    assert(mistake !== undefined, "an event that is refused has a mistake");
    return { mistakes: [mistake, ...more] };
  }
  const limit = limitMistake(parsed.data, bytes, { value, place, isShort: true });
  return limit === null ? { event: parsed.data } : { mistakes: [limit] };
}

/** Checks the size before the schema does, which looks at every part of a list before it counts them. */
function sizeMistakes(value: unknown, bytes: number, place: RequestMistake["loc"]): RequestMistake[] {
  if (!isRecord(value)) return [];
  const related = value["related"];
  if (Array.isArray(related) && related.length > relatedResourcesMax) {
    const msg = `An event has at most ${relatedResourcesMax} related resources; this one has ${related.length}`;
    return [{ type: "too_long", loc: [...place, "related"], msg, input: null }];
  }
  return bytes > eventBytesMax && isLongerThan(value, eventBytesMax) ? [tooLarge(value, place)] : [];
}

/**
 * Checks what a schema cannot: how deep an event nests, and how large it is.
 *
 * @param bytes at least the size of the event as JSON
 * @param found what the event was read from, where, the key of its payload there, and whether it is known not to be far
 *   too long
 */
export function limitMistake(
  event: WireEvent,
  bytes: number,
  found: {
    readonly value: unknown;
    readonly place: RequestMistake["loc"];
    readonly payloadName?: string;
    readonly isShort?: boolean;
  },
): RequestMistake | null {
  const { value, place, payloadName = "payload", isShort = false } = found;
  if (nestsDeeper(event.payload, payloadDepthMax)) {
    const msg = `The payload nests more than ${payloadDepthMax} levels deep`;
    return { type: "too_deep", loc: [...place, payloadName], msg, input: event.payload };
  }
  const isTooLarge =
    bytes > eventBytesMax &&
    ((!isShort && isLongerThan(event, eventBytesMax)) || bytesOf(event) > eventBytesMax);
  return isTooLarge ? tooLarge(value, place) : null;
}

const tooLargeMessage = `The event is larger than ${eventBytesMax} bytes as JSON; store large data elsewhere and send a link`;

function tooLarge(value: unknown, place: RequestMistake["loc"]): RequestMistake {
  return { type: "too_long", loc: place, msg: tooLargeMessage, input: value };
}

/** The refusal of a request for its mistakes: 413 if it only holds too much. */
export function refusalOf(mistakes: readonly RequestMistake[], value: unknown): Refusal {
  const stopped: RequestMistake = {
    type: "too_many_errors",
    loc: ["body"],
    msg: `The check stopped after ${batchMistakesMax} mistakes; there may be more`,
    input: null,
  };
  const isComplete = mistakes.length < batchMistakesMax;
  const shown = isComplete ? mistakes : [...mistakes.slice(0, batchMistakesMax - 1), stopped];
  const refusal = invalidRequest(shown, value);
  const isTooLarge = mistakes.every(({ msg }) => msg === tooLargeMessage);
  return isTooLarge ? new Refusal(413, "too_large", refusal.body) : refusal;
}

const encoder = new TextEncoder();

function bytesOf(event: WireEvent): number {
  return encoder.encode(JSON.stringify(event)).byteLength;
}

function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return error.reason;
  return isUnreachable(error) ? "unreachable" : "error";
}

/** True for the store's RedisUnreachable; by name, so that this file does not load a Redis client. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof Error && error.name === "RedisUnreachable";
}
