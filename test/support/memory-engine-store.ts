/** What the engines of a workspace share, in memory: the rest of the simulator's store. */

import type {
  Claim,
  EngineMember,
  EngineStore,
  EngineView,
  NewShard,
  ReplaceOutcome,
  ReshardStore,
  ShardStore,
} from "../../src/engine/ports.ts";
import { type ShardLayout, sameLayout } from "../../src/store/shard-layout.ts";
import { MemoryLease, MemoryShardStore, type MemoryWorld } from "./memory-store.ts";

export class MemoryEngineStore implements EngineStore {
  readonly #world: MemoryWorld;

  constructor(world: MemoryWorld) {
    this.#world = world;
  }

  async beat({ name, wants }: EngineMember, ttlMs: number): Promise<EngineView> {
    const { engines, layout, wantedCount, refusal } = this.#world;
    const now = this.#world.now();
    for (const [other, { expires }] of engines) if (expires <= now) engines.delete(other);
    this.#world.refuseIfFull();
    const joined = !engines.has(name);
    engines.set(name, { expires: now + ttlMs, wants });
    return {
      layout,
      wantedCount: refusal === null ? wantedCount : null,
      members: [...engines].map(([name, { wants }]) => ({ name, wants })),
      leases: Array.from({ length: layout.count }, (_, shard) => {
        const { owner, leaseEnd } = this.#world.shard(shard);
        return owner === null || leaseEnd <= now ? null : { owner, heldMs: leaseEnd - now };
      }),
      joined,
    };
  }

  async leave(name: string): Promise<void> {
    this.#world.engines.delete(name);
  }

  shard(shard: number, layout: ShardLayout, owner: string): ShardStore {
    return new MemoryShardStore(this.#world, shard, owner, layout.generation);
  }

  reshard(layout: ShardLayout, owner: string): ReshardStore {
    return new MemoryReshardStore(this.#world, layout, owner);
  }
}

class MemoryReshardStore implements ReshardStore {
  readonly #world: MemoryWorld;
  readonly #layout: ShardLayout;
  readonly #lease: MemoryLease;

  constructor(world: MemoryWorld, layout: ShardLayout, owner: string) {
    this.#world = world;
    this.#layout = layout;
    this.#lease = new MemoryLease(world, world.change, owner, layout.generation);
  }

  claim(leaseMs: number): Promise<Claim> {
    return this.#lease.claim(leaseMs);
  }

  renew(epoch: number, leaseMs: number): Promise<boolean> {
    return this.#lease.renew(epoch, leaseMs);
  }

  release(epoch: number): Promise<void> {
    return this.#lease.release(epoch);
  }

  async write(
    epoch: number,
    shard: number,
    fields: readonly (readonly [field: string, value: string])[],
    { isFirst }: { isFirst: boolean },
  ): Promise<boolean> {
    if (this.#world.change.epoch !== epoch) return false;
    this.#world.refuseIfFull();
    const { state } = this.#world.shard(shard, this.#layout.generation + 1);
    if (isFirst) state.clear();
    for (const [field, value] of fields) state.set(field, value);
    return true;
  }

  async replace(
    epoch: number,
    oldEpochs: readonly number[],
    shards: readonly NewShard[],
  ): Promise<ReplaceOutcome> {
    const world = this.#world;
    if (world.change.epoch !== epoch || !sameLayout(world.layout, this.#layout)) return "fenced";
    if (world.wantedCount !== shards.length || world.refusal !== null) return "withdrawn";
    const old = oldEpochs.map((_, shard) => world.shard(shard));
    if (old.some((cells, shard) => cells.epoch !== oldEpochs[shard])) return "fenced";
    if (old.some(({ outbox }) => outbox.length > 0)) return "undispatched";
    world.refuseIfFull();
    for (const cells of old) {
      cells.epoch += 1;
      cells.owner = null;
      cells.state.clear();
      cells.openCounts.clear();
      cells.openTotal = { open: 0, unresolved: 0 };
      cells.unresolved.clear();
    }
    world.layout = { count: shards.length, generation: this.#layout.generation + 1 };
    world.wantedCount = null;
    for (const [shard, { cursor }] of shards.entries()) {
      const cells = world.shard(shard);
      cells.cursor = cursor;
      cells.history.push(cursor);
    }
    return "replaced";
  }

  async refuse(epoch: number, reason: string): Promise<void> {
    if (this.#world.change.epoch === epoch && this.#world.wantedCount !== null) this.#world.refusal = reason;
  }
}
