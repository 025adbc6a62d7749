/** A lease in Redis, with the epoch that fences off its former owners. */

import { callRedis, type RedisConnection } from "../store/connection.ts";
import { Script, type ScriptArgument } from "../store/script.ts";
import * as scripts from "../store/scripts/generated.ts";
import { layoutText, type ShardLayout } from "../store/shard-layout.ts";
import type { Claim } from "./ports.ts";

const claimLeaseScript = new Script(scripts.claimLease);
const renewLeaseScript = new Script(scripts.renewLease);
const releaseLeaseScript = new Script(scripts.releaseLease);

export interface LeaseKeys {
  readonly lease: string;
  readonly epoch: string;
  /** Where the workspace's layout is stored. */
  readonly layout: string;
}

/** Every method may throw `RedisUnreachable`. */
export class RedisLease {
  readonly #redis: RedisConnection;
  readonly #keys: LeaseKeys;
  readonly #owner: string;
  readonly #layout: string;
  readonly #replicaCount: number;

  /**
   * @param options.layout while the workspace has another one, the lease cannot be claimed
   * @param options.replicaCount how many replicas must have a claim before it counts
   */
  constructor(
    redis: RedisConnection,
    keys: LeaseKeys,
    owner: string,
    { layout, replicaCount = 0 }: { readonly layout: ShardLayout; readonly replicaCount?: number },
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#owner = owner;
    this.#layout = layoutText(layout);
    this.#replicaCount = replicaCount;
  }

  /** @param options.force takes the lease from another owner, too */
  async claim(leaseMs: number, { force = false }: { force?: boolean } = {}): Promise<Claim> {
    const { lease, epoch: epochKey, layout } = this.#keys;
    const parameters = [this.#owner, leaseMs, this.#layout, force ? "1" : ""];
    const reply = await callRedis(() =>
      claimLeaseScript.run(this.#redis, [lease, epochKey, layout], parameters, this.#replicaCount),
    );
    const [epoch, heldMs] = reply as [string | null, number];
    return epoch === null ? { heldMs } : { epoch: Number(epoch) };
  }

  async renew(epoch: number, leaseMs: number): Promise<boolean> {
    const { lease, epoch: epochKey } = this.#keys;
    return (await this.#run(renewLeaseScript, [lease, epochKey], [this.#owner, leaseMs, epoch])) === 1;
  }

  async release(epoch: number): Promise<void> {
    await this.#run(releaseLeaseScript, [this.#keys.lease, this.#keys.epoch], [epoch]);
  }

  #run(script: Script, keys: readonly string[], parameters: readonly ScriptArgument[]): Promise<unknown> {
    return callRedis(() => script.run(this.#redis, keys, parameters));
  }
}
