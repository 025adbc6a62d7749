/** A process of the simulation, in which every call to the store or the queue may fail. */

import type { Invocation } from "../../src/core/model/invocation.ts";
import type {
  ActionQueue,
  Commit,
  CommitOutcome,
  Origin,
  OutboxEntry,
  ReadResult,
  ShardStore,
  StoredShard,
} from "../../src/engine/ports.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import type { LogBatch } from "../../src/store/log-reader.ts";
import type { Random } from "../support/random.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";

const kinds = ["crash before", "crash after", "unreachable", "lost reply", "pause"] as const;

/** What the calls of one process share: a crash or a pause affects them all. */
export class FaultyProcess {
  dead = false;
  #pausedUntil = 0;
  readonly #random: Random;
  readonly #clock: VirtualClock;
  readonly #probability: () => number;

  constructor(random: Random, clock: VirtualClock, probability: () => number) {
    this.#random = random;
    this.#clock = clock;
    this.#probability = probability;
  }

  async step<T>(operation: () => Promise<T>): Promise<T> {
    const fault = this.#random.chance(this.#probability()) ? this.#random.pick(kinds) : null;
    if (fault === "crash before") this.dead = true;
    // Like a suspended process or a long garbage collection: it continues later without noticing.
    if (fault === "pause") this.#pausedUntil = this.#clock.now() + this.#random.integer(1, 20_000);
    if (this.#pausedUntil > this.#clock.now()) await this.#clock.sleep(this.#pausedUntil - this.#clock.now());
    if (this.dead) await never();
    if (fault === "unreachable") throw new RedisUnreachable("simulated");
    const result = await operation();
    if (fault === "crash after") this.dead = true;
    if (this.dead) await never();
    if (fault === "lost reply") throw new RedisUnreachable("simulated, after the fact");
    return result;
  }
}

export class FaultyStore implements ShardStore {
  readonly #store: ShardStore;
  readonly #process: FaultyProcess;

  constructor(store: ShardStore, process: FaultyProcess) {
    this.#store = store;
    this.#process = process;
  }

  claim(leaseMs: number): Promise<{ epoch: number } | { heldMs: number }> {
    return this.#process.step(() => this.#store.claim(leaseMs));
  }
  renew(epoch: number, leaseMs: number): Promise<boolean> {
    return this.#process.step(() => this.#store.renew(epoch, leaseMs));
  }
  release(epoch: number): Promise<void> {
    return this.#process.step(() => this.#store.release(epoch));
  }
  load(): Promise<StoredShard> {
    return this.#process.step(() => this.#store.load());
  }
  origin(): Promise<Origin> {
    return this.#process.step(() => this.#store.origin());
  }
  lastPosition(): Promise<string> {
    return this.#process.step(() => this.#store.lastPosition());
  }
  read(after: string, options: { count: number; blockMs: number }): Promise<ReadResult> {
    return this.#process.step(() => this.#store.read(after, options));
  }
  readBack(last: string, first: string, count: number): Promise<LogBatch> {
    return this.#process.step(() => this.#store.readBack(last, first, count));
  }
  commit(commit: Commit): Promise<CommitOutcome> {
    return this.#process.step(() => this.#store.commit(commit));
  }
  outbox(count: number): Promise<OutboxEntry[]> {
    return this.#process.step(() => this.#store.outbox(count));
  }
  clearOutbox(positions: readonly string[]): Promise<void> {
    return this.#process.step(() => this.#store.clearOutbox(positions));
  }
  interrupt(): void {
    this.#store.interrupt();
  }
}

/** A queue that keeps each invocation once, by its id, as BullMQ does. */
export class MemoryQueue {
  readonly invocations = new Map<string, Invocation>();

  seenBy(process: FaultyProcess): ActionQueue {
    return {
      addInvocations: (invocations) =>
        process.step(async () => {
          for (const invocation of invocations) {
            if (!this.invocations.has(invocation.id)) this.invocations.set(invocation.id, invocation);
          }
        }),
    };
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}
