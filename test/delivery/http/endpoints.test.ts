import { expect, test } from "vitest";
import {
  type Deferral,
  type EndpointAdmission,
  Endpoints,
  endpointCountMax,
} from "../../../src/delivery/http/endpoints.ts";

const limits = { concurrencyMax: 2, failuresMax: 3, restMs: 1_000, restMsMax: 3_000 };

/** Endpoints with a clock that the test sets. */
function startEndpoints() {
  const clock = { now: 0 };
  const endpoints = new Endpoints(limits, () => clock.now);
  const ask = (origin = "http://pumps") => endpoints.enter(origin);
  async function enter(origin?: string): Promise<EndpointAdmission> {
    const entered = await ask(origin);
    if ("waitMs" in entered) throw new Error(entered.reason);
    return entered;
  }
  async function refused(origin?: string): Promise<Deferral> {
    const deferred = await ask(origin);
    if ("leave" in deferred) throw new Error("the request was admitted");
    return deferred;
  }
  return { clock, endpoints, ask, enter, refused };
}

test("an endpoint takes a limited number of requests at once, and does not hold up another one", async () => {
  const { clock, enter, refused } = startEndpoints();
  const first = await enter();
  await enter();
  clock.now = 1_000;
  expect(await refused()).toMatchObject({ reason: expect.stringContaining("http://pumps") });
  await enter("http://vents");
  first.leave(true);
  await enter();
  expect(await refused()).toMatchObject({ reason: expect.stringContaining("http://pumps") });
});

// Deferring a request takes longer than a quick endpoint needs to answer it.
test("a request waits for a slot that is soon free, and gets it before a later one", async () => {
  const { ask, enter } = startEndpoints();
  const first = await enter();
  const second = await enter();
  const order: string[] = [];
  const waiting = ask().then((entered) => order.push(`waiting ${"leave" in entered}`));
  first.leave(true);
  const later = ask().then((entered) => order.push(`later ${"leave" in entered}`));
  await waiting;
  second.leave(true);
  await later;
  expect(order).toEqual(["waiting true", "later true"]);
});

test("a request does not wait forever for a slot", async () => {
  const { enter, refused } = startEndpoints();
  await enter();
  await enter();
  expect((await refused()).waitMs).toBeGreaterThan(0);
});

test("deferred requests come back one after the other", async () => {
  const { clock, enter, refused } = startEndpoints();
  await enter();
  await enter();
  clock.now = 500;
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) waits.push((await refused()).waitMs);
  expect(waits).toEqual([250, 500, 750, 1_000]);
});

// What waits for an endpoint that was down for ten minutes must not wait for ten more.
test("after several failures in a row an endpoint rests, for a fortieth of the time that it has failed", async () => {
  const { clock, enter, refused } = startEndpoints();
  for (let i = 0; i < 3; i++) (await enter()).leave(false);
  for (const [failedMs, restMs] of [
    [0, 1_000],
    [60_000, 1_500],
    [400_000, 3_000],
  ] as const) {
    clock.now = failedMs + restMs - 1;
    expect(await refused()).toMatchObject({ reason: expect.stringContaining("resting") });
    clock.now += 1;
    const probe = await enter();
    clock.now += 300;
    await refused(); // only one request probes
    clock.now = failedMs === 0 ? 60_000 : 400_000;
    probe.leave(false);
  }
  clock.now += 3_000;
  (await enter()).leave(true);
  await enter();
  await enter();
});

// The others learn from it that the endpoint works again, or would wait out their own rests.
test("what was woken up is sent during a rest, one at a time, but not during a pause that was asked for", async () => {
  const { clock, endpoints, enter, refused } = startEndpoints();
  for (let i = 0; i < 3; i++) (await enter()).leave(false);
  await refused();
  const probe = await endpoints.enter("http://pumps", true);
  if ("waitMs" in probe) throw new Error(probe.reason);
  clock.now += 300;
  expect(await endpoints.enter("http://pumps", true)).toMatchObject({ isTurn: false });
  probe.leave(true);
  await enter();
  endpoints.rest("http://pumps", 700);
  expect(await endpoints.enter("http://pumps", true)).toMatchObject({ waitMs: 700 });
});

test("what waits is woken up to probe an endpoint that may be down, and to drain while one accepts", async () => {
  const { clock, endpoints, enter } = startEndpoints();
  const wakeable = () => endpoints.wakeable("http://pumps");
  expect(wakeable()).toMatchObject({ mode: "probe", count: 1 }); // nothing is known of it
  const first = await enter();
  expect(wakeable()).toBeNull(); // it will be known soon
  first.leave(true);
  expect(wakeable()).toMatchObject({ mode: "drain", count: 4 });
  const busy = await enter();
  expect(wakeable()).toMatchObject({ mode: "drain", count: 3 });
  busy.leave(true, false); // it responded, but accepted nothing
  expect(wakeable()).toMatchObject({ mode: "probe", count: 1 });
  for (let i = 0; i < 3; i++) (await enter()).leave(false);
  expect(wakeable()).toBeNull(); // it rests
  clock.now += 1_000;
  expect(wakeable()).toMatchObject({ mode: "probe", count: 1, probeMs: 1_000 });
  endpoints.rest("http://pumps", 700);
  expect(wakeable()).toBeNull();
});

test("requests that wait when the endpoint starts to rest are deferred at once", async () => {
  const { ask, enter, refused } = startEndpoints();
  for (let i = 0; i < 2; i++) (await enter()).leave(false);
  const last = await enter();
  await enter();
  const waiting = ask();
  last.leave(false);
  expect(await waiting).toMatchObject({ waitMs: 11_000 }); // unless it is woken up
  await refused();
});

test("a success restarts the count of failures, and an attempt without a result does not count", async () => {
  const { enter, refused } = startEndpoints();
  for (const alive of [false, false, true, false, null, false]) (await enter()).leave(alive);
  (await enter()).leave(false);
  expect(await refused()).toMatchObject({ reason: expect.stringContaining("resting") });
});

test("an endpoint that asks for a pause gets it", async () => {
  const { clock, endpoints, enter, refused } = startEndpoints();
  endpoints.rest("http://pumps", 700);
  expect(await refused()).toMatchObject({ waitMs: 700 });
  clock.now = 700;
  await enter();
});

// It may mean one of a thousand paths or accounts. The delivery that was told waits an hour; the others try after a while.
test("an endpoint that asks for a long pause rests no longer than one that fails", async () => {
  const { endpoints, refused } = startEndpoints();
  endpoints.rest("http://pumps", 3_600_000);
  expect(await refused()).toMatchObject({ waitMs: limits.restMsMax });
});

// URLs may come from templates, so events could make a server remember endpoints without end.
test("above a limit, idle endpoints are forgotten, and only those", async () => {
  const { clock, endpoints, enter, refused } = startEndpoints();
  const busy = await enter("http://busy");
  await enter("http://busy");
  endpoints.rest("http://resting", 500);
  for (let index = 0; index < 3 * endpointCountMax; index++) (await enter(`http://${index}`)).leave(true);
  expect(endpoints.size).toBeLessThanOrEqual(endpointCountMax);
  expect(await refused("http://resting")).toMatchObject({ waitMs: 500 });
  clock.now = 400;
  await refused("http://busy"); // its two requests in flight are still known
  busy.leave(true);
});

test("a wait is neither so short that it keeps the queue busy nor so long that a free slot is missed", async () => {
  const { clock, enter, refused } = startEndpoints();
  await enter();
  await enter();
  expect((await refused()).waitMs).toBe(50);
  clock.now = 600_000;
  expect((await refused()).waitMs).toBe(10_000);
});
