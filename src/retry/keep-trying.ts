/**
 * Retries with exponential backoff and jitter.
 *
 * An outage usually passes, so a retry makes sense. Any other error, a *fault*, usually does not: `keepTrying` throws it.
 * `keepRunning` restarts even then, at longer and longer intervals, because nothing else would do its work.
 */

import { type Clock, systemClock } from "./clock.ts";
import { Outage } from "./outage.ts";

export interface Failure {
  readonly kind: "outage" | "fault";
  readonly error: unknown;
  /** 1 for the first failure in a row. Counting starts over after a try that lasts more than twice the longest wait. */
  readonly count: number;
  /** The wait before the next try. */
  readonly waitMs: number;
}

export interface RetryOptions {
  /** No further try is made once this is aborted. */
  readonly signal: AbortSignal;
  /** The first wait; it doubles with each further failure. */
  readonly firstMs?: number;
  /** The longest wait. */
  readonly maxMs?: number;
  /** Called for each failure before the wait for the next try. */
  readonly onFailure?: (failure: Failure) => void;
  readonly clock?: Clock;
}

const firstMsDefault = 250;
const maxMsDefault = 5_000;
const faultMsMax = 30_000;

/**
 * Repeats a step until it succeeds. It is tried at least once, even if the signal is already aborted.
 *
 * @example
 * const position = await keepTrying(() => history.recordedPosition(), { signal });
 *
 * @param options.giveUpAfterMs how long after the first failure to keep trying; forever by default
 * @throws the step's last error, if it is a fault, the signal is aborted, or the time is up
 */
export async function keepTrying<T>(
  step: () => Promise<T>,
  options: RetryOptions & { readonly giveUpAfterMs?: number },
): Promise<T> {
  const { signal, giveUpAfterMs = Number.POSITIVE_INFINITY, clock = systemClock } = options;
  const series = new FailureSeries(options);
  let firstFailure: number | null = null;
  for (;;) {
    series.begin();
    try {
      return await step();
    } catch (error) {
      firstFailure ??= clock.now();
      const isOver = signal.aborted || clock.now() - firstFailure > giveUpAfterMs;
      if (isOver || !(error instanceof Outage)) throw error;
      await series.wait(error);
    }
  }
}

/**
 * Runs work until it returns or the signal is aborted. If it throws, it is started again after a wait.
 *
 * @example
 * await keepRunning(() => followTheLog(signal), { signal, onFailure: ({ error }) => logger.warn({ err: error }, "…") });
 */
export async function keepRunning(work: () => Promise<void>, options: RetryOptions): Promise<void> {
  const series = new FailureSeries(options);
  for (;;) {
    series.begin();
    try {
      return await work();
    } catch (error) {
      if (options.signal.aborted) return;
      await series.wait(error);
      if (options.signal.aborted) return;
    }
  }
}

class FailureSeries {
  readonly #options: RetryOptions;
  readonly #clock: Clock;
  #count = 0;
  #tryStarted = 0;

  constructor(options: RetryOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Call this before each try. */
  begin(): void {
    this.#tryStarted = this.#clock.now();
  }

  /** Reports that the try failed, and waits before the next one. */
  async wait(error: unknown): Promise<void> {
    const { signal, firstMs = firstMsDefault, maxMs: outageMsMax = maxMsDefault, onFailure } = this.#options;
    const kind = error instanceof Outage ? "outage" : "fault";
    const maxMs = kind === "outage" ? outageMsMax : Math.max(faultMsMax, outageMsMax);
    if (this.#clock.now() - this.#tryStarted > 2 * maxMs) this.#count = 0;
    this.#count += 1;
    const fullMs = Math.min(firstMs * 2 ** (this.#count - 1), maxMs);
    const waitMs = Math.round(fullMs * (0.5 + this.#clock.random() / 2));
    onFailure?.({ kind, error, count: this.#count, waitMs });
    await this.#clock.sleep(waitMs, signal);
  }
}
