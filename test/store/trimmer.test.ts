import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { millisecond, minute } from "../../src/core/model/time.ts";
import { systemClock } from "../../src/retry/clock.ts";
import { connect, type RedisConnection, RedisUnreachable } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { Trimmer, trimLog } from "../../src/store/trimmer.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: RedisConnection;
let log: Log;
let workspace: string;

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});

beforeEach(() => {
  workspace = randomUUID();
  log = new Log(redis, workspace);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

/** Appends one entry per minute, from minute 1 to minute `count`. */
async function fill(count: number): Promise<void> {
  const filling = redis.pipeline();
  for (let entry = 1; entry <= count; entry += 1)
    filling.xadd(key("log"), positionAt(entry), "kind", "automation-delete", "body", "x");
  await filling.exec();
}

const key = (name: string) => `tl:{${workspace}}:${name}`;
const positionAt = (minutes: number) => `${(minutes * minute) / millisecond}-0`;

async function shardsAt(...minutes: (number | null)[]): Promise<void> {
  await redis.set(key("shard-count"), minutes.length);
  for (const [shard, cursor] of minutes.entries()) {
    if (cursor !== null) await redis.hset(key(`shard:${shard}:cursor`), "position", positionAt(cursor));
  }
}

/** The minute of the oldest entry. Redis trims whole blocks of a hundred entries, so it may be a little older than requested. */
async function oldest(): Promise<number> {
  const [entry] = await redis.xrange(key("log"), "-", "+", "COUNT", 1);
  return (Number.parseInt(entry?.[0] ?? "", 10) * millisecond) / minute;
}

const recordedAt = (minutes: number) => ({ recordedPosition: async () => positionAt(minutes) });
const margin = 60 * minute;

test.each([
  { what: "the hour before now", shards: [1_000], recorded: 1_000, now: 700, kept: 640 },
  {
    what: "the hour before the slowest shard's cursor",
    shards: [1_000, 500],
    recorded: 1_000,
    now: 1_000,
    kept: 440,
  },
  { what: "what the recorder has not recorded", shards: [1_000], recorded: 300, now: 1_000, kept: 300 },
  {
    what: "everything while a shard has no cursor",
    shards: [1_000, null],
    recorded: 1_000,
    now: 1_000,
    kept: 1,
  },
  { what: "everything while there are no shards", shards: [], recorded: 1_000, now: 1_000, kept: 1 },
])("the log keeps $what", async ({ shards, recorded, now, kept }) => {
  await fill(1_000);
  await shardsAt(...shards);
  await trimLog(log, { margin, ...recordedAt(recorded) }, now * minute);
  expect(await oldest()).toBeLessThanOrEqual(kept);
  expect(await oldest()).toBeGreaterThan(kept - 100);
});

test("a log without a recorder is trimmed behind its shards", async () => {
  await fill(1_000);
  await shardsAt(1_000);
  const trimmed = await trimLog(log, { margin }, 1_000 * minute);
  expect(await oldest()).toBeGreaterThan(800);
  expect(await log.entryCounts()).toEqual({ total: 1_000, trimmed });
});

// A shard's cursor must never lie past the end of the log: that would look as if entries had been lost.
test("the last entry stays, however old it is", async () => {
  await fill(300);
  await shardsAt(300);
  await trimLog(log, { margin, ...recordedAt(300) }, 1_000_000 * minute);
  expect(await log.lastPosition()).toBe(positionAt(300));
});

test("a large backlog is trimmed in one go", async () => {
  await fill(25_000);
  await shardsAt(25_000);
  await trimLog(log, { margin }, 25_000 * minute);
  expect(await oldest()).toBeGreaterThan(24_800);
});

test("a trimmer continues after a failure, and ends when it is stopped", async () => {
  await fill(1_000);
  await shardsAt(1_000);
  const errors: unknown[] = [];
  const trimmed = Promise.withResolvers<number>();
  const trimmer = new Trimmer(log, {
    margin,
    everyMs: 5,
    recordedPosition: async () => {
      if (errors.length === 0) throw new Error("The history is unavailable");
      return positionAt(1_000);
    },
    onError: (error) => errors.push(error),
    onTrimmed: trimmed.resolve,
  });
  trimmer.start();
  expect(await trimmed.promise).toBeGreaterThan(800);
  await trimmer.stop();
  expect(errors).toHaveLength(1);
});

test("a trimmer trims every ten seconds by default", async () => {
  const sleeping = vi.spyOn(systemClock, "sleep");
  const trimmer = new Trimmer(log, { margin });
  trimmer.start();
  await expect.poll(() => sleeping.mock.calls.length).toBe(1);
  await trimmer.stop();
  expect(sleeping.mock.calls.map(([ms]) => ms)).toEqual([10_000]);
  sleeping.mockRestore();
});

// Its waits would otherwise grow with a long outage, and the log with them.
test("during an outage, a trimmer waits no longer than usual", async () => {
  await shardsAt(1);
  const sleeping = vi.spyOn(systemClock, "sleep");
  const recordedPosition = () => Promise.reject(new RedisUnreachable(new Error("gone")));
  const trimmer = new Trimmer(log, { margin, everyMs: 10, recordedPosition });
  trimmer.start();
  await expect.poll(() => sleeping.mock.calls.length).toBeGreaterThan(5);
  await trimmer.stop();
  expect(Math.max(...sleeping.mock.calls.map(([ms]) => ms))).toBeLessThanOrEqual(10);
  sleeping.mockRestore();
});
