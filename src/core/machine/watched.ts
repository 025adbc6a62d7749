/** What a Proactive trigger remembers for one key. */

import type { Event } from "../model/event.ts";
import { unresolvedFor } from "../model/limits.ts";
import type { Micros } from "../model/time.ts";
import type { Arrival } from "./arrival.ts";
import { type CompiledEventTrigger, latestOccurred } from "./event-trigger.ts";
import { heldLength } from "./held.ts";
import type { Revive } from "./node.ts";

export interface WatchedWindow {
  start: Micros;
  end: Micros;
  count: number;
  /** The log position or tick that opened this window, or the first in the unbroken row of windows that ends with it. */
  opener: string;
  /** When the `after` event occurred according to its sender, whose clock is ahead. */
  claimedStart?: Micros;
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

type StoredWatched = Omit<Watched, "last" | "held" | "early" | "freeSince" | "reported"> & {
  last: string | null;
  freeSince?: Micros | null;
  reported?: boolean;
  held?: readonly Micros[];
  early?: (Omit<EarlyEvents, "last"> & { last: string }) | null;
};

export const nothingWatched: Readonly<Watched> = {
  ...{ window: null, last: null, unresolved: null, seen: null, early: null, freeSince: null },
  reported: false,
  held: [],
};

/** The state of a key as it was stored. Version 1 held no events, early or not. */
export function restoredWatched(json: string, revive: Revive): Watched {
  const {
    last,
    held = [],
    early = null,
    freeSince = null,
    reported,
    ...stored
  } = JSON.parse(json) as StoredWatched;
  return {
    ...stored,
    held,
    freeSince,
    reported: reported ?? stored.unresolved !== null,
    last: last === null ? null : revive(last),
    early: early === null ? null : { ...early, last: revive(early.last) },
  };
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
