/** What a Proactive trigger remembers for one key. */

import type { Event } from "../model/event.ts";
import { unresolvedFor } from "../model/limits.ts";
import type { Micros } from "../model/time.ts";
import { type Arrival, type StoredReference, type StoredState, writeState } from "./arrival.ts";
import { type CompiledEventTrigger, latestOccurred } from "./event-trigger.ts";
import { heldLength } from "./held.ts";
import { type Key, labelsOf } from "./key.ts";
import { receivedAt } from "./log-entry.ts";
import type { NodePlace, OpenWindow } from "./node.ts";
import type { OnGap } from "./on-gap.ts";
import type { SettlingEvent } from "./settling.ts";

export interface WatchedWindow {
  start: Micros;
  end: Micros;
  count: number;
  /** The log position or tick that opened this window, or the first in the unbroken row of windows that ends with it. */
  opener: string;
  /** When the `after` event occurred according to its sender, whose clock is ahead. */
  claimedStart?: Micros;
  /** With a schedule: the latest tick that came after this window's end, while the window was still open because of a gap. */
  nextTick?: Micros;
}

export interface Watched {
  window: WatchedWindow | null;
  /** The last matching event. */
  last: Arrival | null;
  /** The absence that fired and is unresolved: from the start of the first window that fired to the end of the last. */
  unresolved: { start: Micros; end: Micros } | null;
  /**
   * With `refire: once`: true from a firing until an expected event is taken in its place. A resolution comes at the moment
   * of arrival, which must not decide what fires.
   */
  reported: boolean;
  /** When the key's latest expected event occurred. Used only with a schedule, which expects the keys that it remembers. */
  seen: Micros | null;
  /**
   * With `after`: when expected events occurred, ascending, for a window that opens only later because its `after` event is
   * late.
   */
  held: readonly Micros[];
  /** With a schedule: the expected events that count for the next tick although they occurred before it. */
  early: EarlyEvents | null;
  /** With `early`: when the latest window that is gone ended, or was met. */
  freeSince: Micros | null;
}

export interface EarlyEvents {
  readonly tick: Micros;
  readonly count: number;
  readonly last: Arrival;
}

export const nothingWatched: Readonly<Watched> = {
  ...{ window: null, last: null, unresolved: null, seen: null, early: null, freeSince: null },
  reported: false,
  held: [],
};

/** 0 and null stand for nothing. Such values at the end are left out. */
type StoredWatched = [
  /** By how much the start is later than the log received the last event: mostly a short number. */
  start: Micros | null,
  /** 0 if the window is as long as the trigger says. */
  length: Micros,
  count: number,
  /** 0 if the last event opened the window. */
  opener: string | 0,
  last: StoredReference,
  claimedStart?: Micros | null,
  unresolved?: readonly [start: Micros, end: Micros] | 0,
  reported?: 0 | 1,
  seen?: Micros | null,
  held?: readonly Micros[] | 0,
  early?: readonly [tick: Micros, count: number, last: StoredReference] | 0,
  freeSince?: Micros | null,
  nextTick?: Micros | null,
];

/** As versions 1 and 2 stored it. Version 1 held no events, early or not. */
type LongStoredWatched = Omit<Watched, "last" | "held" | "early" | "freeSince" | "reported"> & {
  last: string | null;
  freeSince?: Micros | null;
  reported?: boolean;
  held?: readonly Micros[];
  early?: (Omit<EarlyEvents, "last"> & { last: string }) | null;
};

/** @param within how long the trigger's windows are as a rule */
export function storedWatched(watched: Watched, within: Micros): string {
  const { window, last, unresolved, reported, seen, held, early, freeSince } = watched;
  return writeState((refer) => {
    const length = window === null ? 0 : window.end - window.start;
    const stored: StoredWatched = [
      window === null ? null : window.start - receivedTime(last),
      length === within ? 0 : length,
      window?.count ?? 0,
      window === null || window.opener === last?.position ? 0 : window.opener,
      refer(last),
      window?.claimedStart ?? null,
      unresolved === null ? 0 : [unresolved.start, unresolved.end],
      reported ? 1 : 0,
      seen,
      held.length === 0 ? 0 : held,
      early === null ? 0 : [early.tick, early.count, refer(early.last)],
      freeSince,
      window?.nextTick ?? null,
    ];
    while (stored.length > 5 && (stored.at(-1) === 0 || stored.at(-1) === null)) stored.pop();
    return stored;
  });
}

/** Reads the state of a key as any version has stored it. */
export function restoredWatched(stored: StoredState, within: Micros): Watched {
  const header = stored.header as StoredWatched | LongStoredWatched;
  if (!Array.isArray(header)) return fromLong(header, stored);
  const [start, length, count, opener, lastReference] = header;
  const [, , , , , claimedStart, unresolved, reported, seen, held, early, freeSince, nextTick] = header;
  const last = stored.arrivalOrNull(lastReference);
  const startTime = receivedTime(last) + (start ?? 0);
  return {
    window:
      start === null
        ? null
        : {
            start: startTime,
            end: startTime + (length === 0 ? within : length),
            count,
            opener: opener === 0 ? (last?.position ?? "") : opener,
            ...(claimedStart == null ? {} : { claimedStart }),
            ...(nextTick == null ? {} : { nextTick }),
          },
    last,
    unresolved: unresolved ? { start: unresolved[0], end: unresolved[1] } : null,
    reported: reported === 1,
    seen: seen ?? null,
    held: held || [],
    early: early ? { tick: early[0], count: early[1], last: stored.arrival(early[2]) } : null,
    freeSince: freeSince ?? null,
  };
}

/** When the log received an event, by its position; 0 if that does not say. */
function receivedTime(arrival: Arrival | null): Micros {
  return (arrival === null ? 0 : receivedAt(arrival.position)) || 0;
}

function fromLong(long: LongStoredWatched, stored: StoredState): Watched {
  const { last, held = [], early = null, freeSince = null, reported, ...same } = long;
  return {
    ...same,
    held,
    freeSince,
    reported: reported ?? same.unresolved !== null,
    last: stored.arrivalOrNull(last),
    early: early === null ? null : { ...early, last: stored.arrival(early.last) },
  };
}

/** Sets how many events a window that was just opened has counted. */
export function countFirst({ window }: Watched, count: number): void {
  if (window !== null) window.count = count;
}

/** Notes the start that the sender of the `after` event claims, if it is later than the receipt of the event. */
export function claimStart(
  { window }: Watched,
  event: Event,
  { after, lateness }: CompiledEventTrigger,
): void {
  const claimed = latestOccurred(event, lateness);
  if (window !== null && after.length > 0 && claimed > event.occurred) window.claimedStart = claimed;
}

/**
 * Whether an event came before the start of a window. If it did by the time of its receipt, what its sender claims decides,
 * compared with what the sender of the `after` event claims: they may be the same.
 *
 * @param latest the latest time at which the event may count
 */
export function startsAfter(
  { start, claimedStart }: WatchedWindow,
  { occurred }: Event,
  latest: Micros,
): boolean {
  return occurred < start && latest < (claimedStart ?? start);
}

export const never = Number.POSITIVE_INFINITY;

export function forgetUnresolvedAt(
  { window, unresolved }: Watched,
  { lateness }: CompiledEventTrigger,
): Micros {
  if (window !== null || unresolved === null) return never;
  return unresolved.end + lateness + unresolvedFor;
}

export function forgetHeldAt({ held }: Watched, { lateness, within }: CompiledEventTrigger): Micros {
  const newest = held.at(-1);
  return newest === undefined ? never : newest + lateness + heldLength(within);
}

/**
 * A key of a Proactive trigger as people see it.
 *
 * @param onGap what gaps mean for its windows
 */
export function shownWatched(
  { path, labels, compiled }: NodePlace & { readonly compiled: CompiledEventTrigger },
  key: Key,
  { window, last, unresolved }: Watched,
  onGap: OnGap,
): OpenWindow {
  const { end, gaps, unreachableSince } = window === null ? noGaps : onGap.shown(window);
  return {
    path,
    labels: labelsOf(labels, key),
    start: window?.start ?? null,
    end,
    count: window?.count ?? 0,
    threshold: compiled.threshold,
    deadline: end === null ? null : end + compiled.lateness,
    lastEventId: last?.event.id ?? null,
    unresolved: unresolved !== null,
    quietUntil: null,
    settlingCount: 0,
    awaited: [],
    gaps,
    unreachableSince,
  };
}

const noGaps = { end: null, gaps: [], unreachableSince: null };

/**
 * A key that is new: the window that its first event is about to open, so that people see that the event arrived.
 *
 * @param settling the events of the key that wait until their time has settled
 */
export function comingWindow(
  node: NodePlace & { readonly compiled: CompiledEventTrigger },
  key: Key,
  opener: SettlingEvent,
  settling: readonly SettlingEvent[],
  onGap: OnGap,
): OpenWindow {
  const { within, lateness, definition } = node.compiled;
  const start = definition.schedule === undefined ? opener.arrival.event.occurred : null; // with a schedule, a tick opens it
  return {
    ...shownWatched(node, key, nothingWatched, onGap),
    ...(start === null ? {} : { start, end: start + within }),
    deadline: start === null ? null : start + within + lateness,
    lastEventId: settling.at(-1)?.arrival.event.id ?? null,
    settlingCount: settling.length,
  };
}
