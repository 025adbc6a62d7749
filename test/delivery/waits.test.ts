/** What a wait may cost: no attempt that was promised, no other delivery, and no patience of whoever asks for something. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { queueKeys } from "../../src/delivery/queue-keys.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import {
  asSent,
  automationOf,
  firedBy,
  invocationOf,
  pumpEvent,
  startActions,
  startReceiver,
  webhook,
} from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const about = (pump: string) => pumpEvent({ resource: { "prefect.resource.id": pump } });

// Waiting uses up no attempts, but it does use up time. A rule that allows none still wants its alarm sent.
test("a delivery that is to be tried once is sent, however busy its endpoint is", async () => {
  const actions = startActions(redis.url);
  const receiver = await startReceiver((response) => void setTimeout(() => response.end(), 250));
  const action = webhook(receiver.url, { retry: { for: "0s" } });
  const invocations = ["a", "b", "c", "d"].map((pump) => invocationOf(action, { event: about(pump) }));
  actions.work({ endpoints: { concurrencyMax: 1 } });
  await actions.queue.addInvocations(invocations);
  for (const invocation of invocations) {
    expect((await actions.outcome(invocation)).event).toMatch(/executed$/);
  }
  expect(receiver.received).toHaveLength(4);
});

describe("an endpoint that asks for a long wait", () => {
  test("gets it from the delivery that it told, and nobody else is held up for long", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver((response, { path }) => {
      if (path === "/hook/a") response.writeHead(429, { "retry-after": "3600" });
      response.end();
    });
    const action = webhook(`${receiver.url}/{{ event.resource.id }}`);
    const [told, ...others] = ["a", "b", "c", "d"].map((pump) =>
      invocationOf(action, { event: about(pump) }),
    );
    actions.work({ endpoints: { restMsMax: 200 } });
    await actions.queue.addInvocations([told!]);
    await expect.poll(() => actions.queue.delivery(told!.id)).toMatchObject({ state: "retrying" });
    for (const other of others) {
      await actions.queue.addInvocations([other]);
      expect((await actions.outcome(other)).event).toMatch(/executed$/);
    }
    const { attempt_count: count, next_attempt: next } = (await actions.queue.delivery(told!.id))!;
    expect(count).toBe(1);
    expect(Date.parse(next!) - Date.now()).toBeGreaterThan(3_500_000);
  });

  // Or it would be told again each time that the endpoint accepts something else.
  test("is not asked again before that because it accepts something else", async () => {
    const actions = startActions(redis.url);
    let wait: string | null = null;
    let isUp = false;
    const receiver = await startReceiver((response, { path }) => {
      if (wait !== null && path === "/hook/a") response.writeHead(503, { "retry-after": wait });
      else if (!isUp) response.writeHead(500);
      response.end();
    });
    const action = webhook(`${receiver.url}/{{ event.resource.id }}`, { retry: {} });
    const [told, other] = ["a", "b"].map((pump) => invocationOf(action, { event: about(pump) }));
    actions.work({ retryMs: 1_000_000_000, retryMsMax: 1_000_000_000, endpoints: { restMsMax: 100 } });
    await actions.queue.addInvocations([told!]);
    await expect.poll(() => actions.queue.delivery(told!.id)).toMatchObject({ state: "retrying" });
    wait = "3600";
    await actions.queue.redeliver(told!.id, asSent);
    await expect
      .poll(() => actions.queue.delivery(told!.id))
      .toMatchObject({ state: "retrying", attempt_count: 2 });
    isUp = true;
    await actions.queue.addInvocations([other!]);
    await actions.outcome(other!);
    const { origin } = new URL(receiver.url);
    await expect.poll(() => actions.redis.exists(queueKeys(actions.workspace).endpoint(origin))).toBe(0);
    expect(receiver.received.filter(({ path }) => path === "/hook/a")).toHaveLength(2);
  });
});

// An endpoint that hangs has most of its deliveries in an attempt at any time.
test.each([
  ["cancelled", "cancel"],
  ["redelivered", "redeliver"],
] as const)("a delivery that is %s during an attempt does not wait for its next one", async (_, wish) => {
  const actions = startActions(redis.url);
  let fail: () => void = () => {};
  const receiver = await startReceiver((response, _request, index) => {
    if (index > 0) return void response.end();
    fail = () => response.writeHead(500).end();
  });
  const automation = automationOf(webhook(receiver.url));
  await actions.log.putAutomations([automation]);
  const [invocation] = firedBy(automation);
  actions.work({ retryMs: 1_000_000_000, retryMsMax: 1_000_000_000 });
  await actions.queue.addInvocations([invocation!]);
  await receiver.arrived(1);
  if (wish === "cancel") expect(await actions.queue.cancel(invocation!.id, "me")).toBe("cancelled");
  else
    expect(
      await actions.queue.redeliver(invocation!.id, { ...asSent, automation, asSent: false }),
    ).toBeNull();
  fail();
  const { event, payload } = await actions.outcome(invocation!);
  expect([event.split(".").at(-1), payload["cancelled"]]).toEqual(
    wish === "cancel" ? ["failed", true] : ["executed", undefined],
  );
});
