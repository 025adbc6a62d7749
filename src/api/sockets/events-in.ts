/**
 * `/events/in`: one event per frame, appended to the log in order, in the batches in which the frames arrive.
 *
 * A frame that is not a valid event is dropped and reported. If it ended the connection, as it does in Prefect, a client
 * that sends everything again that no pong confirmed would send it first, and never get past it.
 */

import { setTimeout as pause } from "node:timers/promises";
import { EventSchema } from "../../core/model/event.ts";
import { breath } from "../../retry/slices.ts";
import { type EventLines, joinLines, linesOf } from "../../store/event-lines.ts";
import { dataLimits } from "../http/body.ts";
import { jsonMistakeInSlices } from "../http/json-mistake.ts";
import { readableStart } from "../http/json-start.ts";
import { JsonTooComplex, parseInSlices } from "../http/parse-json.ts";
import { mistakeText } from "../http/refusal.ts";
import { chargeEvents, type Tenant } from "../http/tenant.ts";
import { scanEvent } from "../ingest/event-scanner.ts";
import { checkEvent, type IngestMeter, isUnreachable } from "../ingest/ingest.ts";
import { type RejectedEvent, type RejectionReports, rejectedEvent } from "../ingest/rejected-events.ts";
import { type Frame, frameBytesMax, type Peer } from "./peer.ts";

/** How much of a frame that cannot be read as a whole is searched for what it was about. */
const startBytesMax = 128 * 1024;

/** The most events that one step appends. */
const eventsPerAppend = 500;

/**
 * Takes events until the peer closes.
 *
 * @throws RedisUnreachable
 */
export async function takeEvents(
  peer: Peer,
  tenant: Tenant,
  { meter, reports }: { readonly meter: IngestMeter; readonly reports: RejectionReports },
): Promise<void> {
  const { workspace, log } = tenant;
  for (;;) {
    const frames = await peer.take(eventsPerAppend);
    if (frames === null) break;
    const { lines, rejected } = await readFrames(frames);
    await untilAllowed(peer, tenant, frames.length);
    const reported = reports.report(workspace, "events-in", rejected);
    try {
      await log.appendLines(reported.length === 0 ? lines : joinLines([lines, linesOf(reported)]));
    } catch (error) {
      meter.eventsRejected(lines.count, isUnreachable(error) ? "unreachable" : "error");
      throw error;
    }
    meter.eventsAccepted(lines.count);
    if (rejected.length > 0) meter.eventsRejected(rejected.length, "invalid");
  }
  await log.appendEvents(reports.flush(workspace, "events-in").map((event) => ({ event })));
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

async function readFrames(
  frames: readonly Frame[],
): Promise<{ readonly lines: EventLines; readonly rejected: RejectedEvent[] }> {
  const lines: EventLines[] = [];
  const rejected: RejectedEvent[] = [];
  for (const frame of frames) {
    const pause = breath();
    if (pause !== null) await pause;
    const read = scanEvent(frame.bytes) ?? (await readFrame(frame));
    if ("reason" in read) rejected.push(read);
    else lines.push(read);
  }
  return { lines: joinLines(lines), rejected };
}

async function readFrame({ bytes, length: size }: Frame): Promise<EventLines | RejectedEvent> {
  const rejectedUnread = (reason: string) =>
    rejectedEvent(readableStart(bytes.subarray(0, startBytesMax).toString()), reason, size);
  if (size > frameBytesMax) return rejectedUnread(`the frame has ${size} bytes; store large data elsewhere`);
  const text = textOf(bytes);
  if (text === null) return rejectedUnread("the frame is not UTF-8 text");
  let value: unknown;
  try {
    value = await parseInSlices(text, dataLimits);
  } catch (error) {
    if (error instanceof JsonTooComplex) return rejectedUnread(error.message);
    if (error instanceof SyntaxError) return rejectedUnread(await notJson(text));
    throw error;
  }
  const checked = checkEvent(EventSchema, value, size, []);
  return "event" in checked
    ? linesOf([checked.event])
    : rejectedEvent(value, mistakeText(checked.mistakes[0]), size);
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function textOf(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

async function notJson(text: string): Promise<string> {
  const mistake = await jsonMistakeInSlices(text);
  return mistake === null
    ? "not valid JSON"
    : `not valid JSON at column ${mistake.column}: expected ${mistake.expected}`;
}
