/** Secrets shared by the servers of a workspace. The first server that needs one creates it. */

import { randomBytes } from "node:crypto";
import { callRedis, type RedisConnection } from "./connection.ts";
import { workspaceKeys } from "./keys.ts";
import type { WorkspaceBox } from "./workspace-box.ts";

const secretBytes = 32;

/**
 * The workspace's secret for one purpose, created on first use.
 *
 * @throws RedisUnreachable, SecretUnreadable
 */
export async function workspaceSecret(
  redis: RedisConnection,
  workspace: string,
  purpose: string,
  box: WorkspaceBox,
): Promise<string> {
  const key = workspaceKeys(workspace).secrets;
  const known = await callRedis(() => redis.hget(key, purpose));
  if (known !== null) return box.requireOwn(purpose, known);
  const created = box.sealOwn(purpose, randomBytes(secretBytes).toString("base64url"));
  await callRedis(() => redis.hsetnx(key, purpose, created)); // another server may have been faster
  return workspaceSecret(redis, workspace, purpose, box);
}
