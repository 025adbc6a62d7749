import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { EventFeed, FirstPositions } from "../../../src/api/sockets/event-feed.ts";
import type { LogPosition } from "../../../src/core/machine/log-entry.ts";
import type { WireEvent } from "../../../src/core/model/event.ts";
import { connect, type RedisConnection } from "../../../src/store/connection.ts";
import { Log } from "../../../src/store/log.ts";
import { startOfLog } from "../../../src/store/position.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";

let server: TestRedis;
let redis: RedisConnection;
let log: Log;
let feed: EventFeed;
const { signal } = new AbortController();

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  log = new Log(redis, "greenhouse");
  feed = new EventFeed(log);
});
afterEach(() => {
  feed.close();
  log.close();
});

describe("the memory of the feed for subscribers near the end of the log", () => {
  // Without a limit, every event since the first subscriber connected would stay in memory.
  test("is limited to 32 stretches: a subscriber further back reads the log on its own", async () => {
    const positions = await follow(40, "small");
    expect(await readsAloneFrom(positions.at(-2))).toBe(false);
    expect(await readsAloneFrom(positions.at(-33))).toBe(false);
    expect(await readsAloneFrom(positions.at(-35))).toBe(true);
  });

  test("is limited to 4 MB of text", async () => {
    const positions = await follow(6, "x".repeat(1_000_000));
    expect(await readsAloneFrom(positions.at(-3))).toBe(false);
    expect(await readsAloneFrom(positions.at(-7))).toBe(true);
  });
});

// Each server reads this much when its first subscriber connects, however long the log is.
test("the feed reads back at most 10,000 entries to recognize repeats", async () => {
  for (let batch = 0; batch < 12; batch++) {
    await log.appendEvents(Array.from({ length: 1_000 }, () => ({ event: ventEvent("small") })));
  }
  const readBack = vi.spyOn(log, "readBack");
  const last = await log.lastPosition();
  const following = feed.next(last, signal);
  await expect.poll(() => readBack.mock.calls.length).toBe(20);
  await log.appendEvents([{ event: ventEvent("small") }]);
  expect((await following).events).toHaveLength(1);
  const batches = await Promise.all(
    readBack.mock.results.map(({ value }) => value as Promise<{ readCount: number }>),
  );
  expect(batches.reduce((sum, { readCount }) => sum + readCount, 0)).toBe(10_000);
});

// It joins at the end of the log, while the others are still reading what is before.
test("a subscriber ahead of all others receives no repeat of what lies between them", async () => {
  await log.appendEvents([{ event: ventEvent("before") }]);
  const early = await feed.next(startOfLog, signal);
  const [between, after] = [ventEvent("between"), ventEvent("after")];
  await log.appendEvents([{ event: between }]);
  const ahead = await log.lastPosition();
  await log.appendEvents([{ event: between }, { event: after }]);
  const idsAfter = async (position: LogPosition) =>
    (await feed.next(position, signal)).events.map(({ event }) => event.id);
  expect(await idsAfter(ahead)).toEqual([after.id]);
  expect(await idsAfter(early.position)).toEqual([between.id, after.id]);
});

// The ids of all events since the first subscriber connected would fill the memory.
test("the ids of the latest 50,000 events are remembered, and of no more than 100,000", () => {
  const firsts = new FirstPositions();
  const isFirst = (number: number, at = number) => firsts.isFirst(`vent ${number}`, `${at}-0`);
  for (let number = 0; number < 50_000; number++) isFirst(number);
  expect(isFirst(0, 50_000)).toBe(false);
  for (let number = 50_000; number < 99_999; number++) isFirst(number);
  expect(isFirst(50_000, 100_000)).toBe(false);
  for (let number = 99_999; number <= 100_000; number++) isFirst(number);
  expect(isFirst(0, 100_001)).toBe(true);
});

/** Appends events one by one, each after the subscriber has received the one before, so that each is one stretch. */
async function follow(count: number, note: string): Promise<LogPosition[]> {
  const positions: LogPosition[] = [startOfLog];
  for (let index = 0; index < count; index++) {
    const following = feed.next(positions.at(-1) ?? startOfLog, signal);
    await log.appendEvents([{ event: ventEvent(note) }]);
    positions.push((await following).position);
  }
  return positions;
}

/** True when the feed has to read the log for a subscriber at this position. */
async function readsAloneFrom(position: LogPosition | undefined): Promise<boolean> {
  const reads = vi.spyOn(log, "readBatch");
  const { events } = await feed.next(position ?? startOfLog, signal);
  expect(events.length).toBeGreaterThan(0);
  const readCount = reads.mock.calls.length;
  reads.mockRestore();
  return readCount > 0;
}

function ventEvent(note: string): WireEvent {
  return {
    id: randomUUID(),
    event: "vent.opened",
    occurred: new Date().toISOString(),
    resource: { "prefect.resource.id": "vent.1" },
    related: [],
    payload: { note },
    follows: null,
  };
}
