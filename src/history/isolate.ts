/**
 * Records what a database accepts: an event that it refuses harms only itself.
 *
 * A refusal and a broken database look alike: both fail the transaction, and the codes of errors are many. So the database
 * is asked: if it takes a plain event but not this one, this one is refused. Otherwise nothing is skipped, and the
 * recorder tries again.
 */

import type { Event } from "../core/model/event.ts";
import { Outage } from "../retry/outage.ts";
import { asHistoryError, hasLostTables } from "./errors.ts";
import type { HistoryDatabase } from "./history-database.ts";
import { type RecordedStretch, record, tryPlainEvent } from "./record.ts";

/** Called for an event that is left out of the history, with the database's error. */
export type OnRefused = (event: Event, error: unknown) => void;

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
): Promise<number | null> {
  try {
    return await record(database, stretch);
  } catch (error) {
    const isAboutEvents = !(asHistoryError(error) instanceof Outage) && !hasLostTables(error);
    if (!isAboutEvents || stretch.entries.length === 0) throw error;
    await tryPlainEvent(database).catch(() => {
      throw error;
    });
    return await recordParts(database, stretch, { error, onRefused });
  }
}

/** Halves the stretch until the refused event is alone. */
async function recordParts(
  database: HistoryDatabase,
  { after, position, entries }: RecordedStretch,
  { error, onRefused }: { readonly error: unknown; readonly onRefused: OnRefused },
): Promise<number | null> {
  const half = Math.ceil(entries.length / 2);
  const [first, others] = [entries.slice(0, half), entries.slice(half)];
  if (others.length > 0) {
    const middle = first.at(-1)?.position ?? after;
    const before = await recordAccepted(database, { after, position: middle, entries: first }, onRefused);
    if (before === null) return null;
    const rest = { after: middle, position, entries: others };
    const behind = await recordAccepted(database, rest, onRefused);
    return behind === null ? null : before + behind;
  }
  const recorded = await record(database, { after, position, entries: [] });
  const [refused] = first;
  if (recorded !== null && refused?.kind === "event") onRefused(refused.event, error);
  return recorded;
}
