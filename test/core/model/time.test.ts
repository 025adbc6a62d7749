import { describe, expect, test } from "vitest";
import {
  formatDuration,
  formatTime,
  hasOffset,
  parseDuration,
  parseTime,
  timeReader,
} from "../../../src/core/model/time.ts";
import fc from "../../support/fast-check.ts";

describe("time", () => {
  test("is parsed and formatted as JavaScript's Date does it, from year 1 to 9999", () => {
    const anyTimeMs = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 });
    fc.assert(
      fc.property(anyTimeMs, (ms) => {
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
    ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999968Z"], // the largest time
  ])("%s is %s", (text, printed) => {
    expect(formatTime(parseTime(text) ?? 0)).toBe(printed);
  });

  test.each([
    "2026-13-01T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2026-03-01T24:00:00Z",
    "0000-12-31T23:59:59Z", // in UTC, these are outside the years that RFC 3339 has
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "soon",
    "",
  ])("%j is not a time", (text) => {
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

  test.each([-1, "-5s", "5 parsecs", "P", "PT", "", null, Number.NaN])("%j is not a duration", (value) => {
    expect(parseDuration(value)).toBeNull();
  });

  test.each([
    ["2026-03-01T09:30:00Z", true],
    ["2026-03-01 09:30z", true],
    ["2026-03-01T09:30+02:00", true],
    ["2026-03-01T09:30:00.5-0230", true],
    ["2026-03-01T09:30:00 +02", true],
    ["2026-03-01T09:30:00", false],
    ["2026-03-01T09:30", false],
    ["2026-03-01", false],
  ])("%s says its offset from UTC: %s", (text, says) => {
    expect(parseTime(text)).not.toBeNull();
    expect(hasOffset(text)).toBe(says);
  });

  test("is read by a reader as by itself, whatever it has read before", () => {
    const base = 1_772_000_000_000_000;
    const usual = fc.nat(180 * 1_000_000).map((micros) => formatTime(base + micros));
    const shape = fc.constantFrom(
      (text: string) => text,
      (text: string) => text.replace("Z", "+01:00"),
      (text: string) => text.replace(/\.\d+Z$/, "Z"),
      (text: string) => text.replace(/\.(\d)\d*Z$/, ".$1Z"),
      (text: string) => text.replace("Z", "123Z"),
      (text: string) => text.replace(/:\d\d(\.\d+)?Z$/, ":60Z"),
      (text: string) => text.replace(/:\d\d(\.\d+)?Z$/, ":61Z"),
      (text: string) => text.replace("T", "t"),
      (text: string) => text.replace(/^\d{4}/, "0000"),
      (text: string) => text.slice(0, -3),
    );
    const times = fc.tuple(usual, shape).map(([text, change]) => change(text));
    fc.assert(
      fc.property(fc.array(times, { maxLength: 20 }), (texts) => {
        const read = timeReader();
        for (const text of texts) expect(read(text)).toBe(parseTime(text));
      }),
    );
  });

  test("a formatted duration parses to itself", () => {
    fc.assert(
      fc.property(fc.nat(10_000_000), (ms) => {
        expect(parseDuration(formatDuration(ms * 1_000))).toBe(ms * 1_000);
      }),
    );
  });
});
