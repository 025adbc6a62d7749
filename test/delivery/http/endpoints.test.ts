import { expect, test } from "vitest";
import {
  type Deferral,
  type EndpointAdmission,
  Endpoints,
  endpointCountMax,
} from "../../../src/delivery/http/endpoints.ts";

const limits = { concurrencyMax: 2, failuresMax: 3, restMs: 1_000, restMsMax: 3_000 };

/** An endpoint and a clock that is set by hand. */
function greenhouse() {
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
    if ("leave" in deferred) throw new Error("it was let in");
    return deferred;
  }
  return { clock, endpoints, ask, enter, refused };
}

test("an endpoint takes so many requests at once, and another one is not held up by it", async () => {
  const { clock, enter, refused } = greenhouse();
  const first = await enter();
  await enter();
  clock.now = 1_000;
  expect(await refused()).toMatchObject({ reason: expect.stringContaining("http://pumps") });
  await enter("http://vents");
  first.leave(true);
  await enter();
  expect(await refused()).toMatchObject({ reason: expect.stringContaining("http://pumps") });
});

// Deferring a request costs more time than a quick endpoint needs for it.
test("a request waits for a place that will soon be free, and gets it before one that asks later", async () => {
  const { ask, enter } = greenhouse();
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

test("it does not wait forever", async () => {
  const { enter, refused } = greenhouse();
  await enter();
  await enter();
  expect((await refused()).waitMs).toBeGreaterThan(0);
});

test("deferred requests come back one after the other", async () => {
  const { clock, enter, refused } = greenhouse();
  await enter();
  await enter();
  clock.now = 500;
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) waits.push((await refused()).waitMs);
  expect(waits).toEqual([250, 500, 750, 1_000]);
});

test("after failures in a row it rests, longer each time, until one request succeeds", async () => {
  const { clock, enter, refused } = greenhouse();
  for (let i = 0; i < 3; i++) (await enter()).leave(false);
  for (const restMs of [1_000, 2_000, 3_000, 3_000]) {
    expect(await refused()).toMatchObject({ waitMs: restMs });
    clock.now += restMs;
    const probe = await enter();
    clock.now += 300;
    await refused(); // one request finds out
    probe.leave(false);
  }
  clock.now += 3_000;
  (await enter()).leave(true);
  await enter();
  await enter();
});

test("those that wait when the endpoint starts to rest are deferred at once", async () => {
  const { ask, enter, refused } = greenhouse();
  for (let i = 0; i < 2; i++) (await enter()).leave(false);
  const last = await enter();
  await enter();
  const waiting = ask();
  last.leave(false);
  expect(await waiting).toMatchObject({ waitMs: 1_000 });
  await refused();
});

test("a success in between restarts the count, and an attempt that found nothing out does not count", async () => {
  const { enter, refused } = greenhouse();
  for (const alive of [false, false, true, false, null, false]) (await enter()).leave(alive);
  (await enter()).leave(false);
  expect(await refused()).toMatchObject({ waitMs: 1_000 });
});

test("an endpoint that asks for a pause gets it", async () => {
  const { clock, endpoints, enter, refused } = greenhouse();
  endpoints.rest("http://pumps", 700);
  expect(await refused()).toMatchObject({ waitMs: 700 });
  clock.now = 700;
  await enter();
});

// URLs may come from templates, so an event could make a server remember endpoints without end.
test("endpoints that are idle are forgotten above a limit, and no others", async () => {
  const { clock, endpoints, enter, refused } = greenhouse();
  const busy = await enter("http://busy");
  await enter("http://busy");
  endpoints.rest("http://resting", 500);
  for (let index = 0; index < 3 * endpointCountMax; index++) (await enter(`http://${index}`)).leave(true);
  expect(endpoints.size).toBeLessThanOrEqual(endpointCountMax);
  expect(await refused("http://resting")).toMatchObject({ waitMs: 500 });
  clock.now = 400;
  await refused("http://busy"); // it still knows of two requests in flight
  busy.leave(true);
});

test("a wait is neither so short that it keeps the queue busy nor so long that a free slot is missed", async () => {
  const { clock, enter, refused } = greenhouse();
  await enter();
  await enter();
  expect((await refused()).waitMs).toBe(50);
  clock.now = 600_000;
  expect((await refused()).waitMs).toBe(10_000);
});
