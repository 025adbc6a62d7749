import { describe, expect, test } from "vitest";
import { cronProblem, parseTimeOfDay, Schedule, timezoneProblem } from "../../src/core/model/schedule.ts";
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
  ["@midnight", /write @daily or "0 0 \* \* \*"/],
  ["@reboot", /no time of day/],
  ["@every 5m", /"\*\/5 \* \* \* \*"/],
  ["@fortnightly", /write one of @yearly/],
  ["CRON_TZ=Europe/Berlin 0 6 * * *", /timezone: Europe\/Berlin .* cron: "0 6 \* \* \*"/],
  ["TZ=UTC @daily", /timezone: UTC .* cron: "@daily"/],
])("the cron expression %j is refused", (cron, message) => {
  expect(cronProblem(cron)).toMatch(message);
});

test("an unknown time zone is refused, with examples", () => {
  expect(timezoneProblem("Europe/Atlantis")).toMatch(/unknown.*Europe\/Berlin/);
  expect(timezoneProblem("Europe/Berlin")).toBeNull();
});

// Each tick with the end of its window: "by 03:30" once was an hour off on two days a year, with cron and `within: 90m`.
describe("the end of a window at a time of day", () => {
  const berlin = "Europe/Berlin";
  test.each([
    {
      when: "is later that day",
      cron: "0 2 * * *",
      until: "03:30",
      day: "2026-06-01",
      ends: ["00:00", "01:30"],
    },
    {
      when: "is the next day",
      cron: "0 22 * * *",
      until: "06:00",
      day: "2026-06-01",
      ends: ["20:00", "28:00"],
    },
    {
      when: "is the same time",
      cron: "0 2 * * *",
      until: "02:00",
      day: "2026-06-01",
      ends: ["00:00", "24:00"],
    },
    {
      when: "comes after a gap",
      cron: "0 1 * * *",
      until: "03:30",
      day: "2026-03-29",
      ends: ["00:00", "01:30"],
    },
    { when: "lies in a gap", cron: "0 1 * * *", until: "02:30", day: "2026-03-29", ends: ["00:00", "01:00"] },
    // The tick is at 03:00, where 02:30 should have been, and the window 15 minutes long as on any other day.
    {
      when: "lies in a gap with its tick",
      cron: "30 2 * * *",
      until: "02:45",
      day: "2026-03-29",
      ends: ["01:00", "01:15"],
    },
    {
      when: "is the end of the gap of its tick",
      cron: "30 2 * * *",
      until: "03:00",
      day: "2026-03-29",
      ends: ["01:00", "01:30"],
    },
    {
      when: "comes after a repeated hour",
      cron: "0 2 * * *",
      until: "03:30",
      day: "2026-10-25",
      ends: ["00:00", "02:30"],
    },
    { when: "occurs twice", cron: "0 1 * * *", until: "02:30", day: "2026-10-25", ends: ["-1:00", "00:30"] },
    // The hours are `*`, so the second tick is at 02:15, the second time.
    {
      when: "occurs twice, of a second tick",
      cron: "15 * * * *",
      until: "02:30",
      day: "2026-10-25",
      ends: ["01:15", "01:30"],
    },
    {
      when: "crosses a gap at night",
      cron: "0 22 * * *",
      until: "06:00",
      day: "2026-03-28",
      ends: ["21:00", "28:00"],
    },
  ])("$when: $cron until $until on $day", ({ cron, until, day, ends }) => {
    const midnight = parseTime(`${day}T00:00:00Z`) ?? 0;
    const [from, to] = ends.map((text) => midnight + hoursOf(text));
    const schedule = new Schedule(cron, berlin);
    expect(formatTime(schedule.next((from ?? 0) - 1) ?? 0)).toBe(formatTime(from ?? 0));
    expect(formatTime(schedule.endOf(from ?? 0, parseTimeOfDay(until) ?? 0))).toBe(formatTime(to ?? 0));
  });

  // Clocks change by half an hour here, and at midnight there.
  test.each(["Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata", berlin, "UTC"])(
    "shows the time of day, on every day of a year in %s",
    (timezone) => {
      const schedule = new Schedule("10 23 * * *", timezone);
      const clock = new Intl.DateTimeFormat("en-GB", { timeZone: timezone, timeStyle: "medium" });
      const shown = new Map<string, number>();
      let tick = schedule.next(parseTime("2026-01-01T00:00:00Z") ?? 0) ?? 0;
      for (let day = 0; day < 365; day++) {
        const end = schedule.endOf(tick, parseTimeOfDay("05:45:30") ?? 0);
        const time = clock.format(new Date(end / 1_000));
        shown.set(time, (shown.get(time) ?? 0) + 1);
        expect(end - tick).toBeGreaterThan(5 * 3_600_000_000);
        expect(end - tick).toBeLessThan(9 * 3_600_000_000);
        tick = schedule.next(tick) ?? 0;
      }
      expect([...shown]).toEqual([["05:45:30", 365]]);
    },
  );
});

function hoursOf(text: string): number {
  const [hours = 0, minutes = 0] = text.replace("-", "").split(":").map(Number);
  return (text.startsWith("-") ? -1 : 1) * (hours * 60 + minutes) * 60_000_000;
}

test.each(["24:00", "3:30", "03:60", "03:30:60", "noon", "", "0330"])("%j is not a time of day", (text) => {
  expect(parseTimeOfDay(text)).toBeNull();
});
