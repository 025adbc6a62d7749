import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pageLength } from "../../src/core/machine/seen.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import type { RestoreSettings } from "../../src/engine/restore.ts";
import { runShard } from "../../src/engine/shard.ts";
import { shardOf } from "../../src/engine/shard-of.ts";
import type { LogBatch } from "../../src/store/log-reader.ts";
import fc from "../support/fast-check.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { MemoryShardStore, MemoryWorld } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

let clock: VirtualClock;
let world: MemoryWorld;
let invocations: Invocation[];
let logged: { level: string; fields: object; message: string }[];
let running: (() => Promise<void>)[];

beforeEach(startOver);

afterEach(stopAll);

function startOver(): void {
  clock = new VirtualClock();
  world = new MemoryWorld(clock);
  world.skewMs = Date.UTC(2026, 2, 1);
  invocations = [];
  logged = [];
  running = [];
}

async function stopAll(): Promise<void> {
  await Promise.all(running.splice(0).map((stop) => stop()));
}

async function start(options: Partial<RestoreSettings> = {}): Promise<void> {
  const settings = { shard: 0, shardCount: 1, leaseMs: 10_000, latenessDefault: 0, ...options };
  const store = new MemoryShardStore(world, settings.shard, "owner");
  const queue = { addInvocations: async (added: readonly Invocation[]) => void invocations.push(...added) };
  const note = (level: string) => (fields: object, message: string) =>
    void logged.push({ level, fields, message });
  const logger = { info() {}, warn: note("warn"), error: note("error") };
  const stop = new AbortController();
  const ended = runShard({ store, queue, clock, logger, metrics: {} }, settings, stop.signal);
  running.push(async () => {
    stop.abort();
    await clock.pass(1);
    await ended;
  });
  await clock.pass(1);
}

describe("a shard that starts for the first time", () => {
  const rules = ["one", "two", "three", "four", "five", "six"].map((name) => greenhouseAutomation(name));
  const shardCount = 2;

  test("takes over the automations of its own from a log that was trimmed, and warns", async () => {
    world.putAutomations(rules);
    world.appendEvents([{ event: world.eventNamed("pump.failed") }]);
    const position = world.lastPosition();
    world.trim(position);
    await start({ shard: 1, shardCount });
    expect(invocations).toEqual([]); // the event was accepted before
    world.appendEvents([{ event: world.eventNamed("pump.failed") }]);
    await clock.pass(1);
    const own = rules.filter(({ id }) => shardOf(id, shardCount) === 1);
    expect(own.length).toBeGreaterThan(0);
    expect(own.length).toBeLessThan(rules.length);
    expect(firedRules()).toEqual(own.map(({ name }) => name).sort());
    expect(logged).toEqual([
      {
        level: "warn",
        fields: { shard: 1, position },
        message: "The log was trimmed before this shard first started; it sees only new events",
      },
    ]);
  });

  test("reads a log that was never trimmed from its start, without a warning", async () => {
    world.putAutomations(rules);
    world.appendEvents([{ event: world.eventNamed("pump.failed") }]);
    await start({ shard: 0, shardCount });
    await start({ shard: 1, shardCount });
    expect(firedRules()).toEqual(rules.map(({ name }) => name).sort());
    expect(logged).toEqual([]);
  });
});

describe("a shard that starts again", () => {
  test("warns that the log ends before its cursor, and reads what is new", async () => {
    world.putAutomations([greenhouseAutomation("presence")]);
    world.appendEvents([{ event: world.eventNamed("pump.failed") }]);
    await start();
    await stopAll();
    const cells = world.shard(0);
    const ahead = `${world.now() + 3_600_000}-0`;
    cells.cursor = { ...cells.cursor!, position: ahead };
    const last = world.lastPosition();
    await start();
    expect(logged).toEqual([
      {
        level: "error",
        fields: { shard: 0, cursor: ahead, last },
        message: expect.stringMatching(/^The log ends before the shard's cursor/),
      },
    ]);
    world.appendEvents([{ event: world.eventNamed("pump.failed") }]);
    await clock.pass(1);
    expect(invocations).toHaveLength(2);
  });

  // The ids are read from the log, 1,000 entries at a time.
  test.each([999, 1_000, 1_001, 2_500])("knows an event that %i entries lie behind", async (distance) => {
    world.putAutomations([greenhouseAutomation("presence")]);
    const event = world.eventNamed("pump.failed");
    world.appendEvents([{ event }]);
    appendEvents(distance);
    await start();
    await stopAll();
    expect(invocations).toHaveLength(1);
    await start();
    world.appendEvents([{ event }]);
    await clock.pass(1);
    expect(invocations).toHaveLength(1);
    world.appendEvents([{ event: world.eventNamed("pump.failed") }]);
    await clock.pass(1);
    expect(invocations).toHaveLength(2);
  });

  // A takeover that reads half an hour of the log takes as long as it takes to read a million events.
  test("reads only the ids of the latest events from the log: the state has the others", async () => {
    world.putAutomations([greenhouseAutomation("presence")]);
    appendEvents(5 * pageLength);
    await start();
    await stopAll();
    const readBack = vi.spyOn(MemoryShardStore.prototype, "readBack");
    try {
      await start();
      const batches = await Promise.all(readBack.mock.results.map(({ value }) => value as Promise<LogBatch>));
      const readCount = batches.reduce((sum, batch) => sum + batch.readCount, 0);
      expect(readCount).toBeLessThanOrEqual(pageLength + 1);
    } finally {
      readBack.mockRestore();
    }
  });

  // An event that is sent again must count exactly when it would have counted without the restart.
  test("remembers the same events as without the restart, whatever is sent again", async () => {
    const anyStep = fc.oneof(
      { weight: 6, arbitrary: fc.record({ send: fc.nat(5) }) },
      { weight: 1, arbitrary: fc.record({ waitMinutes: fc.integer({ min: 1, max: 20 }) }) },
      { weight: 2, arbitrary: fc.constant("restart" as const) },
    );
    const anySteps = fc.array(anyStep, { maxLength: 30, size: "max" });
    const fewIds = fc.integer({ min: 1, max: 12 });
    const sends = (...events: number[]): Step[] => events.map((send) => ({ send }));
    const sentTwiceInARow = [...sends(5, 0, 0, 3, 1, 2), "restart" as const, ...sends(5)];
    const wait = { waitMinutes: 20 };
    const sentAgainLater = [...sends(0), wait, ...sends(0), "restart" as const, wait, ...sends(0)];
    const examples: [Step[], number][] = [
      [sentTwiceInARow, 10],
      [sentAgainLater, 10],
    ];
    await fc.assert(
      fc.asyncProperty(anySteps, fewIds, async (steps, seenCountMax) => {
        const interrupted = await firedAfterEach(steps, { seenCountMax });
        const uninterrupted = await firedAfterEach(
          steps.map((step) => (step === "restart" ? "nothing" : step)),
          { seenCountMax },
        );
        expect(interrupted).toEqual(uninterrupted);
      }),
      { numRuns: 50, examples },
    );
  });
});

type Step = { readonly send: number } | { readonly waitMinutes: number } | "restart" | "nothing";

/** Takes steps in a new world, and returns how often the shard had fired after each. */
async function firedAfterEach(
  steps: readonly Step[],
  options: Partial<RestoreSettings>,
): Promise<readonly number[]> {
  startOver();
  const events = Array.from({ length: 6 }, () => world.eventNamed("pump.failed"));
  world.putAutomations([greenhouseAutomation("presence")]);
  await start(options);
  const counts: number[] = [];
  for (const step of steps) {
    if (step === "restart") {
      await stopAll();
      await start(options);
    } else if (step !== "nothing") {
      if ("send" in step) world.appendEvents([{ event: events[step.send]! }]);
      else await clock.pass(step.waitMinutes * 60_000);
    }
    await clock.pass(1);
    counts.push(invocations.length);
  }
  await stopAll();
  return counts;
}

function firedRules(): string[] {
  return invocations.map(({ automation }) => automation.name).sort();
}

function appendEvents(count: number): void {
  world.appendEvents(Array.from({ length: count }, () => ({ event: world.eventNamed("vent.opened") })));
}
