/** How many windows of each automation are open, as the owners of the shards have last written it. */

import type { OpenNumbers } from "../core/machine/open-count.ts";
import { breathe } from "../retry/slices.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { readLayout } from "./engines.ts";
import { shardKeys } from "./keys.ts";

/** The last parameters of the script that writes them. */
export function openCountParameters(counts: ReadonlyMap<string, OpenNumbers>): (string | number)[] {
  const set: string[] = [];
  const deleted: string[] = [];
  for (const [id, { open, unresolved }] of counts) {
    if (open === 0) deleted.push(id);
    else set.push(id, `${open} ${unresolved}`);
  }
  return [set.length / 2, ...set, ...deleted];
}

/** By shard, and then by automation id. Only the shards that the workspace has now count. @throws RedisUnreachable */
export async function readOpenCounts(
  redis: RedisConnection,
  workspace: string,
): Promise<readonly ReadonlyMap<string, OpenNumbers>[]> {
  const { count, generation } = (await readLayout(redis, workspace)) ?? { count: 0, generation: 0 };
  const shards = Array.from({ length: count }, (_, shard) => shardKeys(workspace, shard, generation));
  const stored = await callRedis(() =>
    Promise.all(shards.map(({ openCounts }) => redis.hgetall(openCounts))),
  );
  const read: Map<string, OpenNumbers>[] = [];
  for (const hash of stored) {
    const counts = new Map<string, OpenNumbers>();
    for (const [id, text] of Object.entries(hash)) {
      await breathe();
      const [open = "0", unresolved = "0"] = text.split(" ");
      counts.set(id, { open: Number(open), unresolved: Number(unresolved) });
    }
    read.push(counts);
  }
  return read;
}
