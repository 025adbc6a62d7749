/** The engines of a workspace that are alive, and who owns which shard. */

import { callRedis, type RedisConnection } from "./connection.ts";
import { shardKeys, workspaceKeys } from "./keys.ts";
import { Script } from "./script.ts";
import * as scripts from "./scripts/generated.ts";
import { parseLayout, type ShardLayout } from "./shard-layout.ts";

const beatEngineScript = new Script(scripts.beatEngine);

export interface EngineInfo {
  readonly name: string;
  /** When it joined, in milliseconds since the epoch. */
  readonly sinceMs: number;
  /** When it counts as dead without a further beat, in milliseconds since the epoch. */
  readonly expiresMs: number;
  /** The shards that are its own by now, but that another engine holds. */
  readonly wants: readonly number[];
}

export interface Engines {
  readonly layout: ShardLayout;
  /** The number of shards that someone asked for, and nobody has refused; null if nobody did. */
  readonly wantedCount: number | null;
  readonly members: readonly EngineInfo[];
  /** The owner of each shard of the layout that was passed, and for how long it holds that; null for a free shard. */
  readonly leases: readonly ({ readonly owner: string; readonly heldMs: number } | null)[];
  /** Whether the engine that beats was not alive before. */
  readonly joined: boolean;
}

/** An engine that says that it is alive. */
export interface Beat {
  readonly name: string;
  readonly ttlMs: number;
  readonly wants: readonly number[];
  /** The number of shards of a workspace that has none yet. */
  readonly firstCount: number;
}

/**
 * Reads which engines are alive and who owns which shard, and with `beat` says at the same time that one is alive.
 *
 * @param layout whose leases to read; the answer says whether it is still the workspace's
 * @throws RedisUnreachable; Error if something else is stored where the number of shards should be
 */
export async function readEngines(
  redis: RedisConnection,
  workspace: string,
  layout: ShardLayout,
  beat: Beat | null = null,
): Promise<Engines> {
  const keys = workspaceKeys(workspace);
  const leaseKeys = Array.from(
    { length: layout.count },
    (_, shard) => shardKeys(workspace, shard, layout.generation).lease,
  );
  const parameters = [beat?.name ?? "", beat?.ttlMs ?? 0, (beat?.wants ?? []).join(), beat?.firstCount ?? ""];
  const [joined, storedLayout, wish, engines, leases] = (await callRedis(() =>
    beatEngineScript.run(
      redis,
      [keys.engines, keys.engineNotes, keys.shardCount, keys.resharding, ...leaseKeys],
      parameters,
    ),
  )) as [number, string, string, string[], (string | number)[]];
  const current = storedLayout === "" ? layout : parseLayout(storedLayout);
  if (current === null) {
    throw new Error(`The key ${keys.shardCount} should hold the number of shards, not ${storedLayout}`);
  }
  const members: EngineInfo[] = [];
  for (let index = 0; index < engines.length; index += 4) {
    const [name = "", expires = "0", since = "0", wants = ""] = engines.slice(index, index + 4);
    members.push({
      name,
      sinceMs: Number(since),
      expiresMs: Number(expires),
      wants: wants === "" ? [] : wants.split(",").map(Number),
    });
  }
  return {
    layout: current,
    wantedCount: wish === "" ? null : Number(wish),
    members,
    leases: leaseKeys.map((_, shard) => {
      const owner = String(leases[2 * shard]);
      return owner === "" ? null : { owner, heldMs: Number(leases[2 * shard + 1]) };
    }),
    joined: joined === 1,
  };
}

/** The layout of a workspace; null if no engine has ever run. @throws RedisUnreachable */
export async function readLayout(redis: RedisConnection, workspace: string): Promise<ShardLayout | null> {
  return parseLayout(await callRedis(() => redis.get(workspaceKeys(workspace).shardCount)));
}
