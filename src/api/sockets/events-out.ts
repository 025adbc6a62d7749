/**
 * `/events/out`: the events that match a filter. Those of the last minutes come first, then new ones.
 *
 * The two parts meet at one position of the log, the joint. Events received up to the joint come from the history,
 * later ones from the log. So no event is missed and none is sent twice.
 */

import type { LogPosition } from "../../core/machine/log-entry.ts";
import type { ReceivedEvent } from "../../core/model/event.ts";
import { type Micros, millisecond, minute, parseTime } from "../../core/model/time.ts";
import type { EventFilter } from "../../history/filter.ts";
import { matchesFilter } from "../../history/matches.ts";
import { keepTrying } from "../../retry/keep-trying.ts";
import { breath } from "../../retry/slices.ts";
import { comparePositions, positionBefore, receivedAt, startOfLog } from "../../store/position.ts";
import { untilRecorded } from "../events/until-recorded.ts";
import type { Tenant } from "../http/tenant.ts";
import { type EventFeed, eventMessage, type Stretch } from "./event-feed.ts";
import { Closing, closeCodes, type Peer } from "./peer.ts";

export interface Subscription {
  readonly filter: EventFilter;
  /** Whether to send events of the last minutes first. */
  readonly backfill: boolean;
}

const backfillMax: Micros = 15 * minute;

/**
 * How far behind a subscriber may fall before its connection is closed. Longer than a backfill, and shorter than the log is
 * kept.
 */
const behindMax: Micros = 20 * minute;

/** How long subscribers stay connected during a Redis outage. They do not notice a restart or a failover. */
const outageMsMax = 5_000;
const retryMsMax = 500;

/**
 * Sends events until the signal is aborted.
 *
 * @throws the signal's reason
 * @throws Closing if the subscriber is too slow
 * @throws RedisUnreachable, HistoryUnavailable
 */
export async function sendEvents(
  peer: Peer,
  { log, history }: Tenant,
  feed: EventFeed,
  { filter, backfill }: Subscription,
  signal: AbortSignal,
): Promise<void> {
  let position = await log.lastPosition();
  let sentAtJoint: ReadonlySet<string> = new Set();
  if (backfill) {
    const past = pastOf(filter);
    if (history !== null) await untilRecorded(log, history);
    const recorded = history === null ? startOfLog : await history.recordedPosition();
    // Entries that the recorder has not reached yet come from the log, unless they are older than `since`.
    const joint = later(recorded, earlier(position, positionBefore(past.since)));
    const events = history?.eachEvent(past) ?? [];
    sentAtJoint = await sendPast(peer, events, joint, signal);
    position = joint;
  }
  for (;;) {
    const stretch = await nextStretch(feed, position, signal);
    for (const item of stretch.events) {
      const pause = breath(); // every subscriber looks at the same events at the same moment
      if (pause !== null) await pause;
      if (sentAtJoint.has(item.event.id) || !matchesFilter(filter, item.event)) continue;
      await peer.send(item.message);
    }
    refuseTooSlow(stretch);
    position = stretch.position;
  }
}

/** The filter for the backfill: the last minutes only, oldest first. */
function pastOf(filter: EventFilter): EventFilter {
  const since = Math.max(filter.since, Date.now() * millisecond - backfillMax);
  return { ...filter, since, order: "ASC", distinct: false };
}

/**
 * Sends the events that were received up to the joint.
 *
 * @returns the ids of the events received in the same millisecond as the joint: the log may hold them after it
 */
async function sendPast(
  peer: Peer,
  events: AsyncIterable<ReceivedEvent> | Iterable<ReceivedEvent>,
  joint: LogPosition,
  signal: AbortSignal,
): Promise<Set<string>> {
  const jointTime = receivedAt(joint);
  const sentAtJoint = new Set<string>();
  for await (const event of events) {
    signal.throwIfAborted();
    const received = parseTime(event.received) ?? 0;
    if (received > jointTime) continue;
    if (received === jointTime) sentAtJoint.add(event.id);
    await peer.send(eventMessage(event));
  }
  return sentAtJoint;
}

/** Reads on, even during a short Redis outage. */
function nextStretch(feed: EventFeed, position: LogPosition, signal: AbortSignal): Promise<Stretch> {
  return keepTrying(() => feed.next(position, signal), {
    signal,
    maxMs: retryMsMax,
    giveUpAfterMs: outageMsMax,
  });
}

function refuseTooSlow({ events }: Stretch): void {
  const received = events.at(-1)?.event.received ?? Number.POSITIVE_INFINITY;
  if (received > Date.now() * millisecond - behindMax) return;
  throw new Closing(closeCodes.tryAgain, "Too slow: more than 20 minutes behind; connect again");
}

function earlier(a: LogPosition, b: LogPosition): LogPosition {
  return comparePositions(a, b) < 0 ? a : b;
}

function later(a: LogPosition, b: LogPosition): LogPosition {
  return comparePositions(a, b) > 0 ? a : b;
}
