import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { WireEvent } from "../../src/core/model/event.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { linesOf } from "../../src/store/event-lines.ts";
import { workspaceKeys } from "../../src/store/keys.ts";
import { Log } from "../../src/store/log.ts";
import { startOfLog } from "../../src/store/position.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: RedisConnection;
let log: Log;

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
});

function eventNamed(event: string, payload: object = {}): WireEvent {
  const resource = { "prefect.resource.id": "pump.1" };
  return {
    id: randomUUID(),
    occurred: "2026-03-01T09:30:00Z",
    event,
    resource,
    related: [],
    payload: { ...payload },
    follows: null,
  };
}

async function stored(): Promise<{ name: string; trace: string | null; lineage: readonly string[] }[]> {
  const entries = await log.read(startOfLog, { count: 100_000 });
  return entries.map((entry) => {
    if (entry.kind !== "event") throw new Error(`found ${entry.kind}`);
    return { name: entry.event.name, trace: entry.event.trace, lineage: entry.event.lineage };
  });
}

/** How many scripts Redis has run. */
async function scriptCount(): Promise<number> {
  const stats = await redis.info("commandstats");
  return Number(/^cmdstat_evalsha:calls=(\d+)/m.exec(stats)?.[1] ?? 0);
}

test("what is appended at the same time is appended together, in order, each with its own lineage and trace", async () => {
  await log.appendEvents([{ event: eventNamed("first") }]);
  const before = await scriptCount();
  const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const kinds = [{}, { trace }, { lineage: ["a"] }, {}];
  const appended = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      log.appendEvents([{ event: eventNamed(`pump.${index}`), ...kinds[index % kinds.length] }]),
    ),
  );
  expect(await scriptCount()).toBe(before + 1);
  expect(await stored()).toEqual([
    { name: "first", trace: null, lineage: [] },
    ...Array.from({ length: 40 }, (_, index) => ({
      name: `pump.${index}`,
      trace: index % 4 === 1 ? trace : null,
      lineage: index % 4 === 2 ? ["a"] : [],
    })),
  ]);
  const positions = (await log.read(startOfLog, { count: 100 })).map(({ position }) => position);
  expect(appended.map(([only]) => only?.position)).toEqual(positions.slice(1));
});

test("many and large ones are appended in steps, in order, and each caller learns its own positions", async () => {
  const batches = Array.from({ length: 30 }, (_, batch) =>
    Array.from({ length: 1 + ((batch * 97) % 400) }, (_, index) => ({
      event: eventNamed(`batch ${batch}.${index}`, batch % 10 === 0 ? { note: "x".repeat(20_000) } : {}),
    })),
  );
  const before = await scriptCount();
  const appended = await Promise.all(batches.map((events) => log.appendEvents(events)));
  expect(await scriptCount()).toBeGreaterThan(before + 1);
  const entries = await log.read(startOfLog, { count: 100_000 });
  const position = new Map(
    entries.map((entry) => [entry.kind === "event" ? entry.event.name : "", entry.position]),
  );
  expect(position.size).toBe(batches.flat().length);
  for (const [index, events] of batches.entries()) {
    expect(appended[index]?.map((each) => each.position)).toEqual(
      events.map(({ event }) => position.get(event.event)),
    );
  }
});

test("texts of events are appended in steps, too", async () => {
  const events = Array.from({ length: 2_500 }, (_, index) =>
    eventNamed(`pump.${index}`, { note: "é".repeat(index % 1_000) }),
  );
  await log.appendLines(linesOf(events));
  expect((await stored()).map(({ name }) => name)).toEqual(events.map(({ event }) => event));
});

// One of them may have been stored, so each caller must send its own again.
test("a failure reaches all whose events were in the step, and later ones are stored", async () => {
  const { log: key } = workspaceKeys("greenhouse");
  await redis.set(key, "not a stream");
  const failed = await Promise.allSettled(
    [1, 2, 3].map(() => log.appendEvents([{ event: eventNamed("a") }])),
  );
  expect(failed.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  await redis.del(key);
  await log.appendEvents([{ event: eventNamed("b") }]);
  expect(await stored()).toMatchObject([{ name: "b" }]);
});

test("automations that are created at the same time are written together, each with its event", async () => {
  const names = Array.from({ length: 120 }, (_, index) => `rule ${index}`);
  const automations = names.map((name) => ({ ...greenhouseAutomation(name), id: randomUUID() }));
  await log.putAutomations([greenhouseAutomation("first")]);
  const before = await scriptCount();
  await Promise.all(
    automations.map((automation) =>
      log.putAutomations([automation], ({ id }) => ({ event: eventNamed(`created ${id}`) })),
    ),
  );
  expect((await scriptCount()) - before).toBeLessThan(10);
  const entries = (await log.read(startOfLog, { count: 1_000 })).slice(1);
  const found = entries.map((entry) => {
    if (entry.kind === "automation-put") return `put ${entry.automation.id}`;
    return entry.kind === "event" ? entry.event.name : entry.kind;
  });
  expect(found).toEqual(automations.flatMap(({ id }) => [`put ${id}`, `created ${id}`]));
  expect(await log.automations()).toHaveLength(121);
});
