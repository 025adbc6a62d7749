import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { Dispatcher } from "../../src/engine/dispatcher.ts";
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

beforeEach(() => {
  clock = new VirtualClock();
  world = new MemoryWorld(clock);
  added = [];
  logged = [];
  queueMs = 0;
  queueError = null;
  additionCount = 0;
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
  dispatcher = new Dispatcher(3, { store: new MemoryShardStore(world, 0, "owner"), queue, clock, logger });
});

afterEach(async () => {
  const stopped = dispatcher.stop();
  await clock.pass(60_000);
  await stopped;
});

/** Adds invocations to the outbox; null is one that cannot be read. */
function addToOutbox(...ids: readonly (string | null)[]): void {
  const { outbox } = world.shard(0);
  for (const id of ids) {
    const invocation = id === null ? null : ({ id } as Invocation); // nothing else of it is used
    outbox.push({ position: `1-${outbox.length}`, invocation });
  }
}

describe("the dispatcher", () => {
  test("adds what an earlier owner has left, and then what it is woken for, in order", async () => {
    addToOutbox(...Array.from({ length: 250 }, (_, index) => `left ${index}`));
    dispatcher.start();
    await clock.pass(1);
    expect(added).toEqual(Array.from({ length: 250 }, (_, index) => `left ${index}`));
    addToOutbox("new");
    await clock.pass(1);
    expect(added).toHaveLength(250);
    dispatcher.wake();
    await clock.pass(1);
    expect(added.at(-1)).toBe("new");
    expect(world.shard(0).outbox).toEqual([]);
    expect(logged).toEqual([]);
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
    addToOutbox("last");
    dispatcher.wake();
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
    addToOutbox("after the end");
    dispatcher.wake();
    await clock.pass(10);
    expect(additionCount).toBe(0);
  });
});
