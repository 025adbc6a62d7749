import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { Beats } from "../../src/api/ingest/beats.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { startOfLog } from "../../src/store/position.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: RedisConnection;
let log: Log;

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});

beforeEach(async () => {
  await redis.flushall();
  log = new Log(redis, "default");
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const kinds = async () => (await log.read(startOfLog, { count: 100 })).map(({ kind }) => kind);
const event = {
  id: "00000000-0000-4000-8000-000000000001",
  occurred: "2026-03-01T00:00:00Z",
  event: "pump.heartbeat",
  resource: { "prefect.resource.id": "pump.1" },
  related: [],
  payload: {},
  follows: null,
};

test("all processes together append one beat at a time", async () => {
  await Promise.all(Array.from({ length: 5 }, () => log.appendBeat("server")));
  expect(await kinds()).toEqual(["beat"]);
});

test("a server appends one before anything else, and goes on until it is stopped", async () => {
  const beats = new Beats(log, { everyMs: 100 });
  await beats.begin();
  expect(await kinds()).toEqual(["beat"]);
  await vi.waitFor(async () => expect(await kinds()).toEqual(["beat", "beat"]), 5_000);
  await beats.stop();
});

// With beats of its own, the Worker would turn each pause between its events into a gap.
test("the Worker at the edge appends beats before events, but only where servers do", async () => {
  const edge = new Log(redis, "default", { beatsWithEvents: true });
  await edge.appendEvents([{ event }]);
  expect(await kinds()).toEqual(["event"]);
  await log.appendBeat("server");
  await redis.set("tl:{default}:last-beat", "1"); // long ago
  await edge.appendEvents([{ event }]);
  expect(await kinds()).toEqual(["event", "beat", "beat", "event"]);
});

test("a clock that stepped back does not end the beats", async () => {
  await redis.set("tl:{default}:last-beat", String(Date.now() + 3_600_000));
  await log.appendBeat("server");
  expect(await kinds()).toEqual(["beat"]);
});
