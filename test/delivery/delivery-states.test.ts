/** A delivery can be looked up in every state that it has in the queue. */

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { asSent, invocationOf, startActions, startReceiver, webhook } from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis?.stop();
});

test("a waiting delivery can be looked up before a worker takes it", async () => {
  const actions = startActions(redis.url);
  const { queue } = actions;
  const event = invocationOf(webhook("http://user:word@127.0.0.1:1/${env.HOOK}"), { name: "pump watch" });
  const withoutEvent = invocationOf({ type: "do-nothing" }, { event: null });
  await queue.addInvocations([event, withoutEvent]);
  expect(await queue.delivery(event.id)).toEqual({
    id: event.id,
    state: "waiting",
    automation: { id: event.automation.id, name: "pump watch" },
    action_type: "call-webhook",
    action_index: 0,
    target: "http://…@127.0.0.1:1/${env.HOOK}",
    firing_id: event.firing.id,
    fired: event.firing.triggered,
    firing_event_id: event.firingEventId,
    triggering_event_id: event.firing.triggering_event?.id,
    reason: null,
    attempt_count: 0,
    attempts: [],
    next_attempt: null,
    status_code: null,
    delivered: null,
    failed: null,
    redeliveries: 0,
  });
  expect(await queue.delivery(withoutEvent.id)).toMatchObject({ target: null, triggering_event_id: null });
  expect((await actions.listed("waiting")).map(({ id }) => id)).toEqual([event.id, withoutEvent.id]);
  expect((await actions.listed("waiting", { start: 1, count: 1 })).map(({ id }) => id)).toEqual([
    withoutEvent.id,
  ]);
  expect(await queue.count("waiting")).toBe(2);
  expect(await queue.delivery(randomUUID())).toBeNull();
});

test("a delivery is active, then delivered, and its description is kept but not what it sent", async () => {
  const actions = startActions(redis.url);
  const { queue } = actions;
  let finish: () => void = () => {};
  const receiver = await startReceiver((response) => {
    finish = () => void response.end();
  });
  const invocation = invocationOf(webhook(receiver.url, { payload: "to the receiver only" }));
  actions.work();
  await queue.addInvocations([invocation]);
  await receiver.arrived(1);
  expect(await queue.delivery(invocation.id)).toMatchObject({ state: "active", attempt_count: 0 });
  expect(await actions.listed("active")).toHaveLength(1);
  finish();
  await actions.outcome(invocation);
  await expect.poll(() => queue.count("delivered")).toBe(1);
  const [delivered] = await actions.listed("delivered");
  expect(delivered).toMatchObject({
    id: invocation.id,
    state: "delivered",
    automation: { name: "pump watch" },
    target: receiver.url,
    firing_event_id: invocation.firingEventId,
    attempt_count: 1,
    status_code: 200,
    reason: null,
    failed: null,
  });
  expect(Date.parse(delivered?.delivered ?? "")).toBeGreaterThan(Date.now() - 60_000);
  expect(await queue.delivery(invocation.id)).toEqual(delivered);
});

test("a retrying delivery has the reason and the time of the next attempt", async () => {
  const actions = startActions(redis.url);
  const { queue, work } = actions;
  const receiver = await startReceiver((response) => {
    response.writeHead(503, { "Retry-After": "600" }).end("busy with ${env.TOKEN} s3cr3t-t0k3n");
  });
  const invocation = invocationOf(webhook(receiver.url, { headers: { "x-token": "${env.TOKEN}" } }), {
    secrets: { TOKEN: "s3cr3t-t0k3n" },
  });
  work();
  const before = Date.now();
  await queue.addInvocations([invocation]);
  await expect.poll(() => queue.count("retrying")).toBe(1);
  const delivery = await queue.delivery(invocation.id);
  expect(delivery).toMatchObject({
    state: "retrying",
    reason: "responded 503: busy with ${env.TOKEN} ${env.TOKEN}",
    attempt_count: 1,
    attempts: [{ status_code: 503 }],
    status_code: 503,
  });
  const waitMs = Date.parse(delivery?.next_attempt ?? "") - before;
  expect(waitMs).toBeGreaterThan(500_000);
  expect(waitMs).toBeLessThan(700_000);
  expect(await actions.listed("retrying")).toEqual([delivery]);
});

test("a deferred delivery has sent nothing, because the endpoint rests", async () => {
  const actions = startActions(redis.url);
  const { queue, work } = actions;
  const receiver = await startReceiver((response) => void response.writeHead(500).end());
  const limits = { concurrencyMax: 1, failuresMax: 1, restMs: 600_000, restMsMax: 600_000 };
  work({ endpoints: limits });
  const endless = webhook(receiver.url, { retry: {} });
  const [first, second] = [invocationOf(endless), invocationOf(endless)];
  await queue.addInvocations([first]);
  await expect.poll(async () => (await queue.delivery(first.id))?.attempt_count).toBe(1);
  await queue.addInvocations([second]);
  await expect.poll(async () => (await queue.delivery(second.id))?.state).toBe("deferred");
  const delivery = await queue.delivery(second.id);
  expect(delivery).toMatchObject({
    reason: `http://127.0.0.1:${receiver.port} is resting: nothing is sent to it for now`,
    attempt_count: 0,
    attempts: [],
  });
  expect(Date.parse(delivery?.next_attempt ?? "")).toBeGreaterThan(Date.now());
  expect((await actions.listed("retrying")).map(({ id }) => id)).toContain(second.id);
  // One that failed before keeps its attempts, and says why nothing is sent now.
  await expect.poll(async () => (await queue.delivery(first.id))?.state).toBe("deferred");
  expect(await queue.delivery(first.id)).toMatchObject({
    reason: expect.stringContaining("is resting"),
    attempt_count: 1,
    attempts: [{ status_code: 500 }],
  });
  expect(receiver.received).toHaveLength(1);
});

test("a dead letter keeps its attempts, and can be redelivered", async () => {
  const actions = startActions(redis.url);
  const { queue } = actions;
  let status = 410;
  const receiver = await startReceiver((response) => void response.writeHead(status).end());
  const invocation = invocationOf(webhook(receiver.url));
  const worker = actions.work();
  await queue.addInvocations([invocation]);
  await actions.outcome(invocation);
  await expect.poll(async () => (await queue.delivery(invocation.id))?.state).toBe("dead");
  const delivery = await queue.delivery(invocation.id);
  expect(delivery).toMatchObject({ reason: "responded 410", attempt_count: 1, next_attempt: null });
  expect(delivery?.attempts).toHaveLength(1);
  expect(Date.parse(delivery?.failed ?? "")).toBeGreaterThan(Date.now() - 60_000);
  expect(delivery?.delivered).toBeNull();
  expect(await actions.listed("dead")).toEqual([delivery]);
  await worker.close();
  status = 200;
  expect(await queue.redeliver(invocation.id, asSent)).toBeNull();
  expect(await queue.delivery(invocation.id)).toMatchObject({
    state: "waiting",
    attempt_count: 0,
    attempts: [{ status_code: 410 }],
    failed: null,
    redeliveries: 1,
  });
});

// The newest come first, so each that ends during the reads moves all others into the part that is read next.
test("a list that moves while it is read has every delivery once", async () => {
  const actions = startActions(redis.url);
  const { queue } = actions;
  const count = 250;
  let finished = false;
  const work = (async () => {
    actions.work();
    for (let added = 0; added < count; added += 10) {
      await queue.addInvocations(Array.from({ length: 10 }, () => invocationOf({ type: "do-nothing" })));
    }
    await expect.poll(() => queue.count("delivered")).toBe(count);
    finished = true;
  })();
  let readCount = 0;
  while (!finished) {
    const ids = (await actions.listed("delivered", { count: 1_000 })).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    readCount += 1;
  }
  await work;
  expect(readCount).toBeGreaterThan(1);
  expect(await queue.deliveries("delivered", { count: 1_000 })).toMatchObject({ next: null });
});

// What is stuck shows by its age, however few it are.
test("the oldest pending delivery of each kind is known with its age", async () => {
  const actions = startActions(redis.url);
  const { queue } = actions;
  expect(await queue.oldestMs()).toEqual({ waiting: null, active: null, delayed: null });
  let finish: () => void = () => {};
  const receiver = await startReceiver((response) => {
    finish = () => void response.end();
  });
  await queue.addInvocations([invocationOf(webhook(receiver.url))]);
  await pause(50);
  await queue.addInvocations([invocationOf(webhook(receiver.url))]);
  const waiting = await queue.oldestMs();
  expect(waiting).toMatchObject({ active: null, delayed: null });
  expect(waiting.waiting).toBeGreaterThanOrEqual(50);
  actions.work({ concurrency: 1 });
  await expect.poll(async () => (await queue.oldestMs()).active, { timeout: 30_000 }).toBeGreaterThan(50);
  await receiver.arrived(1);
  finish();
  await receiver.arrived(2);
  finish();
  const none = { waiting: null, active: null, delayed: null };
  await expect.poll(() => queue.oldestMs(), { timeout: 30_000 }).toEqual(none);
});

test("a delivery whose next attempt is overdue shows by how much, and one whose time has not come does not", async () => {
  const actions = startActions(redis.url);
  const { queue } = actions;
  const receiver = await startReceiver((response) => void response.writeHead(500).end());
  const worker = actions.work({ retryMs: 500, retryMsMax: 500 });
  // On a slow machine, three attempts may have passed before anyone looks.
  await queue.addInvocations([invocationOf(webhook(receiver.url, { retry: {} }))]);
  await expect.poll(async () => (await queue.oldestMs()).delayed, { timeout: 30_000 }).toBe(0);
  await worker.close();
  await expect.poll(async () => (await queue.oldestMs()).delayed, { timeout: 30_000 }).toBeGreaterThan(50);
});
