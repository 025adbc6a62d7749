/** Secrets that the servers of a workspace share: made by whoever needs one first. */

import { randomBytes } from "node:crypto";
import type { Redis } from "ioredis";
import { reaching } from "./connection.ts";
import { workspaceKeys } from "./keys.ts";

const secretBytes = 32;

/**
 * The workspace's secret for one purpose.
 *
 * @throws RedisUnreachable
 */
export async function workspaceSecret(redis: Redis, workspace: string, purpose: string): Promise<string> {
  const key = workspaceKeys(workspace).secrets;
  const known = await reaching(() => redis.hget(key, purpose));
  if (known !== null) return known;
  await reaching(() => redis.hsetnx(key, purpose, randomBytes(secretBytes).toString("base64url")));
  return (await reaching(() => redis.hget(key, purpose))) ?? workspaceSecret(redis, workspace, purpose);
}
