/** Writes a stretch of the log into the tables: what recorders ask of either database. */

import type { LogPosition } from "../core/machine/log-entry.ts";
import type { LoggedEvent } from "../store/event-batch.ts";
import type { EventRow, RecordingMemory } from "./recording-memory.ts";

/** Consecutive entries of the log. */
export interface RecordedStretch {
  /** The position before the first entry. */
  readonly after: LogPosition;
  /** The position of the last entry, even if it could not be read or is not an event. */
  readonly position: LogPosition;
  readonly events: readonly LoggedEvent[];
}

/** An event that cannot be read, so that it is in no history. */
export interface UnreadableEvent {
  readonly position: LogPosition;
  readonly reason: string;
}

export interface RecordOutcome {
  /** How many events were new. */
  readonly newCount: number;
  readonly unreadable: readonly UnreadableEvent[];
}

export interface Recording {
  /**
   * Records the events of a stretch, each id once, and moves the cursor to its end: all or nothing.
   *
   * @param workspace its key
   * @returns null if nothing was written, because another recorder has moved the cursor
   */
  record(workspace: number, stretch: RecordedStretch): Promise<RecordOutcome | null>;
  /** Records an event that any database accepts that works, and takes it back. @throws the database's error */
  tryPlainEvent(workspace: number): Promise<void>;
  /**
   * Brings some of the events of version 0.1 into the present form, newest first.
   *
   * @returns how many; 0 if there are none
   */
  upgrade(workspace: number, countMax: number): Promise<number>;
  /** Whether there are events of version 0.1 that were not brought into the present form yet. */
  hasOldEvents(workspace: number): Promise<boolean>;
}

/** An event that any database accepts that works. */
export const plainEvent: LoggedEvent = {
  position: "0-1",
  received: 0,
  text: JSON.stringify({
    occurred: "2026-01-01T00:00:00Z",
    event: "tripline.probe",
    resource: { "prefect.resource.id": "tripline.probe" },
    related: [],
    payload: {},
    id: "00000000-0000-4000-8000-000000000000",
    follows: null,
  }),
};

/** The row of an event; null if it cannot be read, which is added to a list. */
export function readRow(
  memory: RecordingMemory,
  { position, received, text }: LoggedEvent,
  unreadable: UnreadableEvent[],
): EventRow | null {
  try {
    return memory.rowOf(text, received);
  } catch (error) {
    unreadable.push({ position, reason: error instanceof Error ? error.message : String(error) });
    return null;
  }
}

/** How much an event counts towards a limit of bytes; pruning subtracts the same, see `prune.ts`. */
export function sizeOf({ payload, searched }: EventRow): number {
  return Buffer.byteLength(payload) + (searched === null ? 0 : Buffer.byteLength(searched));
}
