/**
 * The recorder: follows a workspace's log and copies its events into the history.
 *
 * The cursor is stored in the same transaction as the rows, so a restart continues after the last commit. Two recorders can
 * run at the same time: the one that moves the cursor first records the stretch, and the other continues from there.
 */

import type { LogPosition } from "../core/machine/log-entry.ts";
import { millisecond } from "../core/model/time.ts";
import { BackgroundTask } from "../retry/background-task.ts";
import { systemClock } from "../retry/clock.ts";
import { type Failure, keepRunning } from "../retry/keep-trying.ts";
import { RedisUnreachable } from "../store/connection.ts";
import type { Log } from "../store/log.ts";
import type { History } from "./history.ts";
import type { OnRefused } from "./isolate.ts";
import type { Retention } from "./prune.ts";
import type { UnreadableEvent } from "./recording.ts";

export interface RecorderOptions {
  /** The maximum number of entries in one transaction. */
  readonly batchSize?: number;
  /** How long one read of an idle log waits, and so how long `stop` may take. */
  readonly blockMs?: number;
  /** Which events to keep. If left out, all of them. */
  readonly retention?: Retention;
  /** How often to delete the events that exceed the retention. */
  readonly pruneEveryMs?: number;
  /** Called for each failure, before the wait for the next try. */
  readonly onError?: (error: unknown) => void;
  /** Called for each event that the database refuses; it is left out of the history. */
  readonly onRefused?: OnRefused;
  /** Called for each event that cannot be read; it is left out of the history. */
  readonly onUnreadable?: (event: UnreadableEvent) => void;
  /** Called after each step in which events of version 0.1 were brought into the present form, and when all are. */
  readonly onUpgraded?: (count: number, isComplete: boolean) => void;
  /** Called after each transaction, with the position up to which the log is recorded. */
  readonly onRecorded?: (position: LogPosition) => void;
}

const upgradedPerStep = 1_000;
const batchSizeDefault = 10_000;
const blockMsDefault = 1_000;
const pruneEveryMsDefault = 60_000;

/**
 * At the end of the log, or of what has been passed on of it, transactions are at least this far apart, and no closer than they
 * are long. A commit costs as much as recording a hundred events, and the more events it holds, the fewer pages are written
 * for each.
 */
const pauseMsMin = 50;

/**
 * Copies a log into a history until it is stopped, after the transaction in progress. The history and the log stay open.
 *
 * @example
 * const reader = log.reader();
 * const recorder = new Recorder(history, reader, { retention: { maxAgeMs: 86_400_000 } });
 * recorder.start();
 * // …
 * await recorder.stop();
 * reader.close();
 */
export class Recorder extends BackgroundTask {
  readonly #history: History;
  readonly #log: Pick<Log, "readEvents">;
  readonly #options: RecorderOptions;
  readonly #failures = new Map<"record" | "prune", unknown>();
  #upgradedCount = 0;

  /** @param log used by this recorder alone, because it waits for entries; see `Log.reader` */
  constructor(history: History, log: Pick<Log, "readEvents">, options: RecorderOptions = {}) {
    super();
    this.#history = history;
    this.#log = log;
    this.#options = options;
  }

  /** Why it cannot record or prune now; null if it can, or if the log is what is unavailable. */
  get failure(): unknown {
    for (const error of this.#failures.values()) if (!(error instanceof RedisUnreachable)) return error;
    return null;
  }

  protected run(signal: AbortSignal): Promise<unknown> {
    const { retention } = this.#options;
    return Promise.all([
      this.#keepRunning("record", signal, () => this.#follow(signal)),
      retention === undefined
        ? null
        : this.#keepRunning("prune", signal, () => this.#pruneRegularly(retention, signal)),
    ]);
  }

  #keepRunning(task: "record" | "prune", signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const onFailure = ({ error }: Failure) => {
      this.#failures.set(task, error);
      this.#options.onError?.(error);
    };
    return keepRunning(work, { signal, onFailure });
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { batchSize: count = batchSizeDefault, blockMs = blockMsDefault } = this.#options;
    const { onRecorded, onRefused, onUnreadable } = this.#options;
    let after = await this.#history.recordedPosition();
    let isUpgrading = true;
    while (!signal.aborted) {
      isUpgrading &&= await this.#upgrade();
      const wait = { count, blockMs: isUpgrading ? 0 : blockMs };
      const { events, position, readCount, isAtEnd } = await this.#log.readEvents(after, wait);
      if (readCount === 0) {
        // The history may have been lost meanwhile, and be empty again.
        after = await this.#history.recordedPosition();
        this.#failures.delete("record");
        continue;
      }
      const began = performance.now();
      const recorded = await this.#history.record({ after, position, events }, { onRefused, onUnreadable });
      after = recorded === null ? await this.#history.recordedPosition() : position;
      this.#failures.delete("record");
      onRecorded?.(after);
      const pauseMs = Math.max(pauseMsMin, performance.now() - began);
      if (isAtEnd && recorded !== null && !isUpgrading) await systemClock.sleep(pauseMs, signal);
    }
  }

  /** Takes a step of the upgrade of old events, between two batches. @returns whether there may be more */
  async #upgrade(): Promise<boolean> {
    const count = await this.#history.upgrade(upgradedPerStep);
    this.#upgradedCount += count;
    if (this.#upgradedCount > 0) this.#options.onUpgraded?.(this.#upgradedCount, count === 0);
    return count > 0;
  }

  async #pruneRegularly(retention: Retention, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#history.prune(retention, Date.now() * millisecond, () => signal.aborted);
      this.#failures.delete("prune");
      await systemClock.sleep(this.#options.pruneEveryMs ?? pruneEveryMsDefault, signal);
    }
  }
}
