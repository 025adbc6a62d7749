/** A query right after an acknowledged event should find it, though the recorder works on its own. */

import { setTimeout as pause } from "node:timers/promises";
import type { History } from "../../history/history.ts";
import type { Log } from "../../store/log.ts";
import { comparePositions } from "../../store/position.ts";
import { isUnreachable } from "../ingest/ingest.ts";

/** A recorder that is so far behind has a backlog, and its past is better answered than waited for. */
const patienceMsDefault = 1_000;
const waitMsMin = 2;
const waitMsMax = 50;

/**
 * Waits until all that the log holds now is recorded, for a moment at most. While Redis is away it does not wait.
 *
 * @throws HistoryUnavailable
 */
export async function untilRecorded(
  log: Log,
  history: History,
  patienceMs = patienceMsDefault,
): Promise<void> {
  const last = await log.lastPosition().catch((error: unknown) => {
    if (isUnreachable(error)) return null;
    throw error;
  });
  if (last === null) return;
  const deadline = performance.now() + patienceMs;
  for (let waitMs = waitMsMin; ; waitMs = Math.min(2 * waitMs, waitMsMax)) {
    if (comparePositions(await history.recordedPosition(), last) >= 0) return;
    if (performance.now() + waitMs > deadline) return;
    await pause(waitMs);
  }
}
