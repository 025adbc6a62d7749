/** Trims a workspace's log behind its readers, so that Redis holds only the part that is still needed. */

import type { LogPosition } from "../core/machine/log-entry.ts";
import { type Micros, millisecond } from "../core/model/time.ts";
import { BackgroundTask } from "../retry/background-task.ts";
import { systemClock } from "../retry/clock.ts";
import { keepRunning } from "../retry/keep-trying.ts";
import type { Log } from "./log.ts";
import { comparePositions, positionBefore, receivedAt } from "./position.ts";

export interface TrimmerOptions {
  /**
   * How much of the log to keep behind the slowest shard, and behind now. A shard that restarts reads from it which event
   * ids it has seen, so the margin must be longer than the time for which ids are remembered.
   */
  readonly margin: Micros;
  /** How far the log is recorded; leave it out if nothing records the log. */
  readonly recordedPosition?: () => Promise<LogPosition>;
  readonly everyMs?: number;
  readonly onTrimmed?: (entryCount: number) => void;
  /** Called for each failure, before the next try. */
  readonly onError?: (error: unknown) => void;
}

const everyMsDefault = 10_000;

/** Trims at regular intervals until it is stopped. */
export class Trimmer extends BackgroundTask {
  readonly #log: Log;
  readonly #options: TrimmerOptions;

  constructor(log: Log, options: TrimmerOptions) {
    super();
    this.#log = log;
    this.#options = options;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { onTrimmed, onError, everyMs = everyMsDefault } = this.#options;
    const trimRegularly = async () => {
      while (!signal.aborted) {
        const count = await trimLog(this.#log, this.#options, Date.now() * millisecond);
        if (count > 0) onTrimmed?.(count);
        await systemClock.sleep(everyMs, signal);
      }
    };
    await keepRunning(trimRegularly, { signal, maxMs: everyMs, onFailure: ({ error }) => onError?.(error) });
  }
}

/**
 * Trims the entries that every shard has read, that are older than the margin, and that are recorded. Trims nothing until
 * every shard has committed once.
 *
 * @returns how many entries were trimmed
 * @throws RedisUnreachable, and whatever `recordedPosition` throws
 */
export async function trimLog(
  log: Log,
  { margin, recordedPosition }: Pick<TrimmerOptions, "margin" | "recordedPosition">,
  now: Micros,
): Promise<number> {
  const shards = await log.shardPositions();
  const committed = shards.filter((position) => position !== null);
  if (committed.length === 0 || committed.length < shards.length) return 0;
  // Behind the slowest shard, not only behind now: a shard that stood still for hours still needs the ids it saw before.
  const slowest = Math.min(now, ...committed.map(receivedAt));
  let first = positionBefore(slowest - margin);
  const recorded = await recordedPosition?.();
  if (recorded !== undefined && comparePositions(recorded, first) < 0) first = recorded;
  let total = 0;
  for (let count = -1; count !== 0; total += count) count = await log.trim(first);
  return total;
}
