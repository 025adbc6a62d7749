/** What the engines of a workspace share, in Redis. */

import { callRedis, type RedisConnection } from "../store/connection.ts";
import { readEngines } from "../store/engines.ts";
import { shardKeys, type WorkspaceKeys, workspaceKeys } from "../store/keys.ts";
import type { OnMalformed } from "../store/log-reader.ts";
import { Script } from "../store/script.ts";
import * as scripts from "../store/scripts/generated.ts";
import { layoutText, type ShardLayout, sameLayout } from "../store/shard-layout.ts";
import type { SharedReader } from "../store/shared-reader.ts";
import { transact } from "../store/transaction.ts";
import type {
  Claim,
  EngineMember,
  EngineStore,
  EngineView,
  NewShard,
  ReplaceOutcome,
  ReshardStore,
  ShardStore,
} from "./ports.ts";
import { RedisLease } from "./redis-lease.ts";
import { RedisShardStore } from "./redis-shard-store.ts";

const writeNewStateScript = new Script(scripts.writeNewState);
const replaceShardsScript = new Script(scripts.replaceShards);
const refuseShardsScript = new Script(scripts.refuseShards);

export interface RedisEngineStoreOptions {
  readonly workspace: string;
  /** The number of shards of a workspace that has none yet. */
  readonly firstCount: number;
  readonly onMalformed?: OnMalformed;
  /** Reads the log for all shards of this engine; closed by whoever made it. By default each shard has its own. */
  readonly reader?: SharedReader;
  /** How many replicas of Redis must have a claim or a commit before it counts. Default 0. */
  readonly replicaCount?: number;
}

export class RedisEngineStore implements EngineStore {
  readonly #redis: RedisConnection;
  readonly #options: RedisEngineStoreOptions;
  readonly #keys: WorkspaceKeys;
  /** As of the last beat. */
  #layout: ShardLayout;

  constructor(redis: RedisConnection, options: RedisEngineStoreOptions) {
    this.#redis = redis;
    this.#options = options;
    this.#keys = workspaceKeys(options.workspace);
    this.#layout = { count: options.firstCount, generation: 0 };
  }

  async beat(member: EngineMember, ttlMs: number): Promise<EngineView> {
    const { workspace, firstCount } = this.#options;
    let joined = false;
    for (;;) {
      const beating = { name: member.name, ttlMs, wants: member.wants, firstCount };
      const read = await readEngines(this.#redis, workspace, this.#layout, beating);
      joined ||= read.joined;
      if (sameLayout(read.layout, this.#layout)) return { ...read, joined };
      this.#layout = read.layout; // its leases have other keys
    }
  }

  async leave(name: string): Promise<void> {
    const { engines, engineNotes } = this.#keys;
    await transact(this.#redis, (step) => step.zrem(engines, name).hdel(engineNotes, name));
  }

  shard(shard: number, layout: ShardLayout, owner: string): ShardStore {
    const { workspace, onMalformed, reader, replicaCount = 0 } = this.#options;
    return new RedisShardStore(this.#redis, {
      workspace,
      shard,
      layout,
      owner,
      replicaCount,
      ...(onMalformed === undefined ? {} : { onMalformed }),
      ...(reader === undefined ? {} : { reader }),
    });
  }

  reshard(layout: ShardLayout, owner: string): ReshardStore {
    return new RedisReshardStore(this.#redis, this.#options.workspace, layout, owner);
  }
}

/** Nobody claims a shard of before the change for ten years. Older versions would, for they know of no changes. */
const closedForMs = 10 * 365 * 24 * 3_600_000;

class RedisReshardStore implements ReshardStore {
  readonly #redis: RedisConnection;
  readonly #workspace: string;
  readonly #keys: WorkspaceKeys;
  readonly #layout: ShardLayout;
  readonly #lease: RedisLease;

  constructor(redis: RedisConnection, workspace: string, layout: ShardLayout, owner: string) {
    this.#redis = redis;
    this.#workspace = workspace;
    this.#keys = workspaceKeys(workspace);
    this.#layout = layout;
    const { reshardLease, reshardEpoch, shardCount } = this.#keys;
    const keys = { lease: reshardLease, epoch: reshardEpoch, layout: shardCount };
    this.#lease = new RedisLease(redis, keys, owner, { layout });
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
    { isFirst }: { readonly isFirst: boolean },
  ): Promise<boolean> {
    const keys = [
      this.#keys.reshardEpoch,
      shardKeys(this.#workspace, shard, this.#layout.generation + 1).state,
    ];
    const parameters = [epoch, isFirst ? "1" : "", ...fields.flat()];
    return (await callRedis(() => writeNewStateScript.run(this.#redis, keys, parameters))) === 1;
  }

  async replace(
    epoch: number,
    oldEpochs: readonly number[],
    shards: readonly NewShard[],
  ): Promise<ReplaceOutcome> {
    const { reshardEpoch, shardCount, resharding } = this.#keys;
    const { generation } = this.#layout;
    const next = { count: shards.length, generation: generation + 1 };
    const oldKeys = oldEpochs.flatMap((_, shard) => {
      const of = shardKeys(this.#workspace, shard, generation);
      return [of.epoch, of.outbox, of.lease, of.cursor, of.state, of.openCounts, of.unresolved];
    });
    const newKeys = shards.map((_, shard) => shardKeys(this.#workspace, shard, next.generation).cursor);
    const parameters = [
      epoch,
      layoutText(this.#layout),
      layoutText(next),
      next.count,
      oldEpochs.length,
      generation === 0 ? closedForMs : "",
      ...oldEpochs,
      ...shards.flatMap(({ cursor: { position, watermark, readCount }, nextDeadline }) => [
        position,
        watermark,
        readCount,
        nextDeadline ?? "",
      ]),
    ];
    const keys = [reshardEpoch, shardCount, resharding, ...oldKeys, ...newKeys];
    return (await callRedis(() => replaceShardsScript.run(this.#redis, keys, parameters))) as ReplaceOutcome;
  }

  async refuse(epoch: number, reason: string): Promise<void> {
    const { reshardEpoch, resharding } = this.#keys;
    await callRedis(() => refuseShardsScript.run(this.#redis, [reshardEpoch, resharding], [epoch, reason]));
  }
}
