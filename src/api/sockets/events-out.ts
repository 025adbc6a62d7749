/**
 * `/events/out`: the events that match a filter, first those of the last minutes, then those that come.
 *
 * Both parts meet at one position of the log, the joint. What was received before it is found in the history, what
 * comes after it in the log, and each part leaves out what is the other's: no event is missed and none is sent twice.
 */

import type { LogPosition } from "../../core/machine/log-entry.ts";
import type { ReceivedEvent } from "../../core/model/event.ts";
import { type Micros, millisecond, minute, parseTime } from "../../core/model/time.ts";
import type { EventFilter } from "../../history/filter.ts";
import { matchesFilter } from "../../history/matches.ts";
import { keepTrying } from "../../retry/keep-trying.ts";
import { comparePositions, positionBefore, receivedAt, startOfLog } from "../../store/position.ts";
import { untilRecorded } from "../events/until-recorded.ts";
import type { Tenant } from "../http/tenant.ts";
import { type EventFeed, eventMessage, type Stretch } from "./event-feed.ts";
import { Closing, closeCodes, type Peer } from "./peer.ts";

export interface Subscription {
  readonly filter: EventFilter;
  /** Whether events of the past are wanted. */
  readonly backfill: boolean;
}

const backfillMax: Micros = 15 * minute;

/** A subscriber so far behind is told so: the log is not kept for ever. Longer than a back-fill, shorter than the log. */
const behindMax: Micros = 20 * minute;

/** How long a subscriber is kept while Redis is away: a restart or a fail-over passes unnoticed. */
const outageMsMax = 5_000;
const retryMsMax = 500;

/**
 * Sends events until the signal is aborted.
 *
 * @throws the signal's reason; Closing when the subscriber is too slow; RedisUnreachable, HistoryUnavailable
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
    // What the recorder has not got to yet is in the log, but nobody asks for what came long before `since`.
    const joint = later(recorded, earlier(position, positionBefore(past.since)));
    const events = history?.eachEvent(past) ?? [];
    sentAtJoint = await sendPast(peer, events, joint, signal);
    position = joint;
  }
  for (;;) {
    const stretch = await nextStretch(feed, position, signal);
    for (const { event, message } of stretch.events) {
      if (sentAtJoint.has(event.id) || !matchesFilter(filter, event)) continue;
      await peer.send(message);
    }
    refuseTooSlow(stretch);
    position = stretch.position;
  }
}

/** The part of a filter that a back-fill is made of, oldest first. */
function pastOf(filter: EventFilter): EventFilter {
  const since = Math.max(filter.since, Date.now() * millisecond - backfillMax);
  return { ...filter, since, order: "ASC", distinct: false };
}

/**
 * Sends those events that were received up to the joint.
 *
 * @returns the ids of those received in the very millisecond of the joint: they may stand on either side of it
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

/** Reads on, also across a short outage of Redis. */
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
  throw new Closing(closeCodes.tryAgain, "Too slow: events of the last minutes wait; connect again");
}

function earlier(a: LogPosition, b: LogPosition): LogPosition {
  return comparePositions(a, b) < 0 ? a : b;
}

function later(a: LogPosition, b: LogPosition): LogPosition {
  return comparePositions(a, b) > 0 ? a : b;
}
