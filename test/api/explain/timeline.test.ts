/** The timeline of an automation: on a whole server, where it fires, and on one without an engine. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Timeline, Tripline } from "../../../src/client/index.ts";
import { firingEvent } from "../../../src/core/machine/consequence.ts";
import type { Firing } from "../../../src/core/machine/firing.ts";
import { type Automation, AutomationSchema } from "../../../src/core/model/automation.ts";
import { day, formatTime, hour, type Micros, millisecond, minute } from "../../../src/core/model/time.ts";
import { Sandbox } from "../../cli/support.ts";
import { triggerFiring } from "../../delivery/support.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { startApi, type TestApi } from "../support.ts";

const within = { timeout: 30_000, interval: 100 };

describe("on a whole server", () => {
  let redis: TestRedis;
  let sandbox: Sandbox;
  let tripline: Tripline;
  beforeAll(async () => {
    redis = await startRedis();
    sandbox = new Sandbox();
    const server = await sandbox.serve(redis.url);
    tripline = new Tripline({ url: server.api });
  });
  afterAll(async () => {
    await sandbox?.close();
    await redis?.stop();
  });

  test("the timeline of a key holds its events, its firing with the deliveries, and the windows open now", async () => {
    const { id } = await tripline.automations.create({
      name: "Pump fails twice",
      trigger: {
        expect: ["pump.failed"],
        match: { zone: "north" },
        for_each: ["prefect.resource.id"],
        threshold: 2,
        within: "1h",
      },
      actions: [{ type: "do-nothing" }],
    });
    const failed = (pump: string, zone = "north", event = "pump.failed") => ({
      event,
      resource: { "prefect.resource.id": pump, zone },
    });
    const sent = await tripline.events.emit([
      failed("pump.1"),
      failed("pump.2"),
      failed("pump.1", "south"),
      failed("pump.1", "north", "pump.started"),
      failed("pump.1"),
    ]);
    const key = { "prefect.resource.id": "pump.1" };
    const timeline = await vi.waitFor(async () => {
      const found = await tripline.automations.timeline(id, { key });
      expect([found.firings.length, found.deliveries.executed, found.windows.length]).toEqual([1, 1, 1]);
      return found;
    }, within);
    expect(timeline.events).toMatchObject(
      [sent[4], sent[0]].map((event) => ({
        id: event?.id,
        event: "pump.failed",
        resource_id: "pump.1",
        role: "expected",
        trigger: "",
        labels: key,
      })),
    );
    expect(timeline).toMatchObject({
      events_truncated: false,
      firings: [{ state: "Triggered", labels: key, window: { count: 2, threshold: 2 } }],
      firings_truncated: false,
      windows: [{ labels: key }],
      windows_truncated: false,
      deliveries: { executed: 1, failed: 0 },
      events_since: timeline.since,
    });
    const [firing] = timeline.firings;
    expect((await tripline.trace(firing?.event_id ?? "")).firings[0]?.id).toBe(firing?.id);

    const everything = await tripline.automations.timeline(id);
    expect(everything.events.map((event) => event.id)).toEqual([4, 1, 0].map((index) => sent[index]?.id));
    expect(everything.windows.map(({ labels }) => labels["prefect.resource.id"]).sort()).toEqual([
      "pump.1",
      "pump.2",
    ]);
  });
});

describe("on a server without an engine", () => {
  let api: TestApi;
  let tripline: Tripline;
  beforeAll(async () => {
    api = await startApi({ history: true });
    tripline = new Tripline({ url: `${api.url}/api` });
  });
  afterAll(() => api?.stop());

  const now = () => Date.now() * millisecond;

  async function stored(name: string, trigger: object): Promise<Automation> {
    const automation: Automation = {
      ...AutomationSchema.parse({ name, trigger, actions: [] }),
      id: randomUUID(),
      source: { kind: "api" },
      secrets: {},
      created: now(),
      updated: now(),
    };
    await api.log.putAutomations([automation]);
    return automation;
  }

  const emit = (event: string, at: Micros, labels: Record<string, string> = {}) =>
    tripline.events.emit({
      event,
      occurred: formatTime(at),
      resource: { "prefect.resource.id": "vent.1", ...labels },
    });
  const namesIn = ({ events }: Timeline) => events.map(({ event, role, trigger }) => [event, role, trigger]);

  test("events say whether they count or open a window, and which trigger covers them", async () => {
    const { id } = await stored("Vents", {
      type: "compound",
      require: "all",
      within: 60,
      triggers: [{ expect: ["vent.closed"], after: ["vent.opened"], within: 30 }, { expect: ["vent.jam*"] }],
    });
    const start = now() - minute;
    for (const [index, name] of ["vent.opened", "vent.closed", "vent.jammed", "vent.other"].entries())
      await emit(name, start + index);
    expect(namesIn(await tripline.automations.timeline(id))).toEqual([
      ["vent.jammed", "expected", "1"],
      ["vent.closed", "expected", "0"],
      ["vent.opened", "after", "0"],
    ]);
  });

  test("events and firings of the time asked about are listed, the newest first, up to the limit", async () => {
    const automation = await stored("Doors", { expect: ["door.opened"], for_each: ["wing"] });
    const start = now() - 3 * hour;
    for (let index = 0; index < 6; index += 1) {
      const wing = index % 2 === 0 ? "east" : "west";
      const at = start + index * minute;
      await emit("door.opened", at, { wing });
      const firing = { ...triggerFiring(null), automation, lineage: [], triggered: at, labels: { wing } };
      const report = firingEvent({ ...firing, state: index === 5 ? "Resolved" : "Triggered" } as Firing);
      await api.log.appendEvents([{ event: report, lineage: [], trace: null }]);
    }
    const times = (timeline: Timeline) => timeline.events.map(({ occurred }) => occurred);
    const fired = (timeline: Timeline) => timeline.firings.map(({ triggered }) => triggered);
    const at = (...indexes: number[]) => indexes.map((index) => formatTime(start + index * minute));
    const { timeline } = tripline.automations;
    const ask = (options: Parameters<typeof timeline>[1]) =>
      tripline.automations.timeline(automation.id, options);

    const hourOnly = await ask({});
    expect([hourOnly.events, hourOnly.firings, hourOnly.windows]).toEqual([[], [], []]);
    const since = formatTime(start);
    const all = await ask({ since });
    expect([times(all), fired(all)]).toEqual([at(5, 4, 3, 2, 1, 0), at(5, 4, 3, 2, 1, 0)]);
    expect(all.firings.map(({ state }) => state).slice(0, 2)).toEqual(["Resolved", "Triggered"]);
    const middle = await ask({ since: formatTime(start + minute), until: formatTime(start + 3 * minute) });
    expect([times(middle), fired(middle)]).toEqual([at(3, 2, 1), at(3, 2, 1)]);

    const east = await ask({ since, key: { wing: "east" }, limit: 2 });
    expect([times(east), fired(east)]).toEqual([at(4, 2), at(4, 2)]);
    expect([east.events_truncated, east.firings_truncated]).toEqual([true, true]);
    expect(east.events_since).toBe(formatTime(start + 1));
    const threeEast = await ask({ since, key: { wing: "east" }, limit: 3 });
    expect([threeEast.events_truncated, threeEast.firings_truncated]).toEqual([false, false]);
    expect(threeEast.events_since).toBe(threeEast.since);
  });

  // The exact check reads every event that the filter finds; a value with a wildcard cannot be part of the filter.
  test("a key may hold any characters", async () => {
    const { id } = await stored("Odd labels", { expect: ["lamp.off"], for_each: ["place"] });
    const places = ["a*", "ab", "!a", "[a]", "x=y", ""];
    for (const [index, place] of places.entries())
      await emit("lamp.off", now() - minute + index, place === "" ? {} : { place });
    for (const place of places) {
      const { events } = await tripline.automations.timeline(id, { key: { place } });
      expect(events.map(({ labels }) => labels)).toEqual([{ place }]);
    }
    const written = new URLSearchParams({ key: "place=x=y" });
    const response = await fetch(`${api.url}/api/automations/${id}/timeline?${written}`);
    expect(((await response.json()) as Timeline).events.map(({ labels }) => labels)).toEqual([
      { place: "x=y" },
    ]);
  });

  test("a trigger with a thousand names is looked for by what they begin with", async () => {
    const expected = Array.from({ length: 1_000 }, (_, index) => `sensor.${index}.silent`);
    const { id } = await stored("Sensors", { expect: expected });
    await emit("sensor.77.silent", now() - minute);
    await emit("sensor.77.loud", now() - minute);
    const { events } = await tripline.automations.timeline(id);
    expect(events.map(({ event }) => event)).toEqual(["sensor.77.silent"]);
  });

  test("of very many events, 5,000 are looked through", async () => {
    const { id } = await stored("Fans", { expect: ["fan.turned"], for_each: ["side"] });
    const start = now() - 20 * minute;
    await emit("fan.turned", start - minute, { side: "!left" });
    const events = Array.from({ length: 5_000 }, (_, index) => ({
      event: "fan.turned",
      occurred: formatTime(start + index),
      resource: { "prefect.resource.id": `fan.${index}`, side: "right" },
    }));
    await tripline.events.emit(events);
    // The filter finds those of all sides.
    const timeline = await tripline.automations.timeline(id, { key: { side: "!left" } });
    expect([timeline.events, timeline.events_truncated]).toEqual([[], true]);
    expect(timeline.events_since).toBe(formatTime(start - minute + 1));
  });

  test.each([
    ["key=place", "Input should be a key: write label=value, or an object of labels"],
    ['key={"place":1}', "Input should be a key"],
    ["key={place", "Input should be a key"],
    ["key=zone=north", 'The automation has no key with the label \\"zone\\": its for_each has wing'],
    ["limit=1001", "Too big"],
    ["since=yesterday", "Input should be a valid RFC 3339 date-time"],
    ["since=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z", "is later than until"],
    [`until=2026-03-01T00:00:00Z&since=2026-01-28T23:59:59Z`, "may be at most 31 days"],
  ])("%s is refused", async (query, message) => {
    const { id } = await stored("Gates", { expect: ["gate.opened"], for_each: ["wing"] });
    const response = await fetch(`${api.url}/api/automations/${id}/timeline?${new URLSearchParams(query)}`);
    expect([response.status, await response.text()]).toEqual([422, expect.stringContaining(message)]);
  });

  test("31 days are allowed", async () => {
    const { id } = await stored("Gates", { expect: ["gate.opened"] });
    const since = formatTime(now() - 31 * day);
    expect((await tripline.automations.timeline(id, { since, until: formatTime(now()) })).events).toEqual([]);
  });
});
