/** How the owner of a shard reports how many windows are open, in virtual time. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { runShard } from "../../src/engine/shard.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import type { OpenWindowsReport } from "../../src/store/open-counts.ts";
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
  readonly writes: (OpenWindowsReport & { readonly ms: number })[] = [];
  isAway = false;

  override async writeOpenWindows(epoch: number, report: OpenWindowsReport): Promise<boolean> {
    if (this.isAway) throw new RedisUnreachable("simulated");
    this.writes.push({ ms: clock.now(), ...report });
    return super.writeOpenWindows(epoch, report);
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
const unresolvedFields = () => [...world.shard(0).unresolved].sort();
const fieldOf = (pump: string) => `k:${silence.id}::["${pump}"]`;

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
  expect(world.shard(0).openTotal).toEqual({ open: 4, unresolved: 2 });
  expect(unresolvedFields()).toEqual([fieldOf("pump.1"), fieldOf("pump.2")]);
  beat("pump.2");
  await clock.pass(2_000);
  expect(written()[silence.id]).toEqual({ open: 2, unresolved: 1 });
  expect(unresolvedFields()).toEqual([fieldOf("pump.1")]);
  world.deleteAutomations([silence.id]);
  await clock.pass(2_000);
  expect(Object.keys(written())).toEqual([burst.id]);
  expect(unresolvedFields()).toEqual([]);
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
  expect(store.writes.slice(length).map(({ counts }) => Object.fromEntries(counts))).toEqual([
    { [silence.id]: { open: 3, unresolved: 0 }, [burst.id]: { open: 3, unresolved: 0 } },
  ]);
});

test("rewrites everything after a takeover, and removes what an earlier owner has left", async () => {
  world.putAutomations([silence]);
  const stop = start();
  await clock.pass(10);
  beat("pump.1");
  await clock.pass(13_000);
  await stop();
  const cells = world.shard(0);
  cells.openCounts.set("gone", { open: 5, unresolved: 5 });
  cells.openCounts.delete(silence.id);
  cells.unresolved.clear();
  cells.unresolved.add("k:gone::[]");
  start();
  await clock.pass(100);
  expect(store.writes.at(-1)).toMatchObject({ isFirst: true });
  expect(written()).toEqual({ [silence.id]: { open: 1, unresolved: 1 } });
  expect(unresolvedFields()).toEqual([fieldOf("pump.1")]);
});

// When a network breaks, a million devices fall silent at the same moment.
test("writes many changes in parts, and a part that was not written again", async () => {
  world.putAutomations([silence]);
  start();
  await clock.pass(10);
  beat(...Array.from({ length: 2_500 }, (_, pump) => `pump.${pump}`));
  await clock.pass(9_500);
  store.isAway = true;
  await clock.pass(3_000);
  store.isAway = false;
  await clock.pass(2_000);
  expect(Math.max(...store.writes.map(({ unresolved }) => unresolved.size))).toBe(1_000);
  expect(unresolvedFields()).toHaveLength(2_500);
  expect(world.shard(0).openTotal).toEqual({ open: 2_500, unresolved: 2_500 });
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
