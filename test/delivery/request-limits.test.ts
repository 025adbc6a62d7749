/** Limits of destinations and actions, kept by several workers that send to real receivers. */

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type DestinationDefinition,
  DestinationSchema,
  destinationIdOf,
} from "../../src/core/model/destination.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { invocationOf, startActions, startReceiver, webhook } from "./support.ts";
import { startMail } from "./support-destinations.ts";

let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(() => redis.stop());

type Json = Record<string, unknown>;

/** A workspace with a destination named ops. */
async function startWith(definition: Json) {
  const actions = startActions(redis.url);
  const put = async (fields: Json) => {
    const parsed: DestinationDefinition = DestinationSchema.parse({ name: "ops", ...fields });
    const id = destinationIdOf(actions.workspace, "ops");
    const source = { kind: "api" } as const;
    await actions.log.destinations.put([{ id, definition: parsed, source, created: 0, updated: 0 }]);
  };
  await put(definition);
  return { ...actions, put };
}

const notify = { type: "send-notification", destination: "ops", body: "down" };
const invocations = (count: number, action: unknown = notify): Invocation[] =>
  Array.from({ length: count }, () => invocationOf(action));

test("no more requests are in flight than a destination allows, over all workers", async () => {
  let inFlight = 0;
  let inFlightMax = 0;
  const receiver = await startReceiver(async (response) => {
    inFlight += 1;
    inFlightMax = Math.max(inFlightMax, inFlight);
    await sleep(30);
    inFlight -= 1;
    response.end();
  });
  const actions = await startWith({ type: "slack", url: receiver.url, limits: { concurrency: 2 } });
  for (let number = 0; number < 3; number++) actions.work({ concurrency: 10 });
  const calls = invocations(6, { type: "call-webhook", destination: "ops", payload: "down" });
  const sent = [...invocations(6), ...calls];
  await actions.queue.addInvocations(sent);
  await receiver.arrived(12);
  await expect.poll(() => actions.queue.count("delivered")).toBe(12);
  expect(receiver.received).toHaveLength(12);
  expect(inFlightMax).toBe(2);
});

test("a destination gets no more requests in a period than its rate, and all of them in the end", async () => {
  const receiver = await startReceiver();
  const actions = await startWith({ type: "webhook", url: receiver.url, limits: { rate: "3/s" } });
  for (let number = 0; number < 2; number++) actions.work();
  const start = Date.now();
  await actions.queue.addInvocations(invocations(8));
  await receiver.arrived(8);
  expect(receiver.received.at(-1)!.receivedMs - start).toBeGreaterThan(1_950); // the seventh of 3/s is sent after 2 s
  await expect.poll(() => actions.queue.count("delivered")).toBe(8);
});

describe("when the limit is reached, nothing is sent and the delivery says why:", () => {
  test.each(["webhook", "slack", "ms-teams", "discord", "pagerduty"])("%s", async (type) => {
    const receiver = await startReceiver();
    const key = type === "pagerduty" ? { routing_key: "key" } : {};
    const actions = await startWith({ type, url: receiver.url, ...key, limits: { rate: "1/d" } });
    await expectOneOfTwo(actions);
    expect(receiver.received).toHaveLength(1);
  });

  test("email", async () => {
    const { mails, destination } = await startMail();
    const actions = await startWith({ ...destination, limits: { rate: "1/d" } });
    await expectOneOfTwo(actions);
    expect(mails).toHaveLength(1);
  });

  async function expectOneOfTwo({ work, queue }: Awaited<ReturnType<typeof startWith>>) {
    work();
    const [first, second] = invocations(2);
    await queue.addInvocations([first!]);
    await expect.poll(() => queue.delivery(first!.id)).toMatchObject({ state: "delivered" });
    await queue.addInvocations([second!]);
    await expect
      .poll(() => queue.delivery(second!.id))
      .toMatchObject({
        state: "deferred",
        reason: 'destination "ops" has been sent as many requests as its limits allow (rate: 1/d)',
        attempt_count: 0,
        attempts: [],
      });
  }
});

test("a delivery waits for its turn, and asks again every few minutes in case the limits change", async () => {
  const receiver = await startReceiver();
  const actions = await startWith({ type: "webhook", url: receiver.url, limits: { rate: "1/h" } });
  let deferredCount = 0;
  actions.work({}, { metrics: { deferred: () => void deferredCount++ } });
  const sent = invocations(5);
  await actions.queue.addInvocations(sent);
  await expect.poll(() => deferredCount).toBe(4);
  await expect.poll(async () => (await actions.listed("retrying")).length).toBe(4);
  const waits = (await actions.listed("retrying")).map(
    ({ next_attempt }) => Date.parse(next_attempt!) - Date.now(),
  );
  expect(waits).toHaveLength(4);
  for (const wait of waits) {
    expect(wait).toBeGreaterThan(200_000);
    expect(wait).toBeLessThanOrEqual(375_000);
  }
  await sleep(300);
  expect(deferredCount).toBe(4); // nobody polls
});

describe("an action with its own url", () => {
  test("has its own limits, which its automation's alarm and end share, and other automations do not", async () => {
    const receiver = await startReceiver();
    const actions = startActions(redis.url);
    actions.work();
    const action = webhook(receiver.url, { limits: { rate: "1/d" } });
    const [alarm, other] = [invocationOf(action), invocationOf(action)];
    const end = { ...alarm, id: randomUUID(), actionIndex: 1 };
    await actions.queue.addInvocations([alarm]);
    await receiver.arrived(1);
    await actions.queue.addInvocations([end, other]);
    await receiver.arrived(2);
    await expect
      .poll(() => actions.queue.delivery(end.id))
      .toMatchObject({
        state: "deferred",
        reason: "this action has been sent as many requests as its limits allow (rate: 1/d)",
      });
    expect(receiver.received.map(({ headers }) => headers["webhook-id"])).toEqual([alarm.id, other.id]);
  });
});

// A rest costs no turn: when it ends, the rate would otherwise be used up already.
test("an endpoint that rests uses up nothing of a limit", async () => {
  const receiver = await startReceiver((response) => {
    response.statusCode = 503;
    response.setHeader("retry-after", "60");
    response.end();
  });
  const actions = await startWith({ type: "webhook", url: receiver.url, limits: { rate: "5/d" } });
  actions.work();
  const [first, ...others] = invocations(4);
  await actions.queue.addInvocations([first!]);
  await receiver.arrived(1);
  await actions.queue.addInvocations(others);
  for (const { id } of others) {
    await expect.poll(async () => (await actions.queue.delivery(id))?.reason).toContain("is resting");
  }
  const [times = ""] = await actions.redis.keys(`tl:{${actions.workspace}}:limit:*:times`);
  expect(await actions.redis.zcard(times)).toBe(1);
});
