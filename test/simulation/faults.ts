/** A process of the simulation, in which every call to the store or the queue may fail. */

import type { Invocation } from "../../src/core/model/invocation.ts";
import type {
  ActionQueue,
  Claim,
  Commit,
  CommitResult,
  EngineMember,
  EngineStore,
  EngineView,
  NewShard,
  Origin,
  OutboxEntry,
  ReadResult,
  ReplaceOutcome,
  ReshardStore,
  ShardStore,
  StoredShard,
} from "../../src/engine/ports.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import type { LogBatch } from "../../src/store/log-reader.ts";
import type { ShardLayout } from "../../src/store/shard-layout.ts";
import type { Random } from "../support/random.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";

const kinds = ["crash before", "crash after", "unreachable", "lost reply", "pause"] as const;

/** What the calls of one process share: a crash or a pause affects them all. */
export class FaultyProcess {
  #isDead = false;
  #pausedUntil = 0;
  readonly #death = Promise.withResolvers<void>();
  readonly #random: Random;
  readonly #clock: VirtualClock;
  readonly #probability: () => number;

  constructor(random: Random, clock: VirtualClock, probability: () => number) {
    this.#random = random;
    this.#clock = clock;
    this.#probability = probability;
  }

  get dead(): boolean {
    return this.#isDead;
  }

  /** Resolves when the process dies. */
  get death(): Promise<void> {
    return this.#death.promise;
  }

  #die(): void {
    this.#isDead = true;
    this.#death.resolve();
  }

  async step<T>(operation: () => Promise<T>): Promise<T> {
    const fault = this.#random.chance(this.#probability()) ? this.#random.pick(kinds) : null;
    if (fault === "crash before") this.#die();
    // Like a suspended process or a long garbage collection: it continues later without noticing.
    if (fault === "pause") this.#pausedUntil = this.#clock.now() + this.#random.integer(1, 20_000);
    if (this.#pausedUntil > this.#clock.now()) await this.#clock.sleep(this.#pausedUntil - this.#clock.now());
    if (this.dead) await never();
    if (fault === "unreachable") throw new RedisUnreachable("simulated");
    const result = await operation();
    if (fault === "crash after") this.#die();
    if (this.dead) await never();
    if (fault === "lost reply") throw new RedisUnreachable("simulated, after the fact");
    return result;
  }
}

class FaultyStore implements ShardStore {
  readonly #store: ShardStore;
  readonly #process: FaultyProcess;

  constructor(store: ShardStore, process: FaultyProcess) {
    this.#store = store;
    this.#process = process;
  }

  claim(leaseMs: number, options: { force?: boolean } = {}): Promise<Claim> {
    return this.#process.step(() => this.#store.claim(leaseMs, options));
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
  commit(commit: Commit): Promise<CommitResult> {
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

export class FaultyEngineStore implements EngineStore {
  readonly #store: EngineStore;
  readonly #process: FaultyProcess;

  constructor(store: EngineStore, process: FaultyProcess) {
    this.#store = store;
    this.#process = process;
  }

  beat(member: EngineMember, ttlMs: number): Promise<EngineView> {
    return this.#process.step(() => this.#store.beat(member, ttlMs));
  }
  leave(name: string): Promise<void> {
    return this.#process.step(() => this.#store.leave(name));
  }
  shard(shard: number, layout: ShardLayout, owner: string): ShardStore {
    return new FaultyStore(this.#store.shard(shard, layout, owner), this.#process);
  }
  reshard(layout: ShardLayout, owner: string): ReshardStore {
    return new FaultyReshardStore(this.#store.reshard(layout, owner), this.#process);
  }
}

class FaultyReshardStore implements ReshardStore {
  readonly #store: ReshardStore;
  readonly #process: FaultyProcess;

  constructor(store: ReshardStore, process: FaultyProcess) {
    this.#store = store;
    this.#process = process;
  }

  claim(leaseMs: number): Promise<Claim> {
    return this.#process.step(() => this.#store.claim(leaseMs));
  }
  renew(epoch: number, leaseMs: number): Promise<boolean> {
    return this.#process.step(() => this.#store.renew(epoch, leaseMs));
  }
  release(epoch: number): Promise<void> {
    return this.#process.step(() => this.#store.release(epoch));
  }
  write(
    epoch: number,
    shard: number,
    fields: readonly (readonly [field: string, value: string])[],
    options: { isFirst: boolean },
  ): Promise<boolean> {
    return this.#process.step(() => this.#store.write(epoch, shard, fields, options));
  }
  replace(epoch: number, oldEpochs: readonly number[], shards: readonly NewShard[]): Promise<ReplaceOutcome> {
    return this.#process.step(() => this.#store.replace(epoch, oldEpochs, shards));
  }
  refuse(epoch: number, reason: string): Promise<void> {
    return this.#process.step(() => this.#store.refuse(epoch, reason));
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
