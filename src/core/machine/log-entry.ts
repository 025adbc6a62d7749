/** The entries of the log: everything that can change an outcome. */

import type { Automation } from "../model/automation.ts";
import type { Event } from "../model/event.ts";
import { type Micros, millisecond } from "../model/time.ts";

/** A position in the log; in Redis, the id of the entry (`1700000000000-0`). Unique, and the same in every replay. */
export type LogPosition = string;

/** When the log received the entry at this position; NaN if the position is not of a Redis stream. */
export function receivedAt(position: LogPosition): Micros {
  return Number(position.slice(0, position.indexOf("-"))) * millisecond;
}

interface EntryFields {
  readonly position: LogPosition;
  /** Log time. An entry with a time before the watermark counts as received at the watermark. */
  readonly received: Micros;
}

export interface EventEntry extends EntryFields {
  readonly kind: "event";
  readonly event: Event;
}

/** An automation was created or changed. `automation` is the complete new version. */
export interface AutomationPutEntry extends EntryFields {
  readonly kind: "automation-put";
  readonly automation: Automation;
}

export interface AutomationDeleteEntry extends EntryFields {
  readonly kind: "automation-delete";
  readonly automationId: string;
}

/** People could post at this time: a process with the role `api` was running. */
export interface BeatEntry extends EntryFields {
  readonly kind: "beat";
}

export type LogEntry = EventEntry | AutomationPutEntry | AutomationDeleteEntry | BeatEntry;

/** The id of the automation that an entry changes; null if it concerns all automations. */
export function changedAutomationOf(entry: LogEntry): string | null {
  if (entry.kind === "automation-put") return entry.automation.id;
  return entry.kind === "automation-delete" ? entry.automationId : null;
}
