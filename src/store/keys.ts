/**
 * Every Redis key that Tripline owns, except for those of BullMQ's queue.
 *
 * All keys of a workspace have its name as their hash tag. So they share a slot in Redis Cluster, and one script can use
 * several of them.
 */

export interface WorkspaceKeys {
  /** Stream: the log's entries. */
  readonly log: string;
  /** String: how many entries have been trimmed from the log; missing while the log is complete. */
  readonly trimmed: string;
  /** Hash: automation id to JSON, as of the last entry of the log. */
  readonly automations: string;
  /** Hash: automation id to JSON: its text in a rule file, and the id of the definition that it was written for. */
  readonly ruleTexts: string;
  /** String: JSON of what was found in the watched rule files. */
  readonly ruleReport: string;
  /** Hash: destination id to JSON. */
  readonly destinations: string;
  /** Hash: endpoint id to JSON. */
  readonly disabledEndpoints: string;
  /** Hash: hook name to JSON. */
  readonly hooks: string;
  /** String: the number of shards and of its changes; see shard-layout.ts. */
  readonly shardCount: string;
  /** Sorted set: the name of each engine by when it counts as dead without a further beat, in milliseconds since the epoch. */
  readonly engines: string;
  /** Hash: the name of each engine to when it joined and the shards that it waits for. */
  readonly engineNotes: string;
  /** Hash: the number of shards that someone asked for, since when, and why it was refused. */
  readonly resharding: string;
  /** String with a time to live: the engine that changes the number of shards. */
  readonly reshardLease: string;
  /** String: its fencing token. */
  readonly reshardEpoch: string;
  /** Hash: purpose to secret, shared by all servers of the workspace. */
  readonly secrets: string;
  /** Never there: it is deleted to see whether its server accepts writes. */
  readonly ready: string;
  /** Hash: how many events, firings and resolutions there have been. */
  readonly activityTotals: string;
  /** Hash: the latest canary, when it was sent and when it came back. */
  readonly canary: string;
  /** String with a time to live: when the last beat was appended, in milliseconds since the epoch. */
  readonly lastBeat: string;
  /** String with a time to live: exists while no other canary is due. */
  readonly canaryTurn: string;
  /** String with a time to live: exists while no other heartbeat is due. */
  readonly heartbeatTurn: string;
}

export interface ShardKeys {
  /** String with a time to live: the owner's name. */
  readonly lease: string;
  /** String: the fencing token. It outlives the lease, so that it never decreases. */
  readonly epoch: string;
  /** Hash: the state of the core. */
  readonly state: string;
  /** Hash: position, watermark, number of commits, number of entries read, and the next deadline. */
  readonly cursor: string;
  /** Stream: committed invocations that are not yet in the queue. */
  readonly outbox: string;
  /** Hash: automation id, or `total`, to how many windows are open and unresolved. Written beside the commits. */
  readonly openCounts: string;
  /** Set: the fields of the state that are unresolved windows. Written beside the commits. */
  readonly unresolved: string;
}

export function workspaceKeys(workspace: string): WorkspaceKeys {
  const prefix = `tl:{${workspace}}`;
  return {
    log: `${prefix}:log`,
    trimmed: `${prefix}:trimmed`,
    automations: `${prefix}:automations`,
    ruleTexts: `${prefix}:rule-texts`,
    ruleReport: `${prefix}:rule-report`,
    destinations: `${prefix}:destinations`,
    disabledEndpoints: `${prefix}:disabled-endpoints`,
    hooks: `${prefix}:webhooks`,
    shardCount: `${prefix}:shard-count`,
    engines: `${prefix}:engines`,
    engineNotes: `${prefix}:engine-notes`,
    resharding: `${prefix}:resharding`,
    reshardLease: `${prefix}:resharding:lease`,
    reshardEpoch: `${prefix}:resharding:epoch`,
    secrets: `${prefix}:secrets`,
    ready: `${prefix}:ready`,
    activityTotals: `${prefix}:activity`,
    canary: `${prefix}:canary`,
    lastBeat: `${prefix}:last-beat`,
    canaryTurn: `${prefix}:canary:turn`,
    heartbeatTurn: `${prefix}:heartbeat:turn`,
  };
}

/** @param generation of the layout that the shard belongs to */
export function shardKeys(workspace: string, shard: number, generation = 0): ShardKeys {
  const prefix = `tl:{${workspace}}:shard:${shard}${generation === 0 ? "" : `:${generation}`}`;
  return {
    lease: `${prefix}:lease`,
    epoch: `${prefix}:epoch`,
    state: `${prefix}:state`,
    cursor: `${prefix}:cursor`,
    outbox: `${prefix}:outbox`,
    openCounts: `${prefix}:open-counts`,
    unresolved: `${prefix}:unresolved`,
  };
}

/** Hash with a time to live: how much happened in each second of a minute. @param minute since the epoch */
export function activityMinuteKey(workspace: string, minute: number): string {
  return `tl:{${workspace}}:activity:minute:${minute}`;
}

/** Hash with a time to live: how much happened in each minute of an hour. @param hour since the epoch */
export function activityHourKey(workspace: string, hour: number): string {
  return `tl:{${workspace}}:activity:hour:${hour}`;
}

/** Hash: id to API key, for all workspaces. */
export const apiKeysKey = "tl:api-keys";

/** Hash: id of an API key to when it was last used, to the minute, in milliseconds since the epoch. */
export const apiKeyUsesKey = "tl:api-key-uses";

/** String with a time to live: when the key's allowance is full again, in microseconds since the epoch. */
export function rateKey(workspace: string, keyId: string): string {
  return `tl:{${workspace}}:rate:${keyId}`;
}

export interface LimitKeys {
  /** Sorted set: holder of each slot by when the slot frees itself, in microseconds since the epoch. */
  readonly slots: string;
  /** Sorted set: the requests of the last period by when they were sent, and waiting deliveries by when it is their turn. */
  readonly times: string;
  /** Sorted set: deliveries that wait for a slot, by since when. */
  readonly waiting: string;
}

/** @param id of what is limited; without characters of its name, which may be any */
export function limitKeys(workspace: string, id: string): LimitKeys {
  const prefix = `tl:{${workspace}}:limit:${id}`;
  return {
    slots: `${prefix}:slots`,
    times: `${prefix}:times`,
    waiting: `${prefix}:waiting`,
  };
}
