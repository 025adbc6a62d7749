import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { CanaryStore } from "../../src/store/canary-store.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: Redis;
let store: CanaryStore;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.url);
});
beforeEach(async () => {
  await redis.flushall();
  store = new CanaryStore(redis, "greenhouse");
});
afterAll(async () => {
  await redis.quit();
  await server.stop();
});

test("nothing is known before the first one", async () => {
  const none = { sent: null, waitingSince: null, returned: null, latencyMs: null };
  expect(await store.status()).toMatchObject(none);
});

test("one that comes back has taken as long as that", async () => {
  await store.sent("a");
  const { sent, waitingSince, returned } = await store.status();
  expect(waitingSince).toBe(sent);
  expect(returned).toBeNull();
  expect(await store.returned("a")).toBe(true);
  const after = await store.status();
  expect(after.waitingSince).toBeNull();
  expect(after.latencyMs).toBeCloseTo((after.returned ?? 0) - (sent ?? 0), 3);
});

// Otherwise each further canary would begin the wait again, and none would ever be missed.
test("the wait begins with the first one that does not come back", async () => {
  await store.sent("a");
  const { waitingSince } = await store.status();
  await new Promise((resolve) => setTimeout(resolve, 5));
  await store.sent("b");
  expect((await store.status()).waitingSince).toBe(waitingSince);
});

test("one that was given up, and then comes back, does not end the wait for the latest", async () => {
  await store.sent("a");
  await store.sent("b");
  expect(await store.returned("a")).toBe(false);
  expect((await store.status()).waitingSince).not.toBeNull();
  expect(await store.returned("b")).toBe(true);
});

test("one process of all has the turn", async () => {
  const other = new CanaryStore(redis, "greenhouse");
  const turns = await Promise.all([store, other].map((each) => each.claimTurn("canary", 60_000)));
  expect(turns.filter(Boolean)).toHaveLength(1);
  expect(await other.claimTurn("heartbeat", 60_000)).toBe(true);
  expect(await store.claimTurn("heartbeat", 60_000)).toBe(false);
});
