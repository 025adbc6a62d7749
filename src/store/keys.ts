/**
 * Every Redis key that Tripline owns, but for those of BullMQ's queue.
 *
 * All keys of a workspace carry its name as a hash tag, so that in Redis Cluster they share a slot and one script may
 * touch them together.
 */

export interface WorkspaceKeys {
  /** Stream: the log. */
  readonly log: string;
  /** String: how many entries have been trimmed from the log; absent while it is whole. */
  readonly trimmed: string;
  /** Hash: automation id to its JSON, as of the log's last entry. */
  readonly automations: string;
  /** Hash: destination id to its JSON. */
  readonly destinations: string;
  /** Hash: name of a hook to its JSON. */
  readonly hooks: string;
  /** String: the number of shards this workspace was started with. */
  readonly shardCount: string;
  /** Hash: purpose to a secret that the servers of this workspace share. */
  readonly secrets: string;
}

export interface ShardKeys {
  /** String that expires: the owner's name. */
  readonly lease: string;
  /** String: the fencing token; outlives the lease, so that it only ever grows. */
  readonly epoch: string;
  /** Hash: what the core remembers. */
  readonly state: string;
  /** Hash: position, watermark, commit number and count of entries read. */
  readonly cursor: string;
  /** Stream: invocations committed and not yet handed to the queue. */
  readonly outbox: string;
}

export function workspaceKeys(workspace: string): WorkspaceKeys {
  const prefix = `tl:{${workspace}}`;
  return {
    log: `${prefix}:log`,
    trimmed: `${prefix}:trimmed`,
    automations: `${prefix}:automations`,
    destinations: `${prefix}:destinations`,
    hooks: `${prefix}:webhooks`,
    shardCount: `${prefix}:shard-count`,
    secrets: `${prefix}:secrets`,
  };
}

export function shardKeys(workspace: string, shard: number): ShardKeys {
  const prefix = `tl:{${workspace}}:shard:${shard}`;
  return {
    lease: `${prefix}:lease`,
    epoch: `${prefix}:epoch`,
    state: `${prefix}:state`,
    cursor: `${prefix}:cursor`,
    outbox: `${prefix}:outbox`,
  };
}

/** Hash: id to API key, of all workspaces. */
export const apiKeysKey = "tl:api-keys";

/** String that expires: when a key may again do all that its rate allows, in microseconds since the epoch. */
export function rateKey(workspace: string, keyId: string): string {
  return `tl:{${workspace}}:rate:${keyId}`;
}
