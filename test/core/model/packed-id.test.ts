import { expect, test } from "vitest";
import {
  packedLength,
  packId,
  readUuidWords,
  unpackId,
  uuidOfWords,
} from "../../../src/core/model/packed-id.ts";
import fc from "../../support/fast-check.ts";

test("a UUID takes 22 characters, and comes back as it was", () => {
  fc.assert(
    fc.property(fc.uuid(), (id) => {
      const packed = packId(id);
      expect(packed).toMatch(/^[\w-]{22}$/);
      expect(packed).toHaveLength(packedLength);
      expect(unpackId(packed)).toBe(id);
      const words = new Uint32Array(6);
      expect(readUuidWords(id, words, 1)).toBe(true);
      expect(uuidOfWords(words, 1)).toBe(id);
      expect([words[0], words[5]]).toEqual([0, 0]);
    }),
  );
});

// What other programs write to the log is not checked: an id may be anything.
test.each([
  "",
  "!",
  "a",
  "A".repeat(22),
  "00000000-0000-4000-8000-00000000000G",
  "00000000-0000-4000-8000-00000000000A",
])("any other text comes back as it was: %s", (id) => {
  expect(unpackId(packId(id))).toBe(id);
  expect(readUuidWords(id, new Uint32Array(4), 0)).toBe(false);
});
