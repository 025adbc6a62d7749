/**
 * Events in: the part of the API that also runs at the edge, so nothing here may need Node.
 *
 * An event is acknowledged only when the log holds it. A batch is taken whole or not at all, so that a client may
 * repeat it: the ids make a repeat harmless.
 */

import { Hono } from "hono";
import { z } from "zod";
import { EventSchema, type WireEvent } from "../../core/model/event.ts";
import { eventBytesMax } from "../../core/model/limits.ts";
import { readJson } from "../http/body.ts";
import { invalidRequest, type Mistake, mistakesOf, Refusal } from "../http/refusal.ts";
import { type ApiEnv, chargeEvents, requireScope, type Tenant } from "../http/tenant.ts";

/** Told what became of the events that came in. */
export interface IngestMeter {
  eventsAccepted(count: number): void;
  eventsRejected(count: number, reason: string): void;
}

const BatchSchema = z.array(EventSchema, {
  error: "Input should be a list of events: put a single event in brackets, [{…}]",
});

/** How deep a payload may nest; deeper than any real one, and shallow enough for every program that reads it. */
export const payloadDepthMax = 100;

/** The routes that take events in. */
export function ingestRoutes(meter: IngestMeter): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();

  routes.post("/events", requireScope("events:write"), async (context) => {
    await takeIn(context.var.tenant, meter, async (batch) => {
      const { value, bytes } = await readJson(context.req.raw);
      if (Array.isArray(value)) batch.length = value.length;
      return readEvents(value, bytes);
    });
    return context.body(null, 204);
  });

  return routes;
}

/**
 * Appends the events that a request brings, and tells the meter what became of them.
 *
 * @param read reads them, and says as soon as it knows how many there are in the batch, good or bad
 * @throws RedisUnreachable, and whatever `read` throws
 */
export async function takeIn(
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
 * A batch of events as it was posted, checked.
 *
 * @param bytes how large the batch is as JSON
 * @throws Refusal that names every mistake of every event
 */
export function readEvents(value: unknown, bytes: number): WireEvent[] {
  const parsed = BatchSchema.safeParse(value);
  if (!parsed.success) throw invalidRequest(mistakesOf(parsed.error.issues, ["body"], value), value);
  checkLimits(parsed.data, bytes, value);
  return parsed.data;
}

/**
 * Checks what no schema can see of events: how deep each nests, and how large it is.
 *
 * @param bytes at least the size of the largest as JSON
 * @param value what they were read from
 * @param payloadName where in it their payloads stand
 * @throws Refusal that names every mistake
 */
export function checkLimits(
  events: readonly WireEvent[],
  bytes: number,
  value: unknown,
  payloadName = "payload",
): void {
  const tooBig = (event: WireEvent): boolean => bytes > eventBytesMax && bytesOf(event) > eventBytesMax;
  const mistakes = events.flatMap((event, index): Mistake[] => {
    if (nestsDeeper(event.payload, payloadDepthMax)) {
      const msg = `A payload nests at most ${payloadDepthMax} levels deep`;
      return [{ type: "too_deep", loc: ["body", index, payloadName], msg, input: event.payload }];
    }
    if (!tooBig(event)) return [];
    const msg = `An event has at most ${eventBytesMax} bytes as JSON; move what is large elsewhere and send a link`;
    return [{ type: "too_long", loc: ["body", index], msg, input: event }];
  });
  if (mistakes.length === 0) return;
  const refusal = invalidRequest(mistakes, value);
  throw mistakes.some(({ type }) => type === "too_deep")
    ? refusal
    : new Refusal(413, "too_large", refusal.body);
}

function nestsDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const key in value) {
    if (nestsDeeper((value as Record<string, unknown>)[key], levels - 1)) return true;
  }
  return false;
}

const encoder = new TextEncoder();

function bytesOf(event: WireEvent): number {
  return encoder.encode(JSON.stringify(event)).byteLength;
}

function reasonOf(error: unknown): string {
  if (error instanceof Refusal) return error.reason;
  return isUnreachable(error) ? "unreachable" : "error";
}

/** True for the log's own RedisUnreachable; by name, so that the log's Redis client stays out of here. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof Error && error.name === "RedisUnreachable";
}
