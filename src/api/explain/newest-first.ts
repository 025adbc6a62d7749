/** Reads the log backward, because people ask about what has just happened. */

import type { Event } from "../../core/model/event.ts";
import type { Log } from "../../store/log.ts";
import { Breather } from "./replay.ts";

const entriesPerRead = 1_000;

/**
 * Yields the events in the log, newest first. Other requests get their turn in between.
 *
 * @throws RedisUnreachable
 */
export async function* eventsNewestFirst(log: Log): AsyncGenerator<Event, void> {
  const breather = new Breather();
  for (let last = "+"; ; ) {
    const batch = await log.readBack(last, "-", entriesPerRead);
    for (const entry of batch.entries) if (entry.kind === "event") yield entry.event;
    if (batch.readCount < entriesPerRead) return;
    last = `(${batch.position}`;
    await breather.breathe();
  }
}
