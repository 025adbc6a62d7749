import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Event, receivedEvent } from "../../src/core/model/event.ts";
import { day, formatTime, hour, type Micros, millisecond, second } from "../../src/core/model/time.ts";
import { CountRequestSchema, TooManyBuckets } from "../../src/history/count-by.ts";
import { HistoryMisconfigured, HistoryUnavailable } from "../../src/history/errors.ts";
import { type History, openHistory } from "../../src/history/history.ts";
import fc from "../support/fast-check.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";
import { event, filter, noon, someEvents, stretchOf } from "./greenhouse.ts";

const everything = filter({ occurred: { until: "9999-12-31T23:59:59Z", since: "0001-01-01T00:00:00Z" } });

describe.each(databaseKinds)("a history in $name", ({ missing, start }) => {
  if (missing !== null) {
    test.skip(`not tested: ${missing}`);
    return;
  }
  let database: TestDatabase;
  let shared: History;
  let workspaceCount = 0;
  beforeAll(async () => {
    database = await start();
    shared = await openHistory(database.options("shared"));
  });
  afterAll(async () => {
    await shared.close();
    await database.remove();
  });
  const emptyHistory = () => {
    workspaceCount += 1;
    return shared.inWorkspace(`workspace ${workspaceCount}`);
  };
  const historyOf = async (...events: Event[]) => {
    const history = await emptyHistory();
    await history.record(stretchOf(events));
    return history;
  };
  const ids = async (history: History, written: unknown = {}) => {
    const { events } = await history.queryEvents(filter(written), { limit: 100 });
    return events.map(({ id }) => id);
  };

  test("returns events exactly as they were sent, whatever texts they contain", async () => {
    await fc.assert(
      fc.asyncProperty(someEvents, async (events) => {
        const history = await historyOf(...events);
        const { events: found, total } = await history.queryEvents(everything, { limit: 100 });
        expect(total).toBe(events.length);
        const byId = new Map(found.map((event) => [event.id, JSON.stringify(event)]));
        for (const event of events) expect(byId.get(event.id)).toBe(JSON.stringify(receivedEvent(event)));
      }),
      { numRuns: 20 },
    );
  });

  test("accepts labels, names and prefixes that are much longer than an index allows", async () => {
    const long = "🌱".repeat(5_000);
    const pump = event({
      event: "n".repeat(1_024),
      resource: { "prefect.resource.id": `${long}1`, [`${long}label`]: `${long}value` },
    });
    const history = await historyOf(pump, event({ resource: { "prefect.resource.id": `${long}2` } }));
    expect(await ids(history, { resource: { id: [`${long}1`] } })).toEqual([pump.id]);
    expect(await ids(history, { resource: { id_prefix: [long] } })).toHaveLength(2);
    expect(await ids(history, { resource: { id_prefix: [`${long}1`] } })).toEqual([pump.id]);
    expect(await ids(history, { resource: { labels: { [`${long}label`]: "🌱*?value" } } })).toEqual([
      pump.id,
    ]);
    expect(await ids(history, { event: { prefix: ["n".repeat(1_000)] } })).toEqual([pump.id]);
  });

  test("records an event once, even if a stretch or a later one repeats its id", async () => {
    const first = event({ payload: { attempt: 1 } });
    const again: Event = { ...first, wire: { ...first.wire, payload: { attempt: 2 } } };
    const history = await emptyHistory();
    expect(await history.record(stretchOf([first, again]))).toBe(1);
    expect(await history.record(stretchOf([again, event()], "1-2"))).toBe(1);
    const { events, total } = await history.queryEvents(filter(), { limit: 10 });
    expect(total).toBe(2);
    expect(events.find(({ id }) => id === first.id)?.payload).toEqual({ attempt: 1 });
  });

  test("records nothing if its cursor is not at the start of the stretch", async () => {
    const history = await historyOf(event());
    expect(await history.record(stretchOf([event(), event()], "0-0"))).toBeNull();
    expect((await history.queryEvents(filter(), { limit: 0 })).total).toBe(1);
    expect(await history.recordedPosition()).toBe("1-1");
  });

  // Both recorders read the same stretch. Only one may write it, and the other must not fail.
  test("lets one of two concurrent recorders win", async () => {
    const history = await emptyHistory();
    const stretch = stretchOf([event(), event()]);
    const other = await openHistory(database.options(`workspace ${workspaceCount}`));
    const results = await Promise.all([history.record(stretch), other.record(stretch)]);
    await other.close();
    expect(results.toSorted()).toEqual([2, null].toSorted());
    expect((await history.queryEvents(filter(), { limit: 0 })).total).toBe(2);
  });

  test("writes all of a stretch but an event that the database refuses", async () => {
    const history = await emptyHistory();
    const invalid = { ...event(), received: Number.NaN };
    const stretch = stretchOf([event(), invalid, event()]);
    expect(await history.record(stretch)).toBe(2);
    expect(await history.recordedPosition()).toBe(stretch.position);
    expect((await history.queryEvents(everything, { limit: 0 })).total).toBe(2);
  });

  test("keeps workspaces with the same event ids and resources apart", async () => {
    const same = event();
    const [a, b] = [await historyOf(same, event()), await historyOf(same)];
    expect(await ids(b, { resource: { id: ["pump.1"] } })).toEqual([same.id]);
    expect(await a.prune({ maxRows: 0 }, noon)).toBe(2);
    expect(await ids(b, { resource: { id: ["pump.1"] } })).toEqual([same.id]);
    const [count] = await b.countBy("resource", filter(), { unit: "day", interval: 1, now: noon });
    expect(count?.count).toBe(1);
  });

  test("finds events by the first characters of their ids", async () => {
    const ids = ["abc00000", "abcd0000", "abcdf000", "abce0000"].map(
      (start) => `${start}-0000-4000-8000-000000000001`,
    );
    const history = await historyOf(...ids.map((id) => event({ id })));
    await (await emptyHistory()).record(stretchOf([event({ id: "abcd1111-0000-4000-8000-000000000001" })]));
    const idsByPrefix = async (prefix: string, limit = 10) =>
      (await history.eventsByIdPrefix(prefix, limit)).map(({ id }) => id);
    expect(await idsByPrefix("abcd")).toEqual(ids.slice(1, 3));
    expect(await idsByPrefix("abcdf000-0")).toEqual([ids[2]]);
    expect(await idsByPrefix("abc", 3)).toEqual(ids.slice(0, 3));
    expect(await idsByPrefix("abcda")).toEqual([]);
  });

  test("names its database and version, and the names of its events once each, as many as asked for", async () => {
    expect(await shared.databaseVersion()).toMatch(/^(?:sqlite 3|postgresql \d\d)\.\d+(?:\.\d+)?$/);
    const names = ["pump.stopped", "vent.opened", "pump.stopped", "sensor.read"];
    const history = await historyOf(...names.map((name) => event({ event: name })));
    expect((await history.eventNames(10)).toSorted()).toEqual(["pump.stopped", "sensor.read", "vent.opened"]);
    expect(await history.eventNames(2)).toHaveLength(2);
    expect(await (await emptyHistory()).eventNames(10)).toEqual([]);
  });

  test("does not shift pages when events arrive between two requests", async () => {
    const [first, second, third] = [event(), event(), event()];
    const history = await historyOf(first, second, third);
    const page = await history.queryEvents(filter(), { limit: 2 });
    await history.record(stretchOf([event(), event()], "1-3"));
    const next = await history.queryEvents(filter(), { limit: 2, after: page.next });
    expect(page.events.map(({ id }) => id)).toEqual([third.id, second.id]);
    expect(next).toMatchObject({ events: [{ id: first.id }], total: 3, next: null });
  });

  test("remembers everything when it is opened again", async () => {
    const pump = event();
    const history = await historyOf(pump);
    const again = await openHistory(database.options(`workspace ${workspaceCount}`));
    expect(await ids(again)).toEqual([pump.id]);
    expect(await again.recordedPosition()).toBe(await history.recordedPosition());
    await again.close();
  });

  describe("counting", () => {
    const eventAt = (occurred: Micros, name = "pump.started", labels: Record<string, string> = {}) =>
      event({
        occurred: formatTime(occurred),
        event: name,
        resource: { "prefect.resource.id": "pump.1", ...labels },
      });
    const within = (since: Micros, until: Micros) =>
      filter({ occurred: { since: formatTime(since), until: formatTime(until) } });

    test("returns every time bucket, counted from Monday, 2024-04-01", async () => {
      const history = await historyOf(eventAt(noon), eventAt(noon + second), eventAt(noon + 4 * hour));
      const range = within(noon - hour, noon + 5 * hour);
      const now = noon + day;
      const counts = await history.countBy("time", range, { unit: "hour", interval: 2.5, now });
      expect(counts).toEqual([
        // That Monday was 16,785 hours before the first bucket: 6,714 times two and a half.
        bucket(0, "2026-03-01T09:00:00", "2026-03-01T11:29:59.999999Z", 0),
        bucket(1, "2026-03-01T11:30:00", "2026-03-01T13:59:59.999999Z", 2),
        bucket(2, "2026-03-01T14:00:00", "2026-03-01T16:29:59.999999Z", 1),
        bucket(3, "2026-03-01T16:30:00", "2026-03-01T18:59:59.999999Z", 0),
      ]);
    });

    test("lists a bucket that starts exactly at the end only if it has an event", async () => {
      const history = await historyOf(eventAt(noon));
      const options = { unit: "hour", interval: 1, now: noon + day } as const;
      const counts = await history.countBy("time", within(noon - hour, noon), options);
      expect(counts.map(({ count }) => count)).toEqual([0, 1]);
      const without = await history.countBy("time", within(noon - 2 * hour, noon - hour), options);
      expect(without.map(({ count }) => count)).toEqual([0]);
    });

    test("ends with the current unit if until is in the future", async () => {
      const history = await historyOf(eventAt(noon));
      const range = within(noon - hour, noon + 400 * day);
      const hours = await history.countBy("time", range, { unit: "hour", interval: 1, now: noon + second });
      expect(hours.map(({ label }) => label)).toEqual([
        "2026-03-01T11:00:00+00:00",
        "2026-03-01T12:00:00+00:00",
      ]);
    });

    test("by day ignores the unit", async () => {
      const history = await historyOf(eventAt(noon), eventAt(noon - day));
      const options = { unit: "hour", interval: 1, now: noon } as const;
      const counts = await history.countBy("day", within(noon - day, noon), options);
      expect(counts.map(({ label, count }) => [label, count])).toEqual([
        ["2026-02-28T00:00:00+00:00", 1],
        ["2026-03-01T00:00:00+00:00", 1],
      ]);
    });

    test.each(["event", "resource"] as const)(
      "by %s returns the largest groups first, and no more than asked for",
      async (countable) => {
        const of = (text: string) =>
          event({ event: text, resource: { "prefect.resource.id": text }, occurred: formatTime(noon) });
        const history = await historyOf(
          of("vent"),
          of("pump"),
          of("pump"),
          of("sensor"),
          of("sensor"),
          of("sensor"),
        );
        const options = { unit: "hour", interval: 1, now: noon, limit: 2 } as const;
        const counts = await history.countBy(countable, within(noon - hour, noon), options);
        expect(counts.map(({ value, count }) => [value, count])).toEqual([
          ["sensor", 3],
          ["pump", 2],
        ]);
      },
    );

    test("returns no buckets if since is after until", async () => {
      const history = await historyOf(eventAt(noon));
      const options = { unit: "hour", interval: 1, now: noon } as const;
      expect(await history.countBy("time", within(noon, noon - hour), options)).toEqual([]);
    });

    test.each(["day", "time", "event", "resource"] as const)(
      "by %s rejects too many buckets",
      async (countable) => {
        const history = await emptyHistory();
        const tooMany = history.countBy(countable, within(noon - 10 * day, noon), {
          unit: "second",
          interval: 1,
          now: noon,
        });
        await expect(tooMany).rejects.toThrow(
          new TooManyBuckets(
            "The given interval would create 864000 buckets, which is too many. Please increase the interval or reduce " +
              "the time range to produce 1000 buckets or fewer.",
          ),
        );
      },
    );

    test("rejects buckets of more than a hundred years", () => {
      const isAccepted = (unit: string, interval: number) =>
        CountRequestSchema.safeParse({ filter: {}, time_unit: unit, time_interval: interval }).success;
      expect([isAccepted("day", 36_525), isAccepted("day", 36_526)]).toEqual([true, false]);
      expect([isAccepted("week", 5_217), isAccepted("week", 5_218)]).toEqual([true, false]);
    });

    test("allows a thousand buckets", async () => {
      const history = await emptyHistory();
      const options = { unit: "second", interval: 0.01, now: noon } as const;
      const counts = await history.countBy("time", within(noon - 10 * second, noon), options);
      expect(counts).toHaveLength(1_000);
      expect(counts[1]?.label).toBe("2026-03-01T11:59:50.010000+00:00");
    });

    test("groups by event name, most frequent first, ties in order of name", async () => {
      const history = await historyOf(
        eventAt(noon - 3, "vent.opened"),
        eventAt(noon - 2, "pump.started"),
        eventAt(noon - 1, "vent.opened"),
        eventAt(noon, "Pump.started"),
      );
      const counts = await history.countBy("event", filter(), { unit: "day", interval: 1, now: noon });
      expect(counts.map(({ value, label, count }) => [value, label, count])).toEqual([
        ["vent.opened", "vent.opened", 2],
        ["Pump.started", "Pump.started", 1],
        ["pump.started", "pump.started", 1],
      ]);
      expect(counts[0]).toMatchObject({ start_time: formatTime(noon - 3), end_time: formatTime(noon - 1) });
    });

    test("names a resource as its latest event does", async () => {
      const history = await historyOf(
        eventAt(noon, "x", { "prefect.name": "Dripper" }),
        eventAt(noon - 1, "x", { "prefect.resource.name": "Old name" }),
        eventAt(noon - 2, "x"),
      );
      const counts = await history.countBy("resource", filter(), { unit: "day", interval: 1, now: noon });
      expect(counts).toEqual([
        {
          value: "pump.1",
          label: "Dripper",
          count: 3,
          start_time: formatTime(noon - 2),
          end_time: formatTime(noon),
        },
      ]);
    });
  });

  describe("retention", () => {
    const aged = (received: Micros, id: string) =>
      event({ resource: { "prefect.resource.id": id }, event: `${id}.started` }, received);

    test("deletes events that were received before the maximum age", async () => {
      const [old, young] = [aged(noon - hour, "pump.1"), aged(noon, "pump.2")];
      const history = await historyOf(old, young);
      expect(await history.prune({ maxAgeMs: hour / millisecond }, noon)).toBe(0);
      expect(await history.prune({ maxAgeMs: hour / millisecond }, noon + 1)).toBe(1);
      expect(await ids(history)).toEqual([young.id]);
    });

    // A resource is stored once for all events that refer to it, as their own resource or as a related one.
    test.each(["its own resource", "a related resource"])(
      "keeps a resource while a remaining event has it as %s",
      async (use) => {
        const resource = { "prefect.resource.id": "pump.1", "prefect.resource.role": "neighbor" };
        const old = event({ resource, related: [resource] }, noon - hour);
        const kept =
          use === "its own resource"
            ? event({ resource })
            : event({ resource: { "prefect.resource.id": "vent.1" }, related: [resource] });
        const history = await historyOf(old, kept);
        const sought = { event: { name: ["pump.started"] }, any_resource: { id: ["pump.1"] } };
        expect(await history.prune({ maxRows: 1 }, noon)).toBe(1);
        expect(await ids(history, sought)).toEqual([kept.id]);
        expect(await history.prune({ maxRows: 0 }, noon)).toBe(1);
        const later = event({ resource });
        await history.record(stretchOf([later], "1-2"));
        expect(await ids(history, sought)).toEqual([later.id]);
      },
    );

    // A recorder remembers what it has stored. If another process prunes it, its keys belong to nothing, or to others.
    test("does not confuse a recorder in another process", async () => {
      const labels = (zone: string) => ({ "prefect.resource.id": "pump.1", zone });
      const pump = (zone: string) =>
        event({
          event: `pump.${zone}`,
          resource: labels(zone),
          related: [{ ...labels(zone), "prefect.resource.role": zone }],
        });
      const history = await historyOf(pump("north"));
      const other = await openHistory(database.options(`workspace ${workspaceCount}`));
      expect(await other.prune({ maxRows: 0 }, noon)).toBe(1);
      await other.record(stretchOf([pump("south")], "1-1"));
      const north = pump("north");
      await history.record(stretchOf([north], "1-2"));
      expect(await ids(history, { related: { role: ["north"] } })).toEqual([north.id]);
      expect(
        await ids(history, { resource: { labels: { zone: "north" } }, event: { name: ["pump.north"] } }),
      ).toEqual([north.id]);
      await other.close();
    });

    test("keeps at most a given number of events, even if that takes several transactions", async () => {
      const events = Array.from({ length: 1_300 }, (_, index) => aged(noon + index, `pump.${index % 7}`));
      const history = await historyOf(...events);
      expect(await history.prune({ maxRows: 50 }, noon)).toBe(1_250);
      expect(await ids(history, {})).toEqual(
        events
          .slice(1_250)
          .map(({ id }) => id)
          .reverse(),
      );
      expect(await history.prune({ maxRows: 50 }, noon)).toBe(0);
    });

    test("keeps at most a given number of bytes", async () => {
      const kilobyte = (id: string) =>
        event({ resource: { "prefect.resource.id": id }, payload: { note: "x".repeat(1_000) } });
      const history = await historyOf(...Array.from({ length: 20 }, (_, index) => kilobyte(`pump.${index}`)));
      const deletedCount = await history.prune({ maxBytes: 20_000 }, noon);
      expect(deletedCount).toBeGreaterThan(3);
      expect(deletedCount).toBeLessThan(9);
      expect(await history.prune({ maxBytes: 20_000 }, noon)).toBe(0);
    });

    test("stops between two transactions on request", async () => {
      const history = await historyOf(...Array.from({ length: 1_200 }, () => event()));
      expect(await history.prune({ maxRows: 0 }, noon, () => true)).toBe(500);
    });
  });

  // The client library reports a lost connection as an event. Without a listener it would end the process.
  // A server takes a hundred connections from all its clients by default.
  test("opens few connections for many queries", async (context) => {
    const { url } = database.options("shared") as { readonly url?: string };
    if (url === undefined) return context.skip("SQLite has no server");
    await Promise.all(Array.from({ length: 100 }, () => shared.queryEvents(everything, { limit: 1 })));
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const query = "select count(*)::int as count from pg_stat_activity where application_name = 'tripline'";
    const { rows } = await client.query<{ count: number }>(query);
    await client.end();
    expect(rows[0]?.count).toBe(8);
  });

  test("survives a server that stops in the middle of its transactions", async (context) => {
    if (database.stopServer === undefined) return context.skip("SQLite has no server to stop");
    const history = await emptyHistory();
    const recording = Array.from({ length: 20 }, (_, index) => {
      const events = Array.from({ length: 50 }, () => event());
      return history.record({ ...stretchOf(events), after: index === 0 ? "0-0" : "never" });
    });
    const settled = Promise.allSettled(recording);
    await database.stopServer();
    for (const result of await settled) {
      if (result.status === "rejected") expect(result.reason).toBeInstanceOf(HistoryUnavailable);
    }
    await database.restartServer?.();
    // Either all of the stretch is there or nothing.
    const { total } = await history.queryEvents(everything, { limit: 0 });
    expect(total).toBe((await history.recordedPosition()) === "0-0" ? 0 : 50);
  });

  test("reports that it is unavailable while the database is down, and recovers when it is back", async (context) => {
    if (database.stopServer === undefined) return context.skip("SQLite has no server to stop");
    const history = await historyOf(event());
    await database.stopServer();
    await expect(history.recordedPosition()).rejects.toThrow(HistoryUnavailable);
    await expect(openHistory(database.options("x"))).rejects.toThrow(HistoryUnavailable);
    await database.restartServer?.();
    expect(await history.recordedPosition()).toBe("1-1");
  });
});

function bucket(index: number, start: string, end_time: string, count: number) {
  return { value: String(index), label: `${start}+00:00`, count, start_time: `${start}Z`, end_time };
}

test("a URL of an unknown kind is rejected without quoting it", async () => {
  const opening = openHistory({ url: "mysql://me:hunter2@host/database", workspace: "x" });
  await expect(opening).rejects.toThrow(
    new HistoryMisconfigured(
      "The history's URL has mysql:; use postgres://user@host/database or sqlite:path/to/file",
    ),
  );
});

test("an SQLite file that cannot be opened is reported as unavailable", async () => {
  await expect(openHistory({ path: "/proc/version", workspace: "x" })).rejects.toThrow(HistoryUnavailable);
});

test("a folder that cannot be created for an SQLite file is reported as a misconfiguration", async () => {
  await expect(openHistory({ path: "/dev/null/history.sqlite", workspace: "x" })).rejects.toThrow(
    HistoryMisconfigured,
  );
});
