/** The clock for waits and measurements. The time at which something happened comes from the log instead. */

import { setTimeout as wait } from "node:timers/promises";

export interface Clock {
  /** A monotonic number of milliseconds, from an arbitrary start. */
  now(): number;
  /** Resolves after this time, or as soon as the signal is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** A random number from 0 to 1, so that many waiting processes do not all come back at the same moment. */
  random(): number;
}

/** A clock that also knows the time of day, for what outlives the process or is shown to people. */
export interface WallClock extends Clock {
  /** Milliseconds since the epoch. It may be set back, and differs between machines. */
  timeOfDay(): number;
}

/** The process's own clock. */
export const systemClock: WallClock = {
  now: () => performance.now(),
  sleep: (ms, signal) => wait(ms, undefined, { signal }).catch(() => {}), // rejects only when aborted
  random: Math.random,
  timeOfDay: Date.now,
};
