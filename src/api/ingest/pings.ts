/**
 * Pings: a hook whose template is `ping` makes an event of each request, whatever its method and body, so that a cron job
 * reports with one curl. The paths are those of healthchecks.io: `/start`, `/fail`, and an exit status. Runs in Node and in
 * a Worker.
 */

import type { WireEvent } from "../../core/model/event.ts";
import { derivedId, type HookPlace } from "./hook-events.ts";
import type { HookRequest } from "./hook-request.ts";

/** What a hook's template says to take pings. */
export const pingTemplate = "ping";

/** What a ping reports. */
export interface PingSignal {
  readonly event: "ping.started" | "ping.succeeded" | "ping.failed";
  readonly exitStatus: number | null;
}

/** Reads the end of a ping's path; null if it means nothing. @param text undefined if the path ends with the hook's name */
export function pingSignalOf(text: string | undefined): PingSignal | null {
  if (text === undefined) return { event: "ping.succeeded", exitStatus: null };
  if (text === "start") return { event: "ping.started", exitStatus: null };
  if (text === "fail") return { event: "ping.failed", exitStatus: null };
  if (!/^\d{1,3}$/.test(text) || Number(text) > 255) return null;
  return { event: Number(text) === 0 ? "ping.succeeded" : "ping.failed", exitStatus: Number(text) };
}

/** How much of a body is kept: the end of a job's output. */
const bodyLengthMax = 10_000;

/** How many bytes that may be. */
export const pingBytesMax = 4 * bodyLengthMax;

/** What a job prints may be anything. */
const decoder = new TextDecoder();

/** The event that a ping becomes. */
export function pingEvent(signal: PingSignal, place: HookPlace, request: HookRequest): WireEvent {
  const { context, id, bytes } = request;
  const { name } = place.hook;
  const run = (context.query as Readonly<Record<string, unknown>>)["rid"];
  const key = id ?? (typeof run === "string" && run !== "" ? run : null);
  return {
    occurred: String(context.received),
    event: signal.event,
    resource: { "prefect.resource.id": `ping.${name}`, "prefect.resource.name": name },
    related: [],
    payload: {
      exit_status: signal.exitStatus,
      run: typeof run === "string" ? run.slice(0, 100) : null,
      method: context.method,
      body: decoder.decode(bytes.subarray(-pingBytesMax)).slice(-bodyLengthMax),
    },
    id: key === null ? crypto.randomUUID() : derivedId(place, "ping", signal.event, key),
    follows: null,
  };
}
