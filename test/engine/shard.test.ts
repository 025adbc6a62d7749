/** How a shard restarts after failures, in virtual time. loop.test.ts and test/simulation test what it computes. */

import { beforeEach, expect, test } from "vitest";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { runShard } from "../../src/engine/shard.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { MemoryShardStore, MemoryWorld } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

let clock: VirtualClock;
let world: MemoryWorld;
let logged: { level: string; message: string }[];

beforeEach(() => {
  clock = new VirtualClock();
  world = new MemoryWorld(clock);
  world.skewMs = Date.UTC(2026, 2, 1);
  world.putAutomations([greenhouseAutomation("presence")]);
  logged = [];
});

/** Runs a shard whose store may fail, until stopped. */
function start(store: MemoryShardStore): { stop: () => Promise<void>; invocations: Invocation[] } {
  const stop = new AbortController();
  const invocations: Invocation[] = [];
  const queue = { addInvocations: async (added: readonly Invocation[]) => void invocations.push(...added) };
  const note = (level: string) => (_fields: object, message: string) => void logged.push({ level, message });
  const logger = { info() {}, warn: note("warn"), error: note("error") };
  const settings = { shard: 0, shardCount: 1, leaseMs: 10_000, latenessDefault: 0 };
  const ended = runShard({ store, queue, clock, logger, metrics: {} }, settings, stop.signal);
  return {
    invocations,
    async stop() {
      stop.abort();
      await clock.pass(1);
      await ended;
    },
  };
}

/** Fails in one of its methods for as long as `error` is set. */
class FailingStore extends MemoryShardStore {
  error: Error | null = null;
  readonly #failingMethod: "claim" | "commit";
  claimCount = 0;

  constructor(failingMethod: "claim" | "commit") {
    super(world, 0, "owner");
    this.#failingMethod = failingMethod;
  }

  override async claim(leaseMs: number) {
    this.claimCount += 1;
    if (this.#failingMethod === "claim" && this.error !== null) throw this.error;
    return super.claim(leaseMs);
  }

  override async commit(commit: Parameters<MemoryShardStore["commit"]>[0]) {
    if (this.#failingMethod === "commit" && this.error !== null) throw this.error;
    return super.commit(commit);
  }
}

// Each restart reads the whole state again, from a Redis that is already overloaded.
test("a shard whose commits fail because Redis is full restarts at longer and longer intervals", async () => {
  const store = new FailingStore("commit");
  store.error = new RedisUnreachable(new Error("OOM command not allowed"));
  const shard = start(store);
  await clock.pass(60_000);
  expect(store.claimCount).toBeGreaterThan(10);
  expect(store.claimCount).toBeLessThan(20);
  expect(logged.filter(({ message }) => message.startsWith("Redis unavailable"))).toHaveLength(1);

  store.error = null;
  world.appendEvents([{ event: pumpFailed }]);
  await clock.pass(5_001);
  expect(shard.invocations).toHaveLength(1);
  await shard.stop();
});

test("a shard is claimed within half a second after Redis is back, however long the outage was", async () => {
  const store = new FailingStore("claim");
  store.error = new RedisUnreachable(new Error("not connected"));
  const shard = start(store);
  await clock.pass(600_000);
  store.error = null;
  world.appendEvents([{ event: pumpFailed }]);
  await clock.pass(501);
  expect(shard.invocations).toHaveLength(1);
  expect(logged).toHaveLength(1);
  await shard.stop();
});

test("a shard that keeps failing with an internal error backs off to one retry every 30 seconds, and logs each failure", async () => {
  const store = new FailingStore("commit");
  store.error = new TypeError("wrong");
  const shard = start(store);
  await clock.pass(600_000);
  const before = logged.length;
  await clock.pass(60_000);
  expect(logged.length - before).toBe(2);
  expect(logged.at(-1)).toEqual({
    level: "error",
    message: "The shard stopped because of an internal error; restarting it",
  });
  await shard.stop();
});

const pumpFailed = {
  id: "00000000-0000-4000-8000-000000000001",
  occurred: "2026-03-01T00:00:00Z",
  event: "pump.failed",
  resource: { "prefect.resource.id": "pump.1" },
  related: [],
  payload: {},
  follows: null,
};
