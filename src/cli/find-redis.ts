/** Finds the Redis of a command that talks to Redis directly. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { redisUrlIn } from "./settings.ts";

const redisUrlDefault = "redis://127.0.0.1:6379";

/**
 * The URL of Redis: the one given, else REDIS_URL, else the private Redis of an `npm start` that runs in this folder,
 * else the default port on this machine.
 *
 * @param given the value of --redis or TRIPLINE_REDIS
 */
export function findRedis(given: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  return given ?? redisUrlIn(env) ?? privateRedis(env["TRIPLINE_DATA"] ?? ".tripline") ?? redisUrlDefault;
}

/** The private Redis of `npm start`, which notes it in its data folder, if it is running. */
function privateRedis(folder: string): string | null {
  try {
    const note: unknown = JSON.parse(readFileSync(join(folder, "redis", "running.json"), "utf8"));
    const { redis, url } = note as { redis?: unknown; url?: unknown };
    if (typeof redis !== "number" || typeof url !== "string") return null;
    process.kill(redis, 0);
    return url;
  } catch {
    return null; // there is none, or it has stopped
  }
}
