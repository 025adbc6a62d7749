/** Secrets shared by the servers of a workspace. The first server that needs one creates it. */

import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { callRedis } from "./connection.ts";
import { workspaceKeys } from "./keys.ts";

const secretBytes = 32;

/**
 * The workspace's secret for one purpose, created on first use.
 *
 * @throws RedisUnreachable
 */
export async function workspaceSecret(redis: Redis, workspace: string, purpose: string): Promise<string> {
  const key = workspaceKeys(workspace).secrets;
  const known = await callRedis(() => redis.hget(key, purpose));
  if (known !== null) return known;
  await callRedis(() => redis.hsetnx(key, purpose, randomBytes(secretBytes).toString("base64url")));
  return (await callRedis(() => redis.hget(key, purpose))) ?? workspaceSecret(redis, workspace, purpose);
}
