/**
 * How a workspace is divided into shards: their number, and how often that number was changed.
 *
 * Each change has keys of its own, so that the shards before and after it never touch the same ones. The layout is stored as
 * `6` as long as nobody has changed it, and later as `6:1`. Versions of Tripline that know of no changes cannot read the
 * latter as a number, so they stay away from such a workspace.
 */

export interface ShardLayout {
  readonly count: number;
  /** The number of changes so far. */
  readonly generation: number;
}

/** The most shards that a workspace can have: each reads the whole log. */
export const shardCountMax = 1_024;

/** The layout as it is stored. */
export function layoutText({ count, generation }: ShardLayout): string {
  return generation === 0 ? String(count) : `${count}:${generation}`;
}

/** @returns null if nothing is stored, or something that is not a layout */
export function parseLayout(text: string | null | undefined): ShardLayout | null {
  const [, count, generation = "0"] = /^([1-9]\d*)(?::(\d+))?$/.exec(text ?? "") ?? [];
  return count === undefined ? null : { count: Number(count), generation: Number(generation) };
}

export function sameLayout(a: ShardLayout, b: ShardLayout): boolean {
  return a.count === b.count && a.generation === b.generation;
}
