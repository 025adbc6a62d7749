import { beforeEach, describe, expect, test } from "vitest";
import { EngineHealth } from "../../src/engine/engine-health.ts";
import type { ShardStatus } from "../../src/store/shard-status.ts";

const second = 1_000;
const idle: ShardStatus = {
  ...{ shard: 0, owned: true, entriesBehind: 0, delayMs: 0 },
  ...{ owner: "greenhouse/1/0.1/a", epoch: 1, since: 1_000, watermark: 7_000 },
  ...{ position: "7-0", commitCount: 5, watermarkAgeMs: 0, outboxAgeMs: 0 },
};

const clock = { now: () => now, sleep: async () => {}, random: () => 0 };
const limits = { leaseMs: 10 * second, stalledAfterMs: 30 * second, everyMs: 2 * second };

let now = 0;
let shards: ShardStatus[] = [];
let changes: (string | null)[] = [];
let health: EngineHealth;

beforeEach(() => {
  now = 0;
  shards = [idle];
  changes = [];
  const onChange = (problem: string | null) => void changes.push(problem);
  health = new EngineHealth({ shardStatus: async () => shards }, { ...limits, clock, onChange });
});

/** Looks every two seconds, as the health itself does. @param status the shard after that many milliseconds */
async function watch(forMs: number, status: (ms: number) => Partial<ShardStatus> = () => ({})) {
  const start = now;
  let problems = await health.check();
  for (; now < start + forMs; ) {
    now += 2 * second;
    shards = [{ ...idle, ...status(now - start) }];
    problems = await health.check();
  }
  return problems;
}

const waiting = (ms: number) => ({ entriesBehind: 1, delayMs: ms });

describe("a shard without an owner", () => {
  test("is a problem at once, and keeps alarms from being raised after the time of a lease", async () => {
    expect(await watch(10 * second, () => ({ owned: false }))).toMatchObject([{ stopsAlarms: false }]);
    expect(await watch(2 * second, () => ({ owned: false }))).toMatchObject([{ stopsAlarms: true }]);
    expect(await watch(2 * second)).toEqual([]);
    expect(changes).toEqual([expect.stringContaining("No engine is running"), null]);
  });

  test("counts again from its next loss", async () => {
    await watch(9 * second, () => ({ owned: false }));
    await watch(2 * second);
    expect(await watch(9 * second, () => ({ owned: false }))).toMatchObject([{ stopsAlarms: false }]);
  });
});

describe("a shard with an owner", () => {
  test("has stalled if something waits and it has taken no step for that long", async () => {
    expect(await watch(28 * second, waiting)).toEqual([]);
    expect(await watch(4 * second, (ms) => waiting(28 * second + ms))).toMatchObject([{ stopsAlarms: true }]);
  });

  test("has not stalled if nothing waits, or it moves on however late it is", async () => {
    expect(await watch(120 * second)).toEqual([]);
    const busy = (ms: number) => ({ ...waiting(50 * second + ms / 100), commitCount: 5 + ms });
    expect(await watch(120 * second, busy)).toEqual([]);
  });

  // It had nothing to do since it was looked at last, which was longer ago than it may stand still.
  test("has not stalled because of an event that has only just arrived", async () => {
    health = new EngineHealth({ shardStatus: async () => shards }, { ...limits, stalledAfterMs: 500, clock });
    await watch(60 * second);
    expect(await watch(2 * second, () => waiting(100))).toEqual([]);
    expect(await watch(2 * second, () => waiting(2_100))).toMatchObject([{ stopsAlarms: true }]);
  });

  test("is behind after a minute", async () => {
    const busy = (ms: number) => ({ ...waiting(61 * second), commitCount: 5 + ms });
    const [problem] = await watch(2 * second, busy);
    expect(problem).toMatchObject({ stopsAlarms: false, message: expect.stringContaining("61 s behind") });
  });
});

test("a workspace without an engine is a problem at once, and stops alarms after the time of a lease", async () => {
  shards = [];
  expect(await health.check()).toMatchObject([{ stopsAlarms: false }]);
  for (now = 2 * second; now <= 10 * second; now += 2 * second) await health.check();
  expect(await health.check()).toMatchObject([{ stopsAlarms: true }]);
});

// It looked before the pause, when the owner had just died, and after it, when the next owner has not been seen yet.
test("a process that was paused does not take that time for the engine's", async () => {
  shards = [{ ...idle, owned: false }];
  await health.check();
  now = 600 * second;
  expect(await health.check()).toMatchObject([{ stopsAlarms: false }]);
});
