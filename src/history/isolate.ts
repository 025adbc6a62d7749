/**
 * Records what a database accepts: an event that it refuses harms only itself.
 *
 * A refusal and a broken database look alike: both fail the transaction, and the codes of errors are many. So the database
 * is asked: if it takes a plain event but not this one, this one is refused. Otherwise nothing is skipped, and the
 * recorder tries again.
 */

import { Outage } from "../retry/outage.ts";
import type { LoggedEvent } from "../store/event-batch.ts";
import { asHistoryError, hasLostTables } from "./errors.ts";
import type { HistoryDatabase } from "./history-database.ts";
import type { RecordedStretch, RecordOutcome } from "./recording.ts";

/** Called for an event that is left out of the history, with the database's error. */
export type OnRefused = (event: LoggedEvent, error: unknown) => void;

/**
 * Records a stretch like `record`, and skips the events that the database refuses.
 *
 * @throws the database's error if it is not about single events; a part of the stretch may be recorded by then, with the
 *   cursor at its end
 */
export async function recordAccepted(
  database: HistoryDatabase,
  stretch: RecordedStretch,
  onRefused: OnRefused,
): Promise<RecordOutcome | null> {
  const { recording, workspace } = database;
  try {
    return await recording.record(workspace, stretch);
  } catch (error) {
    const isAboutEvents = !(asHistoryError(error) instanceof Outage) && !hasLostTables(error);
    if (!isAboutEvents || stretch.events.length === 0) throw error;
    await recording.tryPlainEvent(workspace).catch(() => {
      throw error;
    });
    return await recordParts(database, stretch, { error, onRefused });
  }
}

/** Halves the stretch until the refused event is alone. */
async function recordParts(
  database: HistoryDatabase,
  { after, position, events }: RecordedStretch,
  { error, onRefused }: { readonly error: unknown; readonly onRefused: OnRefused },
): Promise<RecordOutcome | null> {
  const half = Math.ceil(events.length / 2);
  const [first, others] = [events.slice(0, half), events.slice(half)];
  if (others.length > 0) {
    const middle = first.at(-1)?.position ?? after;
    const before = await recordAccepted(database, { after, position: middle, events: first }, onRefused);
    if (before === null) return null;
    const rest = { after: middle, position, events: others };
    const behind = await recordAccepted(database, rest, onRefused);
    if (behind === null) return null;
    return {
      newCount: before.newCount + behind.newCount,
      unreadable: [...before.unreadable, ...behind.unreadable],
    };
  }
  const recorded = await database.recording.record(database.workspace, { after, position, events: [] });
  const [refused] = first;
  if (recorded !== null && refused !== undefined) onRefused(refused, error);
  return recorded;
}
