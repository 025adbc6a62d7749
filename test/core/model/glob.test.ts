import { describe, expect, test } from "vitest";
import { compileGlob, hasClass } from "../../../src/core/model/glob.ts";
import fc from "../../support/fast-check.ts";

describe("a glob", () => {
  const piece = fc.constantFrom("a", "b", "ab", "*", "?", "[ab]", "[!a]", "[a-b]", "é", "😀");
  const anyPattern = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(""));
  const anyValue = fc
    .array(fc.constantFrom("a", "b", "c", "é", "😀"), { maxLength: 12 })
    .map((characters) => characters.join(""));

  function naive(pattern: readonly string[], value: readonly string[]): boolean {
    const [head, ...rest] = pattern;
    if (head === undefined) return value.length === 0;
    if (head === "*") return naive(rest, value) || (value.length > 0 && naive(pattern, value.slice(1)));
    const [character] = value;
    if (character === undefined) return false;
    const accepted =
      head === "?" ||
      head === character ||
      (head === "[!a]" && character !== "a") ||
      (["[ab]", "[a-b]"].includes(head) && ["a", "b"].includes(character));
    return accepted && naive(rest, value.slice(1));
  }

  test("matches what a naive matcher matches, and its negation matches the rest", () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), anyValue, (pieces, value) => {
        const expected = naive(
          pieces.flatMap((text) => (text === "ab" ? ["a", "b"] : [text])),
          [...value],
        );
        expect(compileGlob(pieces.join("")).matches(value)).toBe(expected);
        expect(compileGlob(`!${pieces.join("")}`).matches(value)).toBe(!expected);
      }),
      { numRuns: 2_000 },
    );
  });

  test("matches only values that begin with its prefix, and if it is literal only itself", () => {
    fc.assert(
      fc.property(anyPattern, anyValue, (pattern, value) => {
        const glob = compileGlob(pattern);
        if (glob.matches(value)) expect(value.startsWith(glob.prefix)).toBe(true);
        if (glob.literal !== null) expect(glob.matches(value)).toBe(value === glob.literal);
      }),
    );
  });

  // Backtracking would not finish within a lifetime.
  test("does not backtrack exponentially", () => {
    const value = "a".repeat(50_000);
    expect(compileGlob(`${"*a".repeat(200)}*b`).matches(value)).toBe(false);
    expect(compileGlob(`${"*a?".repeat(200)}*b`).matches(value)).toBe(false);
    expect(compileGlob(`*${"?".repeat(400)}b*`).matches(value)).toBe(false);
  });

  test.each([
    ["[abc", false],
    ["run[1]", true],
    ["a*?", false],
  ])("%s contains a character class: %s", (pattern, expected) => {
    expect(hasClass(pattern)).toBe(expected);
  });
});
