/** The wire contract of Prefect's clients: counts of events. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContractServer, type Json, pumpEvent } from "./contract-support.ts";

let api: ContractServer;

const monday = "2026-03-02T00:00:00Z";
const at = (seconds: number): string => new Date(Date.parse(monday) + seconds * 1_000).toISOString();
const hour = 3_600;

beforeAll(async () => {
  api = await ContractServer.start();
  const events: [number, string, Json][] = [
    [0, "pump.stopped", { "prefect.resource.id": "pump.1" }],
    [1, "pump.started", { "prefect.resource.id": "pump.1", "prefect.name": "first" }],
    [
      hour,
      "vent.opened",
      { "prefect.resource.id": "vent.1", "prefect.name": "a", "prefect.resource.name": "b" },
    ],
    [30 * hour, "pump.stopped", { "prefect.resource.id": "pump.1", "prefect.name": "last" }],
    [30 * hour, "alarm", { "prefect.resource.id": "z" }],
  ];
  await api.emit(
    ...events.map(([seconds, event, resource]) => pumpEvent({ occurred: at(seconds), event, resource })),
  );
});

afterAll(() => api.stop());

const count = (countable: string, options: Json = {}, since = at(0), until = at(48 * hour)) =>
  api.post(`/events/count-by/${countable}`, { filter: { occurred: { since, until } }, ...options });

describe("counts", () => {
  test("by event list the most frequent first, then sort by name, and have the first and the last time", async () => {
    expect((await count("event")).body).toEqual([
      ...[
        {
          value: "pump.stopped",
          label: "pump.stopped",
          count: 2,
          start_time: monday,
          end_time: "2026-03-03T06:00:00Z",
        },
        {
          value: "alarm",
          label: "alarm",
          count: 1,
          start_time: "2026-03-03T06:00:00Z",
          end_time: "2026-03-03T06:00:00Z",
        },
        { value: "pump.started", count: 1 },
        { value: "vent.opened", count: 1 },
      ].map((group) => expect.objectContaining(group)),
    ]);
  });

  test("by resource have the name that the latest event gives the resource", async () => {
    expect((await count("resource")).body).toEqual([
      expect.objectContaining({ value: "pump.1", label: "last", count: 3, start_time: monday }),
      expect.objectContaining({ value: "vent.1", label: "b", count: 1 }),
      expect.objectContaining({ value: "z", label: "z", count: 1 }),
    ]);
  });

  test("by time list every bucket in order, even empty ones, aligned and labeled by its start", async () => {
    const { body } = await count("time", { time_unit: "hour", time_interval: 6 }, at(hour), at(31 * hour));
    const buckets = body as Json[];
    expect(buckets.map((bucket) => bucket["count"])).toEqual([1, 0, 0, 0, 0, 2]);
    expect(buckets.map((bucket) => bucket["value"])).toEqual(["0", "1", "2", "3", "4", "5"]);
    expect(buckets[0]).toEqual({
      value: "0",
      label: "2026-03-02T00:00:00+00:00",
      count: 1,
      start_time: monday,
      end_time: "2026-03-02T05:59:59.999999Z",
    });
  });

  test("by time may use fractions of a unit, with microseconds in the labels", async () => {
    const { body } = await count("time", { time_unit: "second", time_interval: 0.5 }, at(0), at(1.2));
    expect((body as Json[]).map(({ label, count }) => [label, count])).toEqual([
      ["2026-03-02T00:00:00+00:00", 1],
      ["2026-03-02T00:00:00.500000+00:00", 0],
      ["2026-03-02T00:00:01+00:00", 1],
    ]);
  });

  test("by time list a bucket that begins exactly at `until` if it has an event", async () => {
    const countsUntil = async (until: number) =>
      ((await count("time", { time_unit: "hour" }, at(0), at(until))).body as Json[]).map(
        ({ count }) => count,
      );
    expect(await countsUntil(hour)).toEqual([2, 1]);
    expect(await countsUntil(2 * hour)).toEqual([2, 1]);
  });

  test("by time end with the current unit if `until` is in the future", async () => {
    const now = new Date();
    const since = new Date(now.getTime() - 2 * hour * 1_000).toISOString();
    const until = new Date(now.getTime() + 400 * 24 * hour * 1_000).toISOString();
    const { status, body } = await count("time", { time_unit: "hour" }, since, until);
    expect(status).toBe(200);
    expect([3, 4]).toContain((body as Json[]).length); // the hour may end in between
  });

  test("by day use days, whatever unit the body names", async () => {
    for (const options of [{}, { time_unit: "hour" }]) {
      const { body } = await count("day", options, at(0), at(47 * hour));
      expect((body as Json[]).map(({ start_time, count }) => [start_time, count])).toEqual([
        ["2026-03-02T00:00:00Z", 3],
        ["2026-03-03T00:00:00Z", 2],
      ]);
    }
  });

  test("by time reach both ends of the calendar", async () => {
    for (const day of ["0001-01-01", "9999-12-31"]) {
      const [since, until] = [`${day}T00:00:00Z`, `${day}T23:59:59.999999Z`];
      for (const time_interval of [1, 36_525]) {
        const { status, body } = await count("time", { time_interval }, since, until);
        expect(status).toBe(200);
        for (const { start_time, end_time } of body as Record<string, string>[]) {
          expect([start_time, end_time]).toEqual([
            expect.stringMatching(/^\d{4}-/),
            expect.stringMatching(/^\d{4}-/),
          ]);
        }
      }
    }
  });

  test("by event or resource are empty if there are no events", async () => {
    for (const countable of ["event", "resource"]) {
      expect((await count(countable, {}, at(-10), at(-5))).body).toEqual([]);
    }
  });

  test.each(["day", "time", "event", "resource"])(
    "by %s are rejected with an explanation if there would be more than 1000 buckets",
    async (countable) => {
      const options = { time_unit: "second" };
      const { status, body } = await count(countable, options, at(0), at(10 * 24 * hour));
      expect({ status, body }).toEqual({
        status: 422,
        body: {
          detail:
            "The given interval would create 864000 buckets, which is too many. Please increase the interval or " +
            "reduce the time range to produce 1000 buckets or fewer.",
        },
      });
      expect((await count(countable, options, at(0), at(1_000))).status).toBe(200);
    },
  );

  test.each([
    ["by something unknown", "color", { filter: {} }],
    ["without a filter", "event", {}],
    ["with a null filter", "event", { filter: null }],
    ["by month", "time", { filter: {}, time_unit: "month" }],
    ["with an interval that is too short", "time", { filter: {}, time_interval: 0.009 }],
    ["with an interval longer than the calendar", "time", { filter: {}, time_interval: 1e17 }],
    ["with an invalid filter", "time", { filter: { color: 1 } }],
  ])("%s are rejected", async (_what, countable, json) => {
    expect(await api.post(`/events/count-by/${countable}`, json)).toMatchObject({ status: 422 });
  });
});
