import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { OpenNumbers } from "../../src/core/machine/open-count.ts";
import type { EngineStore, EngineView, NewShard } from "../../src/engine/ports.ts";
import { RedisEngineStore } from "../../src/engine/redis-engine-store.ts";
import { RedisShardStore } from "../../src/engine/redis-shard-store.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { shardKeys, workspaceKeys } from "../../src/store/keys.ts";
import { readOpenTotals } from "../../src/store/open-counts.ts";
import type { ShardLayout } from "../../src/store/shard-layout.ts";
import { Shards } from "../../src/store/shard-status.ts";
import { MemoryEngineStore } from "../support/memory-engine-store.ts";
import { MemoryWorld } from "../support/memory-store.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** What the suite needs: a store whose workspace has two shards, someone who asks for another number, and time that passes. */
interface Subject {
  readonly store: EngineStore;
  askFor(count: number): Promise<void>;
  refusal(): Promise<string | null>;
  /** Over all shards, as their owners have written it. */
  openWindowCount(): Promise<number>;
  pass(ms: number): Promise<void>;
}

const workspace = "greenhouse";
const leaseMs = 60_000;
const two: ShardLayout = { count: 2, generation: 0 };
let server: TestRedis;
let redis: RedisConnection;

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});
beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

function redisSubject(): Subject {
  const shards = new Shards(redis, workspace);
  return {
    store: new RedisEngineStore(redis, { workspace, firstCount: 2 }),
    askFor: async (count) => expect(await shards.askFor(count)).toBe("asked"),
    openWindowCount: async () => openIn(await readOpenTotals(redis, workspace)),
    refusal: async () => (await shards.read())?.change?.failure ?? null,
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  };
}

function memorySubject(): Subject {
  const clock = new VirtualClock();
  const world = new MemoryWorld(clock);
  world.skewMs = Date.UTC(2026, 2, 1);
  world.layout = two;
  return {
    store: new MemoryEngineStore(world),
    askFor: async (count) => {
      world.wantedCount = count;
    },
    openWindowCount: async () =>
      openIn(Array.from({ length: world.layout.count }, (_, shard) => world.shard(shard).openTotal)),
    refusal: async () => world.refusal,
    pass: (ms) => clock.pass(ms),
  };
}

function openIn(totals: readonly OpenNumbers[]): number {
  return totals.reduce((sum, { open }) => sum + open, 0);
}

describe.each([
  { name: "Redis", subject: redisSubject },
  { name: "memory", subject: memorySubject },
])("the engines of a workspace in $name", ({ subject }) => {
  let world: Subject;
  let store: EngineStore;

  beforeEach(() => {
    world = subject();
    ({ store } = world);
  });

  const beat = (name: string, wants: number[] = [], ttlMs = leaseMs): Promise<EngineView> =>
    store.beat({ name, wants }, ttlMs);
  const namesIn = ({ members }: EngineView) => members.map(({ name }) => name).sort();

  test("know each other and what each waits for, until one leaves", async () => {
    expect(await beat("first")).toMatchObject({ joined: true, layout: two, wantedCount: null });
    const view = await beat("second", [0, 1]);
    expect(namesIn(view)).toEqual(["first", "second"]);
    expect(view.members.find(({ name }) => name === "second")?.wants).toEqual([0, 1]);
    expect((await beat("first")).joined).toBe(false);
    expect((await beat("second")).members.find(({ name }) => name === "second")?.wants).toEqual([]);
    await store.leave("second");
    expect(namesIn(await beat("first"))).toEqual(["first"]);
  });

  test("count as dead when they have not been heard of for their time to live, and join again", async () => {
    await beat("first", [], 40);
    await beat("second");
    await world.pass(60);
    expect(namesIn(await beat("second"))).toEqual(["second"]);
    expect((await beat("first")).joined).toBe(true);
  });

  test("see who owns which shard", async () => {
    expect((await beat("first")).leases).toEqual([null, null]);
    await store.shard(1, two, "first").claim(leaseMs);
    const { leases } = await beat("second");
    expect(leases[0]).toBeNull();
    expect(leases[1]).toMatchObject({ owner: "first" });
    expect(leases[1]?.heldMs).toBeGreaterThan(leaseMs / 2);
    expect(leases[1]?.heldMs).toBeLessThanOrEqual(leaseMs);
  });

  test("can take a shard from an owner by force, who is fenced off", async () => {
    const hung = store.shard(0, two, "hung");
    const before = await hung.claim(leaseMs);
    const other = store.shard(0, two, "other");
    expect(await other.claim(leaseMs)).toHaveProperty("heldMs");
    const after = await other.claim(leaseMs, { force: true });
    if (!("epoch" in before) || !("epoch" in after)) throw new Error("a claim failed");
    expect(after.epoch).toBeGreaterThan(before.epoch);
    expect(await hung.renew(before.epoch, leaseMs)).toBe(false);
  });

  describe("that are asked for another number of shards", () => {
    const cursor = { position: "7-0", watermark: 7_000, readCount: 3, commitCount: 0 };
    const newShards: NewShard[] = [0, 1, 2].map(() => ({ cursor, nextDeadline: 9_000 }));
    let epoch = 0;
    let oldEpochs: number[] = [];

    beforeEach(async () => {
      await beat("first");
      await world.askFor(3);
      epoch = await claimed(change("first").claim(leaseMs));
      oldEpochs = [
        await claimed(store.shard(0, two, "first").claim(leaseMs)),
        await claimed(store.shard(1, two, "first").claim(leaseMs)),
      ];
      for (const shard of [0, 1, 2]) await write(shard, [["a", String(shard)]]);
    });

    const change = (owner: string) => store.reshard(two, owner);
    const write = (shard: number, fields: [string, string][], isFirst = true, by = epoch) =>
      change("first").write(by, shard, fields, { isFirst });

    test("see what was asked for, and one at a time does it", async () => {
      expect((await beat("second")).wantedCount).toBe(3);
      expect(await change("second").claim(leaseMs)).toHaveProperty("heldMs");
      await change("first").release(epoch);
      expect(await change("second").claim(leaseMs)).toHaveProperty("epoch");
      expect(await change("first").renew(epoch, leaseMs)).toBe(false);
      expect(await write(0, [["late", "1"]], false)).toBe(false);
      expect(await change("first").replace(epoch, oldEpochs, newShards)).toBe("fenced");
    });

    test("replace all shards in one step, and nobody can claim the old ones", async () => {
      await write(0, [["b", "1"]], false);
      const one = { open: 1, unresolved: 1 };
      const report = {
        ...{ counts: new Map([["pump", one]]), total: one, isFirst: true },
        unresolved: new Map([["k:pump::[]", true]]),
      };
      for (const [shard, old] of oldEpochs.entries()) {
        expect(await store.shard(shard, two, "first").writeOpenWindows(old, report)).toBe(true);
      }
      expect(await world.openWindowCount()).toBe(2);
      expect(await change("first").replace(epoch, oldEpochs, newShards)).toBe("replaced");
      // Those of the old shards would otherwise count beside those of the new ones.
      expect(await world.openWindowCount()).toBe(0);
      const view = await beat("first");
      const three = { count: 3, generation: 1 };
      expect(view).toMatchObject({ layout: three, wantedCount: null, leases: [null, null, null] });
      for (const [shard, old] of oldEpochs.entries()) {
        const store0 = store.shard(shard, two, "first");
        expect(await store0.claim(leaseMs)).toHaveProperty("heldMs");
        expect(await store0.renew(old, leaseMs)).toBe(false);
        const commit = { epoch: old, changes: [], events: [], invocations: [], cursor };
        expect((await store0.commit({ ...commit, cursor: { ...cursor, commitCount: 1 } })).outcome).toBe(
          "fenced",
        );
      }
      const first = store.shard(0, three, "second");
      const loaded = await first.load();
      expect(loaded.cursor).toEqual(cursor);
      expect([...loaded.state].sort()).toEqual([
        ["a", "0"],
        ["b", "1"],
      ]);
      expect([...(await store.shard(2, three, "second").load()).state]).toEqual([["a", "2"]]);
      const owned = await claimed(first.claim(leaseMs));
      const commit = { epoch: owned, changes: [], events: [], invocations: [], cursor };
      expect((await first.commit({ ...commit, cursor: { ...cursor, commitCount: 1 } })).outcome).toBe(
        "committed",
      );
    });

    test("write a new state from its beginning when an earlier attempt has left a part of one", async () => {
      await write(0, [["rest", "1"]]);
      await write(0, [["a", "0"]]);
      expect(await change("first").replace(epoch, oldEpochs, newShards)).toBe("replaced");
      const { state } = await store.shard(0, { count: 3, generation: 1 }, "first").load();
      expect([...state]).toEqual([["a", "0"]]);
    });

    test("replace nothing if an old shard was claimed in between", async () => {
      await claimed(store.shard(1, two, "second").claim(leaseMs, { force: true }));
      expect(await change("first").replace(epoch, oldEpochs, newShards)).toBe("fenced");
      expect((await beat("first")).layout).toEqual(two);
    });

    test("replace nothing if an outbox is not empty", async () => {
      const old = store.shard(1, two, "first");
      const invocation = { id: "i1" } as never;
      const commit = { changes: [], events: [], invocations: [invocation], cursor };
      const [, oldEpoch = 0] = oldEpochs;
      await old.commit({ ...commit, epoch: oldEpoch, cursor: { ...cursor, commitCount: 1 } });
      expect(await change("first").replace(epoch, oldEpochs, newShards)).toBe("undispatched");
      await old.clearOutbox((await old.outbox(1)).map(({ position }) => position));
      expect(await change("first").replace(epoch, oldEpochs, newShards)).toBe("replaced");
    });

    test("replace nothing if the number is not asked for any more, or was refused", async () => {
      const otherCount = newShards.slice(0, 1);
      expect(await change("first").replace(epoch, oldEpochs, otherCount)).toBe("withdrawn");
      await change("first").refuse(epoch - 1, "from an engine that was replaced");
      expect(await world.refusal()).toBeNull();
      await change("first").refuse(epoch, "it is Sunday");
      expect(await world.refusal()).toBe("it is Sunday");
      expect((await beat("first")).wantedCount).toBeNull();
      expect(await change("first").replace(epoch, oldEpochs, newShards)).toBe("withdrawn");
    });
  });
});

// An engine of such a version checks nothing but the lease, the epoch, and that the number is the one of its settings.
test("a version that knows of no changes can neither claim an old shard nor read the new number", async () => {
  const { store, askFor } = redisSubject();
  await store.beat({ name: "first", wants: [] }, leaseMs);
  const old = shardKeys(workspace, 0);
  await askFor(1);
  const change = store.reshard(two, "first");
  const epoch = await claimed(change.claim(leaseMs));
  const epochs = [
    await claimed(store.shard(0, two, "first").claim(leaseMs)),
    await claimed(store.shard(1, two, "first").claim(leaseMs)),
  ];
  await change.write(epoch, 0, [], { isFirst: true });
  const cursor = { position: "7-0", watermark: 7_000, readCount: 3, commitCount: 0 };
  expect(await change.replace(epoch, epochs, [{ cursor, nextDeadline: null }])).toBe("replaced");
  expect(await redis.get(old.lease)).not.toBeNull();
  expect(await redis.pttl(old.lease)).toBeGreaterThan(365 * 24 * 3_600_000);
  expect(await redis.get(old.epoch)).not.toBe(String(epochs[0]));
  expect(Number(await redis.get(workspaceKeys(workspace).shardCount))).toBeNaN();
  // Nor does a later change of the same kind leave anything behind.
  await askFor(2);
  const one = { count: 1, generation: 1 };
  const again = store.reshard(one, "first");
  const nextEpoch = await claimed(again.claim(leaseMs));
  const ofOne = await claimed(store.shard(0, one, "first").claim(leaseMs));
  await again.write(nextEpoch, 0, [["a", "1"]], { isFirst: true });
  const shards = [0, 1].map(() => ({ cursor, nextDeadline: null }));
  expect(await again.replace(nextEpoch, [ofOne], shards)).toBe("replaced");
  expect(await redis.keys("*:shard:0:1:*")).toEqual([]);
});

test("a shard of an earlier layout cannot be claimed, even where its keys are gone", async () => {
  await redis.set(workspaceKeys(workspace).shardCount, "3:2");
  const layout = { count: 2, generation: 1 };
  const store = new RedisShardStore(redis, { workspace, shard: 0, owner: "late", layout });
  expect(await store.claim(leaseMs)).toEqual({ heldMs: leaseMs });
});

async function claimed(claim: Promise<{ epoch: number } | { heldMs: number }>): Promise<number> {
  const result = await claim;
  if ("heldMs" in result) throw new Error("it is held");
  return result.epoch;
}
