/**
 * The events that report deliveries, appended to the log many at a time.
 *
 * While one step is on its way to Redis, those that come meanwhile wait for the next. So a busy worker makes few steps, and
 * an idle one waits for nothing. They reach the log in the order in which they were given.
 */

import { type Clock, systemClock } from "../retry/clock.ts";
import { keepTrying } from "../retry/keep-trying.ts";
import { Outage } from "../retry/outage.ts";
import type { Log, NewEvent } from "../store/log.ts";

interface WaitingEvent {
  readonly event: NewEvent;
  readonly done: () => void;
  readonly fail: (error: unknown) => void;
}

export class EventReports {
  readonly #log: Pick<Log, "appendEvents">;
  readonly #stop: AbortSignal;
  readonly #clock: Clock;
  #waiting: WaitingEvent[] = [];
  #isAppending = false;

  /** @param stop aborted when the worker must stop at once */
  constructor(log: Pick<Log, "appendEvents">, stop: AbortSignal, clock: Clock = systemClock) {
    this.#log = log;
    this.#stop = stop;
    this.#clock = clock;
  }

  /**
   * Resolves once the event is in the log; waits for Redis to come back.
   *
   * @throws RedisUnreachable once the worker is stopped
   */
  append(event: NewEvent): Promise<void> {
    return new Promise((done, fail) => {
      this.#waiting.push({ event, done, fail });
      if (!this.#isAppending) void this.#appendAll();
    });
  }

  async #appendAll(): Promise<void> {
    this.#isAppending = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      await this.#appendBatch(batch);
    }
    this.#isAppending = false;
  }

  async #appendBatch(batch: readonly WaitingEvent[]): Promise<void> {
    try {
      const append = () => this.#log.appendEvents(batch.map(({ event }) => event));
      await keepTrying(append, { signal: this.#stop, clock: this.#clock });
      for (const { done } of batch) done();
    } catch (error) {
      // One that Redis refuses for itself must not keep the others from the log.
      if (batch.length > 1 && !(error instanceof Outage)) {
        for (const one of batch) await this.#appendBatch([one]);
      } else for (const { fail } of batch) fail(error);
    }
  }
}
