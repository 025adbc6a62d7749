/**
 * Events that are rejected where no sender waits for an answer, and events that the history's database refuses: each harms
 * only itself, and is reported in a line of the log and in an event. Runs in Node and in a Worker.
 *
 * A flood of bad events must cost little, so only some of them are reported one by one. The others are counted, and the
 * next report says how many there were.
 */

import { cut } from "../../core/model/cut.ts";
import type { WireEvent } from "../../core/model/event.ts";
import { isUuid } from "../../core/model/event.ts";
import { isRecord } from "../../core/model/record.ts";
import { formatTime, millisecond } from "../../core/model/time.ts";
import { triplineNamespace, uuid5 } from "../../core/model/uuid.ts";

/** What could be read of an event that was rejected, cut short, and why it was. `bytes` is null if it is not known. */
export interface RejectedEvent {
  readonly id: string | null;
  readonly name: string | null;
  readonly resourceId: string | null;
  readonly reason: string;
  readonly bytes: number | null;
}

/** Where events are rejected: the name and the resource of the event that reports it, and the line in the log. */
const places = {
  "events-in": {
    event: "tripline.event.rejected",
    resourceId: "tripline.entrance.events-in",
    text: "Rejected an event; the others are stored",
  },
  history: {
    event: "tripline.event.unrecorded",
    resourceId: "tripline.history",
    text: "The history's database refused an event, so queries do not find it; the others are recorded",
  },
} as const;

export type RejectionPlace = keyof typeof places;

/** A report that comes back must not cause another one: from a program that forwards events, or from the log. */
const reportNames = new Set<string>(Object.values(places).map(({ event }) => event));

const idLengthMax = 100;
const nameLengthMax = 200;
const reasonLengthMax = 500;

/** @param value the rejected event, of whatever type */
export function rejectedEvent(value: unknown, reason: string, bytes: number | null): RejectedEvent {
  const { id, event, resource } = isRecord(value) ? value : ({} as Record<string, unknown>);
  const textOf = (part: unknown, lengthMax: number): string | null => {
    if (typeof part !== "string" || part === "") return null;
    return cut(part, lengthMax);
  };
  return {
    id: textOf(id, idLengthMax),
    name: textOf(event, nameLengthMax),
    resourceId: textOf(isRecord(resource) ? resource["prefect.resource.id"] : null, nameLengthMax),
    reason: textOf(reason, reasonLengthMax) ?? "it cannot be read",
    bytes,
  };
}

/** The part of a logger that reports need. */
export interface ReportLogger {
  warn(details: object, text: string): void;
}

/** So many rejected events are reported one by one in this time. */
const reportsPerWindow = 10;
const windowMs = 10_000;

interface ReportWindow {
  start: number;
  reportCount: number;
  /** The events since the last report. */
  unreportedCount: number;
  lastUnreported: RejectedEvent | null;
}

/** Reports the rejected events of one server. */
export class RejectionReports {
  readonly #logger: ReportLogger;
  readonly #clock: () => number;
  readonly #windows = new Map<string, ReportWindow>();

  /** @param clock milliseconds since the epoch */
  constructor(logger: ReportLogger, clock: () => number = Date.now) {
    this.#logger = logger;
    this.#clock = clock;
  }

  /** Reports rejected events in the log. @returns the events that report them, to be appended */
  report(workspace: string, place: RejectionPlace, rejected: readonly RejectedEvent[]): WireEvent[] {
    const window = this.#windowOf(workspace, place);
    return rejected.flatMap((event) => {
      if (window.reportCount >= reportsPerWindow) {
        window.unreportedCount += 1;
        window.lastUnreported = event;
        return [];
      }
      window.reportCount += 1;
      return this.#reportOne(workspace, place, event, 1 + takeCount(window));
    });
  }

  /** Reports those that were only counted so far: when their sender has left. */
  flush(workspace: string, place: RejectionPlace): WireEvent[] {
    const window = this.#windowOf(workspace, place);
    const { lastUnreported } = window;
    if (lastUnreported === null) return [];
    return this.#reportOne(workspace, place, lastUnreported, takeCount(window));
  }

  #windowOf(workspace: string, place: RejectionPlace): ReportWindow {
    const key = JSON.stringify([workspace, place]);
    const now = this.#clock();
    const known = this.#windows.get(key);
    if (known !== undefined && now - known.start < windowMs && now >= known.start) return known;
    const window: ReportWindow = {
      start: now,
      reportCount: 0,
      unreportedCount: known?.unreportedCount ?? 0,
      lastUnreported: known?.lastUnreported ?? null,
    };
    this.#windows.set(key, window);
    return window;
  }

  /** @param count how many rejected events it stands for */
  #reportOne(workspace: string, place: RejectionPlace, rejected: RejectedEvent, count: number): WireEvent[] {
    const { id, name, resourceId, reason, bytes } = rejected;
    this.#logger.warn(
      { workspace, entrance: place, event: { id, name, resourceId, bytes }, reason, count },
      places[place].text,
    );
    if (reportNames.has(name ?? "")) return [];
    const role = { "prefect.resource.role": "rejected" };
    return [
      {
        occurred: formatTime(this.#clock() * millisecond),
        event: places[place].event,
        resource: { "prefect.resource.id": places[place].resourceId, "prefect.resource.name": place },
        related: resourceId === null ? [] : [{ "prefect.resource.id": resourceId, ...role }],
        payload: { id, event: name, reason, bytes, count },
        // A client that reconnects sends a rejected event again. That is the same rejection.
        id:
          id === null || !isUuid(id)
            ? crypto.randomUUID()
            : uuid5(triplineNamespace, `rejected ${JSON.stringify([workspace, place, id, reason])}`),
        follows: null,
      },
    ];
  }
}

function takeCount(window: ReportWindow): number {
  const { unreportedCount } = window;
  window.unreportedCount = 0;
  window.lastUnreported = null;
  return unreportedCount;
}
