/**
 * Trying again, with exponential backoff and jitter.
 *
 * An outage ends by itself, so it is waited for. A fault usually does not: a single step throws it, while background work
 * that nothing else can take over starts again, more and more slowly.
 */

import { type Clock, systemClock } from "./clock.ts";
import { Outage } from "./outage.ts";

export interface Failure {
  readonly kind: "outage" | "fault";
  readonly error: unknown;
  /** 1 for the first of a series. A series ends when a try lasts longer than twice the longest wait. */
  readonly count: number;
  /** How long until the next try. */
  readonly waitMs: number;
}

export interface RetryOptions {
  /** Aborted: no further try is made. */
  readonly signal: AbortSignal;
  /** The first wait. Each further one is twice as long. */
  readonly firstMs?: number;
  /** The longest wait. */
  readonly maxMs?: number;
  /** Called for each failure that is followed by another try. */
  readonly onFailure?: (failure: Failure) => void;
  readonly clock?: Clock;
}

const firstMsDefault = 250;
const maxMsDefault = 5_000;
const faultMsMax = 30_000;

/**
 * Repeats a step until it succeeds. It is tried at least once, also when the signal is aborted already.
 *
 * @example
 * const position = await keepTrying(() => history.recordedPosition(), { signal });
 *
 * @param options.giveUpAfterMs how long after the first failure to try again; forever by default
 * @throws what the step threw last, when it was a fault, the signal is aborted, or the time is up
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
 * Runs work until it ends by itself, or the signal is aborted. Whatever it throws before that, it is started again.
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
  #begun = 0;

  constructor(options: RetryOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** A try begins. */
  begin(): void {
    this.#begun = this.#clock.now();
  }

  /** The try failed: reports it, and waits for the next one. */
  async wait(error: unknown): Promise<void> {
    const { signal, firstMs = firstMsDefault, maxMs: outageMsMax = maxMsDefault, onFailure } = this.#options;
    const kind = error instanceof Outage ? "outage" : "fault";
    const maxMs = kind === "outage" ? outageMsMax : Math.max(faultMsMax, outageMsMax);
    if (this.#clock.now() - this.#begun > 2 * maxMs) this.#count = 0;
    this.#count += 1;
    const fullMs = Math.min(firstMs * 2 ** (this.#count - 1), maxMs);
    const waitMs = Math.round(fullMs * (0.5 + this.#clock.random() / 2));
    onFailure?.({ kind, error, count: this.#count, waitMs });
    await this.#clock.sleep(waitMs, signal);
  }
}
