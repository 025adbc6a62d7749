/** Clients of the simulation that post events to API processes, and post them again until they are acknowledged. */

import type { WireEvent } from "../../src/core/model/event.ts";
import { JoinedSteps } from "../../src/store/joined-steps.ts";
import type { MemoryWorld } from "../support/memory-store.ts";
import type { SimulatedProcess, Stage } from "./process.ts";

/** How long a client waits for an answer. */
const timeoutMs = 5_000;
/** How often a client posts a batch before it gives up. */
const triesMax = 30;

/** A process of the API. What several clients post at the same time goes to the log in one step, as in production. */
export class SimulatedApi {
  readonly process: SimulatedProcess;
  readonly #steps: JoinedSteps<readonly WireEvent[], unknown>;

  constructor(process: SimulatedProcess, world: MemoryWorld) {
    this.process = process;
    const append = (batches: readonly (readonly WireEvent[])[]): Promise<unknown> =>
      process.call(async () => world.appendEvents(batches.flat().map((event) => ({ event }))));
    this.#steps = new JoinedSteps(append, { countMax: 5, lengthMax: 1_000_000 });
  }

  /** @throws RedisUnreachable: it is unknown whether the events are in the log */
  async post(events: readonly WireEvent[]): Promise<void> {
    await this.#steps.add(events, { count: events.length, length: 100 * events.length });
  }
}

export class SimulatedClient {
  /** Acknowledged batches, in the order in which they were posted. Each was posted after the acknowledgment of the last. */
  readonly acknowledged: (readonly WireEvent[])[] = [];
  /** Posted, but never acknowledged: they may be in the log. */
  readonly abandoned: (readonly WireEvent[])[] = [];
  repeatCount = 0;
  readonly #stage: Stage;
  readonly #api: () => SimulatedApi;
  #queue: Promise<void> = Promise.resolve();

  /** @param api one of those that run now */
  constructor(stage: Stage, api: () => SimulatedApi) {
    this.#stage = stage;
    this.#api = api;
  }

  /** Posts a batch after those before it. */
  post(events: readonly WireEvent[]): void {
    this.#queue = this.#queue.then(() => this.#postUntilAcknowledged(events));
  }

  /** Resolves once every batch is acknowledged or abandoned. */
  idle(): Promise<void> {
    return this.#queue;
  }

  async #postUntilAcknowledged(events: readonly WireEvent[]): Promise<void> {
    const { clock, random } = this.#stage;
    for (let tries = 1; tries <= triesMax; tries += 1) {
      if (tries > 1) this.repeatCount += 1;
      // The answer may be lost on the way to the client, too.
      const isLost = random.chance(this.#stage.faultProbability);
      if ((await this.#postOnce(events)) && !isLost) {
        this.acknowledged.push(events);
        return;
      }
      await clock.sleep(random.integer(100, 3_000));
    }
    this.abandoned.push(events);
  }

  /** @returns whether the API has acknowledged the events */
  async #postOnce(events: readonly WireEvent[]): Promise<boolean> {
    const answered = new AbortController();
    const answer = this.#api()
      .post(events)
      .then(
        () => true,
        () => false,
      );
    const timeout = this.#stage.clock.sleep(timeoutMs, answered.signal).then(() => false);
    const isAcknowledged = await Promise.race([answer, timeout]);
    answered.abort();
    return isAcknowledged;
  }
}
