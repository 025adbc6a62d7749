/**
 * The dispatcher: adds the invocations in the outbox to the queue, then deletes them from the outbox.
 *
 * It may be stopped at any point. Whatever is left in the outbox is added again, by this owner or the next, and the queue
 * ignores an invocation whose id it knows.
 */

import type { Clock } from "../retry/clock.ts";
import { keepRunning } from "../retry/keep-trying.ts";
import type { ActionQueue, EngineLogger, ShardStore } from "./ports.ts";

const batchCount = 100;

export interface DispatcherPorts {
  readonly store: ShardStore;
  readonly queue: ActionQueue;
  readonly clock: Clock;
  readonly logger: EngineLogger;
}

export class Dispatcher {
  readonly #shard: number;
  readonly #store: ShardStore;
  readonly #queue: ActionQueue;
  readonly #clock: Clock;
  readonly #logger: EngineLogger;
  readonly #stopping = new AbortController();
  #hasWork = true; // an earlier owner may have left something in the outbox
  #wakeUp: () => void = () => {};
  #running: Promise<void> | null = null;

  /** @param shard whose outbox it is; for the log */
  constructor(shard: number, { store, queue, clock, logger }: DispatcherPorts) {
    this.#shard = shard;
    this.#store = store;
    this.#queue = queue;
    this.#clock = clock;
    this.#logger = logger;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Call this after adding to the outbox. */
  wake(): void {
    this.#hasWork = true;
    this.#wakeUp();
  }

  /** Dispatches what is in the outbox, without retries, and stops. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      if (!this.#hasWork) {
        if (signal.aborted) return;
        await new Promise<void>((resolve) => {
          this.#wakeUp = resolve;
        });
        continue;
      }
      this.#hasWork = false;
      await keepRunning(() => this.#dispatchAll(), {
        signal, // once aborted, the next owner dispatches the rest
        clock: this.#clock,
        onFailure: ({ kind, error }) => {
          const level = kind === "outage" ? "warn" : "error";
          this.#logger[level]({ shard: this.#shard, err: error }, "Could not dispatch the outbox; retrying");
        },
      });
    }
  }

  async #dispatchAll(): Promise<void> {
    for (;;) {
      const entries = await this.#store.outbox(batchCount);
      if (entries.length === 0) return;
      const invocations = entries.flatMap(({ invocation }) => (invocation === null ? [] : [invocation]));
      if (invocations.length < entries.length) {
        const count = entries.length - invocations.length;
        this.#logger.error({ shard: this.#shard, count }, "Skipped outbox entries that cannot be read");
      }
      await this.#queue.addInvocations(invocations);
      await this.#store.clearOutbox(entries.map(({ position }) => position));
    }
  }
}
