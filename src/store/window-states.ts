/** Reads the state of open windows over all automations, of which there may be a million. */

import { parseExactJson } from "../core/json/exact-json.ts";
import { automationOfField, type StateFields } from "../core/machine/state.ts";
import { unresolvedPatterns } from "../core/machine/watched.ts";
import { breathe, chunksOf } from "../retry/slices.ts";
import { readEventsOf, withoutEvents } from "./automation-state.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { readLayout } from "./engines.ts";
import { shardKeys } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";

const scanWindowsScript = new Script(scripts.scanWindows);

export interface WindowQuery {
  /** The shards to read. */
  readonly shards: readonly number[];
  /** Whether to leave out windows that surely are not unresolved. */
  readonly unresolvedOnly: boolean;
  /** Whether to read the windows of a key. */
  readonly accepts: (values: readonly string[]) => boolean;
  /** How many windows to read at most. */
  readonly countMax: number;
}

export interface WindowStates {
  /** Of each shard that was read, all that its windows need. */
  readonly shards: readonly StateFields[];
  /** Whether some windows were not read: there are too many, or they changed meanwhile. */
  readonly isCut: boolean;
}

/** How many fields are looked at in one step, and how many are read with one command. */
const fieldsPerScan = 1_000;
const fieldsPerRead = 1_000;

/**
 * Reads the state of open windows.
 *
 * Each shard's state is looked at in small steps, and only what is wanted leaves Redis. An automation and its windows are
 * read with one command, so that they fit together although the engine goes on.
 *
 * @throws RedisUnreachable
 */
export async function readWindowStates(
  redis: RedisConnection,
  workspace: string,
  query: WindowQuery,
): Promise<WindowStates> {
  const { count, generation } = (await readLayout(redis, workspace)) ?? { count: 0, generation: 0 };
  const shards: StateFields[] = [];
  let left = query.countMax;
  let isCut = false;
  for (const shard of query.shards.filter((shard) => shard < count)) {
    const key = shardKeys(workspace, shard, generation).state;
    const found = await findWindows(redis, key, { ...query, countMax: left });
    const read = await readFields(redis, key, found.names);
    shards.push(read.fields);
    left -= found.windowCount;
    isCut ||= found.isCut || read.isCut;
  }
  return { shards, isCut };
}

/** The names of the wanted fields, by automation. */
async function findWindows(redis: RedisConnection, key: string, query: WindowQuery) {
  const { unresolvedOnly, accepts, countMax } = query;
  const patterns = unresolvedOnly ? unresolvedPatterns : [];
  const names = new Map<string, Set<string>>();
  const others: string[] = [];
  let windowCount = 0;
  let isCut = false;
  for (let part = "0", done = false; !done && !isCut; done = part === "0") {
    const parameters = [part, fieldsPerScan, ...patterns];
    const [next = "0", ...found] = (await callRedis(() =>
      scanWindowsScript.run(redis, [key], parameters),
    )) as string[];
    part = next;
    for (const name of found) {
      await breathe();
      const id = automationOfField(name) ?? "";
      if (!name.startsWith("k:")) {
        if (others.length < countMax) others.push(name);
        continue;
      }
      const known = names.get(id);
      if (known?.has(name) === true || !accepts(keyOfField(name))) continue;
      isCut = windowCount === countMax;
      if (isCut) break;
      windowCount++;
      if (known === undefined) names.set(id, new Set([name]));
      else known.add(name);
    }
  }
  for (const name of others) {
    const id = automationOfField(name) ?? "";
    const known = names.get(id);
    const isShared = name.startsWith("s:");
    // Without its window, an event that waits would look as if it were about to open one.
    if (known !== undefined && (isShared || !isCut)) known.add(name);
    else if (isShared && !unresolvedOnly) names.set(id, new Set([name]));
  }
  return { names, windowCount, isCut };
}

/** The values of the key of a window's field: k:<automation>:<path>:<key>. */
function keyOfField(name: string): readonly string[] {
  const path = name.indexOf(":", 2) + 1;
  return parseExactJson(name.slice(name.indexOf(":", path) + 1)) as string[];
}

async function readFields(
  redis: RedisConnection,
  key: string,
  names: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<{ fields: StateFields; isCut: boolean }> {
  const fields = new Map<string, string>();
  const wanted = [...names].flatMap(([id, ofAutomation]) => [...ofAutomation].map((name) => ({ id, name })));
  let isCut = false;
  for (const part of chunksOf(wanted, fieldsPerRead)) {
    const automations = [...new Set(part.map(({ id }) => `a:${id}`))];
    const asked = [...automations, ...part.map(({ name }) => name)];
    const values = await callRedis(() => redis.hmget(key, ...asked));
    const changed = new Set<string>();
    const read = new Map<string, string>();
    for (const [index, name] of asked.entries()) {
      await breathe();
      const value = values[index] ?? null;
      const id = automationOfField(name) ?? "";
      // It was deleted, or changed since the part before was read: what was read then belongs to what it was.
      if (name.startsWith("a:") && (value === null || (fields.get(name) ?? value) !== value)) changed.add(id);
      if (value !== null && !changed.has(id)) read.set(name, value);
    }
    const missing = await readEventsOf(redis, key, read);
    await withoutEvents(read, missing);
    isCut ||= changed.size > 0 || missing.size > 0;
    for (const [name, value] of read) fields.set(name, value);
  }
  return { fields, isCut };
}
