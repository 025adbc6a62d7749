/** What a dashboard shows first: the overview, and what is silent, with a real engine beside the API. */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Tripline } from "../../src/client/index.ts";
import { DeliveryQueue } from "../../src/delivery/queue.ts";
import { type Engine, startEngine } from "../../src/engine/engine.ts";
import { activityHourKey, activityMinuteKey } from "../../src/store/keys.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { startApi, type TestApi } from "./support.ts";

const perPump = { for_each: ["prefect.resource.id"] };
const failed = greenhouseAutomation("A pump failed");
const silence = greenhouseAutomation("A pump is silent", {
  trigger: { posture: "Proactive", after: ["pump.beat"], expect: ["pump.beat"], within: 60, ...perPump },
});
const vents = greenhouseAutomation("A vent is silent", {
  trigger: { posture: "Proactive", after: ["vent.beat"], expect: ["vent.beat"], within: 60, ...perPump },
});
const burst = greenhouseAutomation("A burst of beats", {
  trigger: { expect: ["pump.beat"], threshold: 50, within: 3_600, ...perPump },
});

let api: TestApi;
let tripline: Tripline;
let stops: (() => Promise<void>)[];

beforeEach(() => {
  stops = [];
});

afterEach(async () => {
  for (const stop of stops.reverse()) await stop();
});

async function start(options: { readonly history?: boolean } = {}): Promise<void> {
  api = await startApi(options);
  stops.push(() => api.stop());
  tripline = new Tripline({ url: `${api.url}/api` });
}

async function startEngineBeside(): Promise<Engine> {
  const queue = new DeliveryQueue(api.redis.url, "default");
  const fail = (fields: object, message: string) => {
    throw new Error(`${message} ${JSON.stringify(fields)}`);
  };
  const engine = await startEngine({
    ...{ redisUrl: api.redis.url, workspace: "default", queue, latenessDefault: 0, shards: 2 },
    logger: { info() {}, warn: fail, error: fail },
  });
  stops.push(() => queue.close());
  stops.push(() => engine.stop());
  await engine.ready;
  return engine;
}

/** Events that occurred some seconds ago. */
const events = (name: string, resources: readonly string[], secondsAgo = 0) =>
  resources.map((id) => ({
    event: name,
    resource: { "prefect.resource.id": id },
    occurred: new Date(Date.now() - secondsAgo * 1_000),
  }));

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const within = { timeout: 10_000, interval: 50 };

describe("the overview", () => {
  test("of a workspace in which nothing has ever happened is all zeros, and complete", async () => {
    await start();
    const { as_of: asOf, ...overview } = await tripline.overview();
    expect(Math.abs(Date.parse(asOf) - Date.now())).toBeLessThan(60_000);
    const nothing = {
      total: 0,
      last_day: 0,
      per_second: { start: expect.any(String), values: Array(300).fill(0) },
      per_minute: { start: expect.any(String), values: Array(1_440).fill(0) },
    };
    expect(overview).toEqual({
      events: nothing,
      firings: nothing,
      resolutions: nothing,
      automations: { enabled: 0, paused: 0 },
      windows: { open: 0, unresolved: 0 },
      deliveries: { waiting: 0, active: 0, retrying: 0, delivered: 0, dead: 0 },
      history: { enabled: false, behind_ms: null },
      shards: { count: 0, owned: 0, entries_behind_max: 0, delay_ms_max: 0 },
    });
    const { per_second: seconds, per_minute: minutes } = overview.events;
    expect(Date.parse(asOf) - Date.parse(seconds.start)).toBe(300_000);
    const present = Math.floor(Date.parse(asOf) / 60_000) * 60_000;
    expect(present - Date.parse(minutes.start)).toBe(1_439 * 60_000);
  });

  test("counts each event, firing and resolution once", async () => {
    await start();
    await api.log.putAutomations([failed, silence, { ...vents, enabled: false }]);
    await startEngineBeside();
    const sent = await tripline.events.emit(events("pump.failed", ["pump.1", "pump.2", "pump.3"]));
    await tripline.events.emit(sent); // again
    await tripline.events.emit(events("pump.beat", ["pump.1"], 61));
    await expect.poll(async () => (await tripline.overview()).firings.total, within).toBe(4);
    await tripline.events.emit(events("pump.beat", ["pump.1"]));
    // Five were posted, and each of the four firings and the resolution has an event.
    await expect.poll(async () => (await tripline.overview()).events.total, within).toBe(10);
    await new Promise((resolve) => setTimeout(resolve, 1_100)); // until the second is complete
    const { events: all, firings, resolutions, automations, deliveries, shards } = await tripline.overview();
    for (const [activity, count] of [
      [all, 10],
      [firings, 4],
      [resolutions, 1],
    ] as const) {
      expect(activity).toMatchObject({ total: count, last_day: count });
      expect(sumOf(activity.per_minute.values)).toBe(count);
      expect(sumOf(activity.per_second.values)).toBe(count);
    }
    expect(automations).toEqual({ enabled: 2, paused: 1 });
    expect(deliveries).toEqual({ waiting: 4, active: 0, retrying: 0, delivered: 0, dead: 0 });
    expect(shards).toMatchObject({ count: 2, owned: 2, entries_behind_max: 0 });
  });

  test("counts what is open and what is silent, and no longer what was deleted", async () => {
    await start();
    await api.log.putAutomations([silence, burst]);
    await startEngineBeside();
    await tripline.events.emit(events("pump.beat", ["pump.1", "pump.2"], 61));
    await tripline.events.emit(events("pump.beat", ["pump.3"]));
    const windows = async () => (await tripline.overview()).windows;
    await expect.poll(windows, within).toEqual({ open: 6, unresolved: 2 });
    await api.log.deleteAutomations([burst.id]);
    await expect.poll(windows, within).toEqual({ open: 3, unresolved: 2 });
    await tripline.shards.setCount(3);
    await expect.poll(async () => (await tripline.shards.read()).count, within).toBe(3);
    await expect.poll(windows, within).toEqual({ open: 3, unresolved: 2 });
  });

  test("says for how long events have waited for the recorder", async () => {
    await start({ history: true });
    await tripline.events.emit(events("pump.failed", ["pump.1"]));
    const history = async () => (await tripline.overview()).history;
    await expect.poll(history, within).toEqual({ enabled: true, behind_ms: 0 });
    await api.recorder?.stop();
    await tripline.events.emit(events("pump.failed", ["pump.1"]));
    await expect.poll(async () => (await history()).behind_ms, within).toBeGreaterThan(10);
  });

  // Seconds and minutes of long ago would otherwise stay in Redis forever.
  test("rests on counts that expire", async () => {
    await start();
    await startEngineBeside();
    await tripline.events.emit(events("pump.failed", ["pump.1"]));
    await expect.poll(async () => (await tripline.overview()).events.total, within).toBe(1);
    const minute = Math.floor(Date.now() / 60_000);
    const ttl = async (keyOf: (workspace: string, number: number) => string, now: number) =>
      Math.max(
        ...(await Promise.all([now - 1, now].map((number) => api.connection.ttl(keyOf("default", number))))),
      );
    const ofMinute = await ttl(activityMinuteKey, minute);
    expect(ofMinute).toBeGreaterThan(500);
    expect(ofMinute).toBeLessThanOrEqual(660);
    const ofHour = await ttl(activityHourKey, Math.floor(minute / 60));
    expect(ofHour).toBeGreaterThan(24 * 3_600);
    expect(ofHour).toBeLessThanOrEqual(26 * 3_600);
  });
});

describe("the windows of all automations", () => {
  const idsOf = ({
    windows,
  }: {
    readonly windows: readonly { labels: Readonly<Record<string, string>> }[];
  }) => windows.map(({ labels }) => labels["prefect.resource.id"]).sort();

  beforeEach(async () => {
    await start();
    await api.log.putAutomations([silence, vents, burst]);
    await startEngineBeside();
    await tripline.events.emit([
      ...events("pump.beat", ["Pump.North", "pump.south", "pump.west"], 61),
      ...events("vent.beat", ["vent.north"], 62),
      ...events("pump.beat", ["pump.alive"]),
    ]);
    await expect.poll(async () => (await tripline.overview()).windows.unresolved, within).toBe(4);
  });

  test("are by default those that are silent, as each automation lists them", async () => {
    const silent = await tripline.automations.allWindows();
    expect(silent).toMatchObject({ count: 4, truncated: false, as_of: expect.any(String) });
    const apart = await Promise.all(
      [silence, vents].map(async ({ id, name }) => {
        const { windows } = await tripline.automations.windows(id, { unresolved: true });
        return windows.map(({ settling, ...window }) => ({ automation: { id, name }, ...window }));
      }),
    );
    expect(silent.windows).toHaveLength(4);
    expect(silent.windows).toEqual(expect.arrayContaining(apart.flat()));
    expect(apart.flat()).toHaveLength(4);
  });

  test("can be searched by the values of their keys, in any case, and limited", async () => {
    const north = await tripline.automations.allWindows({ search: "nORTH" });
    expect([idsOf(north), north.count, north.truncated]).toEqual([["Pump.North", "vent.north"], 2, false]);
    const pumps = await tripline.automations.allWindows({ search: "pump", unresolved: "any" });
    expect(pumps.count).toBe(8); // silence and burst, four each
    const some = await tripline.automations.allWindows({ limit: 3 });
    expect([some.windows.length, some.count, some.truncated]).toEqual([3, 4, true]);
    expect(await tripline.automations.allWindows({ search: "door" })).toMatchObject({
      count: 0,
      windows: [],
    });
    // The name of a label is no value.
    expect(await tripline.automations.allWindows({ search: "prefect.resource" })).toMatchObject({ count: 0 });
    expect(await tripline.automations.allWindows({ search: "" })).toMatchObject({ count: 4 });
  });

  test("can be those that are not silent, or all", async () => {
    const others = await tripline.automations.allWindows({ unresolved: false });
    expect(idsOf(others)).toEqual(["Pump.North", "pump.alive", "pump.alive", "pump.south", "pump.west"]);
    expect(others.windows.every(({ unresolved }) => !unresolved)).toBe(true);
    const all = await tripline.automations.allWindows({ unresolved: "any" });
    expect(all.count).toBe(9);
    const deadlines = all.windows.map(({ deadline }) => deadline ?? "never");
    expect(deadlines).toEqual(deadlines.toSorted());
  });

  test("are counted by automation", async () => {
    expect(await tripline.automations.windowCounts()).toEqual(
      [
        { automation_id: burst.id, open: 4, unresolved: 0 },
        { automation_id: silence.id, open: 4, unresolved: 3 },
        { automation_id: vents.id, open: 1, unresolved: 1 },
      ].sort((a, b) => (a.automation_id < b.automation_id ? -1 : 1)),
    );
  });

  test("of one automation can be filtered in the same way", async () => {
    const list = (options: object) => tripline.automations.windows(silence.id, options);
    expect(await list({})).toMatchObject({ count: 4 });
    expect(idsOf(await list({ unresolved: true }))).toEqual(["Pump.North", "pump.south", "pump.west"]);
    expect(idsOf(await list({ unresolved: false }))).toEqual(["pump.alive"]);
    const found = await list({ search: "SOUTH", limit: 0 });
    expect([found.count, found.windows]).toEqual([1, []]);
  });

  test("are gone when they are resolved", async () => {
    await tripline.events.emit(events("pump.beat", ["pump.west"]));
    const silent = async () => idsOf(await tripline.automations.allWindows());
    await expect.poll(silent, within).toEqual(["Pump.North", "pump.south", "vent.north"]);
  });
});

describe("a list of windows", () => {
  test.each([
    { query: "limit=1001", place: "limit", message: "1000" },
    { query: "limit=x", place: "limit", message: "number" },
    { query: "unresolved=maybe", place: "unresolved", message: '"any"' },
    { query: `search=${"x".repeat(501)}`, place: "search", message: "500" },
  ])("is refused with a mistake in $place, which is explained", async ({ query, place, message }) => {
    await start();
    const answer = await fetch(`${api.url}/api/windows?${query}`);
    expect(answer.status).toBe(422);
    const { exception_detail: mistakes } = (await answer.json()) as { exception_detail: object[] };
    expect(mistakes).toMatchObject([{ loc: ["query", place], msg: expect.stringContaining(message) }]);
  });
});
