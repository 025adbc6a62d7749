import { expect, test } from "vitest";
import { shardOf } from "../../src/engine/shard-of.ts";

// If it changed, automations would move to shards that do not hold their windows.
test.each([
  { id: "", hash: 0x811c9dc5 },
  { id: "a", hash: 0xe40c292c },
  { id: "foobar", hash: 0xbf9cf968 },
])("the shard of an automation is FNV-1a of its id: $id", ({ id, hash }) => {
  expect(shardOf(id, 2 ** 32)).toBe(hash); // the published test vectors
  expect(shardOf(id, 7)).toBe(hash % 7);
  expect(shardOf(id, 1)).toBe(0);
});
