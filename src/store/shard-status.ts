/** The engines and shards of a workspace, as any process can see them. */

import type { LogPosition } from "../core/machine/log-entry.ts";
import { type Micros, millisecond } from "../core/model/time.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { type EngineInfo, readEngines, readLayout } from "./engines.ts";
import { shardKeys, workspaceKeys } from "./keys.ts";
import { receivedAt, startOfLog } from "./position.ts";
import { microsOf, type RedisTime } from "./redis-time.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";
import { type ShardLayout, sameLayout } from "./shard-layout.ts";
import { transact } from "./transaction.ts";

const askShardsScript = new Script(scripts.askShards);

export interface ShardStatus {
  readonly shard: number;
  /** Whether an engine owns it, in any process. */
  readonly owned: boolean;
  /** The engine that owns it; null if none does. */
  readonly owner: string | null;
  /** The number of its ownership, which grows with each; null if it never had an owner. */
  readonly epoch: number | null;
  /** Since when its owner owns it; null without an owner. */
  readonly since: Micros | null;
  /** How far log time has been consumed; null if it has never committed. */
  readonly watermark: Micros | null;
  /** How many entries of the log it has yet to consume. */
  readonly entriesBehind: number;
  /** For how long the oldest of those, or the earliest overdue deadline, has been waiting; 0 if nothing waits. */
  readonly delayMs: number;
  /** The last entry that it has consumed; the start of the log if it has never committed. */
  readonly position: LogPosition;
  /** How often it has committed: the number grows with each step that an engine takes. */
  readonly commitCount: number;
  /** How long ago log time was last committed; null if it never was. It also grows while there is nothing to do. */
  readonly watermarkAgeMs: number | null;
  /** For how long the oldest firing that is not handed to the queue has been committed; 0 if there is none. */
  readonly outboxAgeMs: number;
}

/** A change of the number of shards that someone asked for. */
export interface ShardChange {
  readonly count: number;
  readonly since: Micros;
  /** Why it was given up; null while it lasts. */
  readonly failure: string | null;
}

export interface EnginesAndShards {
  readonly layout: ShardLayout;
  readonly change: ShardChange | null;
  readonly engines: readonly EngineInfo[];
  readonly shards: readonly ShardStatus[];
}

/**
 * Reads the status of every shard.
 *
 * @returns an empty list if no engine has ever run
 * @throws RedisUnreachable
 */
export async function readShardStatus(
  redis: RedisConnection,
  workspace: string,
): Promise<readonly ShardStatus[]> {
  return (await readShards(redis, workspace))?.shards ?? [];
}

/**
 * Reads the engines and shards.
 *
 * @returns null if no engine has ever run
 * @throws RedisUnreachable
 */
async function readShards(redis: RedisConnection, workspace: string): Promise<EnginesAndShards | null> {
  const keys = workspaceKeys(workspace);
  const layout = await readLayout(redis, workspace);
  if (layout === null) return null;
  const [{ members: engines, leases, ...read }, [length, trimmed, time, wish]] = await Promise.all([
    readEngines(redis, workspace, layout),
    transact<[number, string | null, RedisTime, Record<string, string>]>(redis, (step) =>
      step.xlen(keys.log).get(keys.trimmed).time().hgetall(keys.resharding),
    ),
  ]);
  if (!sameLayout(read.layout, layout)) return readShards(redis, workspace); // it was changed in between
  const entryCount = length + Number(trimmed ?? 0);
  const now = microsOf(time);
  const shards = await callRedis(() =>
    Promise.all(
      leases.map(async (lease, shard): Promise<ShardStatus> => {
        const of = shardKeys(workspace, shard, layout.generation);
        const [cursor, epoch, [undispatched]] = await Promise.all([
          redis.hgetall(of.cursor),
          redis.get(of.epoch),
          redis.xrange(of.outbox, "-", "+", "COUNT", 1),
        ]);
        const { position = startOfLog, watermark, "next-deadline": deadline } = cursor;
        const [unread] = await redis.xrange(keys.log, `(${position}`, "+", "COUNT", 1);
        const waitingSince: Micros[] = [now];
        if (unread !== undefined) waitingSince.push(receivedAt(unread[0]));
        if (deadline !== undefined && deadline !== "") waitingSince.push(Number(deadline));
        return {
          shard,
          owned: lease !== null,
          owner: lease?.owner ?? null,
          epoch: epoch === null ? null : Number(epoch),
          // An epoch is the time of the claim in milliseconds, unless Redis's clock has stepped back.
          since: lease === null || epoch === null ? null : Number(epoch) * millisecond,
          watermark: watermark === undefined ? null : Number(watermark),
          entriesBehind: Math.max(0, entryCount - Number(cursor["read-count"] ?? 0)),
          delayMs: (now - Math.min(...waitingSince)) / millisecond,
          position,
          commitCount: Number(cursor["commit-count"] ?? 0),
          watermarkAgeMs: watermark === undefined ? null : Math.max(0, now - Number(watermark)) / millisecond,
          outboxAgeMs:
            undispatched === undefined ? 0 : Math.max(0, now - receivedAt(undispatched[0])) / millisecond,
        };
      }),
    ),
  );
  const { count, since, failure = null } = wish;
  const change =
    count === undefined ? null : { count: Number(count), since: Number(since ?? 0) * millisecond, failure };
  return { layout, change, engines, shards };
}

/**
 * - `asked`: the engines are changing the number of shards, or begin to.
 * - `same`: there are so many already; a change that was asked for is withdrawn.
 * - `other`: another number was asked for, and the change to it has not ended.
 * - `none`: no engine has ever run.
 * - `no engine`: none is running that can do it.
 */
export type AskedShards = "asked" | "same" | "other" | "none" | "no engine";

/** The shards of one workspace, for `Log`. Every method may throw `RedisUnreachable`. */
export class Shards {
  readonly #redis: RedisConnection;
  readonly #workspace: string;

  constructor(redis: RedisConnection, workspace: string) {
    this.#redis = redis;
    this.#workspace = workspace;
  }

  /** @returns null if no engine has ever run */
  read(): Promise<EnginesAndShards | null> {
    return readShards(this.#redis, this.#workspace);
  }

  /** Asks the engines to change the number of shards. */
  async askFor(count: number): Promise<AskedShards> {
    const { shardCount, resharding, engines } = workspaceKeys(this.#workspace);
    return (await callRedis(() =>
      askShardsScript.run(this.#redis, [shardCount, resharding, engines], [count]),
    )) as AskedShards;
  }
}
