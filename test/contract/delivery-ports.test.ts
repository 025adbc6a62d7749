import { type Job, Worker } from "bullmq";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { addInvocations } from "../../src/delivery/add-invocations.ts";
import type { JobData } from "../../src/delivery/delivery-state.ts";
import { Lanes, placeOf } from "../../src/delivery/lanes.ts";
import type { JobStore, LanePlace, LaneStore, Leave, TakenJob } from "../../src/delivery/ports.ts";
import { DeliveryQueue } from "../../src/delivery/queue.ts";
import { jobIdOf, queueName, queuePrefix } from "../../src/delivery/queue-keys.ts";
import { RedisJobs } from "../../src/delivery/redis-jobs.ts";
import { connect, type RedisConnection, RedisUnreachable } from "../../src/store/connection.ts";
import { firedBy, pumpEvent } from "../delivery/support.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { MemoryJobs, type WorkerQueue } from "../support/memory-jobs.ts";
import { MemoryLanes } from "../support/memory-lanes.ts";
import { MemoryWorld } from "../support/memory-store.ts";
import { Random } from "../support/random.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** What the suite needs: the queue as those see it who add and those who work, the lanes, and time that passes. */
interface Subject {
  readonly jobs: JobStore;
  readonly queue: WorkerQueue;
  readonly lanes: LaneStore;
  add(invocations: readonly Invocation[]): Promise<void>;
  now(): number;
  pass(ms: number): Promise<void>;
  /** Whether the store refuses what needs memory from now on. */
  fill(isFull: boolean): Promise<void>;
  close(): Promise<void>;
}

const workspace = "greenhouse";
const lockMs = 400;
let server: TestRedis;
let redis: RedisConnection;

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});
beforeEach(async () => {
  await redis.flushall();
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

/** BullMQ as the worker uses it, but each step by hand. */
function redisSubject(): Subject {
  const adding = new DeliveryQueue(server.url, workspace);
  const worker = new Worker<JobData>(queueName, null, {
    connection: redis,
    prefix: queuePrefix(workspace),
    autorun: false,
    lockDuration: lockMs,
    stalledInterval: 1,
    maxStalledCount: Number.MAX_SAFE_INTEGER,
  });
  worker.on("error", () => {}); // each call reports its own
  const taken = new Map<string, Job<JobData>>();
  const refused = (error: unknown) => {
    throw /\bOOM\b/.test(String(error)) ? new RedisUnreachable(error) : error;
  };
  const queue: WorkerQueue = {
    take: async (token) => {
      const job = await worker.getNextJob(token, { block: false }).catch(refused);
      if (job !== undefined) taken.set(job.data.invocation?.id ?? "", job);
      return (job as TakenJob | undefined) ?? null;
    },
    finish: async (id, token, failedReason) => {
      const job = taken.get(id)!;
      if (failedReason === null) await job.moveToCompleted(undefined as never, token, false);
      else await job.moveToFailed(new Error(failedReason), token, false);
    },
    renew: async (tokens) => {
      const failed = await worker
        .extendJobLocks([...tokens.keys()].map(jobIdOf), [...tokens.values()], lockMs)
        .catch(refused);
      return (failed as string[]).map((id) => id.slice(jobIdOf("").length));
    },
    recoverStalled: async () => {
      await new Promise((resolve) => setTimeout(resolve, 5)); // the interval between two checks
      await (worker as unknown as { moveStalledJobsToWait(): Promise<void> })
        .moveStalledJobsToWait()
        .catch(refused);
    },
  };
  return {
    queue,
    jobs: new RedisJobs(redis, workspace, () => worker),
    lanes: new Lanes(redis, workspace),
    add: (invocations) => adding.addInvocations(invocations),
    now: Date.now,
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    fill: async (isFull) => void (await redis.config("SET", "maxmemory", isFull ? "1" : "0")),
    close: async () => {
      await worker.close(true);
      await adding.close();
    },
  };
}

function memorySubject(): Subject {
  const clock = new VirtualClock();
  const world = new MemoryWorld(clock);
  const jobs = new MemoryJobs(world, lockMs, 1);
  const lanes = new MemoryLanes(world, jobs, new Random(1));
  const own = jobs.seenBy(clock);
  return {
    jobs: own,
    queue: { ...own, recoverStalled: () => clock.pass(5).then(() => own.recoverStalled()) },
    lanes,
    add: (invocations) => addInvocations({ jobs: own, lanes, clock }, invocations),
    now: () => clock.timeOfDay(),
    pass: (ms) => clock.pass(ms),
    fill: async (isFull) => {
      world.isFull = isFull;
    },
    close: async () => {},
  };
}

const watch = greenhouseAutomation("pump watch", {
  trigger: { expect: ["pump.failed"], for_each: ["pump"] },
  actions: [{ type: "call-webhook", url: "http://receiver.test/" }],
});
/** An alarm about a pump: all about the same pump are in one lane. */
const alarmOf = (pump: string): Invocation => firedBy(watch, { event: pumpEvent({}), labels: { pump } })[0]!;
const idleOf = (): Invocation => firedBy(greenhouseAutomation("idle"))[0]!;

describe.each([
  { name: "Redis", subject: redisSubject },
  { name: "memory", subject: memorySubject },
])("deliveries in $name", ({ subject }) => {
  let world: Subject;

  beforeEach(() => {
    world = subject();
  });
  afterEach(async () => {
    await world.fill(false);
    await world.close();
  });

  const endpoint = "http://receiver.test";
  const placeIn = ({ data }: TakenJob): LanePlace => placeOf(data as never)!;
  const leaving = (token: string, fields: Partial<Leave> = {}): Leave => ({
    ...{ outcome: "accepted", endpoint: null, wokenCount: 0, token, data: null },
    ...fields,
  });
  /** Takes the next job, which must be this delivery. */
  const takes = async (token: string, invocation: Invocation): Promise<TakenJob> => {
    const job = await world.queue.take(token);
    expect(job?.data.invocation?.id).toBe(invocation.id);
    return job!;
  };

  test("are taken once, in the order in which they were added, and only as often as they are known", async () => {
    const [first, second] = [idleOf(), idleOf()];
    await world.add([first!, second!]);
    await world.add([first!]);
    await takes("a", first!);
    await world.add([first!]); // active
    await takes("b", second!);
    expect(await world.queue.take("c")).toBeNull();
    await world.queue.finish(first!.id, "a", null);
    await world.queue.finish(second!.id, "b", "refused");
    await world.add([first!, second!]); // delivered, and a dead letter
    expect(await world.queue.take("d")).toBeNull();
  });

  test("that were given back are taken once they are due, or were woken up", async () => {
    const [soon, later] = [idleOf(), idleOf()];
    await world.add([soon!, later!]);
    const job = await takes("a", soon!);
    await job.moveToDelayed(world.now() + 150, "a");
    const other = await takes("b", later!);
    await other.moveToDelayed(world.now() + 600_000, "b");
    await world.add([soon!]);
    expect(await world.queue.take("c")).toBeNull();
    await world.pass(200);
    await takes("c", soon!);
    expect(await world.jobs.promote(soon!.id)).toBe(false);
    expect(await world.jobs.promote("unknown")).toBe(false);
    expect(await world.jobs.wake(later!.id)).toBe(false); // it waits for nothing
    expect(await world.jobs.promote(later!.id)).toBe(true);
    await takes("d", later!);
  });

  test("belong to their worker until its lock expires, and then to another one", async () => {
    const invocation = idleOf();
    await world.add([invocation]);
    const job = await takes("a", invocation);
    expect(job.stalledCounter).toBe(0);
    expect(await world.jobs.holder(invocation.id)).toBe("a");
    expect(
      await world.jobs.write(invocation.id, "a", { ...(job.data as object), announced: true } as never),
    ).toBe(true);
    await world.queue.recoverStalled(); // sees that it is active
    await world.pass(lockMs / 2);
    expect(await world.queue.renew(new Map([[invocation.id, "a"]]))).toEqual([]);
    await world.pass(lockMs / 2);
    await world.queue.recoverStalled();
    expect(await world.queue.take("b")).toBeNull();
    await world.pass(lockMs + 100);
    expect(await world.jobs.holder(invocation.id)).toBeNull();
    await world.queue.recoverStalled();
    const again = await takes("b", invocation);
    expect(again.stalledCounter).toBe(1);
    expect(again.data).toMatchObject({ announced: true });
    expect(await world.jobs.write(invocation.id, "a", job.data)).toBe(false);
    expect(await world.queue.renew(new Map([[invocation.id, "a"]]))).toEqual([invocation.id]);
    await expect(world.queue.finish(invocation.id, "a", null)).rejects.toThrow(/lock/i);
    await expect(job.moveToDelayed(world.now(), "a")).rejects.toThrow(/lock/i);
    await world.queue.finish(invocation.id, "b", null);
    await expect(world.queue.finish(invocation.id, "b", null)).rejects.toThrow(/lock/i);
  });

  test("about one thing take turns, and the next one is woken up at the end of the one before", async () => {
    const [first, second, other] = [alarmOf("a"), alarmOf("a"), alarmOf("b")];
    await world.add([first!]);
    await world.add([second!, other!]);
    const job = await takes("a", first!);
    const place = placeIn(job);
    expect(await world.lanes.claim(place, "a", false)).toEqual({
      ...{ state: "turn", other: "", request: null, wokenFor: null },
    });
    expect(await world.lanes.claim(place, "stranger", false)).toMatchObject({ state: "lost" });
    await takes("b", other!); // the second one does not wait for a worker
    expect(await world.queue.take("c")).toBeNull();
    expect(await world.lanes.first(second!.ordering!)).toBe(first!.id);
    expect(await world.jobs.promote(second!.id)).toBe(true);
    const early = await takes("c", second!);
    expect(await world.lanes.claim(placeIn(early), "c", false)).toMatchObject({
      state: "wait",
      other: first!.id,
    });
    await early.moveToDelayed(world.now() + 60_000, "c");
    expect(await world.jobs.wake(second!.id)).toBe(true); // it says that it waits
    await (await takes("d", second!)).moveToDelayed(world.now() + 60_000, "d");
    const data = JSON.stringify({ ...job.data, announced: true });
    expect(await world.lanes.leave(place, leaving("stranger"))).toBeNull();
    expect(await world.lanes.leave(place, leaving("a", { data }))).toEqual([second!.id]);
    expect(await world.lanes.leave(place, leaving("a"))).toEqual([second!.id]); // a lost answer
    expect(await world.lanes.first(second!.ordering!)).toBe(second!.id);
    await world.jobs.promote(second!.id);
    expect(await world.lanes.claim(placeIn(await takes("e", second!)), "e", false)).toMatchObject({
      state: "turn",
    });
  });

  test("that are older than what the target has accepted are outdated, unless a person insists", async () => {
    const [older, newer] = [alarmOf("a"), alarmOf("a")];
    await world.add([older!, newer!]);
    const old = await takes("a", older!);
    await world.lanes.claim(placeIn(old), "a", false);
    expect(await world.lanes.leave(placeIn(old), leaving("a", { outcome: "dead" }))).toEqual([newer!.id]);
    await world.jobs.promote(newer!.id);
    const job = await takes("b", newer!);
    await world.lanes.claim(placeIn(job), "b", false);
    expect(await world.lanes.leave(placeIn(job), leaving("b"))).toEqual([]);
    const options = { insists: false, was: "dead" } as const;
    expect(await world.lanes.claim(placeIn(old), "a", false)).toMatchObject({ state: "outdated" });
    expect(await world.lanes.claim(placeIn(old), "a", true)).toMatchObject({ state: "turn" });
    await world.lanes.leave(placeIn(old), leaving("a"));
    expect(await world.lanes.rejoin(placeIn(old), options)).toBe(false);
    expect(await world.lanes.rejoin(placeIn(job), { ...options, was: "delivered" })).toBe(true);
    expect(await world.lanes.first(older!.ordering!)).toBe(newer!.id);
  });

  test("that move to another lane leave their own in the same step, and only with the lock", async () => {
    const [moving, next, there] = [alarmOf("a"), alarmOf("a"), alarmOf("a")];
    const elsewhere = (invocation: Invocation): Invocation => ({
      ...invocation,
      ordering: { ...invocation.ordering!, target: "another target" },
    });
    await world.add([moving!, next!, elsewhere(there!)]);
    const job = await takes("a", moving!);
    const later = await takes("c", elsewhere(there!));
    const from = placeIn(job);
    const to = { ...from, ordering: elsewhere(moving!).ordering! };
    await world.lanes.claim(from, "a", false);
    const data = JSON.stringify({ ...job.data, announced: true });
    const move = { insists: false, endpoint: null, token: "a", data };
    expect(await world.lanes.move(from, to, { ...move, token: "stranger" })).toEqual({
      ...{ state: "lost", next: null },
    });
    expect(await world.lanes.first(to.ordering)).toBe(there!.id);
    expect(await world.lanes.move(from, to, move)).toEqual({ state: "moved", next: next!.id });
    expect(await world.lanes.move(from, to, move)).toEqual({ state: "moved", next: next!.id }); // a lost answer
    expect(await world.lanes.first(from.ordering)).toBe(next!.id);
    expect(await world.lanes.first(to.ordering)).toBe(moving!.id);
    expect(await world.lanes.claim(to, "a", false)).toMatchObject({ state: "turn" });
    // Nothing is left behind in the first lane.
    await world.jobs.promote(next!.id);
    const second = await takes("b", next!);
    expect(await world.lanes.claim(placeIn(second), "b", false)).toMatchObject({ state: "turn" });
    // What the other target accepted was later than this one.
    expect(await world.lanes.leave(to, leaving("a", { outcome: "dead" }))).toEqual([there!.id]);
    await world.lanes.claim(placeIn(later), "c", false);
    await world.lanes.leave(placeIn(later), leaving("c"));
    const toLate = { ...placeIn(second), ordering: elsewhere(next!).ordering! };
    const late = { ...move, token: "b" };
    expect(await world.lanes.move(placeIn(second), toLate, late)).toEqual({ state: "outdated", next: null });
    expect(await world.lanes.first(from.ordering)).toBe(next!.id);
    expect(await world.lanes.move(placeIn(second), toLate, { ...late, insists: true })).toMatchObject({
      state: "moved",
    });
  });

  test("that wait for an endpoint are woken up: one as a probe, the oldest first once it works", async () => {
    const waiting = ["a", "b", "c"].map(alarmOf);
    await world.add(waiting);
    for (const [index, invocation] of waiting.entries()) {
      const job = await takes(`worker ${index}`, invocation);
      await world.lanes.claim(placeIn(job), `worker ${index}`, false);
      await world.lanes.leave(placeIn(job), leaving(`worker ${index}`, { outcome: "later", endpoint }));
      await job.moveToDelayed(world.now() + 600_000, `worker ${index}`);
      expect(await world.lanes.isWanted(invocation.id, endpoint)).toBe(false);
    }
    expect(await world.lanes.waitedFor()).toEqual([endpoint]);
    const [probe] = await world.lanes.takeWaiting(endpoint, { mode: "probe", count: 1, probeMs: 150 });
    expect(await world.lanes.takeWaiting(endpoint, { mode: "probe", count: 1, probeMs: 150 })).toEqual([]);
    expect(await world.lanes.isWanted(probe!, endpoint)).toBe(true);
    await world.jobs.promote(probe!);
    const job = await takes("probe", waiting.find(({ id }) => id === probe)!);
    expect(await world.lanes.claim(placeIn(job), "probe", false)).toMatchObject({ wokenFor: "probe" });
    expect(await world.lanes.claim(placeIn(job), "probe", false)).toMatchObject({ wokenFor: null });
    const rest = waiting.map(({ id }) => id).filter((id) => id !== probe);
    const left = leaving("probe", { endpoint, wokenCount: 1 });
    expect(await world.lanes.leave(placeIn(job), left)).toEqual([rest[0]]);
    await world.pass(200);
    expect(await world.lanes.takeWaiting(endpoint, { mode: "drain", count: 5, probeMs: 0 })).toEqual([
      rest[1],
    ]);
    expect(await world.lanes.takeWaiting(endpoint, { mode: "drain", count: 5, probeMs: 0 })).toEqual([]);
    expect(await world.lanes.waitedFor()).toEqual([]);
  });

  test("say what a person asked for, until that was followed", async () => {
    const invocation = alarmOf("a");
    await world.add([invocation]);
    const job = await takes("a", invocation);
    const place = placeIn(job);
    await world.lanes.request(invocation.id, { kind: "cancel", by: "ada" });
    const { request } = await world.lanes.claim(place, "a", false);
    expect(JSON.parse(request!)).toEqual({ kind: "cancel", by: "ada" });
    expect(await world.lanes.isWanted(invocation.id, null)).toBe(true);
    await world.lanes.forgetRequest(invocation.id, "something else");
    expect((await world.lanes.claim(place, "a", false)).request).toBe(request);
    await world.lanes.forgetRequest(invocation.id, request!);
    expect(await world.lanes.isWanted(invocation.id, null)).toBe(false);
  });

  test("that are in the queue are not removed from their lane", async () => {
    const invocation = alarmOf("a");
    await world.add([invocation]);
    expect(await world.lanes.evict(invocation.ordering!, invocation.id)).toBe(false);
    expect(await world.lanes.evict(invocation.ordering!, "unknown")).toBe(true);
    expect(await world.lanes.first(invocation.ordering!)).toBe(invocation.id);
  });

  // What frees memory goes on, so that deliveries end and the store empties.
  test("are refused by a full store as a whole, and what is under way can end", async () => {
    const [first, second, delayed] = [alarmOf("a"), alarmOf("b"), idleOf()];
    await world.add([delayed!, first!, second!]);
    await (await takes("d", delayed!)).moveToDelayed(world.now() + 60_000, "d");
    const job = await takes("a", first!);
    const place = placeIn(job);
    await world.lanes.claim(place, "a", false);
    await world.fill(true);
    const refused = [
      () => world.add([alarmOf("c")]),
      () => world.queue.take("b"),
      () => world.queue.renew(new Map([[first!.id, "a"]])),
      () => world.jobs.write(first!.id, "a", job.data),
      () => world.lanes.claim(place, "a", false),
      () => world.lanes.leave(place, leaving("a", { data: JSON.stringify(job.data) })),
      () => world.lanes.request(first!.id, { kind: "cancel", by: "ada" }),
    ];
    for (const call of refused) await expect(call()).rejects.toThrow(/OOM/);
    expect(await world.jobs.holder(first!.id)).toBe("a");
    expect(await world.lanes.leave(place, leaving("a"))).toEqual([]);
    await world.queue.finish(first!.id, "a", null);
    expect(await world.jobs.promote(delayed!.id)).toBe(true);
    await world.fill(false);
    await takes("b", second!);
    await takes("c", delayed!);
    expect(await world.queue.take("e")).toBeNull();
  });
});
