import { setTimeout as pause } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { millisecond } from "../../src/core/model/time.ts";
import { RedisShardStore } from "../../src/engine/redis-shard-store.ts";
import { shardKeys, workspaceKeys } from "../../src/store/keys.ts";
import { Log } from "../../src/store/log.ts";
import { receivedAt } from "../../src/store/position.ts";
import { wireEvent } from "../history/greenhouse.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: Redis;
let log: Log;
let store: RedisShardStore;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});
beforeEach(async () => {
  await redis.flushall();
  log = new Log(redis, "greenhouse");
  store = new RedisShardStore(redis, { workspace: "greenhouse", shard: 0, owner: "one" });
});
afterAll(async () => {
  await redis.quit();
  await server.stop();
});

const append = async () => (await log.appendEvents([{ event: wireEvent() }]))[0]?.position ?? "";

async function commit(fields: { position: string; readCount: number; nextDeadline?: number | null }) {
  const claim = await store.claim(10_000);
  const { position, readCount, nextDeadline = null } = fields;
  return store.commit({
    epoch: "epoch" in claim ? claim.epoch : 0,
    changes: [],
    events: [],
    invocations: [],
    cursor: { position, watermark: receivedAt(position), readCount, commitCount: 1 },
    nextDeadline,
  });
}

test("there is no status before an engine has run", async () => {
  await append();
  expect(await log.shardStatus()).toEqual([]);
});

test("a shard without an owner is behind by what it has not read, for as long as that has been waiting", async () => {
  await redis.set(workspaceKeys("greenhouse").shardCount, "1");
  await append();
  await append();
  await pause(30);
  const [status] = await log.shardStatus();
  expect(status).toMatchObject({ shard: 0, owned: false, entriesBehind: 2 });
  expect(status?.delayMs).toBeGreaterThanOrEqual(30);
});

test("a shard with an owner that has read everything is not behind, and its delay does not grow while it is idle", async () => {
  await redis.set(workspaceKeys("greenhouse").shardCount, "1");
  const position = await append();
  await commit({ position, readCount: 1, nextDeadline: receivedAt(position) + 3_600_000 * millisecond });
  await pause(30);
  const [status, ...others] = await log.shardStatus();
  const idle = { shard: 0, owned: true, entriesBehind: 0, delayMs: 0, outboxAgeMs: 0 };
  const watermark = receivedAt(position);
  expect(status).toMatchObject({ ...idle, owner: "one", position, watermark, commitCount: 1 });
  // The epoch is the time of the claim.
  expect(status?.since).toBe((status?.epoch ?? 0) * millisecond);
  expect(Math.abs((status?.since ?? 0) - watermark)).toBeLessThan(60_000 * millisecond);
  // Log time was committed as of the event, although nothing has happened since.
  expect(status?.watermarkAgeMs).toBeGreaterThanOrEqual(30);
  expect(others).toEqual([]);
});

// The engine has died between its commit and the queue, or the queue refuses it.
test("a firing that is committed and not dispatched is seen, with its age", async () => {
  await redis.set(workspaceKeys("greenhouse").shardCount, "1");
  await redis.xadd(shardKeys("greenhouse", 0).outbox, "*", "invocation", "{}");
  await pause(30);
  await redis.xadd(shardKeys("greenhouse", 0).outbox, "*", "invocation", "{}");
  const [status] = await log.shardStatus();
  expect(status?.outboxAgeMs).toBeGreaterThanOrEqual(30);
  expect(status?.watermarkAgeMs).toBeNull();
});

// No event is unread when all senders have died as well, and the window of an absence has ended.
test("a window that is overdue counts as a delay, even if every event was read", async () => {
  await redis.set(workspaceKeys("greenhouse").shardCount, "1");
  const position = await append();
  await commit({ position, readCount: 1, nextDeadline: receivedAt(position) - 5_000 * millisecond });
  const [status] = await log.shardStatus();
  expect(status?.entriesBehind).toBe(0);
  expect(status?.delayMs).toBeGreaterThanOrEqual(5_000);
});
