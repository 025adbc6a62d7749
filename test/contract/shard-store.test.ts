import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { WireEvent } from "../../src/core/model/event.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import type { Commit, ShardStore } from "../../src/engine/ports.ts";
import { RedisShardStore } from "../../src/engine/redis-shard-store.ts";
import { type Activity, type CountedSecond, readActivity } from "../../src/store/activity.ts";
import { connect, type RedisConnection, RedisUnreachable } from "../../src/store/connection.ts";
import { shardKeys, workspaceKeys } from "../../src/store/keys.ts";
import { Log } from "../../src/store/log.ts";
import { readOpenCounts, readOpenTotals } from "../../src/store/open-counts.ts";
import { comparePositions, receivedAt, startOfLog } from "../../src/store/position.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { MemoryShardStore, MemoryWorld } from "../support/memory-store.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** What the suite needs of a store: several owners, a log to write to, and time that passes. */
interface Subject {
  storeOf(owner: string): ShardStore;
  append(...ids: string[]): Promise<void>;
  putAutomation(name: string): Promise<void>;
  trimAll(): Promise<void>;
  /** Everything that shards have counted in the last five minutes, oldest first. */
  activity(): Promise<readonly CountedSecond[]>;
  /** How many windows are open and which are unresolved, as an owner has written it. */
  openWindows(): Promise<object>;
  /** The present second, since the epoch. */
  now(): number;
  /** Whether the store refuses what needs memory from now on. */
  fill(isFull: boolean): Promise<void>;
  /** Waits for the work while the store's time passes. */
  pass<T>(ms: number, work: Promise<T>): Promise<T>;
}

const leaseMs = 300;
let server: TestRedis;
let redis: RedisConnection;
const opened: ShardStore[] = [];

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});
beforeEach(async () => {
  await redis.flushall();
});
afterEach(() => {
  for (const store of opened.splice(0)) store.interrupt();
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

function redisSubject(): Subject {
  const workspace = "greenhouse";
  const log = new Log(redis, workspace);
  return {
    storeOf: (owner) => {
      const store = new RedisShardStore(redis, { workspace, shard: 0, owner });
      opened.push(store);
      return store;
    },
    append: async (...ids) => void (await log.appendEvents(ids.map((id) => ({ event: eventWith(id) })))),
    putAutomation: (name) => log.putAutomations([greenhouseAutomation(name)]),
    trimAll: async () => {
      // Redis trims whole blocks of entries only.
      for (let filler = 0; filler < 300; filler += 1)
        await log.appendEvents([{ event: eventWith("filler") }]);
      await log.trim(await log.lastPosition());
    },
    activity: async () => secondsOf(await readActivity(redis, workspace)),
    openWindows: async () => {
      await redis.set(workspaceKeys(workspace).shardCount, 1);
      return {
        counts: Object.fromEntries(await readOpenCounts(redis, workspace)),
        total: (await readOpenTotals(redis, workspace))[0],
        unresolved: (await redis.smembers(shardKeys(workspace, 0).unresolved)).sort(),
      };
    },
    now: () => Math.floor(Date.now() / 1_000),
    fill: async (isFull) => void (await redis.config("SET", "maxmemory", isFull ? "1" : "0")),
    pass: (_ms, work) => work,
  };
}

function memorySubject(): Subject {
  const clock = new VirtualClock();
  const world = new MemoryWorld(clock);
  world.skewMs = Date.UTC(2026, 2, 1);
  return {
    storeOf: (owner) => new MemoryShardStore(world, 0, owner),
    append: async (...ids) => void world.appendEvents(ids.map((id) => ({ event: eventWith(id) }))),
    putAutomation: async (name) => world.putAutomations([greenhouseAutomation(name)]),
    trimAll: async () => {
      world.appendEvents([{ event: eventWith("filler") }]);
      world.trim(world.lastPosition());
    },
    activity: async () =>
      [...world.activity].sort(([a], [b]) => a - b).map(([second, counts]) => ({ second, ...counts })),
    openWindows: async () => {
      const { openCounts, openTotal, unresolved } = world.shard(0);
      return { counts: Object.fromEntries(openCounts), total: openTotal, unresolved: [...unresolved].sort() };
    },
    now: () => Math.floor(world.now() / 1_000),
    fill: async (isFull) => {
      world.isFull = isFull;
    },
    pass: async (ms, work) => {
      await clock.pass(ms);
      return work;
    },
  };
}

describe.each([
  { name: "Redis", subject: redisSubject },
  { name: "memory", subject: memorySubject },
])("a shard in $name", ({ subject }) => {
  let world: Subject;
  let store: ShardStore;

  beforeEach(() => {
    world = subject();
    store = world.storeOf("first");
  });

  test("has one owner at a time, and a new one after the lease expires", async () => {
    const second = world.storeOf("second");
    const first = await epochOf(store);
    const held = await second.claim(leaseMs);
    expect(held).toEqual({ heldMs: expect.any(Number) });

    let taken = await second.claim(leaseMs);
    const takeOver = (async () => {
      while ("heldMs" in taken) {
        await world.pass(50, new Promise((resolve) => setTimeout(resolve, 20)));
        taken = await second.claim(leaseMs);
      }
      return taken.epoch;
    })();
    expect(await takeOver).toBeGreaterThan(first);
    expect(await store.claim(leaseMs)).toHaveProperty("heldMs");
    expect(await store.renew(first, leaseMs)).toBe(false);
  });

  test("is free as soon as its owner releases it, but not when a former owner does", async () => {
    const second = world.storeOf("second");
    const first = await epochOf(store);
    await store.release(first);
    const next = await epochOf(second);
    await store.release(first);
    expect(await store.claim(leaseMs)).toHaveProperty("heldMs");
    expect(await second.renew(next, leaseMs)).toBe(true);
  });

  test("commits state, cursor, events and outbox together", async () => {
    const epoch = await epochOf(store);
    const changes = [
      { field: "a", value: "1" },
      { field: "b", value: "\u0000é😀" },
    ];
    const cursor = { position: "5-0", watermark: 5_000, readCount: 3, commitCount: 1 };
    const events = [{ event: eventWith("caused"), lineage: ["rule"] }, { event: eventWith("also") }];
    const commit = { epoch, changes, events, invocations: [invocationWith("i1")], cursor };
    expect((await store.commit(commit)).outcome).toBe("committed");
    const second = {
      ...commit,
      changes: [{ field: "a", value: null }],
      events: [],
      invocations: [invocationWith("i2")],
      cursor: { ...cursor, commitCount: 2 },
    };
    expect((await store.commit(second)).outcome).toBe("committed");

    const stored = await store.load();
    expect(stored.cursor).toEqual(second.cursor);
    expect([...stored.state]).toEqual([["b", "\u0000é😀"]]);
    const read = await store.read(startOfLog, { count: 10, blockMs: 0 });
    expect(read.entries).toMatchObject([
      { kind: "event", event: { id: "caused", lineage: ["rule"] } },
      { kind: "event", event: { id: "also", lineage: [] } },
    ]);
    const outbox = await store.outbox(10);
    expect(outbox.map(({ invocation }) => invocation?.id)).toEqual(["i1", "i2"]);
    await store.clearOutbox([outbox[0]!.position]);
    await store.clearOutbox([]);
    expect((await store.outbox(10)).map(({ invocation }) => invocation?.id)).toEqual(["i2"]);
  });

  // Without the fence, an owner that was paused while another took over would undo the other's work.
  test("rejects everything from an owner that has been replaced", async () => {
    const former = await epochOf(store);
    await store.release(former);
    const epoch = await epochOf(world.storeOf("second"));
    expect(epoch).toBeGreaterThan(former);
    expect((await store.commit(fullCommit(former, 1))).outcome).toBe("fenced");
    const { cursor, state } = await store.load();
    expect([cursor, ...state]).toEqual([null]);
    expect(await store.outbox(1)).toEqual([]);
    expect((await store.read(startOfLog, { count: 1, blockMs: 0 })).entries).toEqual([]);
  });

  test("rejects a commit that its owner sent under an earlier claim", async () => {
    const before = await epochOf(store);
    await epochOf(store);
    expect((await store.commit(fullCommit(before, 1))).outcome).toBe("fenced");
  });

  // A commit whose reply was lost must not be applied twice, and none may follow a commit that never arrived.
  test("accepts each commit once, and in order", async () => {
    const epoch = await epochOf(store);
    expect((await store.commit(fullCommit(epoch, 2))).outcome).toBe("out of step");
    expect((await store.commit(fullCommit(epoch, 1))).outcome).toBe("committed");
    expect((await store.commit(fullCommit(epoch, 1))).outcome).toBe("out of step");
    expect(await store.outbox(10)).toHaveLength(1);
  });

  test("counts with each commit what happened, by second, and nothing with one that it refuses", async () => {
    const epoch = await epochOf(store);
    const past = world.now() - 70;
    const first = [
      { second: past, events: 3, firings: 1, resolutions: 0 },
      { second: past + 61, events: 1, firings: 0, resolutions: 2 },
    ];
    const again = [{ second: past, events: 4, firings: 0, resolutions: 1 }];
    await store.commit({ ...fullCommit(epoch, 1), counted: first });
    await store.commit({ ...fullCommit(epoch, 2), counted: again });
    await store.commit({ ...fullCommit(epoch, 2), counted: first }); // out of step
    await store.commit({ ...fullCommit(epoch - 1, 3), counted: first }); // fenced
    await store.commit(fullCommit(epoch, 3));
    expect(await world.activity()).toEqual([
      { second: past, events: 7, firings: 1, resolutions: 1 },
      { second: past + 61, events: 1, firings: 0, resolutions: 2 },
    ]);
    expect(await store.outbox(10)).toHaveLength(3); // what comes after the counts is in its place
  });

  test("keeps how many windows are open and which are unresolved, as the owner says", async () => {
    const epoch = await epochOf(store);
    const write = (
      counts: Record<string, [number, number]>,
      unresolved: Record<string, boolean>,
      { isFirst = false, by = epoch } = {},
    ) =>
      store.writeOpenWindows(by, {
        counts: new Map(
          Object.entries(counts).map(([id, [open, silent]]) => [id, { open, unresolved: silent }]),
        ),
        total: { open: 7, unresolved: 3 },
        unresolved: new Map(Object.entries(unresolved)),
        isFirst,
      });
    expect(await write({ pump: [3, 1], vent: [2, 0] }, { north: true }, { isFirst: true })).toBe(true);
    expect(await write({ pump: [2, 2], vent: [0, 0], door: [1, 0] }, { north: false, south: true })).toBe(
      true,
    );
    expect(await world.openWindows()).toEqual({
      counts: { pump: { open: 2, unresolved: 2 }, door: { open: 1, unresolved: 0 } },
      total: { open: 7, unresolved: 3 },
      unresolved: ["south"],
    });
    expect(await write({ lamp: [1, 1] }, { west: true }, { isFirst: true })).toBe(true);
    const latest = { counts: { lamp: { open: 1, unresolved: 1 } }, unresolved: ["west"] };
    expect(await world.openWindows()).toMatchObject(latest);
    // An owner that was paused while another took over must not overwrite what is newer.
    expect(await write({ pump: [9, 9] }, { north: true }, { by: epoch - 1 })).toBe(false);
    expect(await world.openWindows()).toMatchObject(latest);
    expect(await write({}, {}, { isFirst: true })).toBe(true);
    expect(await world.openWindows()).toMatchObject({ counts: {}, unresolved: [] });
  });

  // When a network breaks, a hundred thousand devices fall silent at the same moment. If a commit were too large,
  // each attempt would fail, and nothing would fire again.
  test("accepts a very large commit", async () => {
    const epoch = await epochOf(store);
    const changes = Array.from({ length: 100_000 }, (_, index) => ({
      field: `f${index}`,
      value: `${index}`,
    }));
    const commit = { ...fullCommit(epoch, 1), changes };
    expect((await store.commit(commit)).outcome).toBe("committed");
    const state = new Map((await store.load()).state);
    expect(state.size).toBe(100_000);
    expect(state.get("f99999")).toBe("99999");
    const deletions = changes.map(({ field }) => ({ field, value: null }));
    expect((await store.commit({ ...fullCommit(epoch, 2), changes: deletions })).outcome).toBe("committed");
    expect([...(await store.load()).state]).toEqual([]);
  });

  test("reads from a position on, and returns the time at which it reached the end of the log", async () => {
    await world.append("e1", "e2", "e3");
    const firstRead = await store.read(startOfLog, { count: 2, blockMs: 0 });
    expect(firstRead.entries).toMatchObject([{ event: { id: "e1" } }, { event: { id: "e2" } }]);
    expect(firstRead).toMatchObject({ readCount: 2 });
    const secondRead = await store.read(firstRead.position, { count: 2, blockMs: 0 });
    expect(secondRead.entries).toMatchObject([{ event: { id: "e3" } }]);
    const emptyRead = await store.read(secondRead.position, { count: 2, blockMs: 0 });
    expect(emptyRead).toMatchObject({ entries: [], position: secondRead.position, readCount: 0 });
    expect(emptyRead.now % 1_000).toBe(0);
    expect(emptyRead.now).toBeGreaterThanOrEqual(receivedAt(secondRead.position));
    await world.append("e4");
    const laterRead = await store.read(secondRead.position, { count: 2, blockMs: 0 });
    expect(laterRead.entries[0]?.received).toBeGreaterThanOrEqual(emptyRead.now);
  });

  test("waits until an entry arrives or the time is up", async () => {
    const waiting = store.read(startOfLog, { count: 1, blockMs: 5_000 });
    await world.append("e1");
    expect((await world.pass(1, waiting)).entries).toMatchObject([{ event: { id: "e1" } }]);
    const nothing = store.read("9999999999999-0", { count: 1, blockMs: 20 });
    expect((await world.pass(20, nothing)).entries).toEqual([]);
  });

  test("ends a wait when interrupted, and can wait again", async () => {
    const waiting = store.read(startOfLog, { count: 1, blockMs: 5_000 }).catch((error: unknown) => error);
    await world.pass(0, Promise.resolve());
    store.interrupt();
    expect(await waiting).toBeInstanceOf(RedisUnreachable);
    const again = store.read(startOfLog, { count: 1, blockMs: 5_000 });
    await world.append("e1");
    expect((await world.pass(1, again)).entries).toHaveLength(1);
  });

  test("reads backward from a position, newest first", async () => {
    await world.append("e1", "e2", "e3");
    const { position } = await store.read(startOfLog, { count: 10, blockMs: 0 });
    const newest = await store.readBack(position, startOfLog, 2);
    expect(newest.entries).toMatchObject([{ event: { id: "e3" } }, { event: { id: "e2" } }]);
    const rest = await store.readBack(`(${newest.position}`, startOfLog, 2);
    expect(rest.entries).toMatchObject([{ event: { id: "e1" } }]);
  });

  // What was committed can be dispatched, which empties the store.
  test("refuses, while it is full, whatever needs room", async () => {
    const epoch = await epochOf(store);
    await store.commit(fullCommit(epoch, 1));
    const [entry] = await store.outbox(10);
    await world.fill(true);
    const nothingChanged = { ...fullCommit(epoch, 2), changes: [], events: [], invocations: [] };
    for (const call of [
      () => world.append("e1"),
      () => store.commit(fullCommit(epoch, 2)),
      () => store.commit(nothingChanged),
      () => store.renew(epoch, leaseMs),
      () =>
        store.writeOpenWindows(epoch, {
          ...{ counts: new Map(), total: { open: 1, unresolved: 0 }, unresolved: new Map(), isFirst: false },
        }),
      () => store.claim(leaseMs, { force: true }),
    ]) {
      await expect(call()).rejects.toThrow(/OOM/);
    }
    expect((await store.load()).cursor).toMatchObject({ commitCount: 1 });
    await store.clearOutbox([entry!.position]);
    expect(await store.outbox(10)).toEqual([]);
    await store.release(epoch);
    await world.fill(false);
    expect(await world.storeOf("second").claim(leaseMs)).toMatchObject({ epoch: expect.any(Number) });
  });

  test("starts at the beginning of the log while the log is complete", async () => {
    await world.putAutomation("pump");
    await world.append("e1");
    const origin = await store.origin();
    expect(origin).toMatchObject({ position: startOfLog, readCount: 0, automations: [], trimmed: false });
  });

  test("starts at the end of a trimmed log, with the existing automations", async () => {
    await world.putAutomation("pump");
    await world.append("e1");
    await world.trimAll();
    const origin = await store.origin();
    expect(origin).toMatchObject({ automations: [{ name: "pump" }], trimmed: true });
    expect(origin.readCount).toBeGreaterThan(1);
    expect(comparePositions(origin.position, await store.lastPosition())).toBe(0);
  });
});

/** The seconds in which something happened. */
function secondsOf({ firstSecond, events, firings, resolutions }: Activity): CountedSecond[] {
  return events.perSecond.flatMap((count, index) => {
    const counts = {
      events: count,
      firings: firings.perSecond[index] ?? 0,
      resolutions: resolutions.perSecond[index] ?? 0,
    };
    const isEmpty = Object.values(counts).every((count) => count === 0);
    return isEmpty ? [] : [{ second: firstSecond + index, ...counts }];
  });
}

// State written by an older version may contain such halves, and a commit made from it reaches every reader.
test("no part of a commit contains half a surrogate pair", async () => {
  const store = redisSubject().storeOf("one");
  const cut = "cut \ud83d";
  const commit = {
    ...fullCommit(await epochOf(store), 1),
    events: [{ event: { ...eventWith("1"), payload: { cut } }, lineage: [cut] }],
    invocations: [{ ...invocationWith("1"), reason: cut } as unknown as Invocation],
  };
  expect((await store.commit(commit)).outcome).toBe("committed");
  const { log, outbox } = { ...workspaceKeys("greenhouse"), ...shardKeys("greenhouse", 0) };
  const stored = JSON.stringify([await redis.xrange(log, "-", "+"), await redis.xrange(outbox, "-", "+")]);
  expect(stored.match(/cut \ufffd/g)).toHaveLength(3);
  expect(stored).not.toMatch(/\\ud/);
});

test("an entry of the outbox that holds no invocation is returned as null", async () => {
  const { outbox } = shardKeys("greenhouse", 0);
  for (const text of ["not JSON", "null", "[]", '{"id":1}', '{"id":"i1"}'])
    await redis.xadd(outbox, "*", "body", text);
  const store = redisSubject().storeOf("one");
  const entries = await store.outbox(10);
  expect(entries.map(({ invocation }) => invocation)).toEqual([null, null, null, null, { id: "i1" }]);
  await store.clearOutbox(entries.map(({ position }) => position));
  expect(await store.outbox(10)).toEqual([]);
});

// It would otherwise look as if there were nothing to read, and the shard would wait forever without a word.
test("a read fails if the key of the log holds something else", async () => {
  await redis.hset(workspaceKeys("greenhouse").log, "something", "else");
  const store = redisSubject().storeOf("one");
  await expect(store.read(startOfLog, { count: 1, blockMs: 0 })).rejects.toThrow(/WRONGTYPE/);
});

async function epochOf(store: ShardStore): Promise<number> {
  const claim = await store.claim(leaseMs);
  if ("heldMs" in claim) throw new Error("the shard is held");
  return claim.epoch;
}

function fullCommit(epoch: number, commitCount: number): Commit {
  return {
    epoch,
    changes: [{ field: "a", value: "1" }],
    events: [{ event: eventWith("caused") }],
    invocations: [invocationWith(`i${commitCount}`)],
    cursor: { position: "5-0", watermark: 5_000, readCount: 1, commitCount },
  };
}

function eventWith(id: string): WireEvent {
  return {
    id,
    occurred: "2026-03-01T00:00:00Z",
    event: "pump.started",
    resource: { "prefect.resource.id": "pump.1" },
    related: [],
    payload: {},
    follows: null,
  };
}

// The store uses nothing of an invocation except its id.
function invocationWith(id: string): Invocation {
  return { id, actionIndex: 0, lineage: [], firingEventId: randomUUID() } as unknown as Invocation;
}
