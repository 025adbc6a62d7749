/** Time for waiting. What time it is, the log says. */

import { setTimeout as wait } from "node:timers/promises";

export interface Clock {
  /** Milliseconds that only grow, from any start. */
  now(): number;
  /** Resolves after that time, or at once when aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** From 0 to 1, so that many waiting processes do not all return in the same moment. */
  random(): number;
}

/** The process's own clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => wait(ms, undefined, { signal }).catch(() => {}), // aborted: it has waited long enough
  random: Math.random,
};
