import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { LogEntry } from "../../src/core/machine/log-entry.ts";
import type { WireEvent } from "../../src/core/model/event.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { formatTime, millisecond } from "../../src/core/model/time.ts";
import { DeliveryQueue } from "../../src/delivery/queue.ts";
import { type Engine, type EngineOptions, startEngine } from "../../src/engine/engine.ts";
import { connect, type RedisConnection, RedisUnreachable } from "../../src/store/connection.ts";
import { shardKeys, workspaceKeys } from "../../src/store/keys.ts";
import { Log } from "../../src/store/log.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { queuedInvocations } from "../support/queued.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const workspace = "greenhouse";
const waiting = { timeout: 20_000, interval: 20 };

let server: TestRedis;
let redis: RedisConnection;
let log: Log;
let queue: DeliveryQueue;
let engines: Engine[];
const logged: { level: string; fields: object; message: string }[] = [];

beforeEach(async () => {
  server = await startRedis({ appendOnly: "always" });
  redis = connect(server.url);
  log = new Log(redis, workspace);
  queue = new DeliveryQueue(server.url, workspace);
  engines = [];
  logged.length = 0;
});

afterEach(async () => {
  await Promise.all(engines.map((engine) => engine.stop()));
  await queue.close();
  redis.disconnect();
  await server.stop();
});

async function start(options: Partial<EngineOptions> = {}): Promise<Engine> {
  const note = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields, message });
  const engine = await startEngine({
    redisUrl: server.url,
    workspace,
    queue,
    logger: { info: note("info"), warn: note("warn"), error: note("error") },
    latenessDefault: 0,
    ...options,
  });
  engines.push(engine);
  await engine.ready;
  return engine;
}

describe("an engine", () => {
  test("fires for events, and for events that did not arrive in time", async () => {
    const silence = { posture: "Proactive", after: ["pump.started"], expect: ["pump.stopped"], within: 10 };
    await log.putAutomations([
      greenhouseAutomation("presence"),
      greenhouseAutomation("absence", { trigger: silence }),
    ]);
    await start();
    const longAgo = (seconds: number) => formatTime((Date.now() - seconds * 1_000) * millisecond);
    const started = eventNamed("pump.started", { occurred: longAgo(9.5) });
    const failed = eventNamed("pump.failed");
    await log.appendEvents([{ event: started }, { event: failed }]);
    await vi.waitFor(async () => expect(await queuedInvocations(redis)).toHaveLength(2), waiting);
    const byName = new Map(
      (await queuedInvocations(redis)).map((invocation) => [invocation.automation.name, invocation]),
    );
    expect(byName.get("presence")?.firing.triggering_event?.id).toBe(failed.id);
    expect(byName.get("absence")?.firing.triggering_event?.id).toBe(started.id);
  });

  // Prefect's client ends its stream at such an event; see src/store/json.ts.
  test("writes well-formed texts when it fires for an event with half a surrogate pair", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    await start();
    const failed = eventNamed("pump.failed", { payload: { text: "cut \ud83d" } });
    const { log: key } = workspaceKeys(workspace);
    await redis.xadd(key, "*", "kind", "event", "body", JSON.stringify(failed));
    await vi.waitFor(async () => expect(await queuedInvocations(redis)).toHaveLength(1), waiting);
    const [invocation] = await queuedInvocations(redis);
    expect(invocation?.firing.triggering_event?.payload).toEqual({ text: "cut \ufffd" });
    const [firing] = await firings();
    expect(firing).toMatchObject({
      event: { wire: { payload: { triggering_event: { payload: { text: "cut \ufffd" } } } } },
    });
  });

  test("evaluates events that were accepted before it first ran", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await start();
    await vi.waitFor(async () => expect(await firings()).toHaveLength(1), waiting);
  });

  test("remembers across a restart which events it has counted", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    const event = eventNamed("pump.failed");
    const first = await start();
    await log.appendEvents([{ event }]);
    await vi.waitFor(async () => expect(await firings()).toHaveLength(1), waiting);
    await first.stop();

    await start();
    await log.appendEvents([{ event }, { event: eventNamed("pump.failed") }]);
    await allConsumed();
    expect(await firings()).toHaveLength(2);
  });

  test("skips entries that it cannot read, and logs them", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    let malformedCount = 0;
    await start({ metrics: { malformed: () => void malformedCount++ } });
    const { log: stream } = workspaceKeys(workspace);
    await redis.xadd(stream, "*", "kind", "event", "body", '{"id": 1}');
    await redis.xadd(stream, "*", "kind", "event", "body", "not JSON");
    await redis.xadd(stream, "*", "surprise", "!");
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await allConsumed();
    expect(await firings()).toHaveLength(1);
    expect(malformedCount).toBe(3);
    expect(logged.filter(({ level }) => level === "error")).toHaveLength(3);
  });

  test("divides its automations among shards, each of which sees every event", async () => {
    const automations = Array.from({ length: 12 }, (_, index) => greenhouseAutomation(`rule ${index}`));
    await log.putAutomations(automations);
    await start({ shards: 3 });
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await vi.waitFor(async () => expect(await queuedInvocations(redis)).toHaveLength(12), waiting);
    for (const shard of [0, 1, 2]) {
      const fields = await redis.hkeys(shardKeys(workspace, shard).state);
      expect(fields.some((field) => field.startsWith("a:"))).toBe(true);
    }
    expect(new Set((await queuedInvocations(redis)).map(({ automation }) => automation.id)).size).toBe(12);
  });

  // During a deployment some processes have new settings and others old ones; none of them may stay away.
  test("starts with another number of shards in its settings, and says that the first number counts", async () => {
    const first = await start({ shards: 2 });
    await first.stop();
    const warnings: object[] = [];
    const warn = (fields: object) => void warnings.push(fields);
    const logger = { ...(await optionsOf()).logger, warn };
    const engine = await start({ shards: 3, logger });
    expect(await redis.get(workspaceKeys(workspace).shardCount)).toBe("2");
    expect(warnings).toEqual([{ shards: 2, setting: 3, remedy: "tripline shards set 3" }]);
    expect(await redis.get(shardKeys(workspace, 1).lease)).toBe(engine.name);
  });

  test("does not start without Redis", async () => {
    await server.kill9();
    await expect(startEngine(await optionsOf())).rejects.toThrow(RedisUnreachable);
    await server.restart();
  });
});

describe("an engine during a failure", () => {
  // The cause may last, so the engine must neither retry in a tight loop nor give up.
  test("logs that its state cannot be read, and continues once it can", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    const first = await start();
    await allConsumed();
    await first.stop();
    const { state } = shardKeys(workspace, 0);
    const meta = await redis.hget(state, "meta");
    await redis.hset(state, "meta", '{"version":0}');
    const second = start();
    const faults = () => logged.filter(({ level }) => level === "error");
    await vi.waitFor(() => expect(faults().length).toBeGreaterThan(0), waiting);
    expect(faults()[0]?.fields).toMatchObject({ err: { message: expect.stringContaining("version 0") } });
    await redis.hset(state, "meta", meta ?? "");
    await second;
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await vi.waitFor(async () => expect(await firings()).toHaveLength(1), waiting);
  });

  test("stops even while Redis is unavailable", async () => {
    const engine = await start();
    await server.kill9();
    await vi.waitFor(
      () => expect(logged.some(({ message }) => message.startsWith("Redis unavailable"))).toBe(true),
      waiting,
    );
    expect(logged).toContainEqual({
      level: "warn",
      fields: { err: expect.any(Error) },
      message: "The engine lost its connection to Redis; reconnecting",
    });
    await engine.stop();
    await server.restart();
  });
});

describe("two engines", () => {
  test("take turns: one owns the shard, and the other takes over as soon as the first is stopped", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    const owners = new Set<string>();
    const owned = (name: string) => (_shard: number, isOwner: boolean) =>
      void (isOwner ? owners.add(name) : owners.delete(name));
    const leaseMs = 1_500;
    const first = await start({ leaseMs, metrics: { owned: owned("first") } });
    await start({ leaseMs, metrics: { owned: owned("second") } });
    expect([...owners]).toEqual(["first"]);
    await first.stop();
    await vi.waitFor(() => expect([...owners]).toEqual(["second"]), waiting);
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await vi.waitFor(async () => expect(await firings()).toHaveLength(1), waiting);
  });

  // A crash leaves behind a lease that nobody renews.
  test("take over from a crashed owner once its lease expires", async () => {
    const { lease, epoch } = shardKeys(workspace, 0);
    await redis.set(epoch, "7");
    await redis.set(lease, "a process that died", "PX", 800);
    await log.putAutomations([greenhouseAutomation("presence")]);
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await start({ leaseMs: 800 });
    await vi.waitFor(async () => expect(await firings()).toHaveLength(1), waiting);
    expect(Number(await redis.get(epoch))).toBeGreaterThan(7);
  });

  test("cannot both write: the one that lost its shard starts over", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    await start({ leaseMs: 1_000 });
    await start({ leaseMs: 1_000 });
    const { lease, epoch } = shardKeys(workspace, 0);
    for (let round = 0; round < 5; round += 1) {
      await redis.multi().del(lease).incr(epoch).exec();
      await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    }
    await vi.waitFor(async () => expect(await firings()).toHaveLength(5), waiting);
    await vi.waitFor(async () => expect(await queuedInvocations(redis)).toHaveLength(5), waiting);
    expect(logged.some(({ message }) => message === "Lost the shard; claiming it again")).toBe(true);
  });
});

describe("the outbox", () => {
  test("keeps what an engine committed but never dispatched", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    const unavailableQueue = {
      addInvocations: () => Promise.reject(new RedisUnreachable("the queue is unavailable")),
    };
    const failing = await start({ queue: unavailableQueue });
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await vi.waitFor(async () => expect(await redis.xlen(shardKeys(workspace, 0).outbox)).toBe(1), waiting);
    await failing.stop();
    expect(await queuedInvocations(redis)).toEqual([]);

    await start();
    await vi.waitFor(async () => expect(await queuedInvocations(redis)).toHaveLength(1), waiting);
    await vi.waitFor(async () => expect(await redis.xlen(shardKeys(workspace, 0).outbox)).toBe(0), waiting);
  });

  test("loses entries that cannot be read, and nothing else", async () => {
    const { outbox } = shardKeys(workspace, 0);
    await redis.xadd(outbox, "*", "body", "not JSON");
    const first = await start();
    await vi.waitFor(async () => expect(await redis.xlen(outbox)).toBe(0), waiting);
    await log.putAutomations([greenhouseAutomation("presence")]);
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await vi.waitFor(async () => expect(await queuedInvocations(redis)).toHaveLength(1), waiting);
    await vi.waitFor(async () => expect(await redis.xlen(outbox)).toBe(0), waiting);
    // An engine knows what it has committed itself, so it reads the outbox when it takes over.
    await redis.xadd(outbox, "*", "body", "not JSON either");
    await first.stop();
    await start();
    await vi.waitFor(async () => expect(await redis.xlen(outbox)).toBe(0), waiting);
    const errors = logged.filter(({ level }) => level === "error");
    expect(errors).toMatchObject([{ fields: { count: 1 } }, { fields: { count: 1 } }]);
  });

  test("is dispatched again when a reply is lost, and the queue still holds each invocation once", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    let additionCount = 0;
    const queueWithLostReply = {
      async addInvocations(added: readonly Invocation[]) {
        await queue.addInvocations(added);
        additionCount += 1;
        if (additionCount === 1) throw new RedisUnreachable("the reply was lost");
      },
    };
    await start({ queue: queueWithLostReply });
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await vi.waitFor(async () => expect(await redis.xlen(shardKeys(workspace, 0).outbox)).toBe(0), waiting);
    await vi.waitFor(() => expect(additionCount).toBe(2), waiting);
    expect(await queuedInvocations(redis)).toHaveLength(1);
  });
});

describe("when Redis", () => {
  test("is killed and restarted in the middle of its work, nothing is lost and nothing is counted twice", async () => {
    const everyThird = { expect: ["pump.failed"], threshold: 3 };
    await log.putAutomations([
      greenhouseAutomation("each"),
      greenhouseAutomation("every third", { trigger: everyThird }),
    ]);
    await start();
    let stopped = false;
    const accepted: string[] = [];
    const sending = (async () => {
      while (!stopped) {
        const event = eventNamed("pump.failed");
        // Like a client: retries with the same id until it is acknowledged.
        while (!(await isAcknowledged(event))) await new Promise((resolve) => setTimeout(resolve, 20));
        accepted.push(event.id);
      }
    })();
    for (let round = 1; round <= 2; round += 1) {
      const sentCount = accepted.length;
      await vi.waitFor(() => expect(accepted.length).toBeGreaterThan(sentCount + 60), waiting);
      await server.kill9();
      await server.restart();
    }
    const sentCount = accepted.length;
    await vi.waitFor(() => expect(accepted.length).toBeGreaterThan(sentCount + 60), waiting);
    stopped = true;
    await sending;

    const expected = accepted.length + Math.floor(accepted.length / 3);
    await vi.waitFor(async () => expect(await queuedInvocations(redis)).toHaveLength(expected), waiting);
    await allConsumed();
    const each = (await queuedInvocations(redis)).filter(({ automation }) => automation.name === "each");
    expect(each.map(({ firing }) => firing.triggering_event?.id).sort()).toEqual(accepted.sort());
    expect(await firings()).toHaveLength(expected);
  });

  // This happens when Redis writes its file every second and the last second is lost.
  test("falls back to an earlier state, so does the engine", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    await start();
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await allConsumed();
    const earlier = await takeSnapshot();
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await allConsumed();
    expect(await firings()).toHaveLength(2);

    await restoreSnapshot(earlier);
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await vi.waitFor(async () => expect(await firings()).toHaveLength(2), waiting);
    await allConsumed();
    expect(logged.some(({ fields }) => JSON.stringify(fields).includes("out of step"))).toBe(true);
  });

  test("has lost the end of the log, the engine logs it and continues", async () => {
    await log.putAutomations([greenhouseAutomation("presence")]);
    const first = await start();
    await allConsumed();
    await first.stop();
    await redis.hset(shardKeys(workspace, 0).cursor, "position", `${Date.now() + 3_600_000}-0`);
    await start();
    expect(logged.some(({ level, message }) => level === "error" && message.startsWith("The log ends"))).toBe(
      true,
    );
    await log.appendEvents([{ event: eventNamed("pump.failed") }]);
    await vi.waitFor(async () => expect(await firings()).toHaveLength(1), waiting);
  });
});

async function optionsOf(): Promise<EngineOptions> {
  const ignore = () => {};
  return { redisUrl: server.url, workspace, queue, logger: { info: ignore, warn: ignore, error: ignore } };
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

async function isAcknowledged(event: WireEvent): Promise<boolean> {
  try {
    await log.appendEvents([{ event }]);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(RedisUnreachable);
    return false;
  }
}

/** The events in the log that announce firings. */
async function firings(): Promise<LogEntry[]> {
  const entries = await log.read("0-0", { count: 100_000 });
  return entries.filter(
    (entry) => entry.kind === "event" && entry.event.name === "prefect-cloud.automation.triggered",
  );
}

/** Resolves when the cursor has reached the log's end. */
async function allConsumed(): Promise<void> {
  await vi.waitFor(async () => {
    const position = await redis.hget(shardKeys(workspace, 0).cursor, "position");
    expect(position).toBe(await log.lastPosition());
  }, waiting);
}

type Snapshot = readonly (readonly [key: string, dump: Buffer])[];

async function takeSnapshot(): Promise<Snapshot> {
  const { cursor, state, outbox } = shardKeys(workspace, 0);
  const keys = [workspaceKeys(workspace).log, cursor, state, outbox];
  const dumps: [string, Buffer][] = [];
  for (const key of keys) {
    const dump = await redis.dumpBuffer(key);
    if (dump !== null) dumps.push([key, dump]);
  }
  return dumps;
}

async function restoreSnapshot(snapshot: Snapshot): Promise<void> {
  const transaction = redis.multi();
  for (const [key, dump] of snapshot) transaction.restore(key, 0, dump, "REPLACE");
  await transaction.exec();
}
