import { describe, expect, test } from "vitest";
import { firingEvent, invocationsOf } from "../../src/core/machine/consequence.ts";
import { Core } from "../../src/core/machine/core.ts";
import type { Firing } from "../../src/core/machine/firing.ts";
import type { LogEntry } from "../../src/core/machine/log-entry.ts";
import type { WireEvent } from "../../src/core/model/event.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { runShard } from "../../src/engine/shard.ts";
import { shardOf } from "../../src/engine/shard-of.ts";
import { comparePositions } from "../../src/store/position.ts";
import { repetition, seed } from "../support/fast-check.ts";
import { MemoryShardStore, MemoryWorld } from "../support/memory-store.ts";
import { Random } from "../support/random.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { FaultyProcess, FaultyStore, MemoryQueue } from "./faults.ts";
import { randomAutomation, randomEvent } from "./rules.ts";

const simulationCount = 40;
const seeds = Array.from({ length: simulationCount }, (_, index) => seed + index);

const startMs = Date.UTC(2026, 2, 1);
const leaseMs = 6_000;
const silent = { info() {}, warn() {} };

// Whatever crashes, repeats, is delayed or is lost: the queue and the log must end up with exactly the firings of one
// core that was never interrupted.
describe("an engine under faults", () => {
  test.each(seeds)("fires the same as an uninterrupted core (seed %i)", async (seed) => {
    try {
      await simulate(seed);
    } catch (error) {
      console.error(`${repetition(seed)} -t "seed ${seed}"`); // the first simulation of a run has the seed of the run
      throw error;
    }
  });
});

async function simulate(seed: number): Promise<void> {
  const random = new Random(seed);
  const clock = new VirtualClock();
  const world = new MemoryWorld(clock);
  world.skewMs = startMs;
  const queue = new MemoryQueue();
  const clockJumps = random.chance(0.5);
  const shardCount = random.integer(1, 2);
  let faultProbability = random.pick([0.01, 0.05, 0.2]);
  const programErrors: unknown[] = [];

  const start = (owner: string) => {
    const faulty = new FaultyProcess(random, clock, () => faultProbability);
    const stop = new AbortController();
    const ended = Array.from({ length: shardCount }, (_, shard) => {
      const store = new FaultyStore(new MemoryShardStore(world, shard, owner), faulty);
      const logger = { ...silent, error: (fields: object) => void programErrors.push(fields) };
      const ports = { store, queue: queue.seenBy(faulty), clock, logger, metrics: {} };
      return runShard(ports, { shard, shardCount, leaseMs }, stop.signal);
    });
    return { faulty, stop, ended };
  };

  const ruleNames = ["pump", "vent", "door", "lamp"];
  const accepted: WireEvent[] = [];
  let processCount = 0;
  const processes = [start(`process ${processCount++}`), start(`process ${processCount++}`)];
  for (const name of ruleNames) world.putAutomations([randomAutomation(random, name)]);

  for (let step = 0; step < 250; step += 1) {
    await clock.pass(random.chance(0.1) ? random.integer(0, 20_000) : random.integer(0, 1_500));
    if (random.chance(0.02)) world.putAutomations([randomAutomation(random, random.pick(ruleNames))]);
    if (random.chance(0.01)) world.deleteAutomations([random.pick([...world.automations.keys(), "none"])]);
    if (random.chance(0.03)) world.shard(random.integer(0, shardCount - 1)).owner = null; // a lease is lost
    if (clockJumps && random.chance(0.02)) world.skewMs += random.integer(-20_000, 30_000);
    const events = Array.from({ length: random.integer(0, 3) }, () =>
      randomEvent(random, world.now(), accepted),
    );
    accepted.push(...events);
    if (accepted.length > 0 && random.chance(0.1)) events.push(random.pick(accepted)); // sent again
    world.appendEvents(events.map((event) => ({ event })));
    for (const [index, { faulty }] of processes.entries()) {
      if (faulty.dead && random.chance(0.3)) processes[index] = start(`process ${processCount++}`);
    }
  }

  // The faults stop; everything must finish.
  faultProbability = 0;
  await clock.pass(30_000); // the last pauses end
  for (const [index, { faulty }] of processes.entries()) {
    if (faulty.dead) processes[index] = start(`process ${processCount++}`);
  }
  await clock.pass(120_000);
  for (const { stop } of processes) stop.abort();
  await clock.pass(1_000);
  await Promise.all(processes.flatMap(({ ended }) => ended));

  expect(programErrors).toEqual([]);
  const expected = uninterrupted(world, shardCount, clockJumps);
  const invocations = expected.flatMap((firing) => invocationsOf(firing));
  expect(expected.length, "the simulation should cause firings").toBeGreaterThan(0);
  // Compare one line for each first: a diff of whole invocations is hard to read.
  expect(linesOf([...queue.invocations.values()])).toEqual(linesOf(invocations));
  for (const invocation of invocations) {
    expect(JSON.stringify(queue.invocations.get(invocation.id))).toBe(JSON.stringify(invocation));
  }
  const appended = world.log.flatMap((entry) =>
    entry.kind === "event" && /automation\.(triggered|resolved)$/.test(entry.event.name)
      ? [entry.event.id]
      : [],
  );
  expect(appended.sort()).toEqual(expected.map((firing) => firingEvent(firing).id).sort());
  for (const cells of world.shards) {
    expect(cells.outbox).toEqual([]);
    expect(cells.cursor?.position).toBe(world.lastPosition());
    expect(cells.owner).toBeNull();
  }
}

/**
 * The firings of one core per shard that consumes the log in one go.
 *
 * @param clockJumps whether to advance the core with each commit, not only with the last: a watermark that was reached
 *   while the store's clock was ahead is part of what happened
 */
function uninterrupted(world: MemoryWorld, shardCount: number, clockJumps: boolean): Firing[] {
  return Array.from({ length: shardCount }, (_, shard) => {
    const core = new Core();
    const { history, cursor } = world.shard(shard);
    const rest = [...world.log];
    for (const { position, watermark } of clockJumps ? history : history.slice(-1)) {
      while (rest[0] !== undefined && comparePositions(rest[0].position, position) <= 0) {
        const entry = rest.shift();
        if (entry !== undefined && concerns(entry, shard, shardCount)) core.apply(entry);
      }
      core.advance(watermark);
    }
    expect(core.watermark).toBe(cursor?.watermark);
    return [...core.drain().firings];
  }).flat();
}

function concerns(entry: LogEntry, shard: number, shardCount: number): boolean {
  if (entry.kind === "event") return true;
  const id = entry.kind === "automation-put" ? entry.automation.id : entry.automationId;
  return shardOf(id, shardCount) === shard;
}

function linesOf(invocations: readonly Invocation[]): string[] {
  return invocations
    .map(({ id, automation, firing }) => {
      const { triggered, trigger_states, triggering_labels, triggering_event } = firing;
      const event = triggering_event?.id ?? "no event";
      return `${triggered} ${automation.name} ${trigger_states} ${JSON.stringify(triggering_labels)} ${event} ${id}`;
    })
    .sort();
}
