import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { Dispatcher } from "../../src/engine/dispatcher.ts";
import type { OutboxEntry } from "../../src/engine/ports.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import { MemoryShardStore, MemoryWorld } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

let clock: VirtualClock;
let world: MemoryWorld;
let dispatcher: Dispatcher;
let added: string[];
let logged: { level: string; fields: object; message: string }[];
/** How long the queue takes to add invocations. */
let queueMs: number;
/** What the queue fails with. */
let queueError: Error | null;
let additionCount: number;
let entryCount = 0;
/** How often the outbox was read. */
let readCount: number;

beforeEach(() => {
  clock = new VirtualClock();
  world = new MemoryWorld(clock);
  added = [];
  logged = [];
  queueMs = 0;
  queueError = null;
  additionCount = 0;
  readCount = 0;
  const note = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields, message });
  const queue = {
    async addInvocations(invocations: readonly Invocation[]) {
      additionCount += 1;
      await clock.sleep(queueMs);
      if (queueError !== null) throw queueError;
      added.push(...invocations.map(({ id }) => id));
    },
  };
  const logger = { info: note("info"), warn: note("warn"), error: note("error") };
  class CountingStore extends MemoryShardStore {
    override outbox(count: number) {
      readCount += 1;
      return super.outbox(count);
    }
  }
  dispatcher = new Dispatcher(3, { store: new CountingStore(world, 0, "owner"), queue, clock, logger });
});

afterEach(async () => {
  const stopped = dispatcher.stop();
  await clock.pass(60_000);
  await stopped;
});

/** Adds invocations to the outbox; null is one that cannot be read. */
function addToOutbox(...ids: readonly (string | null)[]): OutboxEntry[] {
  const { outbox } = world.shard(0);
  const entries = ids.map((id) => {
    const invocation = id === null ? null : ({ id } as Invocation); // nothing else of it is used
    entryCount += 1;
    return { position: `1-${entryCount}`, invocation };
  });
  outbox.push(...entries);
  return entries;
}

describe("the dispatcher", () => {
  test("adds what an earlier owner has left, and then what it is handed, in order", async () => {
    addToOutbox(...Array.from({ length: 250 }, (_, index) => `left ${index}`));
    dispatcher.start();
    await clock.pass(1);
    expect(added).toEqual(Array.from({ length: 250 }, (_, index) => `left ${index}`));
    const readsBefore = readCount;
    const entries = addToOutbox("new");
    await clock.pass(1);
    expect(added).toHaveLength(250);
    dispatcher.dispatch(entries);
    await clock.pass(1);
    expect(added.at(-1)).toBe("new");
    expect(readCount).toBe(readsBefore); // an alarm does not wait for that
    expect(world.shard(0).outbox).toEqual([]);
    expect(logged).toEqual([]);
  });

  // What is older must get the earlier place in its lane.
  test("adds what it is handed after what is left in the outbox, and once", async () => {
    queueMs = 10;
    addToOutbox("left");
    dispatcher.start();
    dispatcher.dispatch(addToOutbox("during the first read"));
    await clock.pass(1);
    dispatcher.dispatch(addToOutbox("after it"));
    await clock.pass(100);
    expect(added).toEqual(["left", "during the first read", "after it"]);
    queueError = new RedisUnreachable("simulated");
    dispatcher.dispatch(addToOutbox("failing"));
    await clock.pass(20);
    dispatcher.dispatch(addToOutbox(...Array.from({ length: 150 }, (_, index) => `behind it ${index}`)));
    await clock.pass(20);
    queueError = null;
    await clock.pass(20_000);
    expect(added.slice(3)).toEqual([
      "failing",
      ...Array.from({ length: 150 }, (_, index) => `behind it ${index}`),
    ]);
  });

  // The queue may be away for hours.
  test("keeps no more than so much in memory", async () => {
    dispatcher.start();
    await clock.pass(1);
    queueError = new RedisUnreachable("simulated");
    const readsBefore = readCount;
    for (let index = 0; index < 30; index++) {
      dispatcher.dispatch(addToOutbox(...Array.from({ length: 100 }, (_, part) => `${index} ${part}`)));
    }
    await clock.pass(1_000);
    queueError = null;
    await clock.pass(20_000);
    expect(added).toHaveLength(3_000);
    expect(new Set(added).size).toBe(3_000);
    expect(readCount - readsBefore).toBeGreaterThan(20);
  });

  // If they stayed, the same entries would be read again and again, and what follows would never be delivered.
  test("skips and deletes entries that cannot be read, and logs how many", async () => {
    addToOutbox("first", null, "second", null, null);
    dispatcher.start();
    await clock.pass(1);
    expect(added).toEqual(["first", "second"]);
    expect(world.shard(0).outbox).toEqual([]);
    expect(logged).toEqual([
      {
        level: "error",
        fields: { shard: 3, count: 3 },
        message: "Skipped outbox entries that cannot be read",
      },
    ]);
  });

  test.each([
    { failure: "an outage", error: new RedisUnreachable("simulated"), level: "warn" },
    { failure: "a fault", error: new TypeError("simulated"), level: "error" },
  ])("retries after $failure until the queue accepts, and logs each failure", async ({ error, level }) => {
    addToOutbox("first");
    queueError = error;
    dispatcher.start();
    await clock.pass(1_000);
    expect(additionCount).toBeGreaterThan(1);
    expect(logged).toEqual(
      Array.from({ length: additionCount }, () => ({
        level,
        fields: { shard: 3, err: error },
        message: "Could not dispatch the outbox; retrying",
      })),
    );
    expect(world.shard(0).outbox).toHaveLength(1);
    queueError = null;
    await clock.pass(5_000);
    expect(added).toEqual(["first"]);
    expect(world.shard(0).outbox).toEqual([]);
  });
});

describe("a stopping dispatcher", () => {
  // The owner releases the shard next. Its successor would otherwise dispatch the same entries at the same time.
  test("first dispatches what is left", async () => {
    queueMs = 100;
    addToOutbox("in progress");
    dispatcher.start();
    await clock.pass(50);
    dispatcher.dispatch(addToOutbox("last"));
    let isStopped = false;
    const stopped = dispatcher.stop().then(() => {
      isStopped = true;
    });
    await clock.pass(49);
    expect(added).toEqual([]);
    await clock.pass(100);
    expect(isStopped).toBe(false);
    await clock.pass(1);
    await stopped;
    expect(added).toEqual(["in progress", "last"]);
    expect(world.shard(0).outbox).toEqual([]);
  });

  test("does not retry; the next owner dispatches the rest", async () => {
    queueError = new RedisUnreachable("simulated");
    addToOutbox("first");
    dispatcher.start();
    await clock.pass(10);
    const triesBefore = additionCount;
    await dispatcher.stop();
    expect(additionCount).toBe(triesBefore);
    expect(world.shard(0).outbox).toHaveLength(1);
  });

  test("stops at once when it has nothing to do", async () => {
    dispatcher.start();
    await clock.pass(10);
    await dispatcher.stop();
    dispatcher.dispatch(addToOutbox("after the end"));
    await clock.pass(10);
    expect(additionCount).toBe(0);
  });
});
