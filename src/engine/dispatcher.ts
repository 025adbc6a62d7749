/**
 * The dispatcher: adds the invocations in the outbox to the queue, then deletes them from the outbox.
 *
 * It is handed what each commit has added, so that an alarm does not wait for the outbox to be read. It reads the outbox for
 * whatever else is there: what an earlier owner has left, and what could not be added at once. That is older, and goes first.
 *
 * It may be stopped at any point. Whatever is left in the outbox is added again, by this owner or the next, and the queue
 * ignores an invocation whose id it knows.
 */

import type { Clock } from "../retry/clock.ts";
import { keepRunning } from "../retry/keep-trying.ts";
import type { ActionQueue, EngineLogger, OutboxEntry, ShardStore } from "./ports.ts";

const batchCount = 100;

/** While the queue does not accept any, no more are kept in memory; they are in the outbox. */
const handedCountMax = 1_000;

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
  #mustRead = true; // an earlier owner may have left something in the outbox
  #handed: OutboxEntry[] = [];
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

  /** Dispatches what was just added to the outbox. */
  dispatch(added: readonly OutboxEntry[]): void {
    if (this.#handed.length + added.length <= handedCountMax) this.#handed.push(...added);
    else {
      this.#handed = [];
      this.#mustRead = true;
    }
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
      if (!this.#mustRead && this.#handed.length === 0) {
        if (signal.aborted) return;
        await new Promise<void>((resolve) => {
          this.#wakeUp = resolve;
        });
        continue;
      }
      await keepRunning(() => this.#dispatchAll(), {
        signal, // once aborted, the next owner dispatches the rest
        clock: this.#clock,
        onFailure: ({ kind, error }) => {
          const level = kind === "outage" ? "warn" : "error";
          this.#logger[level]({ shard: this.#shard, err: error }, "Could not dispatch the outbox; retrying");
        },
      });
      if (signal.aborted && this.#mustRead) return; // it failed
    }
  }

  async #dispatchAll(): Promise<void> {
    try {
      while (this.#mustRead) {
        const entries = await this.#store.outbox(batchCount);
        // Whatever is committed from now on is handed over, and follows.
        if (entries.length < batchCount) this.#mustRead = false;
        const read = new Set(entries.map(({ position }) => position));
        this.#handed = this.#handed.filter(({ position }) => !read.has(position));
        await this.#dispatchEntries(entries);
      }
      while (this.#handed.length > 0) await this.#dispatchEntries(this.#handed.splice(0, batchCount));
    } catch (error) {
      this.#mustRead = true;
      throw error;
    }
  }

  async #dispatchEntries(entries: readonly OutboxEntry[]): Promise<void> {
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
