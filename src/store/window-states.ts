/** Reads the state of open windows over all automations, of which there may be a million. */

import { parseExactJson } from "../core/json/exact-json.ts";
import { automationOfField, type StateFields } from "../core/machine/state.ts";
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
  /** Whether to read only windows that were unresolved a moment ago. */
  readonly unresolvedOnly: boolean;
  /** Whether to read the windows of a key. */
  readonly accepts: (values: readonly string[]) => boolean;
  /** How many windows to read at most. */
  readonly countMax: number;
  /** How many names to look at for those at most. */
  readonly lookMax: number;
}

export interface WindowStates {
  /** Of each shard that was read, all that its windows need, without the events that wait for their time to settle. */
  readonly shards: readonly StateFields[];
  /** Whether some windows were not read: there are too many, or they changed meanwhile. */
  readonly isCut: boolean;
}

/** How many names are looked at in one step, and how many fields are read with one command. */
const namesPerScan = 1_000;
const fieldsPerRead = 1_000;

/**
 * Reads the state of open windows.
 *
 * The names are looked at in small steps. An automation and its windows are read with one command, so that they fit
 * together although the engine goes on.
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
  let { countMax, lookMax } = query;
  let isCut = false;
  for (const shard of query.shards.filter((shard) => shard < count)) {
    const { state, unresolved } = shardKeys(workspace, shard, generation);
    const scan = query.unresolvedOnly ? scanSet(redis, unresolved) : scanState(redis, state);
    const found = await findWindows(scan, { ...query, countMax, lookMax });
    const read = await readFields(redis, state, found.names);
    shards.push(read.fields);
    countMax -= found.windowCount;
    lookMax -= found.lookCount;
    isCut ||= found.isCut || read.isCut;
  }
  return { shards, isCut };
}

/** Names of fields, part by part. */
type NameScan = AsyncIterable<readonly string[]>;

async function* scanSet(redis: RedisConnection, key: string): NameScan {
  for (let part = "0", done = false; !done; done = part === "0") {
    const [next, names] = await callRedis(() => redis.sscan(key, part, "COUNT", namesPerScan));
    yield names;
    part = next;
  }
}

async function* scanState(redis: RedisConnection, key: string): NameScan {
  for (let part = "0", done = false; !done; done = part === "0") {
    const [next = "0", ...names] = (await callRedis(() =>
      scanWindowsScript.run(redis, [key], [part, namesPerScan]),
    )) as string[];
    yield names;
    part = next;
  }
}

/** The names of the wanted fields, by automation. */
async function findWindows(scan: NameScan, { accepts, countMax, lookMax }: WindowQuery) {
  const names = new Map<string, Set<string>>();
  const found = { names, windowCount: 0, lookCount: 0, isCut: false };
  for await (const part of scan) {
    if (found.lookCount >= lookMax) return { ...found, isCut: true };
    found.lookCount += namesPerScan;
    for (const name of part) {
      await breathe();
      const id = automationOfField(name) ?? "";
      const known = names.get(id) ?? new Set();
      if (known.has(name)) continue;
      if (name.startsWith("k:")) {
        if (!accepts(keyOfField(name))) continue;
        if (found.windowCount === countMax) return { ...found, isCut: true };
        found.windowCount++;
      }
      names.set(id, known.add(name));
    }
  }
  return found;
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
