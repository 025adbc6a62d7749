/** The store of one shard, in Redis. */

import { parseExactJson } from "../core/json/exact-json.ts";
import type { LogPosition } from "../core/machine/log-entry.ts";
import type { Automation } from "../core/model/automation.ts";
import type { Invocation } from "../core/model/invocation.ts";
import { activityParameters } from "../store/activity.ts";
import { callRedis, type RedisConnection, RedisUnreachable } from "../store/connection.ts";
import { encodeEvent, type StoredEntry } from "../store/entry.ts";
import { decodeJson, encodeJson } from "../store/json.ts";
import { type ShardKeys, shardKeys, type WorkspaceKeys, workspaceKeys } from "../store/keys.ts";
import { Log } from "../store/log.ts";
import type { LogBatch, OnMalformed } from "../store/log-reader.ts";
import { type OpenWindowsReport, reportParameters } from "../store/open-counts.ts";
import { type RedisTime, wholeMilliseconds } from "../store/redis-time.ts";
import { Script, type ScriptArgument } from "../store/script.ts";
import * as scripts from "../store/scripts/generated.ts";
import type { ShardLayout } from "../store/shard-layout.ts";
import { SharedReader } from "../store/shared-reader.ts";
import type {
  Claim,
  Commit,
  CommitOutcome,
  CommitResult,
  Origin,
  OutboxEntry,
  ReadResult,
  ShardStore,
  StoredShard,
} from "./ports.ts";
import { RedisLease } from "./redis-lease.ts";

const commitScript = new Script(scripts.commit);
const originScript = new Script(scripts.origin);
const writeOpenWindowsScript = new Script(scripts.writeOpenWindows);
const readOutboxScript = new Script(scripts.readOutbox);

export interface RedisShardStoreOptions {
  readonly workspace: string;
  readonly shard: number;
  /** The layout that the shard belongs to. While the workspace has another one, the shard cannot be claimed. Default: one shard. */
  readonly layout?: ShardLayout;
  /** Identifies this process as the owner of the shard; unique to it. */
  readonly owner: string;
  readonly onMalformed?: OnMalformed;
  /** Shared with the other shards of this process, and closed by whoever made it; by default this shard has its own. */
  readonly reader?: SharedReader;
  /**
   * How many replicas must have a claim or a commit before it counts, and what is read of the outbox. So a master that was
   * replaced without noticing leads to no firing. Default 0.
   */
  readonly replicaCount?: number;
}

export class RedisShardStore implements ShardStore {
  readonly #redis: RedisConnection;
  readonly #workspace: string;
  readonly #log: Log;
  readonly #followed: SharedReader;
  readonly #onInterrupt: () => void;
  #interruption = new AbortController();
  readonly #lease: RedisLease;
  readonly #replicaCount: number;
  readonly #keys: ShardKeys & Pick<WorkspaceKeys, "log" | "trimmed" | "automations" | "shardCount">;

  constructor(redis: RedisConnection, options: RedisShardStoreOptions) {
    const { workspace, shard, owner, onMalformed, reader, replicaCount = 0 } = options;
    const { layout = { count: 1, generation: 0 } } = options;
    this.#redis = redis;
    this.#workspace = workspace;
    this.#replicaCount = replicaCount;
    this.#log = new Log(redis, workspace, onMalformed === undefined ? {} : { onMalformed });
    this.#followed = reader ?? new SharedReader(this.#log.reader());
    this.#onInterrupt = reader === undefined ? () => this.#followed.close() : () => {};
    this.#keys = { ...workspaceKeys(workspace), ...shardKeys(workspace, shard, layout.generation) };
    const { lease, epoch, shardCount } = this.#keys;
    this.#lease = new RedisLease(redis, { lease, epoch, layout: shardCount }, owner, {
      layout,
      replicaCount,
    });
  }

  claim(leaseMs: number, options: { force?: boolean } = {}): Promise<Claim> {
    return this.#lease.claim(leaseMs, options);
  }

  renew(epoch: number, leaseMs: number): Promise<boolean> {
    return this.#lease.renew(epoch, leaseMs);
  }

  release(epoch: number): Promise<void> {
    return this.#lease.release(epoch);
  }

  async load(): Promise<StoredShard> {
    this.#followed.forget();
    const cursor = await callRedis(() => this.#redis.hgetall(this.#keys.cursor));
    const { position } = cursor;
    if (position === undefined) return { cursor: null, state: [] };
    // In parts, so that a large state does not block Redis. It does not change meanwhile: only the owner writes it.
    const parts: string[][] = [];
    for (let part = "0", done = false; !done; done = part === "0") {
      const [next, fields] = await callRedis(() => this.#redis.hscan(this.#keys.state, part, "COUNT", 1_000));
      parts.push(fields);
      part = next;
    }
    return {
      cursor: {
        position,
        watermark: Number(cursor["watermark"]),
        readCount: Number(cursor["read-count"]),
        commitCount: Number(cursor["commit-count"]),
      },
      state: fieldsOf(parts),
    };
  }

  async origin(): Promise<Origin> {
    const keys = [this.#keys.log, this.#keys.trimmed, this.#keys.automations];
    const [position, readCount, automations, time] = (await this.#run(originScript, keys, [])) as [
      LogPosition,
      number,
      string[],
      RedisTime,
    ];
    return {
      position,
      readCount,
      automations: automations.map((body) => parseExactJson(body) as Automation),
      now: wholeMilliseconds(time),
      trimmed: readCount > 0,
    };
  }

  lastPosition(): Promise<LogPosition> {
    return this.#log.lastPosition();
  }

  read(after: LogPosition, { count, blockMs }: { count: number; blockMs: number }): Promise<ReadResult> {
    return this.#followed.read(after, {
      ...{ count, blockMs, follower: this },
      signal: this.#interruption.signal,
    });
  }

  readBack(last: LogPosition, first: LogPosition, count: number): Promise<LogBatch> {
    return this.#log.readBack(last, first, count);
  }

  async commit({
    epoch,
    changes,
    events,
    invocations,
    cursor,
    nextDeadline = null,
    counted = [],
  }: Commit): Promise<CommitResult> {
    const set: string[] = [];
    const deleted: string[] = [];
    for (const { field, value } of changes) {
      if (value === null) deleted.push(field);
      else set.push(field, value);
    }
    const keys = [this.#keys.epoch, this.#keys.cursor, this.#keys.state, this.#keys.log, this.#keys.outbox];
    const activity = activityParameters(this.#workspace, counted, keys.length + 1);
    const parameters: ScriptArgument[] = [
      epoch,
      cursor.commitCount,
      cursor.position,
      cursor.watermark,
      cursor.readCount,
      nextDeadline ?? "",
      set.length / 2,
      deleted.length,
      events.length,
      activity.parameters.length / 4,
    ].concat(set, deleted, events.flatMap(encodeEvent), activity.parameters, invocations.map(encodeJson));
    const [outcome, ...positions] = (await callRedis(() =>
      commitScript.run(this.#redis, [...keys, ...activity.keys], parameters, this.#replicaCount),
    )) as [CommitOutcome, ...string[]];
    return { outcome, positions };
  }

  async writeOpenWindows(epoch: number, report: OpenWindowsReport): Promise<boolean> {
    const keys = [this.#keys.epoch, this.#keys.openCounts, this.#keys.unresolved];
    const parameters = [epoch, ...reportParameters(report)];
    return (await this.#run(writeOpenWindowsScript, keys, parameters)) === 1;
  }

  async outbox(count: number): Promise<OutboxEntry[]> {
    const { outbox, epoch } = this.#keys;
    // A commit that no replica has may be gone after a failover, and what it reacted to happen again.
    const entries = (await callRedis(() =>
      this.#replicaCount === 0
        ? this.#redis.xrange(outbox, "-", "+", "COUNT", count)
        : readOutboxScript.run(this.#redis, [outbox, epoch], [count], this.#replicaCount),
    )) as StoredEntry[];
    return entries.map(([position, fields]) => ({ position, invocation: readInvocation(fields[1] ?? "") }));
  }

  async clearOutbox(positions: readonly string[]): Promise<void> {
    if (positions.length > 0) await callRedis(() => this.#redis.xdel(this.#keys.outbox, ...positions));
  }

  interrupt(): void {
    this.#interruption.abort(new RedisUnreachable("interrupted"));
    this.#interruption = new AbortController();
    this.#onInterrupt();
  }

  #run(script: Script, keys: readonly string[], parameters: readonly ScriptArgument[]): Promise<unknown> {
    return callRedis(() => script.run(this.#redis, keys, parameters));
  }
}

function readInvocation(json: string): Invocation | null {
  try {
    const invocation = decodeJson(json) as Invocation | null;
    return typeof invocation?.id === "string" ? invocation : null;
  } catch {
    return null;
  }
}

/** The fields in the replies of HSCAN, in turn names and values. Redis returns some twice while it makes room for more. */
function* fieldsOf(parts: string[][]): Iterable<[field: string, value: string]> {
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    for (let index = 0; index < part.length; index += 2) yield [part[index] ?? "", part[index + 1] ?? ""];
  }
}
