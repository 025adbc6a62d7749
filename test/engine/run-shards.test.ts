/** How engines share shards, in virtual time. */

import { beforeEach, describe, expect, test } from "vitest";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { runShards } from "../../src/engine/run-shards.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { MemoryEngineStore } from "../support/memory-engine-store.ts";
import { MemoryShardStore, MemoryWorld } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const leaseMs = 9_000;

let clock: VirtualClock;
let world: MemoryWorld;
let invocations: Invocation[];
let logged: { level: string; fields: object; message: string }[];

beforeEach(() => {
  clock = new VirtualClock();
  world = new MemoryWorld(clock);
  world.skewMs = Date.UTC(2026, 2, 1);
  world.layout = { count: 6, generation: 0 };
  world.putAutomations([greenhouseAutomation("presence")]);
  invocations = [];
  logged = [];
});

interface Started {
  isReady: boolean;
  stop(): Promise<void>;
}

function start(name: string, store = new MemoryEngineStore(world)): Started {
  const note = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields, message });
  const logger = { info: note("info"), warn: note("warn"), error: note("error") };
  const queue = { addInvocations: async (added: readonly Invocation[]) => void invocations.push(...added) };
  const stop = new AbortController();
  const started: Started = {
    isReady: false,
    stop: () => {
      stop.abort();
      return ended;
    },
  };
  const ports = { engines: store, queue, clock, logger, metrics: {} };
  const ended = runShards(ports, { name, leaseMs }, stop.signal, () => {
    started.isReady = true;
  });
  return started;
}

function ownersNow(): (string | null)[] {
  return [0, 1, 2, 3, 4, 5].map((shard) => {
    const { owner, leaseEnd } = world.shard(shard);
    return leaseEnd > world.now() ? owner : null;
  });
}

function countOf(name: string): number {
  return ownersNow().filter((owner) => owner === name).length;
}

describe("an engine", () => {
  test("alone takes all shards at once, and is ready", async () => {
    const first = start("first");
    await clock.pass(1);
    expect(countOf("first")).toBe(6);
    expect(first.isReady).toBe(true);
    await first.stop();
    expect(ownersNow()).toEqual([null, null, null, null, null, null]);
    expect([...world.engines.keys()]).toEqual([]);
  });

  // While a shard moves, nobody evaluates its events.
  test("that joins gets its share within a second, and no shard stands still for long", async () => {
    const first = start("first");
    await clock.pass(5_000);
    const second = start("second");
    const standsStill = new Map<number, number>();
    for (let ms = 0; ms < 2_000; ms += 10) {
      await clock.pass(10);
      for (const [shard, owner] of ownersNow().entries()) {
        if (owner === null) standsStill.set(shard, (standsStill.get(shard) ?? 0) + 10);
      }
      if (ms === 1_000) expect([countOf("first"), countOf("second")]).toEqual([3, 3]);
    }
    expect(Math.max(0, ...standsStill.values())).toBeLessThanOrEqual(100);
    expect(standsStill.size).toBeLessThanOrEqual(3); // the others have not moved
    await Promise.all([first.stop(), second.stop()]);
  });

  test("that is stopped gives its shards to the others within a second", async () => {
    const first = start("first");
    const second = start("second");
    await clock.pass(5_000);
    await first.stop();
    await clock.pass(300);
    expect(countOf("second")).toBe(6);
    await second.stop();
  });

  test("takes over from one that died, when its lease has expired", async () => {
    const first = start("first");
    await clock.pass(5_000);
    const store = new MemoryEngineStore(world);
    await store.beat({ name: "dying", wants: [] }, leaseMs);
    const shard = new MemoryShardStore(world, 0, "dying");
    await shard.claim(leaseMs, { force: true });
    await clock.pass(leaseMs - 100);
    expect(world.shard(0).owner).toBe("dying");
    await clock.pass(200);
    expect(countOf("first")).toBe(6);
    await first.stop();
  });

  test("hands nothing over to an engine that does not ask for it", async () => {
    const first = start("first");
    await clock.pass(1);
    const store = new MemoryEngineStore(world);
    for (let beat = 0; beat < 40; beat += 1) {
      await store.beat({ name: "hung", wants: [] }, leaseMs);
      await clock.pass(1_000);
      expect(countOf("first")).toBe(6);
    }
    await first.stop();
  });

  // It may hang, or fail to load the shard's state again and again. The shard must not wait for it.
  test("takes the shards that another does not claim, and keeps them for a while", async () => {
    const store = new MemoryEngineStore(world);
    await store.beat({ name: "hung", wants: [] }, leaseMs);
    const first = start("first");
    await clock.pass(1);
    expect(countOf("first")).toBe(3);
    for (let beat = 0; beat < 8; beat += 1) {
      await clock.pass(1_000);
      await store.beat({ name: "hung", wants: [] }, leaseMs);
    }
    expect(countOf("first")).toBe(3);
    await clock.pass(1_500);
    expect(countOf("first")).toBe(6);
    expect(logged.filter(({ level }) => level === "warn").map(({ message }) => message)).toEqual(
      Array.from({ length: 3 }, () => "An engine does not claim its shard; taking it instead"),
    );
    const others = [0, 1, 2, 3, 4, 5];
    for (let beat = 0; beat < 60; beat += 1) {
      await store.beat({ name: "hung", wants: others }, leaseMs);
      await clock.pass(1_000);
    }
    expect(countOf("first")).toBe(6);
    for (let beat = 0; beat < 40; beat += 1) {
      await store.beat({ name: "hung", wants: others }, leaseMs);
      await clock.pass(1_000);
    }
    expect(logged.some(({ message }) => message === "Handing over the shard")).toBe(true);
    await first.stop();
  });

  // As during a rolling upgrade: a version that does not share owns everything until it is stopped.
  test("waits for the shards of an owner that is no member, is ready, and takes them when they are free", async () => {
    const epochs: number[] = [];
    for (let shard = 0; shard < 6; shard += 1) {
      const claim = await new MemoryShardStore(world, shard, "old version").claim(600_000);
      if ("epoch" in claim) epochs.push(claim.epoch);
    }
    const first = start("first");
    await clock.pass(30_000);
    expect(countOf("old version")).toBe(6);
    expect(first.isReady).toBe(true);
    for (const [shard, epoch] of epochs.entries()) {
      await new MemoryShardStore(world, shard, "old version").release(epoch);
    }
    await clock.pass(100);
    expect(countOf("first")).toBe(6);
    await first.stop();
  });

  test("fences off an owner that does not release its shards for a change of their number", async () => {
    const hung = new MemoryShardStore(world, 3, "hung");
    const claim = await hung.claim(600_000);
    const first = start("first");
    await clock.pass(1_000);
    world.wantedCount = 2;
    await clock.pass(leaseMs - 1_000);
    expect(world.layout.count).toBe(6);
    await clock.pass(2_000);
    expect(world.layout).toEqual({ count: 2, generation: 1 });
    if (!("epoch" in claim)) throw new Error("the shard is held");
    expect(await hung.renew(claim.epoch, leaseMs)).toBe(false);
    await first.stop();
  });
});
