/** What the commands that talk to Redis directly have in common. */

import { Option } from "commander";
import type { Redis } from "ioredis";
import { connect, RedisUnreachable } from "../store/connection.ts";
import { findRedis } from "./find-redis.ts";
import { redisFailure } from "./redis-remedy.ts";
import { readRedisUrl, withoutPassword } from "./settings.ts";

export function redisOption(): Option {
  return new Option("--redis <url>", "the server's Redis (default: REDIS_URL)")
    .env("TRIPLINE_REDIS")
    .argParser(readRedisUrl);
}

/**
 * @param given the value of --redis
 * @param purpose the connection's name, and what the command looks for
 * @throws CommandFailure that says where it looked for Redis
 */
export async function withRedis(
  given: string | undefined,
  { name, what }: { readonly name: string; readonly what: string },
  use: (redis: Redis) => Promise<void>,
): Promise<void> {
  const url = findRedis(given);
  const redis = connect(url, { name });
  try {
    await use(redis);
  } catch (error) {
    if (!(error instanceof RedisUnreachable)) throw error;
    throw redisFailure(error, redis, {
      start: `${what} are kept in the server's Redis; this command looked for it at ${withoutPassword(url)}.`,
      otherwise:
        "Name another with --redis or REDIS_URL. For the private one of `npm start`, run this in the same folder.",
    });
  } finally {
    redis.disconnect();
  }
}
