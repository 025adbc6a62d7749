import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readAutomationState } from "../../src/store/automation-state.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { shardKeys } from "../../src/store/keys.ts";
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

// A busy engine may replace a window's event between any two reads, so the reads might never agree.
test("a state that keeps changing is read five times, and then returned without the windows that have no event", async () => {
  const id = randomUUID();
  const steady = { [`a:${id}`]: "{}", [`k:${id}:north`]: '{"last":"1-0"}', "e:1-0": "an event" };
  const { state } = shardKeys("greenhouse", 0);
  await redis.hset(state, { ...steady, [`k:${id}:south`]: '{"last":"2-0"}' });
  await redis.config("RESETSTAT");
  const fields = await readAutomationState(redis, "greenhouse", id);
  expect(Object.fromEntries(fields ?? [])).toEqual(steady);
  expect(await redis.info("commandstats")).toMatch(/cmdstat_hscan:calls=5,/);
});
