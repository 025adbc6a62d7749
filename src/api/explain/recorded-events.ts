/** Events of the history by their ids. The log may hold what the history does not. */

import type { ReceivedEvent } from "../../core/model/event.ts";
import { resolveFilterOfAllTime } from "../../history/filter.ts";
import type { History } from "../../history/history.ts";
import { isHistoryUnavailable } from "../events/events.ts";

/** The events that are recorded under these ids; none when the history's database is unavailable. */
export async function recordedEvents(
  history: History | null,
  ids: readonly string[],
): Promise<readonly ReceivedEvent[]> {
  if (history === null) return [];
  const withIds = resolveFilterOfAllTime({ id: { id: [...ids] } });
  return unlessUnavailable(history.queryEvents(withIds, { limit: ids.length }).then(({ events }) => events));
}

/** What a query of the history finds; nothing when the database is unavailable. */
export async function unlessUnavailable<T>(query: Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await query;
  } catch (error) {
    if (isHistoryUnavailable(error)) return [];
    throw error;
  }
}
