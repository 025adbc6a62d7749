import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { compileGlob, hasClass } from "../../src/core/model/glob.ts";
import { formatDuration, formatTime, parseDuration, parseTime } from "../../src/core/model/time.ts";
import { uuid5 } from "../../src/core/model/uuid.ts";
import fc from "../support/fast-check.ts";

describe("time", () => {
  test("is read and printed as the calendar of the platform has it, from year 1 to 9999", () => {
    const anyInstantMs = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 });
    fc.assert(
      fc.property(anyInstantMs, (ms) => {
        const iso = new Date(ms).toISOString();
        expect(parseTime(iso)).toBe(ms * 1_000);
        expect(parseTime(formatTime(ms * 1_000))).toBe(ms * 1_000);
      }),
    );
  });

  test.each([
    ["2026-03-01T09:30:00.123456+02:00", "2026-03-01T07:30:00.123456Z"],
    ["2026-03-01 09:30:00", "2026-03-01T09:30:00Z"],
    ["2026-03-01T09:30:00.1234567Z", "2026-03-01T09:30:00.123456Z"],
    ["2024-02-29T23:59:60Z", "2024-03-01T00:00:00Z"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
    ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999968Z"], // what stands for "for ever"
  ])("%s is %s", (text, printed) => {
    expect(formatTime(parseTime(text) ?? 0)).toBe(printed);
  });

  test.each([
    "2026-13-01T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2026-03-01T24:00:00Z",
    "0000-12-31T23:59:59Z", // in UTC, no reader of RFC 3339 takes these
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "soon",
    "",
  ])("%j is no time", (text) => {
    expect(parseTime(text)).toBeNull();
  });

  test.each([
    [90, 90],
    ["90", 90],
    ["90s", 90],
    ["1h30m", 5_400],
    ["0.5d", 43_200],
    ["250ms", 0.25],
    ["PT90S", 90],
    ["P1DT1H", 90_000],
    ["P1W", 604_800],
  ])("%j is %d seconds", (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds * 1_000_000);
  });

  test.each([-1, "-5s", "5 parsecs", "P", "PT", "", null, Number.NaN])("%j is no duration", (value) => {
    expect(parseDuration(value)).toBeNull();
  });

  test("a printed duration reads as itself", () => {
    fc.assert(
      fc.property(fc.nat(10_000_000), (ms) => {
        expect(parseDuration(formatDuration(ms * 1_000))).toBe(ms * 1_000);
      }),
    );
  });
});

test("derived ids are those of RFC 9562, over any text", () => {
  expect(uuid5("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "www.example.com")).toBe(
    "2ed6657d-e927-568b-95e1-2665a8aea6a2",
  );
  fc.assert(
    fc.property(fc.uuid(), fc.string({ unit: "binary", maxLength: 200 }), (namespace, name) => {
      const hash = createHash("sha1")
        .update(Buffer.from(namespace.replaceAll("-", ""), "hex"))
        .update(name, "utf8")
        .digest();
      hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
      hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
      expect(uuid5(namespace, name).replaceAll("-", "")).toBe(hash.toString("hex").slice(0, 32));
    }),
  );
});

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

  test("matches what a naive matcher matches, and its negation the rest", () => {
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

  test("only matches values that begin with its prefix, and when it is plain only itself", () => {
    fc.assert(
      fc.property(anyPattern, anyValue, (pattern, value) => {
        const glob = compileGlob(pattern);
        if (glob.matches(value)) expect(value.startsWith(glob.prefix)).toBe(true);
        if (glob.literal !== null) expect(glob.matches(value)).toBe(value === glob.literal);
      }),
    );
  });

  // Backtracking would need longer than the universe has for this one.
  test("takes no longer than its pattern and value are long", () => {
    const value = "a".repeat(50_000);
    expect(compileGlob(`${"*a".repeat(200)}*b`).matches(value)).toBe(false);
    expect(compileGlob(`${"*a?".repeat(200)}*b`).matches(value)).toBe(false);
    expect(compileGlob(`*${"?".repeat(400)}b*`).matches(value)).toBe(false);
  });

  test.each([
    ["[abc", false],
    ["run[1]", true],
    ["a*?", false],
  ])("%s holds a class: %s", (pattern, expected) => {
    expect(hasClass(pattern)).toBe(expected);
  });
});
