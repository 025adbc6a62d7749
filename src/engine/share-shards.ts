/**
 * Which engine should own which shard.
 *
 * A pure function of what all engines see in Redis, so they agree without talking to each other. Everyone keeps what it owns
 * up to an even share. What is left goes by rendezvous hashing: of all pairs of a free shard and an engine with room for
 * one, that with the highest hash comes first. So an engine that joins or leaves moves no shard that need not move, and while
 * the free shards are claimed one after the other, each view on the way leads to the same end.
 */

/**
 * Assigns each shard to an engine. No engine gets more than one shard more than another.
 *
 * @param engines the names of the engines that are alive, in any order, each once
 * @param owners the present owner of each shard; null, or a name that is not among the engines, for a shard to assign anew
 * @returns the engine of each shard; empty if there are no engines
 */
export function shareShards(engines: readonly string[], owners: readonly (string | null)[]): string[] {
  if (engines.length === 0) return [];
  const even = Math.floor(owners.length / engines.length);
  let extraCount = owners.length % engines.length; // so many engines get one more than the others

  const owned = new Map<string, number[]>(engines.map((name) => [name, []]));
  for (const [shard, owner] of owners.entries()) if (owner !== null) owned.get(owner)?.push(shard);
  const assigned = new Array<string | null>(owners.length).fill(null);
  const counts = new Map<string, number>();
  // By name, and not by how many each has, which changes while the surplus is handed over.
  for (const [name, shards] of [...owned].sort(([a], [b]) => compareTexts(a, b))) {
    const keepsMore = shards.length > even && extraCount > 0;
    if (keepsMore) extraCount -= 1;
    const kept = shards.sort((a, b) => weightOf(name, b) - weightOf(name, a) || a - b);
    kept.length = Math.min(kept.length, keepsMore ? even + 1 : even);
    for (const shard of kept) assigned[shard] = name;
    counts.set(name, kept.length);
  }

  const pairs: { readonly shard: number; readonly name: string; readonly weight: number }[] = [];
  for (const [shard, name] of assigned.entries()) {
    if (name !== null) continue;
    for (const name of engines) pairs.push({ shard, name, weight: weightOf(name, shard) });
  }
  pairs.sort((a, b) => b.weight - a.weight || a.shard - b.shard || compareTexts(a.name, b.name));
  for (const { shard, name } of pairs) {
    const count = counts.get(name) ?? 0;
    if (assigned[shard] !== null || count > even || (count === even && extraCount === 0)) continue;
    if (count === even) extraCount -= 1;
    assigned[shard] = name;
    counts.set(name, count + 1);
  }
  return assigned.map((name) => name ?? "");
}

/** A hash of the pair, from 0 to 2³² - 1: FNV-1a, mixed once more, because names differ in a few characters only. */
function weightOf(name: string, shard: number): number {
  let hash = 0x811c9dc5 ^ shard;
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ shard ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
