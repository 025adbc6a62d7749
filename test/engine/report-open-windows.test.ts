/** How the owner of a shard reports how many windows are open, in virtual time. */

import { afterEach, beforeEach, expect, test } from "vitest";
import type { OpenNumbers } from "../../src/core/machine/open-count.ts";
import { runShard } from "../../src/engine/shard.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { MemoryShardStore, MemoryWorld } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const perPump = { for_each: ["prefect.resource.id"] };
const silence = greenhouseAutomation("silence", {
  trigger: { posture: "Proactive", after: ["pump.beat"], expect: ["pump.beat"], within: 10, ...perPump },
});
const burst = greenhouseAutomation("burst", {
  trigger: { expect: ["pump.beat"], threshold: 3, within: 60, ...perPump },
});

let clock: VirtualClock;
let world: MemoryWorld;
let store: WatchedStore;
let totals: number[];
let stops: (() => Promise<void>)[];

beforeEach(() => {
  clock = new VirtualClock();
  world = new MemoryWorld(clock);
  world.skewMs = Date.UTC(2026, 2, 1);
  store = new WatchedStore(world, 0, "owner");
  totals = [];
  stops = [];
});

afterEach(async () => {
  for (const stop of stops) await stop();
});

/** Records what is written, and may be out of reach. */
class WatchedStore extends MemoryShardStore {
  readonly writes: { ms: number; counts: Record<string, OpenNumbers>; isFirst: boolean }[] = [];
  isAway = false;

  override async writeOpenCounts(
    epoch: number,
    counts: ReadonlyMap<string, OpenNumbers>,
    options: { isFirst: boolean },
  ): Promise<boolean> {
    if (this.isAway) throw new RedisUnreachable("simulated");
    this.writes.push({ ms: clock.now(), counts: Object.fromEntries(counts), ...options });
    return super.writeOpenCounts(epoch, counts, options);
  }
}

function start(): () => Promise<void> {
  const stop = new AbortController();
  const fail = (fields: object) => {
    throw new Error(`unexpected: ${JSON.stringify(fields)}`);
  };
  const logger = { info() {}, warn: fail, error: fail };
  const queue = { addInvocations: async () => {} };
  const metrics = { openWindows: (_shard: number, count: number) => void totals.push(count) };
  const settings = { shard: 0, shardCount: 1, leaseMs: 10_000, latenessDefault: 0 };
  const ended = runShard({ store, queue, clock, logger, metrics }, settings, stop.signal);
  const end = async () => {
    stop.abort();
    await clock.pass(1);
    await ended;
  };
  stops.push(end);
  return end;
}

function beat(...pumps: string[]): void {
  world.appendEvents(
    pumps.map((pump) => ({
      event: { ...world.eventNamed("pump.beat"), resource: { "prefect.resource.id": pump } },
    })),
  );
}

const written = () => Object.fromEntries(world.shard(0).openCounts);

test("counts what is open and what is silent, and forgets an automation with its windows", async () => {
  world.putAutomations([silence, burst]);
  start();
  await clock.pass(10);
  beat("pump.1", "pump.2");
  await clock.pass(2_000);
  expect(written()).toEqual({
    [silence.id]: { open: 2, unresolved: 0 },
    [burst.id]: { open: 2, unresolved: 0 },
  });
  expect(totals.at(-1)).toBe(4);
  await clock.pass(10_000);
  expect(written()[silence.id]).toEqual({ open: 2, unresolved: 2 });
  beat("pump.2");
  await clock.pass(2_000);
  expect(written()[silence.id]).toEqual({ open: 2, unresolved: 1 });
  world.deleteAutomations([silence.id]);
  await clock.pass(2_000);
  expect(Object.keys(written())).toEqual([burst.id]);
  world.putAutomations([{ ...burst, enabled: false }]);
  await clock.pass(2_000);
  expect(written()).toEqual({});
  expect(totals.at(-1)).toBe(0);
});

// A window of a Reactive trigger ends without anything else that happens.
test("counts windows no longer that have ended by themselves", async () => {
  world.putAutomations([burst]);
  start();
  await clock.pass(10);
  beat("pump.1");
  await clock.pass(2_000);
  expect(written()).toEqual({ [burst.id]: { open: 1, unresolved: 0 } });
  await clock.pass(61_000);
  world.appendEvents([{ event: world.eventNamed("vent.opened") }]);
  await clock.pass(2_000);
  expect(written()).toEqual({});
});

test("writes at most every 2 seconds, and only what has changed", async () => {
  world.putAutomations([silence, burst]);
  start();
  await clock.pass(10);
  beat("pump.1");
  await clock.pass(1_990);
  const { length } = store.writes;
  for (let round = 0; round < 100; round += 1) {
    beat("pump.1");
    await clock.pass(100);
  }
  // A burst was seen, which lets the key be quiet. Nothing else has changed.
  expect(store.writes.slice(length)).toEqual([]);
  beat("pump.2", "pump.3");
  await clock.pass(2_000);
  expect(store.writes.slice(length)).toEqual([
    expect.objectContaining({
      counts: { [silence.id]: { open: 3, unresolved: 0 }, [burst.id]: { open: 3, unresolved: 0 } },
    }),
  ]);
});

test("rewrites everything after a takeover, and removes what an earlier owner has left", async () => {
  world.putAutomations([silence]);
  const stop = start();
  await clock.pass(10);
  beat("pump.1");
  await clock.pass(2_000);
  await stop();
  world.shard(0).openCounts.set("gone", { open: 5, unresolved: 5 });
  world.shard(0).openCounts.delete(silence.id);
  start();
  await clock.pass(100);
  expect(store.writes.at(-1)).toMatchObject({ isFirst: true });
  expect(written()).toEqual({ [silence.id]: { open: 1, unresolved: 0 } });
});

test("writes after an outage what it could not write meanwhile", async () => {
  world.putAutomations([silence]);
  start();
  await clock.pass(10);
  store.isAway = true;
  beat("pump.1");
  await clock.pass(6_000);
  beat("pump.2");
  expect(written()).toEqual({});
  store.isAway = false;
  await clock.pass(4_000);
  expect(written()).toEqual({ [silence.id]: { open: 2, unresolved: 0 } });
});
