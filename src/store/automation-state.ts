/** Reads the state that the engine has committed for one automation. */

import { automationOfField, referencesIn, type StateFields } from "../core/machine/state.ts";
import { breathe, chunksOf } from "../retry/slices.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { readLayout } from "./engines.ts";
import { shardKeys } from "./keys.ts";

/** The engine may commit during a read. After this many tries, windows that keep changing are left out. */
const triesMax = 5;

/**
 * Reads the state of one automation, including the events that its windows refer to.
 *
 * @returns null if no shard has committed anything for this automation yet
 * @throws RedisUnreachable
 */
export async function readAutomationState(
  redis: RedisConnection,
  workspace: string,
  automationId: string,
): Promise<StateFields | null> {
  const { count, generation } = (await readLayout(redis, workspace)) ?? { count: 1, generation: 0 };
  for (let shard = 0; shard < count; shard++) {
    const key = shardKeys(workspace, shard, generation).state;
    if ((await callRedis(() => redis.hexists(key, `a:${automationId}`))) === 0) continue;
    for (let tries = 1; ; tries++) {
      const { fields, missing } = await readOnce(redis, key, automationId);
      if (missing.size === 0) return fields;
      if (tries < triesMax) continue;
      await withoutEvents(fields, missing);
      return fields;
    }
  }
  return null;
}

async function readOnce(redis: RedisConnection, key: string, automationId: string) {
  const fields = new Map<string, string>();
  for (let part = "0", done = false; !done; done = part === "0") {
    const match = `*${automationId}*`;
    const [next, found] = await callRedis(() => redis.hscan(key, part, "MATCH", match, "COUNT", 1_000));
    for (let index = 0; index < found.length; index += 2)
      fields.set(found[index] ?? "", found[index + 1] ?? "");
    part = next;
  }
  for (const field of fields.keys()) {
    await breathe();
    if (automationOfField(field) !== automationId) fields.delete(field);
  }
  return { fields, missing: await readEventsOf(redis, key, fields) };
}

/**
 * Adds the events that some fields of a state refer to, and what is known of the state as a whole.
 *
 * @returns the positions of events that are not there anymore
 */
export async function readEventsOf(
  redis: RedisConnection,
  key: string,
  fields: Map<string, string>,
): Promise<ReadonlySet<string>> {
  const positions = new Set<string>();
  for (const [field, value] of fields) {
    await breathe();
    if (mayRefer(field)) for (const position of referencesIn(value)) positions.add(position);
  }
  const wanted = ["meta", ...[...positions].map((position) => `e:${position}`)];
  const values = await callRedis(() =>
    Promise.all(chunksOf(wanted, chunkLength).map((names) => redis.hmget(key, ...names))),
  );
  const missing = new Set<string>();
  const found = values.flat();
  for (const [index, field] of wanted.entries()) {
    const value = found[index] ?? null;
    if (value !== null) fields.set(field, value);
    else if (field !== "meta") missing.add(field.slice(2));
  }
  return missing;
}

/** Leaves out the fields that refer to events that are missing. */
export async function withoutEvents(
  fields: Map<string, string>,
  missing: ReadonlySet<string>,
): Promise<void> {
  if (missing.size === 0) return;
  for (const [field, value] of fields) {
    await breathe();
    if (mayRefer(field) && referencesIn(value).some((position) => missing.has(position)))
      fields.delete(field);
  }
}

/** So many values are read with one command. All commands are sent at once, because the state goes on changing. */
const chunkLength = 1_000;

/** Whether a field may refer to events: a window, a composite's memory, or an event that waits. */
function mayRefer(field: string): boolean {
  return field.startsWith("k:") || field.startsWith("p:");
}
