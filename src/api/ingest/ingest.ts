/**
 * Events in. This also runs at the edge, so nothing here may need Node.
 *
 * An event is acknowledged only once the log holds it. A batch is stored whole or not at all, so a client may send it
 * again: the ids make repeats harmless.
 */

import { z } from "zod";
import { EventSchema, type WireEvent } from "../../core/model/event.ts";
import { eventBytesMax } from "../../core/model/limits.ts";
import { readJson } from "../http/body.ts";
import { nestsDeeper } from "../http/json-depth.ts";
import { invalidRequest, mistakesOf, Refusal, type RequestMistake } from "../http/refusal.ts";
import { bodyForHandler } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import { chargeEvents, type Tenant } from "../http/tenant.ts";

/** Counts the events that come in. */
export interface IngestMeter {
  eventsAccepted(count: number): void;
  eventsRejected(count: number, reason: string): void;
}

/** A batch of events, as posted. */
export const EventsSchema = z.array(EventSchema, {
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
          "A batch is stored whole or not at all, and acknowledged only once it is stored. The same id is the same event, so repeating a batch is harmless.",
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
        await ingest(tenant, meter, async (batch) => {
          const { value, bytes } = await readJson(request);
          if (Array.isArray(value)) batch.length = value.length;
          return readEvents(schema, value, bytes);
        });
        return context.body(null, 204);
      },
    ),
  ];
}

/**
 * Appends the events of a request to the log, and counts them.
 *
 * @param read reads the events, and sets the length of the batch as soon as it is known, for good events and bad
 * @throws RedisUnreachable, and whatever `read` throws
 */
export async function ingest(
  tenant: Tenant,
  meter: IngestMeter,
  read: (batch: { length: number }) => Promise<readonly WireEvent[]>,
): Promise<readonly WireEvent[]> {
  const batch = { length: 1 };
  try {
    const events = await read(batch);
    await chargeEvents(tenant, events.length);
    const { log, trace } = tenant;
    if (events.length > 0) await log.appendEvents(events.map((event) => ({ event, trace })));
    meter.eventsAccepted(events.length);
    return events;
  } catch (error) {
    meter.eventsRejected(batch.length, reasonOf(error));
    throw error;
  }
}

/**
 * Checks a batch of events as it was posted.
 *
 * @param bytes the size of the batch as JSON
 * @throws Refusal that lists every mistake of every event
 */
export function readEvents(schema: typeof EventsSchema, value: unknown, bytes: number): WireEvent[] {
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw invalidRequest(mistakesOf(parsed.error.issues, ["body"], value), value);
  checkLimits(parsed.data, bytes, value);
  return parsed.data;
}

/**
 * Checks what a schema cannot: how deep each event nests, and how large it is.
 *
 * @param bytes at least the size of the largest event as JSON
 * @param value what the events were read from
 * @param payloadName the key of a payload in that
 * @throws Refusal that lists every mistake
 */
export function checkLimits(
  events: readonly WireEvent[],
  bytes: number,
  value: unknown,
  payloadName = "payload",
): void {
  const tooBig = (event: WireEvent): boolean => bytes > eventBytesMax && bytesOf(event) > eventBytesMax;
  const mistakes = events.flatMap((event, index): RequestMistake[] => {
    if (nestsDeeper(event.payload, payloadDepthMax)) {
      const msg = `The payload nests more than ${payloadDepthMax} levels deep`;
      return [{ type: "too_deep", loc: ["body", index, payloadName], msg, input: event.payload }];
    }
    if (!tooBig(event)) return [];
    const msg = `The event is larger than ${eventBytesMax} bytes as JSON; store large data elsewhere and send a link`;
    return [{ type: "too_long", loc: ["body", index], msg, input: event }];
  });
  if (mistakes.length === 0) return;
  const refusal = invalidRequest(mistakes, value);
  throw mistakes.some(({ type }) => type === "too_deep")
    ? refusal
    : new Refusal(413, "too_large", refusal.body);
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
