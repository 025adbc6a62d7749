/** Names that patterns match are found without comparing each, and with the same result. */

import { expect, test } from "vitest";
import { NameList } from "../../../src/api/map/name-list.ts";
import { compileGlob } from "../../../src/core/model/glob.ts";
import fc from "../../support/fast-check.ts";

const anyName = fc
  .array(fc.constantFrom("pump", "vent", ".", "é", "*", "1"), { maxLength: 4 })
  .map((parts) => parts.join(""));
const anyPattern = fc
  .array(fc.constantFrom("pump", "vent", ".", "é", "*", "?", "[1-3]", "1"), { minLength: 1, maxLength: 4 })
  .chain((parts) => fc.constantFrom(parts.join(""), `!${parts.join("")}`));

test("a pattern counts what it matches, name by name", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(anyName, fc.nat(5))), anyPattern, async (entries, pattern) => {
      const counts = new Map(entries);
      const glob = compileGlob(pattern);
      const matching = [...counts].filter(([name]) => glob.matches(name));
      const names = new NameList(counts, true);
      expect(await names.countOf(glob)).toBe(matching.reduce((sum, [, count]) => sum + count, 0));
      expect(await names.has(glob)).toBe(matching.length > 0);
    }),
  );
});

test("of names that are not all known, nothing is said that others could change", async () => {
  const names = new NameList(new Map([["pump.stopped", 3]]), false);
  expect(await names.countOf(compileGlob("pump.stopped"))).toBe(3);
  expect(await names.countOf(compileGlob("pump.*"))).toBeNull();
  expect(await names.countOf(compileGlob("vent.opened"))).toBeNull();
  expect(await names.has(compileGlob("pump.*"))).toBe(true);
  expect(await names.has(compileGlob("vent.*"))).toBeNull();
});

test("too many comparisons end, and say so", async () => {
  const names = new NameList(
    new Map(Array.from({ length: 20_000 }, (_, index) => [`pump.${index}`, 1])),
    true,
  );
  const pattern = compileGlob("*.x");
  for (let index = 0; index < 100; index += 1) expect(await names.countOf(pattern)).toBe(0);
  expect(await names.countOf(pattern)).toBeNull();
  expect(await names.has(pattern)).toBeNull();
  expect(await names.countOf(compileGlob("pump.7"))).toBe(1);
});
