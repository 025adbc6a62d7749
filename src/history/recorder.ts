/**
 * The recorder: follows a workspace's log and copies its events into the history.
 *
 * The cursor is stored with the rows, so a restart goes on where the last commit was. Two recorders do no harm: each
 * stretch is recorded by whoever moves the cursor first, and the other one starts over from there.
 */

import { setTimeout as pause } from "node:timers/promises";
import type { LogPosition } from "../core/machine/log-entry.ts";
import { millisecond } from "../core/model/time.ts";
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
  /** Told of every failure; each is tried again, after a pause that grows to some seconds. */
  readonly onError?: (error: unknown) => void;
  /** Told how far the log is recorded, after each step. */
  readonly onRecorded?: (position: LogPosition) => void;
}

const batchSizeDefault = 1_000;
const blockMsDefault = 1_000;
const pruneEveryMsDefault = 60_000;
const retryMsMin = 100;
const retryMsMax = 5_000;

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
      this.#repeat(() => this.#follow()),
      this.#options.retention === undefined
        ? null
        : this.#repeat(() => this.#forget(this.#options.retention)),
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

  /** Runs `work` until it ends without an error, which it does when the recorder is stopped. */
  async #repeat(work: () => Promise<void>): Promise<void> {
    let retryMs = retryMsMin;
    let failedAt = 0;
    while (!this.#stopped) {
      try {
        await work();
      } catch (error) {
        if (this.#stopped) return;
        this.#options.onError?.(error);
        // A failure long after the last one is a new one.
        const now = performance.now();
        retryMs = now - failedAt > 2 * retryMsMax ? retryMsMin : Math.min(2 * retryMs, retryMsMax);
        failedAt = now;
        await this.#pause(retryMs);
      }
    }
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
      await this.#pause(this.#options.pruneEveryMs ?? pruneEveryMsDefault);
    }
  }

  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}
