/** Watches whether the history can be used, and how far it is behind the log. */

import { BackgroundTask } from "../retry/background-task.ts";
import { systemClock } from "../retry/clock.ts";
import { RedisUnreachable } from "../store/connection.ts";
import type { Log } from "../store/log.ts";
import type { History } from "./history.ts";

export interface HistoryHealthOptions {
  /** Why this process cannot write the history now; null if it can, or does not write it. */
  readonly recorderFailure?: () => unknown | Promise<unknown>;
  /** Called when a problem appears, with what it is, and with null when it has gone. */
  readonly onChange?: (problem: string | null) => void;
  readonly everyMs?: number;
}

/** A recorder that is further behind than this is not just busy with a burst. */
const behindMsMax = 30_000;
const everyMsDefault = 2_000;
/** A database that does not answer for this long is unavailable, even though nothing has failed. */
const answerMsMax = 10_000;

/**
 * The health of one workspace's history, checked at regular intervals.
 *
 * Any process can check it: the recorder's position is in the database, and the log is in Redis.
 */
export class HistoryHealth extends BackgroundTask {
  readonly #history: Pick<History, "recordedPosition">;
  readonly #log: Pick<Log, "waitingMs">;
  readonly #options: HistoryHealthOptions;
  #problem: string | null = null;
  #behindMs: number | null = null;

  constructor(
    history: Pick<History, "recordedPosition">,
    log: Pick<Log, "waitingMs">,
    options: HistoryHealthOptions = {},
  ) {
    super();
    this.#history = history;
    this.#log = log;
    this.#options = options;
  }

  /** What is wrong, in a sentence; null if nothing is. */
  get problem(): string | null {
    return this.#problem;
  }

  /** For how long the oldest event that is not recorded has been in the log; null if that is not known. */
  get behindMs(): number | null {
    return this.#behindMs;
  }

  protected async run(signal: AbortSignal): Promise<void> {
    const { onChange, everyMs = everyMsDefault } = this.#options;
    while (!signal.aborted) {
      const problem = await this.#check(signal);
      if (signal.aborted) return;
      const isNews = (problem === null) !== (this.#problem === null);
      this.#problem = problem;
      if (isNews) onChange?.(problem);
      await systemClock.sleep(everyMs, signal);
    }
  }

  async #check(signal: AbortSignal): Promise<string | null> {
    const answered = new AbortController();
    const patience = AbortSignal.any([signal, answered.signal]);
    const unanswered = systemClock.sleep(answerMsMax, patience).then(() => null);
    let behindMs: number | null = null;
    try {
      const position = await Promise.race([this.#history.recordedPosition(), unanswered]);
      if (position === null) return "The history's database does not answer. Queries fail.";
      behindMs = await this.#log.waitingMs(position);
    } catch (error) {
      if (error instanceof RedisUnreachable) return this.#problem; // the outage is reported elsewhere
      return `${messageOf(error)}. Queries fail.`;
    } finally {
      answered.abort();
      this.#behindMs = behindMs;
    }
    const failure = (await this.#options.recorderFailure?.()) ?? null;
    if (failure !== null)
      return `${messageOf(failure)}. New events are not recorded yet, so queries miss them.`;
    if (behindMs <= behindMsMax) return null;
    return "The history is behind the log: new events are not recorded yet, so queries miss them. Is a recorder running?";
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
