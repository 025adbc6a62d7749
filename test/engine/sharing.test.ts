/**
 * Several engines, in processes of their own, share the shards of a workspace while events arrive. Whatever becomes of the
 * engines: every event counts once, every firing happens once, and no absence is missed or made up.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Automation } from "../../src/core/model/automation.ts";
import { formatTime, millisecond } from "../../src/core/model/time.ts";
import { DeliveryQueue } from "../../src/delivery/queue.ts";
import { shardOf } from "../../src/engine/shard-of.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { workspaceKeys } from "../../src/store/keys.ts";
import { Log } from "../../src/store/log.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { queuedInvocations } from "../support/queued.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const workspace = "greenhouse";
const waiting = { timeout: 30_000, interval: 50 };
const leaseMs = 1_500;
const pumps = 5;
const program = new URL("../support/engine-process.ts", import.meta.url).pathname;

let server: TestRedis;
let redis: RedisConnection;
let queue: DeliveryQueue;
let log: Log;
let engines: ChildProcess[];
let sending: Sending;

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});
beforeEach(async () => {
  await redis.flushall();
  queue = new DeliveryQueue(server.url, workspace);
  log = new Log(redis, workspace);
  engines = [];
  await log.putAutomations(rules);
  sending = startSending();
});
afterEach(async () => {
  await sending.stop();
  for (const engine of engines.splice(0)) await kill(engine);
  await queue.close();
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

/** Two of each kind for every one of six shards. */
const rules: Automation[] = [0, 1, 2, 3, 4, 5].flatMap((shard) => [
  ...ofShard(shard, "each", {}),
  ...ofShard(shard, "every third", { threshold: 3 }),
  ...ofShard(shard, "silent", {
    posture: "Proactive",
    within: 10,
    refire: "once",
    lateness: 0,
    for_each: ["prefect.resource.id"],
  }),
]);

function ofShard(shard: number, kind: string, trigger: object): Automation[] {
  for (let number = 0; ; number += 1) {
    const automation = greenhouseAutomation(`${kind} ${shard}.${number}`, {
      trigger: { expect: ["pump.beat"], ...trigger },
    });
    if (shardOf(automation.id, 6) === shard) return [automation];
  }
}

interface Sending {
  /** When each pump was last heard of, in milliseconds since the epoch. */
  readonly lastBeats: ReadonlyMap<string, number>;
  /** @returns the ids of all events that were sent */
  stop(): Promise<string[]>;
}

function startSending(): Sending {
  const lastBeats = new Map<string, number>();
  const sent: string[] = [];
  let stopped = false;
  const ended = (async () => {
    for (let number = 0; !stopped; number += 1) {
      const id = randomUUID();
      const pump = `pump.${number % pumps}`;
      const resource = { "prefect.resource.id": pump };
      const now = Date.now();
      const occurred = formatTime(now * millisecond);
      lastBeats.set(pump, now);
      await log.appendEvents([
        { event: { id, occurred, event: "pump.beat", resource, related: [], payload: {}, follows: null } },
      ]);
      sent.push(id);
      await pause(8); // leaves the engines some CPU time on a small machine
    }
    return sent;
  })();
  return {
    lastBeats,
    stop: () => {
      stopped = true;
      return ended;
    },
  };
}

/** Starts an engine, and resolves when the others know it. */
async function join(): Promise<void> {
  const settings = [server.url, workspace, "6", String(leaseMs)];
  const engine = spawn(process.execPath, [program, ...settings], { stdio: ["ignore", "ignore", "inherit"] });
  engines.push(engine);
  await vi.waitFor(async () => {
    const members = await redis.zrange(workspaceKeys(workspace).engines, 0, "-1");
    expect(members.map((name) => name.split("/")[1])).toContain(String(engine.pid));
  }, waiting);
}

async function kill(engine: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  engines = engines.filter((other) => other !== engine);
  if (engine.exitCode !== null || engine.signalCode !== null) return;
  const exited = once(engine, "exit");
  engine.kill(signal);
  await exited;
}

/** How many shards each engine that should run owns, the most first. */
async function shares(): Promise<number[]> {
  const { shards = [] } = (await log.shards.read()) ?? {};
  const ofPid = (pid: number | undefined) => shards.filter(({ owner }) => owner?.split("/")[1] === `${pid}`);
  return engines.map(({ pid }) => ofPid(pid).length).sort((a, b) => b - a);
}

async function untilShared(...counts: number[]): Promise<void> {
  await vi.waitFor(async () => expect(await shares()).toEqual(counts), waiting);
}

async function untilCount(count: number): Promise<void> {
  await vi.waitFor(async () => expect((await log.shards.read())?.layout.count).toBe(count), waiting);
}

/** Stops sending, waits until every pump has been missed, and compares what happened with what was sent. */
async function expectExactly(): Promise<void> {
  const sent = await sending.stop();
  await vi.waitFor(async () => {
    const silent = (await queuedInvocations(redis)).filter(({ automation }) =>
      automation.name.startsWith("silent"),
    );
    expect(silent.length).toBeGreaterThanOrEqual(6 * pumps);
    const { shards = [] } = (await log.shards.read()) ?? {};
    const last = await log.lastPosition();
    expect(shards.map(({ position }) => position)).toEqual(shards.map(() => last));
    expect(shards.map(({ outboxAgeMs }) => outboxAgeMs)).toEqual(shards.map(() => 0));
  }, waiting);
  const invocations = await queuedInvocations(redis);
  const counts: Record<string, number> = {};
  for (const { automation } of invocations) counts[automation.name] = (counts[automation.name] ?? 0) + 1;
  const expected: Record<string, number> = {};
  for (const { name } of rules) {
    if (name.startsWith("each")) expected[name] = sent.length;
    else expected[name] = name.startsWith("every third") ? Math.floor(sent.length / 3) : pumps;
  }
  expect(counts).toEqual(expected);
  for (const { automation, firing } of invocations) {
    if (!automation.name.startsWith("silent")) continue;
    const lastBeat = sending.lastBeats.get(firing.triggering_labels["prefect.resource.id"] ?? "");
    expect(Date.parse(firing.triggered)).toBeGreaterThanOrEqual((lastBeat ?? Number.NaN) + 10_000);
  }
  for (const { name } of rules.filter(({ name }) => name.startsWith("each"))) {
    const ids = invocations
      .filter(({ automation }) => automation.name === name)
      .map(({ firing }) => firing.triggering_event?.id);
    expect(new Set(ids)).toEqual(new Set(sent));
  }
  const firingIds: string[] = [];
  for (let after = "0-0"; ; ) {
    const batch = await log.readBatch(after, { count: 5_000, blockMs: 0 });
    if (batch.readCount === 0) break;
    after = batch.position;
    for (const entry of batch.entries) {
      if (entry.kind === "event" && entry.event.name === "prefect-cloud.automation.triggered")
        firingIds.push(entry.event.id);
    }
  }
  expect(firingIds).toHaveLength(invocations.length);
  expect(new Set(firingIds).size).toBe(invocations.length);
}

describe("three engines with six shards", { timeout: 120_000 }, () => {
  beforeEach(async () => {
    await Promise.all([join(), join(), join()]);
    await untilShared(2, 2, 2);
  });

  test("have two each, also after one was killed, and others joined and left", async () => {
    const [first, second] = engines as [ChildProcess, ChildProcess];
    await kill(first);
    await untilShared(3, 3);
    await join();
    await untilShared(2, 2, 2);
    await kill(second, "SIGTERM");
    // Only its own shards have moved.
    await untilShared(3, 3);
    await expectExactly();
  });

  test("take over from one that is suspended for longer than its lease, and give it a share when it is back", async () => {
    const [first] = engines as [ChildProcess];
    first.kill("SIGSTOP");
    await vi.waitFor(async () => expect(await shares()).toEqual([3, 3, 0]), waiting);
    first.kill("SIGCONT");
    await untilShared(2, 2, 2);
    await expectExactly();
  });

  test("keep working while engines count as dead now and then, although they are not", async () => {
    const { engines: key } = workspaceKeys(workspace);
    for (let round = 0; round < 15; round += 1) {
      const members = await redis.zrange(key, 0, "-1");
      const gone = members[round % Math.max(members.length, 1)];
      if (gone !== undefined) await redis.zrem(key, gone);
      await pause(round % 3 === 0 ? 30 : 300);
    }
    await untilShared(2, 2, 2);
    await expectExactly();
  });

  test("change the number of shards under load, whatever becomes of the one that does it", async () => {
    expect(await log.shards.askFor(4)).toBe("asked");
    await untilCount(4);
    expect(await redis.get(workspaceKeys(workspace).shardCount)).toBe("4:1");
    await untilShared(2, 1, 1);

    const { reshardLease } = workspaceKeys(workspace);
    for (const [count, moments] of [
      [9, 1],
      [6, 3],
    ] as const) {
      expect(await log.shards.askFor(count)).toBe("asked");
      const owner = await vi.waitFor(async () => {
        const name = await redis.get(reshardLease);
        if (name === null) throw new Error("no engine changes the number yet");
        return name;
      }, waiting);
      await pause(5 * moments);
      const changing = engines.find(({ pid }) => owner.split("/")[1] === `${pid}`);
      if (changing !== undefined) await kill(changing);
      await join();
      await untilCount(count);
    }
    await untilShared(2, 2, 2);
    await expectExactly();
  });

  // A pump falls silent while the shards that would notice are on their way.
  test("notice each absence once, also when its shard moves before the window ends", async () => {
    await pause(2_000); // each pump has a window
    await sending.stop();
    await log.shards.askFor(4);
    await untilCount(4);
    await untilShared(2, 1, 1);
    await kill(engines[0] as ChildProcess);
    await untilShared(2, 2);
    await expectExactly();
  });
});
