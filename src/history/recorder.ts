/**
 * The recorder: follows a workspace's log and copies its events into the history.
 *
 * The cursor is stored with the rows, so a restart goes on where the last commit was. Two recorders do no harm: each
 * stretch is recorded by the one that moves the cursor first, and the other starts over from there.
 */

import type { LogPosition } from "../core/machine/log-entry.ts";
import { millisecond } from "../core/model/time.ts";
import { systemClock } from "../retry/clock.ts";
import { keepRunning } from "../retry/keep-trying.ts";
import type { Log } from "../store/log.ts";
import type { History } from "./history.ts";
import type { Retention } from "./prune.ts";

export interface RecorderOptions {
  /** How many entries at most go into one transaction. */
  readonly batchSize?: number;
  /** How long one read of an idle log waits, and so how long `stop` may take. */
  readonly blockMs?: number;
  /** What is kept; everything when left out. */
  readonly retention?: Retention;
  /** How often what retention no longer allows is forgotten. */
  readonly pruneEveryMs?: number;
  /** Called for each failure, before it is tried again: after a pause that grows to 5 seconds. */
  readonly onError?: (error: unknown) => void;
  /** Called after each step, with how far the log is recorded. */
  readonly onRecorded?: (position: LogPosition) => void;
}

const batchSizeDefault = 1_000;
const blockMsDefault = 1_000;
const pruneEveryMsDefault = 60_000;

export class Recorder {
  readonly #history: History;
  readonly #log: Pick<Log, "readBatch">;
  readonly #options: RecorderOptions;
  readonly #stopping = new AbortController();
  #running: Promise<unknown> | null = null;

  /** @param log with a connection of its own for blocking reads, as `Log` has */
  constructor(history: History, log: Pick<Log, "readBatch">, options: RecorderOptions = {}) {
    this.#history = history;
    this.#log = log;
    this.#options = options;
  }

  start(): void {
    this.#running ??= Promise.all([
      this.#keepRunning(() => this.#follow()),
      this.#options.retention === undefined
        ? null
        : this.#keepRunning(() => this.#forget(this.#options.retention)),
    ]);
  }

  /** Ends after the stretch under way. The history and the log stay open. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Up to where the log is recorded, by whichever recorder: what lies before it may be trimmed from the log. */
  recordedPosition(): Promise<LogPosition> {
    return this.#history.recordedPosition();
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  #keepRunning(work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping;
    return keepRunning(work, { signal, onFailure: ({ error }) => this.#options.onError?.(error) });
  }

  async #follow(): Promise<void> {
    const { batchSize: count = batchSizeDefault, blockMs = blockMsDefault, onRecorded } = this.#options;
    let after = await this.#history.recordedPosition();
    while (!this.#stopped) {
      const { entries, position, readCount } = await this.#log.readBatch(after, { count, blockMs });
      if (readCount === 0) continue;
      const recorded = await this.#history.record({ after, position, entries });
      after = recorded === null ? await this.#history.recordedPosition() : position;
      onRecorded?.(after);
    }
  }

  async #forget(retention: Retention = {}): Promise<void> {
    while (!this.#stopped) {
      await this.#history.prune(retention, Date.now() * millisecond, () => this.#stopped);
      await systemClock.sleep(this.#options.pruneEveryMs ?? pruneEveryMsDefault, this.#stopping.signal);
    }
  }
}
