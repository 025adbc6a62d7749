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

test("after several failures in a row an endpoint rests, longer each time, until a request succeeds", async () => {
  const { clock, enter, refused } = startEndpoints();
  for (let i = 0; i < 3; i++) (await enter()).leave(false);
  for (const restMs of [1_000, 2_000, 3_000, 3_000]) {
    expect(await refused()).toMatchObject({ waitMs: restMs });
    clock.now += restMs;
    const probe = await enter();
    clock.now += 300;
    await refused(); // only one request probes
    probe.leave(false);
  }
  clock.now += 3_000;
  (await enter()).leave(true);
  await enter();
  await enter();
});

test("requests that wait when the endpoint starts to rest are deferred at once", async () => {
  const { ask, enter, refused } = startEndpoints();
  for (let i = 0; i < 2; i++) (await enter()).leave(false);
  const last = await enter();
  await enter();
  const waiting = ask();
  last.leave(false);
  expect(await waiting).toMatchObject({ waitMs: 1_000 });
  await refused();
});

test("a success restarts the count of failures, and an attempt without a result does not count", async () => {
  const { enter, refused } = startEndpoints();
  for (const alive of [false, false, true, false, null, false]) (await enter()).leave(alive);
  (await enter()).leave(false);
  expect(await refused()).toMatchObject({ waitMs: 1_000 });
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
