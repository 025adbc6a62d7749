/** What the engine has committed of one automation, to be looked at from outside. */

import type { Redis } from "ioredis";
import { reaching } from "./connection.ts";
import { shardKeys, workspaceKeys } from "./keys.ts";

/** The fields of a shard's state, as `Core.restore` takes them. */
export type StateFields = ReadonlyMap<string, string>;

/** The engine commits while its state is read; after so many tries, windows that just changed are left out. */
const triesMax = 5;

/**
 * Reads the state of one automation, with the events that its windows refer to.
 *
 * @returns null when no shard has taken the automation up yet
 * @throws RedisUnreachable
 */
export async function readAutomationState(
  redis: Redis,
  workspace: string,
  automationId: string,
): Promise<StateFields | null> {
  const shardCount = Number((await reaching(() => redis.get(workspaceKeys(workspace).shardCount))) ?? "1");
  for (let shard = 0; shard < shardCount; shard++) {
    const key = shardKeys(workspace, shard).state;
    if ((await reaching(() => redis.hexists(key, `a:${automationId}`))) === 0) continue;
    for (let tries = 1; ; tries++) {
      const { fields, missing } = await readOnce(redis, key, automationId);
      if (missing.size === 0) return fields;
      if (tries < triesMax) continue;
      for (const [field, value] of fields) {
        if (positionsIn(field, value).some((position) => missing.has(position))) fields.delete(field);
      }
      return fields;
    }
  }
  return null;
}

async function readOnce(redis: Redis, key: string, automationId: string) {
  const fields = new Map<string, string>();
  for (let part = "0", done = false; !done; done = part === "0") {
    const match = `*${automationId}*`;
    const [next, found] = await reaching(() => redis.hscan(key, part, "MATCH", match, "COUNT", 1_000));
    for (let index = 0; index < found.length; index += 2)
      fields.set(found[index] ?? "", found[index + 1] ?? "");
    part = next;
  }
  for (const field of fields.keys()) if (field.split(":")[1] !== automationId) fields.delete(field);
  const positions = [...new Set([...fields].flatMap(([field, value]) => positionsIn(field, value)))];
  const wanted = ["meta", ...positions.map((position) => `e:${position}`)];
  const values = await reaching(() => redis.hmget(key, ...wanted));
  const missing = new Set<string>();
  for (const [index, field] of wanted.entries()) {
    const value = values[index] ?? null;
    if (value !== null) fields.set(field, value);
    else if (field !== "meta") missing.add(field.slice(2));
  }
  return { fields, missing };
}

/** The log positions of the events that a window, a composite's memory, or a waiting event refers to. */
function positionsIn(field: string, value: string): string[] {
  if (!field.startsWith("k:") && !field.startsWith("p:")) return [];
  return [...value.matchAll(/"(?:last|arrival)":"(\d+-\d+)"|^\["(\d+-\d+)"/g)].map(
    ([, a, b]) => a ?? b ?? "",
  );
}
