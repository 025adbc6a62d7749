/** How far each shard of a workspace has come, as any process can see it. */

import type { LogPosition } from "../core/machine/log-entry.ts";
import { type Micros, millisecond, second } from "../core/model/time.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { shardKeys, workspaceKeys } from "./keys.ts";
import { receivedAt, startOfLog } from "./position.ts";
import { transact } from "./transaction.ts";

export interface ShardStatus {
  readonly shard: number;
  /** Whether an engine owns it, in any process. */
  readonly owned: boolean;
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

/**
 * Reads the status of every shard.
 *
 * @returns an empty list if no engine has ever run
 * @throws RedisUnreachable
 */
export async function readShardStatus(redis: RedisConnection, workspace: string): Promise<ShardStatus[]> {
  const keys = workspaceKeys(workspace);
  const [shardCount, length, trimmed, time] = await transact<
    [string | null, number, string | null, [string, string]]
  >(redis, (step) => step.get(keys.shardCount).xlen(keys.log).get(keys.trimmed).time());
  const entryCount = length + Number(trimmed ?? 0);
  const now = Number(time[0]) * second + Number(time[1]);
  const shards = Array.from({ length: Number(shardCount ?? 0) }, (_, shard) => shard);
  return callRedis(() =>
    Promise.all(
      shards.map(async (shard) => {
        const { cursor: cursorKey, lease, outbox } = shardKeys(workspace, shard);
        const [cursor, leaseCount, [undispatched]] = await Promise.all([
          redis.hgetall(cursorKey),
          redis.exists(lease),
          redis.xrange(outbox, "-", "+", "COUNT", 1),
        ]);
        const { position = startOfLog, watermark, "next-deadline": deadline } = cursor;
        const [unread] = await redis.xrange(keys.log, `(${position}`, "+", "COUNT", 1);
        const waitingSince: Micros[] = [now];
        if (unread !== undefined) waitingSince.push(receivedAt(unread[0]));
        if (deadline !== undefined && deadline !== "") waitingSince.push(Number(deadline));
        return {
          shard,
          owned: leaseCount > 0,
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
}
