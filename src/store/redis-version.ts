/** The version of a Redis. */

import { callRedis, mastersOf, type RedisConnection } from "./connection.ts";
import { readRedisInfo } from "./redis-info.ts";

/** The version of the Redis, or of a master of the cluster; null if it does not say. @throws RedisUnreachable */
export async function redisVersion(redis: RedisConnection): Promise<string | null> {
  const [master] = await mastersOf(redis);
  if (master === undefined) return null;
  try {
    const info = await callRedis(() => master.info("server"));
    return readRedisInfo(info).get("redis_version") ?? null;
  } catch (error) {
    // Some services do not allow INFO.
    if ((error as Error).name === "ReplyError") return null;
    throw error;
  }
}
