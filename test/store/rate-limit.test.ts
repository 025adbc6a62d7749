import { afterAll, beforeAll, expect, test } from "vitest";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { RedisAllowance } from "../../src/store/rate-limit.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: RedisConnection;

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const allowance = (id: string, count: number, seconds: number) =>
  new RedisAllowance(redis, { workspace: "greenhouse", id }, { count, seconds });

test("a rate admits its count at once, across processes, and then returns how long to wait", async () => {
  const [first, second] = [allowance("a", 3, 3_600), allowance("a", 3, 3_600)];
  expect([await first.admit(), await second.admit(), await first.admit()]).toEqual([0, 0, 0]);
  const wait = await second.admit();
  expect(wait).toBeGreaterThan(1_100);
  expect(wait).toBeLessThanOrEqual(1_200);
  expect(await allowance("b", 3, 3_600).admit()).toBe(0);
});

// Otherwise a batch of any size would be as cheap as one event.
test("a charge beyond the allowance is owed, and later requests wait for it", async () => {
  const rate = allowance("c", 1, 1);
  expect(await rate.admit()).toBe(0);
  await rate.charge(999);
  const wait = await rate.admit();
  expect(wait).toBeGreaterThan(990);
  expect(wait).toBeLessThanOrEqual(1_000);
});

test("the stored state of a key's rate expires when its allowance is full again", async () => {
  await allowance("d", 10, 100).charge(5);
  const [key = ""] = await redis.keys("*:rate:d");
  const ttl = await redis.pttl(key);
  expect(ttl).toBeGreaterThan(45_000);
  expect(ttl).toBeLessThanOrEqual(50_000);
});
