import { describe, expect, test } from "vitest";
import { cronProblem, Schedule, timezoneProblem } from "../../src/core/model/schedule.ts";
import { formatTime, parseTime } from "../../src/core/model/time.ts";

function ticks(cron: string, timezone: string, from: string, count: number): string[] {
  const schedule = new Schedule(cron, timezone);
  const found: string[] = [];
  let time: number | null = parseTime(from);
  while (time !== null && found.length < count) {
    time = schedule.next(time);
    if (time !== null) found.push(formatTime(time));
  }
  return found;
}

describe("a schedule", () => {
  test("keeps to the wall clock of its time zone when daylight saving begins and ends", () => {
    expect(ticks("0 6 * * 1-5", "America/New_York", "2026-03-05T12:00:00Z", 2)).toEqual([
      "2026-03-06T11:00:00Z",
      "2026-03-09T10:00:00Z", // Monday, an hour earlier in UTC
    ]);
    expect(ticks("0 6 * * 1-5", "America/New_York", "2026-10-30T00:00:00Z", 2)).toEqual([
      "2026-10-30T10:00:00Z",
      "2026-11-02T11:00:00Z", // Monday, an hour later in UTC
    ]);
  });

  test("ticks once at the end of a gap for the times that the gap skips", () => {
    expect(ticks("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2)).toEqual([
      "2026-03-08T07:00:00Z", // 03:00, where 02:30 should have been
      "2026-03-09T06:30:00Z",
    ]);
    expect(ticks("0 2,3 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2)).toEqual([
      "2026-03-08T07:00:00Z",
      "2026-03-09T06:00:00Z",
    ]);
  });

  test("ticks at the first of two moments if a time occurs twice", () => {
    expect(ticks("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2)).toEqual([
      "2026-11-01T05:30:00Z",
      "2026-11-02T06:30:00Z",
    ]);
  });

  test("loses no tick where clocks change by half an hour", () => {
    expect(ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T12:00:00Z", 3)).toEqual([
      "2026-10-02T15:45:00Z",
      "2026-10-03T15:30:00Z",
      "2026-10-04T15:15:00Z",
    ]);
  });

  test("follows elapsed time if it ticks every hour", () => {
    expect(ticks("30 * * * *", "America/New_York", "2026-11-01T05:00:00Z", 3)).toEqual([
      "2026-11-01T05:30:00Z",
      "2026-11-01T06:30:00Z",
      "2026-11-01T07:30:00Z",
    ]);
    expect(ticks("30 * * * *", "America/New_York", "2026-03-08T06:00:00Z", 2)).toEqual([
      "2026-03-08T06:30:00Z",
      "2026-03-08T07:30:00Z",
    ]);
  });

  // cron-parser finds no tick after such a change, so the schedule would be silent forever.
  test("keeps ticking every hour where clocks change by half an hour", () => {
    expect(ticks("0 * * * *", "Australia/Lord_Howe", "2026-04-04T13:30:00Z", 3)).toEqual([
      "2026-04-04T14:00:00Z",
      "2026-04-04T15:30:00Z", // 02:00, half an hour after 02:00 became 01:30
      "2026-04-04T16:30:00Z",
    ]);
    expect(ticks("0 * * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", 3)).toEqual([
      "2026-10-03T14:30:00Z",
      "2026-10-03T16:00:00Z", // 03:00, half an hour after 02:00 became 02:30
      "2026-10-03T17:00:00Z",
    ]);
  });

  test("keeps to the wall clock if its hours have a step", () => {
    expect(ticks("30 */2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 2)).toEqual([
      "2026-03-29T01:00:00Z", // 03:00, where 02:30 should have been
      "2026-03-29T02:30:00Z",
    ]);
  });

  test("ticks strictly later than the given time, even within a millisecond", () => {
    const schedule = new Schedule("0 0 * * *", "UTC");
    const midnight = parseTime("2026-03-02T00:00:00Z") ?? 0;
    expect(schedule.next(midnight - 1)).toBe(midnight);
    expect(schedule.next(midnight)).toBe(midnight + 86_400_000_000);
  });
});

test.each([
  ["0 6 * *", /has 4 fields/],
  ["0 25 * * *", /is not valid/],
  ["0 0 30 2 *", /names a day that does not exist/],
  ["", /has 0 fields/],
  ["H * * * *", /random/],
])("the cron expression %j is refused", (cron, message) => {
  expect(cronProblem(cron)).toMatch(message);
});

test("an unknown time zone is refused, with examples", () => {
  expect(timezoneProblem("Europe/Atlantis")).toMatch(/unknown.*Europe\/Berlin/);
  expect(timezoneProblem("Europe/Berlin")).toBeNull();
});
