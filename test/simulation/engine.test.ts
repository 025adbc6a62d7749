import { describe, expect, test } from "vitest";
import { firingEvent, invocationsOf } from "../../src/core/machine/consequence.ts";
import { Core } from "../../src/core/machine/core.ts";
import type { Firing } from "../../src/core/machine/firing.ts";
import type { LogEntry } from "../../src/core/machine/log-entry.ts";
import type { WireEvent } from "../../src/core/model/event.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { runShards } from "../../src/engine/run-shards.ts";
import { shardOf } from "../../src/engine/shard-of.ts";
import { comparePositions } from "../../src/store/position.ts";
import { repetition, seed } from "../support/fast-check.ts";
import { MemoryEngineStore } from "../support/memory-engine-store.ts";
import { MemoryWorld, type ShardCells } from "../support/memory-store.ts";
import { Random } from "../support/random.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { FaultyEngineStore, FaultyProcess, MemoryQueue } from "./faults.ts";
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
  world.layout = { count: random.integer(1, 4), generation: 0 };
  const changesShards = random.chance(0.5);
  let faultProbability = random.pick([0.01, 0.05, 0.2]);
  const programErrors: unknown[] = [];

  const start = (owner: string) => {
    const faulty = new FaultyProcess(random, clock, () => faultProbability);
    const stop = new AbortController();
    const engines = new FaultyEngineStore(new MemoryEngineStore(world), faulty);
    const logger = { ...silent, error: (fields: object) => void programErrors.push(fields) };
    const ports = { engines, queue: queue.seenBy(faulty), clock, logger, metrics: {} };
    const ended = runShards(ports, { name: owner, leaseMs }, stop.signal);
    return { name: owner, faulty, stop, ended };
  };

  const ruleNames = ["pump", "vent", "door", "lamp"];
  const accepted: WireEvent[] = [];
  let processCount = 0;
  const stopped: Promise<void>[] = [];
  const stopNow = ({ faulty, stop, ended }: ReturnType<typeof start>) => {
    stop.abort();
    return faulty.dead ? Promise.resolve() : Promise.race([ended, faulty.death]);
  };
  const processes = Array.from({ length: random.integer(1, 3) }, () => start(`process ${processCount++}`));
  for (const name of ruleNames) world.putAutomations([randomAutomation(random, name)]);

  for (let step = 0; step < 250; step += 1) {
    await clock.pass(random.chance(0.1) ? random.integer(0, 20_000) : random.integer(0, 1_500));
    if (random.chance(0.02)) world.putAutomations([randomAutomation(random, random.pick(ruleNames))]);
    if (random.chance(0.01)) world.deleteAutomations([random.pick([...world.automations.keys(), "none"])]);
    if (random.chance(0.03)) world.shard(random.integer(0, world.layout.count - 1)).owner = null; // a lease is lost
    if (random.chance(0.02)) world.engines.delete(random.pick([...world.engines.keys(), "none"])); // the others think it is dead
    if (changesShards && random.chance(0.03) && (world.wantedCount === null || world.refusal !== null)) {
      const others = [1, 2, 3, 4].filter((count) => count !== world.layout.count);
      world.wantedCount = random.pick(others);
      world.refusal = null;
    }
    // A process joins or leaves.
    if (random.chance(0.02)) processes.push(start(`process ${processCount++}`));
    if (random.chance(0.02) && processes.length > 1) stopped.push(...processes.splice(0, 1).map(stopNow));
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
  const owned = processes.map(({ name }) => current(world).filter(({ owner }) => owner === name).length);
  expect(Math.max(...owned) - Math.min(...owned), `shards of each process: ${owned}`).toBeLessThanOrEqual(1);
  for (const { stop } of processes) stop.abort();
  await clock.pass(1_000);
  await Promise.all([...stopped, ...processes.map(({ ended }) => ended)]);

  expect(programErrors).toEqual([]);
  const expected = uninterrupted(world, clockJumps);
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
  if (world.refusal === null) expect(world.wantedCount).toBeNull();
  for (const cells of current(world)) {
    expect(cells.outbox).toEqual([]);
    expect(cells.cursor?.position).toBe(world.lastPosition());
    expect(cells.owner).toBeNull();
  }
}

/** The shards of the present layout. */
function current(world: MemoryWorld): ShardCells[] {
  return Array.from({ length: world.layout.count }, (_, shard) => world.shard(shard));
}

/**
 * The firings of cores that consume the log in one go: one core for all automations that were in the same shard all the time.
 *
 * @param clockJumps whether to advance a core with each commit, not only with the last: a watermark that was reached while
 *   the store's clock was ahead is part of what happened
 */
function uninterrupted(world: MemoryWorld, clockJumps: boolean): Firing[] {
  const paths = new Set(world.log.flatMap((entry) => pathOf(entry, world) ?? []));
  return [...paths].flatMap((path) => {
    const core = new Core();
    const cells = path.split(" ").map((shard, generation) => world.shard(Number(shard), generation));
    const history = cells.flatMap(({ history }) => history);
    const rest = [...world.log];
    for (const { position, watermark } of clockJumps ? history : history.slice(-1)) {
      while (rest[0] !== undefined && comparePositions(rest[0].position, position) <= 0) {
        const entry = rest.shift();
        if (entry !== undefined && [path, null].includes(pathOf(entry, world))) core.apply(entry);
      }
      core.advance(watermark);
    }
    expect(core.watermark).toBe(cells.at(-1)?.cursor?.watermark);
    return [...core.drain().firings];
  });
}

/** The shards that an entry's automation was in, one after the other; null for an event, which concerns all. */
function pathOf(entry: LogEntry, { generations }: MemoryWorld): string | null {
  if (entry.kind === "event") return null;
  const id = entry.kind === "automation-put" ? entry.automation.id : entry.automationId;
  return generations.map((shards) => shardOf(id, shards.length)).join(" ");
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
