/**
 * The whole of Tripline in one thread and in virtual time: engines, API processes, clients, delivery workers and receivers.
 *
 * They run the code of production over models of the store and the queue, which the suites in test/contract/ hold against
 * a real Redis and BullMQ. One seed decides everything: what happens, how long each call takes, and so in which order the
 * calls of all processes meet, and what fails.
 *
 * A step is one event of that schedule: a timer of the virtual clock that rings, and all that follows from it until every
 * process waits again. Each call of a process has two: its arrival at the store, queue or receiver, and that of the answer.
 */

import type { WireEvent } from "../../src/core/model/event.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { addInvocations } from "../../src/delivery/add-invocations.ts";
import type { EngineStore } from "../../src/engine/ports.ts";
import { runShards } from "../../src/engine/run-shards.ts";
import { turnOffSlices } from "../../src/retry/slices.ts";
import { MemoryEngineStore } from "../support/memory-engine-store.ts";
import { MemoryJobs } from "../support/memory-jobs.ts";
import { MemoryLanes } from "../support/memory-lanes.ts";
import { MemoryEndpoints } from "../support/memory-log.ts";
import { MemoryWorld } from "../support/memory-store.ts";
import { Random } from "../support/random.ts";
import { onceSettled, VirtualClock } from "../support/virtual-clock.ts";
import { SimulatedApi, SimulatedClient } from "./clients.ts";
import { countFault, SimulatedProcess, type Stage } from "./process.ts";
import { Receivers } from "./receivers.ts";
import { randomAutomation, randomEvent } from "./rules.ts";
import { lockMs, type SimulatedWorker, startWorker } from "./workers.ts";

const startMs = Date.UTC(2026, 2, 1);
const leaseMs = 6_000;
const ruleNames = ["pump", "vent", "door", "lamp"];
const roundCount = 250;
/** By when everything must be complete after the last fault: nothing waits longer without looking again. */
const completeWithinMs = 45 * 60_000;

interface SimulatedEngine {
  readonly process: SimulatedProcess;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

/** What a run leaves, for the oracle to judge. */
export interface SimulationResult {
  readonly world: MemoryWorld;
  readonly jobs: MemoryJobs;
  readonly lanes: MemoryLanes;
  readonly receivers: Receivers;
  readonly clients: readonly SimulatedClient[];
  /** Every event that anyone tried to post, and nobody else may have. */
  readonly posted: ReadonlySet<string>;
  /** Whether the store's clock was set. */
  readonly clockJumps: boolean;
  /** What is wrong with the program itself. */
  readonly programErrors: readonly unknown[];
  /** How many shards each engine owned in the end. */
  readonly ownedCounts: readonly number[];
  /** How long it took until everything was complete after the last fault; null if it never was. */
  readonly completeAfterMs: number | null;
  readonly stepCount: number;
  readonly stage: Stage;
}

/** Runs one simulation. In its thread, no work is sliced any more: slices depend on the real time. */
export function simulate(seed: number): Promise<SimulationResult> {
  turnOffSlices();
  return new Simulation(seed).run();
}

class Simulation {
  readonly #random: Random;
  readonly #clock = new VirtualClock({ settle: onceSettled });
  readonly #stage: Stage;
  readonly #world = new MemoryWorld(this.#clock);
  readonly #jobs = new MemoryJobs(this.#world, lockMs);
  readonly #lanes: MemoryLanes;
  readonly #endpoints = new MemoryEndpoints(this.#world);
  readonly #receivers: Receivers;
  readonly #clockJumps: boolean;
  readonly #reshards: boolean;
  readonly #programErrors: unknown[] = [];
  readonly #posted = new Map<string, WireEvent>();
  readonly #clients: readonly SimulatedClient[];
  readonly #engines: SimulatedEngine[] = [];
  readonly #apis: SimulatedApi[] = [];
  readonly #workers: SimulatedWorker[] = [];
  readonly #stopping: Promise<unknown>[] = [];
  #processCount = 0;
  #fullUntil = 0;

  constructor(seed: number) {
    const random = new Random(seed);
    this.#random = random;
    this.#stage = {
      ...{ random, clock: this.#clock, callCount: 0, faultCounts: new Map() },
      faultProbability: random.pick([0.003, 0.01, 0.04]),
    };
    this.#world.skewMs = startMs;
    this.#world.layout = { count: random.integer(1, 4), generation: 0 };
    this.#lanes = new MemoryLanes(this.#world, this.#jobs, random);
    this.#receivers = new Receivers(this.#stage, random.integer(1, 3), (id) => this.#jobs.laneOf(id));
    this.#clockJumps = random.chance(0.5);
    this.#reshards = random.chance(0.5);
    const anyApi = () => random.pick(this.#apis);
    this.#clients = Array.from(
      { length: random.integer(1, 3) },
      () => new SimulatedClient(this.#stage, anyApi),
    );
  }

  async run(): Promise<SimulationResult> {
    const random = this.#random;
    for (const start of [this.#startEngine, this.#startApi, this.#startWorker]) {
      for (let left = random.integer(1, 3); left > 0; left -= 1) start.call(this);
    }
    for (const name of ruleNames) this.#putRule(name);
    for (let round = 0; round < roundCount; round += 1) {
      await this.#clock.pass(random.chance(0.05) ? random.integer(0, 20_000) : random.integer(0, 1_500));
      this.#breakSomething();
      this.#changeProcesses();
      this.#postEvents();
    }
    const completeAfterMs = await this.#recover();
    const ownedCounts = this.#engines.map(
      ({ process: { name } }) => this.#currentShards().filter(({ owner }) => owner === name).length,
    );
    await this.#end();
    return {
      ...{ world: this.#world, jobs: this.#jobs, lanes: this.#lanes, receivers: this.#receivers },
      ...{ clients: this.#clients, posted: new Set(this.#posted.keys()), clockJumps: this.#clockJumps },
      ...{ programErrors: this.#programErrors, ownedCounts, completeAfterMs },
      ...{ stepCount: this.#clock.ringCount, stage: this.#stage },
    };
  }

  #currentShards() {
    const { layout } = this.#world;
    return Array.from({ length: layout.count }, (_, shard) => this.#world.shard(shard));
  }

  #newProcess(role: string): SimulatedProcess {
    this.#processCount += 1;
    return new SimulatedProcess(`${role} ${this.#processCount}`, this.#stage, startMs);
  }

  #startEngine(): void {
    const process = this.#newProcess("engine");
    const { clock } = process;
    const store = new MemoryEngineStore(this.#world);
    const reached = process.port(store);
    const engines: EngineStore = {
      beat: reached.beat,
      leave: reached.leave,
      shard: (...given) => process.port(store.shard(...given), { local: ["interrupt"] }),
      reshard: (...given) => process.port(store.reshard(...given)),
    };
    const jobs = process.port(this.#jobs.seenBy(clock));
    const lanes = process.port(this.#lanes);
    const queue = {
      addInvocations: (added: readonly Invocation[]) => addInvocations({ jobs, lanes, clock }, added),
    };
    const stop = new AbortController();
    const ports = { engines, queue, clock, logger: this.#logger(() => true), metrics: {} };
    const ended = runShards(ports, { name: process.name, leaseMs }, stop.signal);
    this.#engines.push({ process, stop, ended });
  }

  #startApi(): void {
    this.#apis.push(new SimulatedApi(this.#newProcess("api"), this.#world));
  }

  #startWorker(): void {
    // A delivery that failed is no error of the program, nor is an outage.
    const isOwn = ({ err }: { readonly err?: unknown }) =>
      err !== undefined && !/lock for job/.test(String(err));
    this.#workers.push(
      startWorker(this.#newProcess("worker"), {
        ...{ world: this.#world, jobs: this.#jobs, lanes: this.#lanes, endpoints: this.#endpoints },
        ...{ receivers: this.#receivers, logger: this.#logger(isOwn) },
      }),
    );
  }

  #logger(isProgramError: (fields: object) => boolean) {
    const error = (fields: object) => {
      if (isProgramError(fields)) this.#programErrors.push(fields);
    };
    return { info() {}, warn() {}, error };
  }

  #putRule(name: string): void {
    this.#world.putAutomations([randomAutomation(this.#random, name, this.#receivers.origins)]);
  }

  /** Whatever may go wrong, beside the calls of processes. */
  #breakSomething(): void {
    const random = this.#random;
    const world = this.#world;
    const happens = (probability: number, kind: string) => {
      if (!random.chance(probability)) return false;
      countFault(this.#stage, kind);
      return true;
    };
    if (random.chance(0.02)) this.#putRule(random.pick(ruleNames));
    if (random.chance(0.01)) world.deleteAutomations([random.pick([...world.automations.keys(), "none"])]);
    if (happens(0.03, "lease lost")) world.shard(random.integer(0, world.layout.count - 1)).owner = null;
    if (happens(0.02, "engine taken for dead"))
      world.engines.delete(random.pick([...world.engines.keys(), "none"]));
    if (
      this.#reshards &&
      (world.wantedCount === null || world.refusal !== null) &&
      happens(0.03, "shards moved")
    ) {
      world.wantedCount = random.pick([1, 2, 3, 4].filter((count) => count !== world.layout.count));
      world.refusal = null;
    }
    if (this.#clockJumps && happens(0.02, "store's clock set"))
      world.skewMs += random.integer(-20_000, 30_000);
    if (happens(0.01, "process's clock set")) this.#anyProcess().stepClock(random.integer(-20_000, 20_000));
    if (!world.isFull && happens(0.01, "store full"))
      this.#fullUntil = this.#clock.now() + random.integer(500, 30_000);
    world.isFull = this.#clock.now() < this.#fullUntil;
    if (random.chance(0.06)) this.#receivers.changeMood();
  }

  #anyProcess(): SimulatedProcess {
    return this.#random.pick([...this.#engines, ...this.#apis, ...this.#workers]).process;
  }

  /** Processes join and leave, and what died is started again. */
  #changeProcesses(): void {
    const random = this.#random;
    if (random.chance(0.02)) this.#startEngine();
    if (random.chance(0.02)) this.#startWorker();
    if (random.chance(0.02) && this.#engines.length > 1) {
      const [{ process, stop, ended } = fail()] = this.#engines.splice(0, 1);
      stop.abort();
      this.#stopping.push(Promise.race([ended, process.death]));
    }
    if (random.chance(0.02) && this.#workers.length > 1) {
      this.#stopping.push(...this.#workers.splice(0, 1).map((worker) => worker.close()));
    }
    this.#restartDead(0.3);
  }

  #restartDead(probability: number): void {
    for (const [running, start] of [
      [this.#engines, this.#startEngine],
      [this.#apis, this.#startApi],
      [this.#workers, this.#startWorker],
    ] as const) {
      for (let index = running.length - 1; index >= 0; index -= 1) {
        if (!running[index]!.process.isDead || !this.#random.chance(probability)) continue;
        running.splice(index, 1);
        start.call(this);
      }
    }
  }

  #postEvents(): void {
    const random = this.#random;
    const earlier = [...this.#posted.values()].slice(-20);
    const events = Array.from({ length: random.integer(0, 3) }, () => {
      const event = randomEvent(random, this.#world.now(), earlier);
      this.#posted.set(event.id, event);
      return event;
    });
    if (earlier.length > 0 && random.chance(0.1)) events.push(random.pick(earlier)); // sent again
    if (events.length > 0) random.pick(this.#clients).post(events);
  }

  /** The faults stop; everything must finish. @returns after how long it has */
  async #recover(): Promise<number | null> {
    this.#stage.faultProbability = 0;
    this.#world.isFull = false;
    this.#receivers.recover();
    const start = this.#clock.now();
    this.#restartDead(1);
    let isPosted = false;
    void Promise.all(this.#clients.map((client) => client.idle())).then(() => {
      isPosted = true;
    });
    while (this.#clock.now() - start < completeWithinMs) {
      await this.#clock.pass(2_000);
      this.#restartDead(1); // a pause may have ended in a death
      // Open windows end in the meantime, and new deliveries follow.
      if (isPosted && this.#clock.now() - start > 120_000 && this.#isComplete())
        return this.#clock.now() - start;
    }
    return null;
  }

  #isComplete(): boolean {
    const { log } = this.#world;
    const last = log.at(-1)?.position;
    const isEvaluated = this.#currentShards().every(
      ({ outbox, cursor }) => outbox.length === 0 && cursor?.position === last,
    );
    return isEvaluated && this.#jobs.isIdle;
  }

  async #end(): Promise<void> {
    for (const { stop } of this.#engines) stop.abort();
    const closing = this.#workers.map((worker) => worker.close());
    await this.#clock.pass(20_000);
    await Promise.all([...this.#stopping, ...closing, ...this.#engines.map(({ ended }) => ended)]);
  }
}

function fail(): never {
  throw new Error("there is no such process");
}
