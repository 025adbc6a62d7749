/** What the commands that talk to Redis directly have in common. */

import { Option } from "commander";
import type { RedisConnection } from "../store/connection.ts";
import { withoutPassword } from "../store/redis-url.ts";
import { findRedis } from "./find-redis.ts";
import { asRedisFailure, openRedis } from "./open-redis.ts";
import { readRedisUrl } from "./settings.ts";

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
  use: (redis: RedisConnection) => Promise<void>,
): Promise<void> {
  const url = findRedis(given);
  const purpose = {
    start: `${what} are kept in the server's Redis; this command looked for it at ${withoutPassword(url)}.`,
    otherwise:
      "Name another with --redis or REDIS_URL. For the private one of `npm start`, run this in the same folder.",
  };
  const opened = await openRedis(url, purpose, { name });
  try {
    await use(opened.redis);
  } catch (error) {
    throw asRedisFailure(error, opened.redis, opened.url, purpose);
  } finally {
    opened.redis.disconnect();
  }
}
