/** How an engine starts and stops, and what it passes on to its shards. */

import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { WireEvent } from "../../src/core/model/event.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { formatTime, hour, millisecond } from "../../src/core/model/time.ts";
import { type Engine, type EngineOptions, startEngine } from "../../src/engine/engine.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { shardKeys, workspaceKeys } from "../../src/store/keys.ts";
import { Log } from "../../src/store/log.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const workspace = "greenhouse";
const waiting = { timeout: 4_000, interval: 20 };

let server: TestRedis;
let redis: RedisConnection;
let log: Log;
let engines: Engine[];
let invocations: Invocation[];
let logged: { level: string; fields: object; message: string }[];

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
  log = new Log(redis, workspace);
});

beforeEach(async () => {
  await redis.flushall();
  engines = [];
  invocations = [];
  logged = [];
});

afterEach(async () => {
  await Promise.all(engines.map((engine) => engine.stop()));
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

async function start(options: Partial<EngineOptions> = {}): Promise<Engine> {
  const note = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields, message });
  const engine = await startEngine({
    redisUrl: server.url,
    workspace,
    queue: { addInvocations: async (added) => void invocations.push(...added) },
    logger: { info: note("info"), warn: note("warn"), error: note("error") },
    latenessDefault: 0,
    ...options,
  });
  engines.push(engine);
  return engine;
}

/** How many connections engines have to Redis. */
async function connectionCount(): Promise<number> {
  const clients = String(await redis.client("LIST"));
  return clients.split("\n").filter((client) => client.includes(" name=tripline-engine/")).length;
}

describe("an engine", () => {
  test.each([0, -1, 1.5, Number.NaN])("cannot have %d shards", async (shards) => {
    await expect(start({ shards })).rejects.toThrow(RangeError);
    expect(await redis.exists(workspaceKeys(workspace).shardCount)).toBe(0);
  });

  test("that does not start leaves no connection behind", async () => {
    await redis.lpush(workspaceKeys(workspace).shardCount, "not a number");
    await expect(start({ shards: 3 })).rejects.toThrow(/WRONGTYPE/);
    await vi.waitFor(async () => expect(await connectionCount()).toBe(0), waiting);
  });

  test("that is stopped while it waits for events leaves no connection behind", async () => {
    const engine = await start();
    // One for commands, and one that waits.
    await vi.waitFor(async () => expect(await connectionCount()).toBe(2), waiting);
    await engine.stop();
    await vi.waitFor(async () => expect(await connectionCount()).toBe(0), waiting);
  });

  // Its connection for waiting is still open then, because only the refused commit ended the loop.
  test("that is stopped after it has lost its shard leaves no connection behind", async () => {
    const engine = await start({ leaseMs: 60_000 });
    await vi.waitFor(async () => expect(await connectionCount()).toBe(2), waiting);
    const { lease, epoch } = shardKeys(workspace, 0);
    await redis.multi().set(lease, "another process").incr(epoch).exec();
    await log.appendEvents([{ event: eventNamed("vent.opened") }]);
    const isWaiting = () => logged.some(({ message }) => message.startsWith("Waiting for shards that other"));
    await vi.waitFor(() => expect(isWaiting()).toBe(true), waiting);
    await engine.stop();
    await vi.waitFor(async () => expect(await connectionCount()).toBe(0), waiting);
  });

  // Whoever waits for the engine to be ready would wait forever.
  test("that is stopped before its shard has an owner ends the wait for one", async () => {
    await redis.lpush(shardKeys(workspace, 0).lease, "not a lease");
    const engine = await start();
    let isReady = false;
    const ready = engine.ready.then(() => {
      isReady = true;
    });
    await vi.waitFor(() => expect(logged.some(({ level }) => level === "error")).toBe(true), waiting);
    expect(isReady).toBe(false);
    await engine.stop();
    await ready;
  });

  test("without metrics skips entries that it cannot read, and logs which", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    await start();
    const position = await redis.xadd(workspaceKeys(workspace).log, "*", "kind", "event", "body", "not JSON");
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await vi.waitFor(() => expect(invocations).toHaveLength(1), waiting);
    expect(logged.filter(({ level }) => level === "error")).toEqual([
      {
        level: "error",
        fields: { position, reason: expect.stringMatching(/./) },
        message: "Skipped a log entry that cannot be read",
      },
    ]);
  });
});

describe("the settings of an engine", () => {
  const silence = { posture: "Proactive", after: ["pump.started"], expect: ["pump.stopped"], within: 10 };

  test.each([
    { latenessDefault: 0, firedRules: ["absence", "presence"] },
    { latenessDefault: hour, firedRules: ["presence"] },
  ])("include a lateness of $latenessDefault µs", async ({ latenessDefault, firedRules }) => {
    await log.putAutomations([
      greenhouseAutomation("absence", { trigger: silence }),
      greenhouseAutomation("presence"),
    ]);
    await start({ latenessDefault });
    const secondsAgo = (seconds: number) => formatTime((Date.now() - seconds * 1_000) * millisecond);
    await log.appendEvents([
      { event: eventNamed("pump.started", { occurred: secondsAgo(60) }) }, // its window ended 50 s ago
      { event: eventNamed("pump.stopped", { occurred: secondsAgo(55) }) },
      { event: eventNamed("pump.failed") },
    ]);
    await vi.waitFor(() => expect(firedNames()).toContain("presence"), waiting);
    expect(firedNames()).toEqual(firedRules);
  });

  test.each([
    { seenCountMax: 1, firingCount: 3 },
    { seenCountMax: 100, firingCount: 2 },
  ])("include $seenCountMax remembered event ids", async ({ seenCountMax, firingCount }) => {
    await log.putAutomations([greenhouseAutomation("presence"), greenhouseAutomation("last", onVent)]);
    await start({ seenCountMax });
    const first = eventNamed("pump.failed");
    const events = [first, eventNamed("pump.failed"), first, eventNamed("vent.opened")];
    await log.appendEvents(events.map((event) => ({ event })));
    await vi.waitFor(() => expect(firedNames()).toContain("last"), waiting);
    expect(firedNames().filter((name) => name === "presence")).toHaveLength(firingCount);
  });

  const onVent = { trigger: { expect: ["vent.opened"] } };
});

function firedNames(): string[] {
  return invocations.map(({ automation }) => automation.name).sort();
}

function eventNamed(name: string, fields: Partial<WireEvent> = {}): WireEvent {
  return {
    id: randomUUID(),
    occurred: formatTime(Date.now() * millisecond),
    event: name,
    resource: { "prefect.resource.id": "pump.1" },
    related: [],
    payload: {},
    follows: null,
    ...fields,
  };
}
