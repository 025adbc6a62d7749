/** How the loop reads, waits, commits and reports, in virtual time and on a store that the test controls. */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Core } from "../../src/core/machine/core.ts";
import type { LogEntry } from "../../src/core/machine/log-entry.ts";
import { Loop } from "../../src/engine/loop.ts";
import type { Commit, EngineMetrics, ReadResult } from "../../src/engine/ports.ts";
import { shardOf } from "../../src/engine/shard-of.ts";
import { startOfLog } from "../../src/store/position.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { MemoryShardStore, MemoryWorld } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** How long entries that fire nothing may wait for their commit. */
const commitDelayMs = 20;

let clock: VirtualClock;
let world: MemoryWorld;
let store: WatchedStore;
let core: SlowCore;
let stop: AbortController;
let ended: Promise<void>;
let dispatchCount: number;
beforeEach(async () => {
  clock = new VirtualClock();
  world = new MemoryWorld(clock);
  world.skewMs = Date.UTC(2026, 2, 1);
  await clock.pass(1_000); // the process has been running for a while
  store = new WatchedStore(world, 0, "owner");
  core = new SlowCore({ latenessDefault: 0 });
  dispatchCount = 0;
});

afterEach(async () => {
  stop.abort();
  store.interrupt();
  await clock.pass(1_000);
  await ended;
});

async function start(
  metrics: EngineMetrics = {},
  { readCount = 0, shard = 0, shardCount = 1 } = {},
): Promise<void> {
  const claim = await store.claim(1_000_000);
  if ("heldMs" in claim) throw new Error("the shard is held");
  stop = new AbortController();
  const dispatch = () => void dispatchCount++;
  const cursor = { position: startOfLog, watermark: 0, readCount, commitCount: 0 };
  const settings = { shard, shardCount, epoch: claim.epoch };
  ended = new Loop(core, cursor, { store, clock, metrics, dispatch }, settings).run(stop.signal);
}

/** Records what the loop asks for, and returns what the test wants. */
class WatchedStore extends MemoryShardStore {
  readonly reads: { count: number; blockMs: number; isCommitting: boolean }[] = [];
  commitMs = 0;
  changeRead: (result: ReadResult, index: number) => ReadResult = (result) => result;
  #isCommitting = false;

  override async read(after: string, options: { count: number; blockMs: number }): Promise<ReadResult> {
    const index = this.reads.push({ ...options, isCommitting: this.#isCommitting }) - 1;
    return this.changeRead(await super.read(after, options), index);
  }

  override async commit(commit: Commit) {
    this.#isCommitting = true;
    await clock.sleep(this.commitMs);
    this.#isCommitting = false;
    return super.commit(commit);
  }

  get counts(): number[] {
    return this.reads.map(({ count }) => count);
  }
}

/** Blocks the thread for a while with the next entry, or with each. */
class SlowCore extends Core {
  blockMs = 0;
  blockEachMs = 0;

  override apply(entry: LogEntry): boolean {
    const isNew = super.apply(entry);
    clock.block(this.blockMs + this.blockEachMs);
    this.blockMs = 0;
    return isNew;
  }
}

describe("the number of entries that the loop reads at a time", () => {
  test("doubles with each full batch, from 16 up to 2,048", async () => {
    appendEvents(8_000);
    await start();
    await clock.pass(commitDelayMs);
    expect(store.counts.slice(0, 10)).toEqual([16, 32, 64, 128, 256, 512, 1_024, 2_048, 2_048, 2_048]);
    expect(Math.max(...store.counts)).toBe(2_048);
    expect(world.shard(0).cursor?.position).toBe(world.lastPosition());
  });

  test("stays the same while batches are not full", async () => {
    await start();
    for (let round = 0; round < 5; round += 1) {
      appendEvents(15);
      await clock.pass(10);
    }
    expect(new Set(store.counts)).toEqual(new Set([16]));
  });

  // Memory holds several copies of a batch, and nothing else runs while a batch is applied.
  describe.each([
    { bound: "8,000,000 characters", accepted: { length: 8_000_000 }, tooLarge: { length: 8_000_001 } },
    { bound: "50 ms to apply", accepted: { blockMs: 50 }, tooLarge: { blockMs: 51 } },
  ])("when the bound is $bound,", ({ accepted, tooLarge }) => {
    const change = (
      result: ReadResult,
      { length = 0, blockMs = 0 }: { length?: number; blockMs?: number },
    ) => {
      core.blockMs = blockMs;
      return { ...result, length };
    };

    test("is halved by a batch beyond it, and grows again with full batches", async () => {
      const batches = [accepted, accepted, accepted, tooLarge, tooLarge, accepted, accepted];
      store.changeRead = (result, index) => change(result, batches[index] ?? {});
      appendEvents(500);
      await start();
      await clock.pass(1_000);
      expect(store.counts.slice(0, 8)).toEqual([16, 32, 64, 128, 64, 32, 64, 128]);
    });

    test("never falls below 16", async () => {
      store.changeRead = (result) => change(result, tooLarge);
      appendEvents(100);
      await start();
      await clock.pass(1_000);
      expect(new Set(store.counts)).toEqual(new Set([16]));
      expect(world.shard(0).cursor?.position).toBe(world.lastPosition());
    });
  });
});

// A commit costs as much as applying dozens of events.
describe("entries that come one by one", () => {
  test("are committed together if they fire nothing, 20 ms after the first", async () => {
    const entryCounts: number[] = [];
    await start({ committed: (_shard, { entryCount }) => void entryCounts.push(entryCount) });
    for (let ms = 0; ms < 19; ms += 1) {
      appendEvents(1);
      await clock.pass(1);
    }
    expect(entryCounts).toEqual([]);
    await clock.pass(1);
    expect(entryCounts).toEqual([19]);
  });

  test("are committed at once if they fire", async () => {
    world.putAutomations([greenhouseAutomation("presence")]);
    await start();
    await clock.pass(100);
    appendEvents(1, "pump.failed");
    await clock.pass(2);
    expect(firingCount()).toBe(1);
  });

  test("are committed when the loop ends", async () => {
    await start();
    appendEvents(1);
    await clock.pass(1);
    stop.abort();
    store.interrupt();
    await clock.pass(1);
    expect(world.shard(0).cursor?.position).toBe(world.lastPosition());
  });
});

// Nothing else runs meanwhile: no lease is renewed, and no request is answered.
test("a batch that takes long is applied and committed in steps", async () => {
  appendEvents(200);
  core.blockEachMs = 9;
  const entryCounts: number[] = [];
  await start({ committed: (_shard, { entryCount }) => void entryCounts.push(entryCount) });
  await clock.pass(60_000);
  expect(entryCounts.reduce((sum, count) => sum + count, 0)).toBe(200);
  expect(Math.max(...entryCounts)).toBe(3);
});

describe("the loop waits for entries", () => {
  const silence = {
    posture: "Proactive",
    after: ["pump.started"],
    expect: ["pump.stopped"],
    within: 12.3456,
  };

  test("until the next deadline, but at most 5 seconds at a time", async () => {
    world.putAutomations([greenhouseAutomation("absence", { trigger: silence })]);
    appendEvents(1, "pump.started");
    await start();
    await clock.pass(12_347);
    const waits = store.reads.map(({ blockMs }) => blockMs).filter((blockMs) => blockMs > 0);
    // At first until the event is committed, and at last the event that the firing emits.
    expect(waits).toEqual([19, 5_000, 5_000, 2_326, 19]);
  });

  // While it waits, it would not notice that the commit failed, and the firings would be late.
  test("only when no commit is in flight", async () => {
    world.putAutomations([greenhouseAutomation("absence", { trigger: silence })]);
    appendEvents(1, "pump.started");
    store.commitMs = 100;
    await start();
    await clock.pass(20_000);
    const duringCommit = store.reads.filter(({ isCommitting }) => isCommitting);
    expect(duringCommit.length).toBeGreaterThan(1);
    expect(new Set(duringCommit.map(({ blockMs }) => blockMs))).toEqual(new Set([0]));
    expect(firingCount()).toBe(1);
  });
});

describe("the loop reports", () => {
  test("entries that cannot be read as consumed, like all others", async () => {
    store.changeRead = (result) => ({
      ...result,
      entries: result.entries.filter((entry) => entry.kind !== "event" || entry.event.name !== "malformed"),
    });
    let consumedCount = 0;
    await start({
      committed: (_shard, { entryCount }) => {
        consumedCount += entryCount;
      },
    });
    appendEvents(2, "malformed");
    await clock.pass(commitDelayMs);
    expect(world.shard(0).cursor).toMatchObject({ position: world.lastPosition(), readCount: 2 });
    appendEvents(3, "vent.opened");
    appendEvents(2, "malformed");
    await clock.pass(commitDelayMs);
    expect(world.shard(0).cursor).toMatchObject({ position: world.lastPosition(), readCount: 7 });
    expect(consumedCount).toBe(7);
  });

  test("how long each commit took and how many entries it consumed", async () => {
    const commits: object[] = [];
    store.commitMs = 7;
    appendEvents(20);
    await start({ committed: (_shard, commit) => void commits.push(commit) });
    await clock.pass(100);
    expect(commits).toEqual([
      { ms: 7, entryCount: 16 },
      { ms: 7, entryCount: 4 },
    ]);
  });
});

describe("the loop counts", () => {
  test("each event once, in the second in which the log received it, and firings when they became known", async () => {
    const quiet = { posture: "Proactive", after: ["pump.failed"], expect: ["pump.started"], within: 10 };
    world.putAutomations([
      greenhouseAutomation("presence", { actions: [{ type: "do-nothing" }] }),
      greenhouseAutomation("silence", { trigger: quiet }),
    ]);
    await start();
    const second = Math.floor(world.now() / 1_000);
    const event = world.eventNamed("pump.failed");
    world.appendEvents([{ event }, { event }]); // sent again
    appendEvents(1, "malformed");
    await clock.pass(1_500);
    appendEvents(3);
    await clock.pass(9_000);
    appendEvents(1, "pump.started");
    await clock.pass(1_000);
    const counts = [...world.activity].sort(([a], [b]) => a - b).map(([at, each]) => [at - second, each]);
    expect(counts).toEqual([
      [0, { events: 3, firings: 1, resolutions: 0 }], // with the event about the firing
      [1, { events: 3, firings: 0, resolutions: 0 }],
      [10, { events: 3, firings: 1, resolutions: 1 }], // absence, its event, the end, its event
    ]);
  });

  // Every shard reads the whole log.
  test("events in the first shard only, and firings in the shard of their automation", async () => {
    const automations = ["pump", "vent", "door", "lamp"].map((name) => greenhouseAutomation(name));
    const elsewhere = automations.find(({ id }) => shardOf(id, 2) === 1)!;
    world.putAutomations([elsewhere]);
    await start({}, { shard: 1, shardCount: 2 });
    appendEvents(2, "pump.failed");
    await clock.pass(100);
    const [[, counts] = []] = [...world.activity];
    expect(counts).toEqual({ events: 0, firings: 2, resolutions: 0 });
  });
});

describe("the loop wakes the dispatcher", () => {
  test("only after a commit with invocations", async () => {
    world.putAutomations([greenhouseAutomation("presence"), greenhouseAutomation("no actions", noActions)]);
    await start();
    appendEvents(1, "vent.opened");
    appendEvents(1, "vent.closed");
    await clock.pass(1);
    expect(firingCount()).toBe(1);
    expect(dispatchCount).toBe(0);
    appendEvents(1, "pump.failed");
    await clock.pass(1);
    expect(firingCount()).toBe(2);
    expect(dispatchCount).toBe(1);
  });

  const noActions = {
    trigger: { expect: ["vent.closed"] },
    actions: [],
    actions_on_resolve: [{ type: "do-nothing" }],
  };
});

function firingCount(): number {
  return world.log.filter(
    (entry) => entry.kind === "event" && entry.event.name === "prefect-cloud.automation.triggered",
  ).length;
}

function appendEvents(count: number, name = "vent.opened"): void {
  world.appendEvents(Array.from({ length: count }, () => ({ event: world.eventNamed(name) })));
}
