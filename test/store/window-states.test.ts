import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Core } from "../../src/core/machine/core.ts";
import type { OpenWindow } from "../../src/core/machine/node.ts";
import { eventOf } from "../../src/core/model/event.ts";
import { formatTime } from "../../src/core/model/time.ts";
import { uuid5 } from "../../src/core/model/uuid.ts";
import { chunksOf } from "../../src/retry/slices.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { shardKeys, workspaceKeys } from "../../src/store/keys.ts";
import { readWindowStates, type WindowQuery } from "../../src/store/window-states.ts";
import { type AnyCase, anyCase, busy, longRunning, start } from "../support/anything.ts";
import { CoreRun, stepsOf } from "../support/core-runner.ts";
import fc from "../support/fast-check.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const workspace = "greenhouse";
const minute = 60_000_000; // µs
const all: WindowQuery = {
  shards: [0],
  unresolvedOnly: false,
  accepts: () => true,
  countMax: 10_000,
  lookMax: 10_000,
};

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

/** Runs a case and stores its state as the engine does. */
async function store(scenario: AnyCase): Promise<CoreRun> {
  const run = new CoreRun(scenario.lateness);
  for (const step of stepsOf(scenario)) run.take(step);
  run.interrupt("drain");
  await redis.flushall();
  await storeState([...run.state].flat(), run.core);
  return run;
}

/** Stores the fields of a state, and which windows are unresolved. */
async function storeState(fields: readonly string[], core: Core): Promise<void> {
  const { state, unresolved } = shardKeys(workspace, 0);
  await redis.set(workspaceKeys(workspace).shardCount, 1);
  for (const part of chunksOf(fields, 1_000)) await redis.hset(state, ...part);
  for (const [field, isUnresolved] of core.takeUnresolved(Number.POSITIVE_INFINITY)) {
    if (isUnresolved) await redis.sadd(unresolved, field);
  }
}

async function read(
  { lateness }: Pick<AnyCase, "lateness">,
  query: WindowQuery,
): Promise<{ windows: string[]; isCut: boolean }> {
  const { shards, isCut } = await readWindowStates(redis, workspace, query);
  const windows = shards.flatMap((fields) =>
    windowsOf(Core.restore(fields, { latenessDefault: lateness, stored: false })),
  );
  return { windows: windows.map(textOf).sort(), isCut };
}

function windowsOf(core: Core): OpenWindow[] {
  return [...core.automations()].flatMap(({ id }) => [...core.windowsOf(id)]);
}

const textOf = (window: OpenWindow) => JSON.stringify(window);
/** Without those that an event will open whose time has yet to settle. */
const isThere = ({ settlingCount }: OpenWindow) => settlingCount === 0;

const anyHistory = fc.oneof(anyCase(busy), anyCase(longRunning));

// What is left out for speed must be nothing that is wanted.
test("what is read has all unresolved windows, as they are, whatever the automations", async () => {
  let unresolvedCount = 0;
  await fc.assert(
    fc.asyncProperty(anyHistory, async (scenario) => {
      const run = await store(scenario);
      const expected = windowsOf(run.core)
        .filter(({ unresolved }) => unresolved)
        .map((window) => ({ ...window, settlingCount: 0 })); // events that wait are not read
      unresolvedCount += expected.length;
      const { windows, isCut } = await read(scenario, { ...all, unresolvedOnly: true });
      expect(windows.filter((text) => text.includes('"unresolved":true'))).toEqual(
        expected.map(textOf).sort(),
      );
      expect(isCut).toBe(false);
    }),
  );
  expect(unresolvedCount).toBeGreaterThan(0);
});

test("what is read has all windows, as they are, whatever the automations", async () => {
  await fc.assert(
    fc.asyncProperty(anyHistory, async (scenario) => {
      const run = await store(scenario);
      const { windows } = await read(scenario, all);
      const listed = windowsOf(run.core);
      for (const window of listed.filter(isThere)) expect(windows).toContain(textOf(window));
      const known = new Set(listed.map((window) => textOf({ ...window, settlingCount: 0 })));
      expect(windows.filter((text) => !known.has(text))).toEqual([]);
    }),
  );
});

const silence = greenhouseAutomation("Silence", {
  trigger: {
    ...{ posture: "Proactive", expect: ["pump.beat"], within: 10 },
    for_each: ["prefect.resource.id"],
  },
});

/** Stores the state of a shard in which so many pumps have been silent for a minute. */
async function storeSilentPumps(count: number, payload: Record<string, unknown> = {}): Promise<void> {
  const core = new Core({ latenessDefault: 0 });
  core.apply({ kind: "automation-put", position: "1-0", received: start, automation: silence });
  for (let pump = 0; pump < count; pump++) {
    const wire = {
      ...{ id: uuid5(silence.id, `beat ${pump}`), occurred: formatTime(start), event: "pump.beat" },
      ...{ resource: { "prefect.resource.id": `pump.${pump}` }, related: [], payload, follows: null },
    };
    core.apply({ kind: "event", position: `2-${pump}`, received: start, event: eventOf(wire, start) });
  }
  core.advance(start + minute);
  const fields = core.drain().dirty.flatMap(({ field, value }) => (value === null ? [] : [field, value]));
  await storeState(fields, core);
}

const silent: WindowQuery = { ...all, unresolvedOnly: true };
const countIn = (read: { readonly windows: readonly string[] }) => read.windows.length;

test("of many windows, as many are read as are allowed", async () => {
  await storeSilentPumps(2_500);
  const whole = await read({ lateness: 0 }, silent);
  expect([countIn(whole), whole.isCut]).toEqual([2_500, false]);
  const part = await read({ lateness: 0 }, { ...silent, countMax: 1_200 });
  expect([countIn(part), part.isCut]).toEqual([1_200, true]);
  const exactly = await read({ lateness: 0 }, { ...silent, countMax: 2_500 });
  expect([countIn(exactly), exactly.isCut]).toEqual([2_500, false]);
  for (const query of [silent, all]) {
    const few = await read(
      { lateness: 0 },
      { ...query, accepts: ([pump]) => pump === "none", lookMax: 1_000 },
    );
    expect([countIn(few), few.isCut]).toEqual([0, true]);
  }
});

test("only the windows of the wanted keys are read, and only of the wanted shards", async () => {
  await storeSilentPumps(1_500);
  const accepts = ([pump]: readonly string[]) => pump === "pump.7" || pump === "pump.1499";
  const some = await read({ lateness: 0 }, { ...silent, accepts, countMax: 2 });
  expect(some.isCut).toBe(false);
  expect(some.windows.map((text) => /pump\.\d+/.exec(text)?.[0])).toEqual(["pump.1499", "pump.7"]);
  expect((await readWindowStates(redis, workspace, { ...silent, shards: [1] })).shards).toEqual([]);
});

// The engine goes on during the read. Windows without their automation, or without their event, could not be understood.
test.each([
  { gone: "its automation", prefix: "a:", payload: {} },
  { gone: "its last event", prefix: "e:", payload: { note: "x".repeat(3_000) } },
])("a window is left out if $gone is gone by now", async ({ prefix, payload }) => {
  await storeSilentPumps(3, payload);
  const { state } = shardKeys(workspace, 0);
  expect(countIn(await read({ lateness: 0 }, silent))).toBe(3);
  const gone = (await redis.hkeys(state)).filter((field) => field.startsWith(prefix));
  expect(gone.length).toBeGreaterThan(0);
  await redis.hdel(state, ...gone);
  expect(await read({ lateness: 0 }, silent)).toEqual({ windows: [], isCut: true });
});
