/**
 * The event model: Prefect's events, as they go over the wire and as the core reads them.
 *
 * Labels come from outside, so the core keeps them in a Map. A label called `__proto__` is a label like any other.
 */

import { z } from "zod";
import { cut } from "./cut.ts";
import { eventNameLengthMax, labelLengthMax, labelsPerResourceMax, relatedResourcesMax } from "./limits.ts";
import { isRecord } from "./record.ts";
import { formatTime, type Micros, parseTime, timeReader } from "./time.ts";
import type { TraceContext } from "./trace-context.ts";

/** The labels of a resource on the wire: string to string. */
export type WireResource = Readonly<Record<string, string>>;

/** A valid event as its sender wrote it, with every default filled in. */
export interface WireEvent {
  readonly occurred: string;
  readonly event: string;
  readonly resource: WireResource;
  readonly related: readonly WireResource[];
  readonly payload: Readonly<Record<string, unknown>>;
  readonly id: string;
  readonly follows: string | null;
}

/** An event as it is stored and shown, with the time at which the log received it. */
export interface ReceivedEvent extends WireEvent {
  readonly received: string;
}

export type Resource = ReadonlyMap<string, string>;

/** An event as the core reads it. It never changes. */
export interface Event {
  readonly id: string;
  /** The sender's time, or `received` if that is earlier. */
  readonly occurred: Micros;
  /** The sender's time, even if its clock is ahead. */
  readonly claimed: Micros;
  /** Log time. */
  readonly received: Micros;
  readonly name: string;
  readonly resource: Resource;
  readonly related: readonly Resource[];
  readonly follows: string | null;
  /** What led to this event (see loop-guard.ts). Empty for an event from outside. */
  readonly lineage: readonly string[];
  /** The trace that the event belongs to. It is opaque here and changes no outcome. */
  readonly trace: TraceContext | null;
  readonly wire: WireEvent;
}

const uuidPattern = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

/** Reads every spelling of a UUID that Prefect accepts (any case, with or without hyphens) as Prefect prints it. */
export const UuidSchema = z
  .string({
    error: (issue) => (issue.input === undefined ? "Field required" : "Input should be a UUID string"),
  })
  .regex(uuidPattern, "Input should be a valid UUID")
  .transform(normalizeUuid)
  .meta({ format: "uuid" });

/** The UUID in lower case, with hyphens. @param text a UUID in any spelling */
export function normalizeUuid(text: string): string {
  const hex = text.replaceAll("-", "").toLowerCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function isUuid(text: string): boolean {
  return uuidPattern.test(text);
}

/** A resource's labels. Checked by hand, because zod's record drops a key called `__proto__`. */
function resourceSchema(required: readonly string[]) {
  return z
    .custom<WireResource>()
    .superRefine((value: unknown, context) => {
      if (value === undefined) {
        context.addIssue({ code: "custom", message: "Field required", params: { type: "missing" } });
        return;
      }
      if (!isRecord(value)) {
        context.addIssue({
          code: "custom",
          message: "Input should be an object of labels, string to string",
        });
        return;
      }
      const labels = Object.entries(value);
      if (labels.length > labelsPerResourceMax) {
        const message = `Resources may have at most ${labelsPerResourceMax} labels; this one has ${labels.length}`;
        context.addIssue({ code: "custom", message });
      }
      for (const [label, text] of labels) {
        if (typeof text !== "string") {
          context.addIssue({
            code: "custom",
            path: [label],
            message: "A label's value should be a string",
            input: text,
          });
        } else if (text.length > labelLengthMax || label.length > labelLengthMax) {
          const message = `A label and its value have at most ${labelLengthMax} characters each`;
          context.addIssue({ code: "custom", path: [cut(label, 100)], message });
        }
      }
      for (const label of required) {
        const text = value[label];
        if (text === undefined || text === "") {
          const message = `Resources must include a non-empty ${label} label`;
          context.addIssue({ code: "custom", path: [label], message, input: text });
        }
      }
    })
    .meta({ type: "object", additionalProperties: { type: "string" }, required: [...required] });
}

export const ResourceSchema = resourceSchema(["prefect.resource.id"]);
export const RelatedResourceSchema = resourceSchema(["prefect.resource.id", "prefect.resource.role"]);

/** Prefect's event. Unknown keys are ignored, as in Prefect. */
export const EventSchema = z
  .object({
    occurred: z
      .string({
        error: (issue) =>
          issue.input === undefined ? "Field required" : "Input should be a date-time string",
      })
      .refine(
        (text) => parseTime(text) !== null,
        "Input should be a valid RFC 3339 date-time, such as 2026-03-01T09:30:00Z",
      )
      .meta({ format: "date-time", description: "RFC 3339. Without an offset, it is in UTC." }),
    event: z
      .string({
        error: (issue) => (issue.input === undefined ? "Field required" : "Input should be a string"),
      })
      .max(eventNameLengthMax, `An event's name has at most ${eventNameLengthMax} characters`),
    resource: ResourceSchema,
    related: z
      .array(RelatedResourceSchema)
      .max(relatedResourcesMax, `An event has at most ${relatedResourcesMax} related resources`)
      .default([]),
    payload: z
      .custom<Record<string, unknown>>(
        (value) => value === undefined || isRecord(value),
        "Input should be a JSON object",
      )
      .default({})
      .meta({ type: "object" }),
    id: UuidSchema,
    follows: UuidSchema.nullable().default(null),
  })
  .meta({ id: "Event", description: "Something that happened. Never changes once posted." });

/**
 * Turns a valid event into the form that the core reads.
 *
 * @param received log time. An event that claims to have occurred later counts as having occurred at this time
 */
export function eventOf(
  wire: WireEvent,
  received: Micros,
  lineage: readonly string[] = [],
  trace: TraceContext | null = null,
): Event {
  return new ReadEvent(wire, received, lineage, trace);
}

const readTime = timeReader();

/** Reads labels when they are first asked for. Of most events they are not: no trigger waits for their name. */
class ReadEvent implements Event {
  readonly id: string;
  readonly occurred: Micros;
  readonly claimed: Micros;
  readonly received: Micros;
  readonly name: string;
  readonly follows: string | null;
  readonly lineage: readonly string[];
  readonly trace: TraceContext | null;
  readonly wire: WireEvent;
  #resource: Resource | null = null;
  #related: readonly Resource[] | null = null;

  constructor(wire: WireEvent, received: Micros, lineage: readonly string[], trace: TraceContext | null) {
    this.claimed = readTime(wire.occurred) ?? received;
    this.id = wire.id;
    this.occurred = Math.min(this.claimed, received);
    this.received = received;
    this.name = wire.event;
    this.follows = wire.follows;
    this.lineage = lineage;
    this.trace = trace;
    this.wire = wire;
  }

  get resource(): Resource {
    this.#resource ??= new Map(Object.entries(this.wire.resource));
    return this.#resource;
  }

  get related(): readonly Resource[] {
    this.#related ??= this.wire.related.map((labels) => new Map(Object.entries(labels)));
    return this.#related;
  }
}

/** The event as it is shown, with fields in Prefect's order and times in UTC. */
export function receivedEvent(event: Event): ReceivedEvent {
  const { occurred, event: name, resource, related, payload, id, follows } = event.wire;
  const occurredShown = formatTime(parseTime(occurred) ?? event.occurred);
  return {
    occurred: occurredShown,
    event: name,
    resource,
    related,
    payload,
    id,
    follows,
    received: formatTime(event.received),
  };
}
