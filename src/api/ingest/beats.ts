/**
 * Beats: while this process can take events, the log says so at regular intervals.
 *
 * Where beats are missing, nobody could post, and a service that was not heard of is not reported as silent for that.
 */

import { BackgroundTask } from "../../retry/background-task.ts";
import { type Clock, systemClock } from "../../retry/clock.ts";
import type { Log } from "../../store/log.ts";

/** Often enough that one which is delayed by a second does not look like a gap. */
const everyMsDefault = 1_000;

/**
 * The beats of one workspace.
 *
 * @example
 * const beats = new Beats(log);
 * await beats.begin(); // before requests are accepted
 * await beats.stop();
 */
export class Beats extends BackgroundTask {
  readonly #log: Pick<Log, "appendBeat">;
  readonly #everyMs: number;
  readonly #clock: Clock;

  constructor(log: Pick<Log, "appendBeat">, { everyMs = everyMsDefault, clock = systemClock } = {}) {
    super();
    this.#log = log;
    this.#everyMs = everyMs;
    this.#clock = clock;
  }

  /** The first beat is in the log before anybody posts, so that what they post comes after the gap. */
  async begin(): Promise<void> {
    await this.#beat();
    this.start();
  }

  protected async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(this.#everyMs, signal);
      if (!signal.aborted) await this.#beat();
    }
  }

  /** An outage is reported elsewhere. It is a gap, because nothing that is posted reaches the log. */
  async #beat(): Promise<void> {
    await this.#log.appendBeat("server").catch(() => {});
  }
}
