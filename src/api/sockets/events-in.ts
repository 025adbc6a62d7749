/** `/events/in`: one event per frame, appended to the log in order, in the batches in which the frames arrive. */

import { setTimeout as pause } from "node:timers/promises";
import { parseExactJson } from "../../core/json/exact-json.ts";
import type { WireEvent } from "../../core/model/event.ts";
import { jsonMistake } from "../http/json-mistake.ts";
import { firstMistake, Refusal } from "../http/refusal.ts";
import { chargeEvents, type Tenant } from "../http/tenant.ts";
import { EventsSchema, type IngestMeter, isUnreachable, readEvents } from "../ingest/ingest.ts";
import { Closing, closeCodes, type Peer } from "./peer.ts";

/** The most events that one step appends. */
const eventsPerAppend = 500;

/**
 * Takes events until the peer closes.
 *
 * @throws Closing at the first frame that is not a valid event; the events before it are appended
 * @throws RedisUnreachable
 */
export async function takeEvents(peer: Peer, tenant: Tenant, meter: IngestMeter): Promise<void> {
  for (;;) {
    const frames = await peer.take(eventsPerAppend);
    if (frames === null) return;
    const { events, mistake } = readFrames(frames);
    await untilAllowed(peer, tenant, events.length);
    try {
      await tenant.log.appendEvents(events.map((event) => ({ event })));
    } catch (error) {
      meter.eventsRejected(events.length, isUnreachable(error) ? "unreachable" : "error");
      throw error;
    }
    meter.eventsAccepted(events.length);
    if (mistake === null) continue;
    meter.eventsRejected(1, "invalid");
    throw new Closing(closeCodes.failed, `Invalid event: ${mistake}`);
  }
}

/** A key that has used up its rate is not refused here. It waits, and so do its pongs and its next events. */
async function untilAllowed(peer: Peer, tenant: Tenant, eventCount: number): Promise<void> {
  if (tenant.allowance === null || eventCount === 0) return;
  for (;;) {
    const seconds = await tenant.allowance.admit();
    if (seconds === 0 || peer.signal.aborted) break;
    await pause(seconds * 1_000, undefined, { signal: peer.signal }).catch(() => {});
  }
  await chargeEvents(tenant, eventCount);
}

/** The events before the first invalid frame, and what is wrong with that frame. */
function readFrames(frames: readonly string[]): { events: WireEvent[]; mistake: string | null } {
  const events: WireEvent[] = [];
  for (const frame of frames) {
    try {
      events.push(...readEvents(EventsSchema, [parseExactJson(frame)], Buffer.byteLength(frame)));
    } catch (error) {
      if (error instanceof SyntaxError) return { events, mistake: notJson(frame) };
      if (error instanceof Refusal) return { events, mistake: firstMistake(error, 2) };
      throw error;
    }
  }
  return { events, mistake: null };
}

function notJson(text: string): string {
  const mistake = jsonMistake(text);
  return mistake === null
    ? "not valid JSON"
    : `not valid JSON at column ${mistake.column}: expected ${mistake.expected}`;
}
