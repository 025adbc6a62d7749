/**
 * Events as the state holds them: a short JSON list, of which everything that is as usual is left out.
 *
 * A million windows remember their last event, in memory and in the store. Without the names of fields, and with the id in
 * 22 characters, it takes half the space.
 */

import { parseExactJson } from "../json/exact-json.ts";
import { type Event, eventOf, type WireEvent, type WireResource } from "../model/event.ts";
import { packId, unpackId } from "../model/packed-id.ts";
import type { Micros } from "../model/time.ts";
import type { TraceContext } from "../model/trace-context.ts";
import { type LogPosition, receivedAt } from "./log-entry.ts";

/** 0 stands for what is usual: nothing, or what the log position says. Such values at the end are left out. */
type StoredEvent = [
  occurred: string,
  name: string,
  /** Only the id, if the resource has no other label. */
  resource: WireResource | string,
  id: string,
  received?: Micros | 0,
  related?: readonly WireResource[] | 0,
  payload?: Readonly<Record<string, unknown>> | 0,
  follows?: string | 0,
  lineage?: readonly string[] | 0,
  trace?: TraceContext | 0,
];

/** An event as versions 1 and 2 stored it. */
interface LongStoredEvent {
  readonly wire: WireEvent;
  readonly received: Micros;
  readonly lineage: readonly string[];
  readonly trace?: TraceContext;
}

const idLabel = "prefect.resource.id";

/** @param position where the event is in the log; its time is usually that at which the event was received */
export function encodeStoredEvent({ wire, received, lineage, trace }: Event, position: LogPosition): string {
  const { occurred, event: name, resource, related, payload, id, follows } = wire;
  const isPayloadEmpty = isEmpty(payload);
  const stored: StoredEvent = [
    occurred,
    name,
    onlyId(resource) ?? resource,
    packId(id),
    received === receivedAt(position) ? 0 : received,
    related.length === 0 ? 0 : related,
    isPayloadEmpty ? 0 : payload,
    follows === null ? 0 : packId(follows),
    lineage.length === 0 ? 0 : lineage,
    trace ?? 0,
  ];
  while (stored.at(-1) === 0) stored.pop();
  return JSON.stringify(stored);
}

/** Reads an event that any version has stored. */
export function decodeStoredEvent(text: string, position: LogPosition): Event {
  const parsed = parseExactJson(text) as StoredEvent | LongStoredEvent;
  if (!Array.isArray(parsed)) return eventOf(parsed.wire, parsed.received, parsed.lineage, parsed.trace);
  const [occurred, name, resource, id, received, related, payload, follows, lineage, trace] = parsed;
  const wire: WireEvent = {
    occurred,
    event: name,
    resource: typeof resource === "string" ? { [idLabel]: resource } : resource,
    related: related || [],
    payload: payload || {},
    id: unpackId(id),
    follows: follows ? unpackId(follows) : null,
  };
  return eventOf(wire, received || receivedAt(position), lineage || [], trace || null);
}

/** The id of a resource that has no other label; null for any other. */
function onlyId(resource: WireResource): string | null {
  for (const label in resource) if (label !== idLabel) return null;
  return resource[idLabel] ?? null;
}

function isEmpty(payload: object): boolean {
  for (const _name in payload) return false;
  return true;
}
