import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Invocation } from "../../src/core/model/invocation.ts";
import type { Commit, ShardStore } from "../../src/engine/ports.ts";
import { runShard } from "../../src/engine/shard.ts";
import { shardOf } from "../../src/engine/shard-of.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import { receivedAt } from "../../src/store/position.ts";
import { passOnTracer, type SpanOptions, type Tracer } from "../../src/telemetry/tracer.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { MemoryShardStore, MemoryWorld } from "../support/memory-store.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

let clock: VirtualClock;
let world: MemoryWorld;
let invocations: Invocation[];
let stop: AbortController;
let ended: Promise<void>;

beforeEach(() => {
  clock = new VirtualClock();
  world = new MemoryWorld(clock);
  world.skewMs = Date.UTC(2026, 2, 1);
  invocations = [];
});

afterEach(async () => {
  stop.abort();
  await clock.pass(1);
  await ended;
});

interface StartOptions {
  readonly store?: ShardStore;
  readonly shardCount?: number;
  readonly tracer?: Tracer;
  /** Whether the shard may log warnings. */
  readonly mayWarn?: boolean;
}

function start(options: StartOptions = {}): void {
  const { store = new MemoryShardStore(world, 0, "owner"), shardCount = 1, tracer = passOnTracer } = options;
  stop = new AbortController();
  const queue = { addInvocations: async (added: readonly Invocation[]) => void invocations.push(...added) };
  const fail = (fields: object) => {
    throw new Error(`unexpected: ${JSON.stringify(fields)}`);
  };
  const logger = { info() {}, warn: options.mayWarn ? () => {} : fail, error: fail };
  const metrics = {};
  const settings = { shard: 0, shardCount, leaseMs: 10_000, latenessDefault: 0 };
  ended = runShard({ store, queue, clock, logger, metrics, tracer }, settings, stop.signal);
}

describe("spans", () => {
  const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

  /** Names each span by its number. */
  function recordingTracer() {
    const started: SpanOptions[] = [];
    const ends: unknown[] = [];
    const tracer: Tracer = {
      start(_, options) {
        const number = started.push(options);
        return {
          trace: `span ${number}`,
          rename() {},
          set() {},
          end: (error) => void ends.push([number, error]),
        };
      },
    };
    return { started, ends, tracer };
  }

  test("are recorded for firings only, and what follows from a firing continues its span", async () => {
    world.putAutomations([greenhouseAutomation("stopped", { trigger: { expect: ["pump.stopped"] } })]);
    const { started, ends, tracer } = recordingTracer();
    start({ tracer });
    await clock.pass(3);
    world.appendEvents([{ event: world.eventNamed("pump.started"), trace }]);
    world.appendEvents([{ event: world.eventNamed("pump.stopped"), trace }]);
    await clock.pass(1_000);
    expect(started).toMatchObject([{ parent: trace, links: [] }]);
    expect(ends).toEqual([[1, undefined]]);
    expect(invocations.map((invocation) => invocation.trace)).toEqual(["span 1"]);
    const last = world.log.at(-1);
    expect(last?.kind === "event" && [last.event.name, last.event.trace]).toEqual([
      "prefect-cloud.automation.triggered",
      "span 1",
    ]);
  });

  test("name the automation, the firing, its event and the shard", async () => {
    const automation = greenhouseAutomation("presence");
    world.putAutomations([automation]);
    const { started, tracer } = recordingTracer();
    start({ tracer });
    const event = world.eventNamed("pump.failed");
    world.appendEvents([{ event }]);
    await clock.pass(1);
    expect(started.map(({ attributes }) => attributes)).toEqual([
      {
        "tripline.automation.id": automation.id,
        "tripline.automation.name": "presence",
        "tripline.firing.id": expect.stringMatching(/^[0-9a-f-]{36}$/),
        "tripline.firing.state": "Triggered",
        "tripline.event.id": event.id,
        "tripline.shard": 0,
      },
    ]);
  });

  // The firing is derived again, with a span of its own. The failed one would otherwise never be exported.
  test("end with an error when the commit fails", async () => {
    class FailingStore extends MemoryShardStore {
      failureCount = 0;

      override async commit(commit: Commit) {
        if (commit.invocations.length > 0 && this.failureCount++ === 0)
          throw new RedisUnreachable("simulated");
        return super.commit(commit);
      }
    }
    world.putAutomations([greenhouseAutomation("presence")]);
    const { ends, tracer } = recordingTracer();
    start({ tracer, store: new FailingStore(world, 0, "owner"), mayWarn: true });
    world.appendEvents([{ event: world.eventNamed("pump.failed"), trace }]);
    await clock.pass(1_000);
    expect(ends).toEqual([
      [1, expect.stringContaining("the commit failed")],
      [2, undefined],
    ]);
    expect(invocations.map((invocation) => invocation.trace)).toEqual(["span 2"]);
  });

  test("start a new trace for an absence, with a link to the last event seen", async () => {
    const silence = {
      posture: "Proactive",
      after: ["pump.started"],
      expect: ["pump.stopped"],
      within: 10,
    };
    world.putAutomations([greenhouseAutomation("silence", { trigger: silence })]);
    const { started, tracer } = recordingTracer();
    start({ tracer });
    await clock.pass(3);
    world.appendEvents([{ event: world.eventNamed("pump.started"), trace }]);
    await clock.pass(11_000);
    expect(started).toMatchObject([{ parent: null, links: [trace] }]);
    expect(invocations.map((invocation) => invocation.trace)).toEqual(["span 1"]);
  });
});

describe("the loop", () => {
  test.each([
    { within: 12.3456, dueMs: 12_346 },
    { within: 12, dueMs: 12_000 },
  ])("fires for an absence of $within s after $dueMs ms, not when something happens next", async (times) => {
    const { within, dueMs } = times;
    const silence = { posture: "Proactive", after: ["pump.started"], expect: ["pump.stopped"], within };
    world.putAutomations([greenhouseAutomation("absence", { trigger: silence })]);
    start();
    await clock.pass(3);
    world.appendEvents([{ event: world.eventNamed("pump.started") }]);
    await clock.pass(dueMs - 1);
    expect(invocations).toEqual([]);
    await clock.pass(1);
    expect(invocations).toHaveLength(1);
  });

  test.each([
    { end: "and nothing was accepted meanwhile", events: [] },
    { end: "and an event waits in the log", events: ["vent.opened"] },
  ])("commits in small steps when much is due after a long pause, $end", async ({ events }) => {
    const heartbeat = { posture: "Proactive", expect: ["pump.beat"], within: 10 };
    world.putAutomations([greenhouseAutomation("heartbeat", { trigger: heartbeat })]);
    start();
    await clock.pass(5_000);
    stop.abort();
    await clock.pass(3_600_000);
    await ended;
    const { history } = world.shard(0);
    const commitCount = history.length;
    world.appendEvents(events.map((name) => ({ event: world.eventNamed(name) })));
    start();
    await clock.pass(1);
    expect(invocations).toHaveLength(360);
    expect(history.length - commitCount).toBeGreaterThan(3);
  });

  // When a network breaks, all of them fall silent at the same moment. One commit would block Redis until it times out.
  test("commits in small steps when a thousand windows end at the same moment", async () => {
    const heartbeat = {
      ...{ posture: "Proactive", after: ["pump.beat"], expect: ["pump.beat"], within: 10 },
      for_each: ["prefect.resource.id"],
    };
    world.putAutomations([greenhouseAutomation("heartbeat", { trigger: heartbeat })]);
    const commits: Commit[] = [];
    class WatchedStore extends MemoryShardStore {
      override async commit(commit: Commit) {
        commits.push(commit);
        return super.commit(commit);
      }
    }
    start({ store: new WatchedStore(world, 0, "owner") });
    await clock.pass(3);
    const beat = world.eventNamed("pump.beat");
    world.appendEvents(
      Array.from({ length: 1_000 }, (_, pump) => ({
        event: {
          ...world.eventNamed("pump.beat"),
          occurred: beat.occurred,
          resource: { "prefect.resource.id": `pump.${pump}` },
        },
      })),
    );
    await clock.pass(20_000);
    expect(invocations).toHaveLength(1_000);
    expect(new Set(invocations.map(({ firing }) => firing.triggered)).size).toBe(1);
    expect(Math.max(...commits.map((commit) => commit.invocations.length))).toBeLessThan(200);
  });

  test("reads more at a time the further it is behind", async () => {
    world.putAutomations([greenhouseAutomation("presence")]);
    world.appendEvents(Array.from({ length: 20_000 }, () => ({ event: world.eventNamed("vent.opened") })));
    start();
    await clock.pass(20);
    expect(world.shard(0).cursor?.readCount).toBe(20_001);
    expect(world.shard(0).history.length).toBeLessThan(30);
  });

  test("writes nothing while nothing happens", async () => {
    world.putAutomations([greenhouseAutomation("presence")]);
    start();
    await clock.pass(1_000);
    const { history } = world.shard(0);
    const commitCount = history.length;
    await clock.pass(600_000);
    expect(history.length).toBe(commitCount);
  });

  test("writes nothing while it waits for a deadline", async () => {
    const silence = { posture: "Proactive", after: ["pump.started"], expect: ["pump.stopped"], within: 900 };
    world.putAutomations([greenhouseAutomation("absence", { trigger: silence })]);
    world.appendEvents([{ event: world.eventNamed("pump.started") }]);
    start();
    await clock.pass(1_000);
    const { history } = world.shard(0);
    const commitCount = history.length;
    await clock.pass(600_000);
    expect(history.length).toBe(commitCount);
    await clock.pass(300_000);
    expect(invocations).toHaveLength(1);
  });

  // The log is trimmed up to the cursor that is furthest behind.
  test("moves its cursor past entries that concern other shards only", async () => {
    const others = ["one", "two", "three", "four", "five", "six"]
      .map((name) => greenhouseAutomation(name))
      .filter(({ id }) => shardOf(id, 2) === 1);
    expect(others.length).toBeGreaterThan(1);
    world.putAutomations(others);
    start({ shardCount: 2 });
    await clock.pass(20);
    expect(world.shard(0).cursor).toMatchObject({
      position: world.lastPosition(),
      readCount: others.length,
    });
  });

  test("treats an entry as received at the watermark if the store's clock has stepped back", async () => {
    const heartbeat = { posture: "Proactive", expect: ["pump.beat"], within: 10 };
    world.putAutomations([greenhouseAutomation("heartbeat", { trigger: heartbeat })]);
    start();
    await clock.pass(10_500);
    expect(invocations).toHaveLength(1);
    const { watermark } = world.shard(0).cursor!;
    world.skewMs -= 9_000;
    world.appendEvents([{ event: world.eventNamed("vent.opened") }]);
    await clock.pass(20);
    expect(receivedAt(world.lastPosition())).toBeLessThanOrEqual(watermark);
    expect(world.shard(0).cursor?.watermark).toBe(watermark);
    expect(world.shard(0).cursor?.position).toBe(world.lastPosition());
  });
});
