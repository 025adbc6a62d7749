/** Where a command that talks to Redis itself finds it. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { redisUrlIn } from "./settings.ts";

const usual = "redis://127.0.0.1:6379";

/**
 * The Redis that is meant: the one given, that of REDIS_URL, the private one of an `npm start` that runs in this folder,
 * or else the usual one of this machine.
 *
 * @param given what --redis or TRIPLINE_REDIS says
 */
export function findRedis(given: string | undefined, env: NodeJS.ProcessEnv = process.env): string {
  return given ?? redisUrlIn(env) ?? privateRedis(env["TRIPLINE_DATA"] ?? ".tripline") ?? usual;
}

/** What `npm start` has left below its folder for data, while its Redis lives. */
function privateRedis(folder: string): string | null {
  try {
    const said: unknown = JSON.parse(readFileSync(join(folder, "redis", "running.json"), "utf8"));
    const { redis, url } = said as { redis?: unknown; url?: unknown };
    if (typeof redis !== "number" || typeof url !== "string") return null;
    process.kill(redis, 0);
    return url;
  } catch {
    return null; // there is none, or it has ended
  }
}
