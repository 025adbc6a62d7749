/** Makes a query find every event that was acknowledged before it, although the recorder runs independently. */

import { setTimeout as pause } from "node:timers/promises";
import type { History } from "../../history/history.ts";
import type { Log } from "../../store/log.ts";
import { comparePositions } from "../../store/position.ts";
import { isUnreachable } from "../ingest/ingest.ts";

/** A recorder that is further behind has a backlog. Then the query answers with what is recorded. */
const timeoutMsDefault = 1_000;
const waitMsMin = 2;
const waitMsMax = 50;

/**
 * Waits briefly until everything that is in the log now has been recorded. During a Redis outage it does not wait.
 *
 * @returns how long the oldest event that is not recorded has been in the log, in milliseconds; 0 if there is none
 * @throws HistoryUnavailable
 */
export async function untilRecorded(
  log: Log,
  history: History,
  timeoutMs = timeoutMsDefault,
): Promise<number> {
  const last = await log.lastPosition().catch((error: unknown) => {
    if (isUnreachable(error)) return null;
    throw error;
  });
  if (last === null) return 0;
  const deadline = performance.now() + timeoutMs;
  for (let waitMs = waitMsMin; ; waitMs = Math.min(2 * waitMs, waitMsMax)) {
    const recorded = await history.recordedPosition();
    if (comparePositions(recorded, last) >= 0) return 0;
    if (performance.now() + waitMs > deadline) return await log.waitingMs(recorded);
    await pause(waitMs);
  }
}
