/** How many windows are open and which are unresolved, as the owners of the shards have last written it. */

import type { OpenNumbers } from "../core/machine/open-count.ts";
import { breathe } from "../retry/slices.ts";
import { callRedis, type RedisConnection } from "./connection.ts";
import { readLayout } from "./engines.ts";
import { shardKeys } from "./keys.ts";

/** What the owner of a shard writes about its windows: what has changed, at most 1,000 of each. */
export interface OpenWindowsReport {
  /** By automation id. Those that have no open window are left out of what is stored. */
  readonly counts: ReadonlyMap<string, OpenNumbers>;
  /** Of the whole shard. */
  readonly total: OpenNumbers;
  /** By the field of the state: whether the window is unresolved now. */
  readonly unresolved: ReadonlyMap<string, boolean>;
  /** Whether it replaces everything that is stored: that of an earlier owner. */
  readonly isFirst: boolean;
}

/** No id of an automation. */
const totalField = "total";

/** The last parameters of the script that writes a report. */
export function reportParameters({ counts, total, unresolved, isFirst }: OpenWindowsReport) {
  const set = [totalField, textOf(total)];
  const deleted: string[] = [];
  for (const [id, numbers] of counts) {
    if (numbers.open === 0) deleted.push(id);
    else set.push(id, textOf(numbers));
  }
  const added: string[] = [];
  const removed: string[] = [];
  for (const [field, isUnresolved] of unresolved) (isUnresolved ? added : removed).push(field);
  return [
    isFirst ? "1" : "",
    set.length / 2,
    deleted.length,
    added.length,
    removed.length,
    ...set,
    ...deleted,
    ...added,
    ...removed,
  ];
}

function textOf({ open, unresolved }: OpenNumbers): string {
  return `${open} ${unresolved}`;
}

function numbersOf(text: string | null): OpenNumbers {
  const [open = "0", unresolved = "0"] = text?.split(" ") ?? [];
  return { open: Number(open), unresolved: Number(unresolved) };
}

/** The total of each shard that the workspace has now. @throws RedisUnreachable */
export async function readOpenTotals(
  redis: RedisConnection,
  workspace: string,
): Promise<readonly OpenNumbers[]> {
  const keys = await openCountKeys(redis, workspace);
  const texts = await callRedis(() => Promise.all(keys.map((key) => redis.hget(key, totalField))));
  return texts.map(numbersOf);
}

/** By automation id, those that have open windows. @throws RedisUnreachable */
export async function readOpenCounts(
  redis: RedisConnection,
  workspace: string,
): Promise<ReadonlyMap<string, OpenNumbers>> {
  const keys = await openCountKeys(redis, workspace);
  const hashes = await callRedis(() => Promise.all(keys.map((key) => redis.hgetall(key))));
  const counts = new Map<string, OpenNumbers>();
  for (const hash of hashes) {
    for (const [id, text] of Object.entries(hash)) {
      await breathe();
      if (id !== totalField) counts.set(id, numbersOf(text));
    }
  }
  return counts;
}

/** Of each shard that the workspace has now: what older ones have left counts no more. */
async function openCountKeys(redis: RedisConnection, workspace: string): Promise<string[]> {
  const { count, generation } = (await readLayout(redis, workspace)) ?? { count: 0, generation: 0 };
  return Array.from({ length: count }, (_, shard) => shardKeys(workspace, shard, generation).openCounts);
}
