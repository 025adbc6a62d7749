/** Trims a workspace's log behind its readers, so that Redis holds only its live part. */

import type { LogPosition } from "../core/machine/log-entry.ts";
import { type Micros, millisecond } from "../core/model/time.ts";
import { systemClock } from "../retry/clock.ts";
import { keepRunning } from "../retry/keep-trying.ts";
import type { Log } from "./log.ts";
import { comparePositions, positionBefore, receivedAt } from "./position.ts";

export interface TrimmerOptions {
  /**
   * How much is kept behind the slowest shard, and behind now. A shard that starts again learns from it which events
   * it has seen, so it has to be longer than those are known.
   */
  readonly margin: Micros;
  /** Up to where the log is recorded; left out when nothing records it. */
  readonly recordedPosition?: () => Promise<LogPosition>;
  readonly everyMs?: number;
  readonly onTrimmed?: (entryCount: number) => void;
  /** Called for each failure, before it is tried again. */
  readonly onError?: (error: unknown) => void;
}

const everyMsDefault = 10_000;

export class Trimmer {
  readonly #log: Log;
  readonly #options: TrimmerOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;

  constructor(log: Log, options: TrimmerOptions) {
    this.#log = log;
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { onTrimmed, onError, everyMs = everyMsDefault } = this.#options;
    const trimNowAndThen = async () => {
      while (!signal.aborted) {
        const count = await trimLog(this.#log, this.#options, Date.now() * millisecond);
        if (count > 0) onTrimmed?.(count);
        await systemClock.sleep(everyMs, signal);
      }
    };
    await keepRunning(trimNowAndThen, { signal, maxMs: everyMs, onFailure: ({ error }) => onError?.(error) });
  }
}

/**
 * Trims what every shard has passed by the margin and the recorder has passed at all. While a shard has not begun,
 * and before there is any, everything is kept.
 *
 * @returns how many entries were trimmed
 * @throws RedisUnreachable, and whatever the recorder's position cannot be read for
 */
export async function trimLog(
  log: Log,
  { margin, recordedPosition }: Pick<TrimmerOptions, "margin" | "recordedPosition">,
  now: Micros,
): Promise<number> {
  const shards = await log.shardPositions();
  const begun = shards.filter((position) => position !== null);
  if (begun.length === 0 || begun.length < shards.length) return 0;
  // Behind the shards, not just behind now: one that stood still for hours still has to know what it saw before.
  const slowest = Math.min(now, ...begun.map(receivedAt));
  let first = positionBefore(slowest - margin);
  const recorded = await recordedPosition?.();
  if (recorded !== undefined && comparePositions(recorded, first) < 0) first = recorded;
  let total = 0;
  for (let count = -1; count !== 0; total += count) count = await log.trim(first);
  return total;
}
