/** Brings a workspace's destinations to what the rule files say. */

import { canonicalJson } from "../core/model/automation.ts";
import type { Destination } from "../core/model/destination.ts";

/** What this needs of the log's destinations. */
export interface DestinationTarget {
  list(): Promise<readonly Destination[]>;
  put(destinations: readonly Destination[]): Promise<void>;
  delete(ids: readonly string[]): Promise<number>;
}

/**
 * Puts the destinations that are new or changed and deletes those that are gone from the files. Those that were
 * created over the API stay, unless a file defines one of the same name: then the file's word counts.
 *
 * @returns how many were put or deleted
 */
export async function applyDestinations(
  store: DestinationTarget,
  wanted: readonly Destination[],
): Promise<number> {
  const stored = new Map((await store.list()).map((destination) => [destination.id, destination]));
  const put = wanted.flatMap((destination) => {
    const current = stored.get(destination.id);
    if (current === undefined) return [destination];
    const next = { ...destination, created: current.created };
    return canonicalJson({ ...next, updated: current.updated }) === canonicalJson(current) ? [] : [next];
  });
  const ids = new Set(wanted.map(({ id }) => id));
  const gone = [...stored.values()].filter(({ id, source }) => source.kind === "file" && !ids.has(id));
  await store.put(put);
  await store.delete(gone.map(({ id }) => id));
  return put.length + gone.length;
}
