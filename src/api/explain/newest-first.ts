/** Reads the log backward, because people ask about what has just happened. */

import { type Event, type ReceivedEvent, receivedEvent } from "../../core/model/event.ts";
import type { Micros } from "../../core/model/time.ts";
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
    if (batch.readCount === 0) return;
    last = `(${batch.position}`;
    await breather.breathe();
  }
}

/**
 * Finds events in the log.
 *
 * @param countMax of more, the newest
 * @param receivedMin older ones are not looked at
 * @returns the oldest first
 */
export async function loggedEvents(
  log: Log,
  countMax: number,
  isWanted: (event: Event) => boolean,
  receivedMin: Micros = 0,
): Promise<readonly ReceivedEvent[]> {
  const found: ReceivedEvent[] = [];
  for await (const event of eventsNewestFirst(log)) {
    if (event.received < receivedMin || found.length === countMax) break;
    if (isWanted(event)) found.push(receivedEvent(event));
  }
  return found.reverse();
}
