import { describe, expect, test } from "vitest";
import { shareShards } from "../../src/engine/share-shards.ts";
import fc from "../support/fast-check.ts";

const names = Array.from({ length: 8 }, (_, index) => `greenhouse-${index}:${4_000 + index}:1:${index}f3a`);
const anyEngines = fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: names.length });
/** Owners may be engines that have died, or versions that say nothing of themselves. */
const anyOwners = fc.array(fc.option(fc.constantFrom(...names, "someone else")), { maxLength: 24 });

function countsOf(engines: readonly string[], share: readonly (string | null)[]): number[] {
  return engines.map((name) => share.filter((owner) => owner === name).length);
}

describe("the share of each engine", () => {
  test("is two of six shards for three engines, whoever owns them now", () => {
    const engines = names.slice(0, 3);
    for (const owner of [null, ...engines]) {
      expect(countsOf(engines, shareShards(engines, new Array(6).fill(owner)))).toEqual([2, 2, 2]);
    }
  });

  test("is even: every shard has an engine, and no engine has two more than another", () => {
    fc.assert(
      fc.property(anyEngines, anyOwners, (engines, owners) => {
        const counts = countsOf(engines, shareShards(engines, owners));
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(owners.length);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("is the same in whatever order the engines are listed", () => {
    fc.assert(
      fc.property(anyEngines, anyOwners, fc.infiniteStream(fc.nat()), (engines, owners, keys) => {
        const shuffled = engines
          .map((name) => ({ name, key: keys.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ name }) => name);
        expect(shareShards(shuffled, owners)).toEqual(shareShards(engines, owners));
      }),
    );
  });

  // Each shard that moves stands still for a moment.
  test("moves no more shards than an even share needs", () => {
    fc.assert(
      fc.property(anyEngines, anyOwners, (engines, owners) => {
        const share = shareShards(engines, owners);
        const moved = share.filter(
          (name, shard) => engines.includes(owners[shard] ?? "") && name !== owners[shard],
        );
        const even = Math.floor(owners.length / engines.length);
        const surplus = countsOf(engines, owners).filter((count) => count > even);
        const needed = surplus.reduce((sum, count) => sum + count - even, 0);
        const keptExtra = Math.min(owners.length % engines.length, surplus.length);
        expect(moved).toHaveLength(needed - keptExtra);
      }),
    );
  });

  // Engines see the shards being handed over one by one. If a half-done move changed what is left of it, shards would be
  // handed to and fro.
  test("does not change while the shards are handed over, in whatever order", () => {
    fc.assert(
      fc.property(anyEngines, anyOwners, fc.infiniteStream(fc.nat()), (engines, owners, picks) => {
        const end = shareShards(engines, owners);
        const now = owners.map((owner) => (engines.includes(owner ?? "") ? owner : null));
        for (;;) {
          const pending = now.flatMap((owner, shard) => (owner === end[shard] ? [] : [shard]));
          if (pending.length === 0) break;
          const shard = pending[(picks.next().value as number) % pending.length] ?? 0;
          // First it is released, then claimed.
          now[shard] = now[shard] === null ? (end[shard] ?? null) : null;
          expect(shareShards(engines, now)).toEqual(end);
        }
      }),
    );
  });

  test("is a fair hash: with nobody owning anything, each engine gets each shard about equally often", () => {
    const counts = new Map<string, number>();
    for (let round = 0; round < 3_000; round += 1) {
      const engines = ["a", "b", "c"].map((name) => `${name}:${round}`);
      const [first = ""] = shareShards(engines, new Array(6).fill(null));
      const [letter = ""] = first.split(":");
      counts.set(letter, (counts.get(letter) ?? 0) + 1);
    }
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  test("is nothing without engines", () => {
    expect(shareShards([], [null, "gone"])).toEqual([]);
  });
});
