/** How log entries are stored: a kind, a body and, for an event, its lineage and trace if it has them. */

import { nestsDeeper } from "../core/json/depth.ts";
import type { LogEntry, LogPosition } from "../core/machine/log-entry.ts";
import type { Automation } from "../core/model/automation.ts";
import { eventOf, type WireEvent } from "../core/model/event.ts";
import { isRecord } from "../core/model/record.ts";
import { readStoredTrace, type TraceContext } from "../core/model/trace-context.ts";
import { TriggerSchema } from "../core/model/trigger.ts";
import { decodeJson, encodeJson } from "./json.ts";
import { receivedAt } from "./position.ts";

/** How deep a payload may nest: far more than the API accepts. */
export const payloadDepthMax = 500;

/** An event to append, with its lineage if a firing caused it (see core/machine/loop-guard.ts). */
export interface NewEvent {
  readonly event: WireEvent;
  readonly lineage?: readonly string[];
  /** The trace that the event belongs to, if there is one. */
  readonly trace?: TraceContext | null | undefined;
}

/** An entry as Redis returns it: its id, then alternating field names and values. */
export type StoredEntry = readonly [position: LogPosition, fields: readonly string[]];

/** Encodes an event for a script: body, lineage and trace. An empty lineage or trace is not stored. */
export function encodeEvent({
  event,
  lineage = [],
  trace,
}: NewEvent): readonly [body: string, lineage: string, trace: string] {
  return [encodeJson(event), lineage.length === 0 ? "" : encodeJson(lineage), trace ?? ""];
}

/**
 * Decodes a stored entry. It is checked, because anything with access to Redis can append to the stream.
 *
 * @throws Error if Tripline did not write it
 */
export function decodeEntry([position, fields]: StoredEntry): LogEntry {
  const kind = fieldOf(fields, "kind");
  const body = fieldOf(fields, "body") ?? fail("the entry has no body");
  const received = receivedAt(position);
  switch (kind) {
    case "event": {
      const stored = fieldOf(fields, "lineage");
      const lineage = stored === undefined ? [] : decodeLineage(stored);
      const wire = decodeStoredEvent(body);
      // An invalid trace is ignored: it must not keep an event from being counted.
      const trace = readStoredTrace(fieldOf(fields, "trace"));
      return { kind, position, received, event: eventOf(wire, received, lineage, trace) };
    }
    case "automation-put": {
      const automation: unknown = decodeJson(body);
      if (!isAutomation(automation)) fail("the body is not an automation");
      return { kind, position, received, automation };
    }
    case "automation-delete":
      return { kind, position, received, automationId: body };
    case "beat":
      return { kind, position, received };
    default:
      return fail(`unknown kind ${JSON.stringify(kind)}`);
  }
}

/** The value of a field; undefined if the entry has none of that name. */
export function fieldOf(fields: readonly string[], name: string): string | undefined {
  for (let index = 0; index < fields.length; index += 2) if (fields[index] === name) return fields[index + 1];
  return undefined;
}

/** Decodes the body of an event's entry. @throws Error if it is not an event */
export function decodeStoredEvent(body: string): WireEvent {
  const wire: unknown = decodeJson(body);
  if (!isWireEvent(wire)) fail("the body is not an event");
  // Whoever handles it further recurses into it: the engine would fail at it again and again.
  if (body.length > 2 * payloadDepthMax && nestsDeeper(wire.payload, payloadDepthMax))
    fail("the payload nests too deep");
  return wire;
}

/** Decodes the lineage of an event's entry. @throws Error if it is not a lineage */
export function decodeLineage(stored: string): string[] {
  const lineage: unknown = decodeJson(stored);
  if (!isTexts(lineage)) fail("the lineage is not a list of ids");
  return lineage;
}

function fail(reason: string): never {
  throw new Error(reason);
}

// Faster than a schema: this runs for every event in every reader, and the event was validated when it was accepted.
function isWireEvent(value: unknown): value is WireEvent {
  return (
    isRecord(value) &&
    typeof value["id"] === "string" &&
    typeof value["event"] === "string" &&
    typeof value["occurred"] === "string" &&
    (value["follows"] === null || typeof value["follows"] === "string") &&
    isRecord(value["payload"]) &&
    isLabels(value["resource"]) &&
    Array.isArray(value["related"]) &&
    value["related"].every(isLabels)
  );
}

function isAutomation(value: unknown): value is Automation {
  return (
    isRecord(value) &&
    typeof value["id"] === "string" &&
    typeof value["name"] === "string" &&
    typeof value["enabled"] === "boolean" &&
    Array.isArray(value["actions"]) &&
    Array.isArray(value["actions_on_trigger"]) &&
    Array.isArray(value["actions_on_resolve"]) &&
    isRecord(value["secrets"]) &&
    TriggerSchema.safeParse(value["trigger"]).success
  );
}

function isLabels(value: unknown): boolean {
  if (!isRecord(value)) return false;
  for (const label in value) if (typeof value[label] !== "string") return false;
  return true;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}
