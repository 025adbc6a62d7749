/** The process's own clock, for waiting only: what time it is, the log says. */

import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "./ports.ts";

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => wait(ms, undefined, { signal }).catch(() => {}), // aborted: it has waited long enough
};
