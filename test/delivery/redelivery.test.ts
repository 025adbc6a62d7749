/** Redelivering and cancelling: what is sent then, and what is refused. */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { underPresentRule } from "../../src/core/machine/present-rule.ts";
import { type Automation, AutomationSchema } from "../../src/core/model/automation.ts";
import { Lanes } from "../../src/delivery/lanes.ts";
import { queueKeys } from "../../src/delivery/queue-keys.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { asSent, automationOf, firedBy, startActions, startReceiver, webhook } from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

function changed(automation: Automation, fields: object): Automation {
  const { id, source, secrets, created, updated, ...definition } = automation;
  return { ...AutomationSchema.parse({ ...definition, ...fields }), id, source, secrets, created, updated };
}

const nowPresent = (automation: Automation | null) => ({ automation, asSent: false, insists: false });

describe("a redelivery", () => {
  // Otherwise a corrected URL or text would help only the alarms to come.
  test("of a dead letter sends what the present rule says, or what was sent", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver(
      (response, { path }) => void response.writeHead(path === "/hook" ? 400 : 200).end(),
    );
    const retry = { give_up_on: [400] };
    const before = automationOf(webhook(receiver.url, { payload: "old text", retry }));
    const now = changed(before, {
      actions: [webhook(`${receiver.url}/new`, { payload: "{{ labels.zone }} is low" })],
    });
    const [dead] = firedBy(before);
    actions.work();
    await actions.queue.addInvocations([dead!]);
    await expect.poll(async () => (await actions.queue.delivery(dead!.id))?.state).toBe("dead");
    expect(await actions.queue.redeliver(dead!.id, { ...asSent, automation: now })).toBeNull();
    await receiver.arrived(2);
    await expect.poll(async () => (await actions.queue.delivery(dead!.id))?.state).toBe("dead");
    expect(await actions.queue.redeliver(dead!.id, nowPresent(now))).toBeNull();
    await expect
      .poll(() => actions.queue.delivery(dead!.id))
      .toMatchObject({
        state: "delivered",
        target: `${receiver.url}/new`,
        attempts: [{ status_code: 400 }, { status_code: 400 }, { status_code: 200 }],
        redeliveries: 2,
      });
    expect(receiver.received.map(({ path, body }) => [path, body])).toEqual([
      ["/hook", "old text"],
      ["/hook", "old text"],
      ["/hook/new", "north is low"],
    ]);
    expect(new Set(receiver.received.map(({ headers }) => headers["webhook-id"]))).toEqual(
      new Set([dead!.id]),
    );
  });

  test("of a delivery that waits tries it at once, with the corrected rule", async () => {
    const actions = startActions(redis.url);
    const broken = await startReceiver((response) => void response.writeHead(500).end());
    const receiver = await startReceiver();
    const before = automationOf(webhook(broken.url));
    const now = changed(before, { actions: [webhook(receiver.url)] });
    await actions.log.putAutomations([now]);
    const [invocation] = firedBy(before);
    actions.work({ retryMs: 1_000_000_000, retryMsMax: 1_000_000_000 });
    await actions.queue.addInvocations([invocation!]);
    await expect.poll(async () => (await actions.queue.delivery(invocation!.id))?.state).toBe("retrying");
    expect(await actions.queue.redeliver(invocation!.id, nowPresent(now))).toBeNull();
    await receiver.arrived(1);
    await expect.poll(async () => (await actions.queue.delivery(invocation!.id))?.state).toBe("delivered");
    const { lane, requests } = queueKeys(actions.workspace);
    expect(await actions.redis.exists(lane(invocation!.ordering!), requests)).toBe(0);
  });

  test("of what was delivered sends it again, with the secrets that the automation has now", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver();
    const action = webhook(receiver.url, { headers: { "x-token": "${env.TOKEN}" } });
    const automation = automationOf(action, { secrets: { TOKEN: "t0k3n-of-ours" } });
    const [invocation] = firedBy(automation);
    actions.work();
    await actions.queue.addInvocations([invocation!]);
    await expect.poll(async () => (await actions.queue.delivery(invocation!.id))?.state).toBe("delivered");
    const job = await actions.redis.hgetall(queueKeys(actions.workspace).job(invocation!.id));
    expect(JSON.stringify(job)).not.toContain("t0k3n-of-ours");
    expect(await actions.queue.redeliver(invocation!.id, asSent)).toEqual({ kind: "no secrets" });
    expect(await actions.queue.redeliver(invocation!.id, { ...asSent, automation })).toBeNull();
    await receiver.arrived(2);
    expect(receiver.received[1]?.headers).toMatchObject({
      "x-token": "t0k3n-of-ours",
      "webhook-id": invocation!.id,
    });
  });

  // The receiver would believe in an alarm that is over, forever.
  test("of an alarm whose end was delivered is refused, unless a person insists", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver();
    const action = webhook(receiver.url);
    const automation = changed(automationOf(action), {
      trigger: { posture: "Proactive", expect: ["pump.beat"], for_each: ["zone"], within: 60 },
      actions_on_resolve: [action],
    });
    const [start] = firedBy(automation);
    const [end] = firedBy(automation, { state: "Resolved" });
    actions.work();
    await actions.queue.addInvocations([start!, end!]);
    await expect.poll(() => actions.queue.count("delivered")).toBe(2);
    expect(await actions.queue.redeliver(start!.id, nowPresent(automation))).toEqual({ kind: "outdated" });
    expect(await actions.queue.redeliver(end!.id, nowPresent(automation))).toBeNull();
    await receiver.arrived(3);
    await expect.poll(() => actions.queue.count("delivered")).toBe(2);
    expect(await actions.queue.redeliver(start!.id, { ...nowPresent(automation), insists: true })).toBeNull();
    await receiver.arrived(4);
    expect(receiver.received.map(({ headers }) => headers["webhook-id"])).toEqual([
      start!.id,
      end!.id,
      end!.id,
      start!.id,
    ]);
  });

  test("needs a rule that says what to send", async () => {
    const actions = startActions(redis.url);
    const [hook, nothing] = [webhook("https://example.org/a"), { type: "do-nothing" }];
    const before = automationOf(hook);
    const [invocation] = firedBy(before);
    await actions.queue.addInvocations([invocation!]);
    expect(await actions.queue.redeliver(invocation!.id, nowPresent(null))).toEqual({
      kind: "no rule",
      reason: "its automation has been deleted",
    });
    const urlUnder = (fields: object) => {
      const found = underPresentRule(invocation!, changed(before, fields));
      return typeof found === "string" ? found : found.action.type === "call-webhook" && found.action.url;
    };
    expect(urlUnder({ actions: [nothing, webhook("https://example.org/b")] })).toBe("https://example.org/b");
    expect(urlUnder({ actions: [nothing] })).toContain("now has no call-webhook in its actions");
    const [b, c] = [webhook("https://example.org/b"), webhook("https://example.org/c")];
    expect(urlUnder({ actions: [nothing, b, c] })).toContain("now has 2 call-webhook in its actions");
    // An action that was put before it is not what it has become.
    expect(urlUnder({ actions: [b, hook] })).toBe("https://example.org/a");
    expect(urlUnder({ actions: [b, hook, hook] })).toBe("https://example.org/a");
    const corrected = webhook("https://example.org/a", { payload: "corrected" });
    expect(urlUnder({ actions: [b, corrected] })).toBe("https://example.org/a");
  });
});

// The rule may be deleted after a person asked, and before a worker looks. The worker would ask the log forever.
test("a redelivery whose rule is gone by now goes on as it was", async () => {
  const actions = startActions(redis.url);
  const receiver = await startReceiver();
  const [invocation] = firedBy(automationOf(webhook(receiver.url)));
  await actions.queue.addInvocations([invocation!]);
  const request = { kind: "present rule", insists: false } as const;
  await new Lanes(actions.redis, actions.workspace).request(invocation!.id, request);
  actions.work();
  expect((await actions.outcome(invocation!)).event).toMatch(/executed$/);
  await expect.poll(() => actions.redis.exists(queueKeys(actions.workspace).requests)).toBe(0);
});

describe("a cancelled delivery", () => {
  // A worker that was following an earlier request would forget this one with it, although the person was told that nothing
  // more is sent.
  test("is cancelled although it was asked to be tried again a moment before", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver((response) => void response.writeHead(500).end());
    const automation = automationOf(webhook(receiver.url));
    await actions.log.putAutomations([automation]);
    const [invocation] = firedBy(automation);
    const { id } = invocation!;
    await actions.queue.addInvocations([invocation!]);
    await actions.queue.redeliver(id, nowPresent(automation));
    // The request is read, and then the rule.
    vi.spyOn(actions.log, "sealedAutomation").mockImplementation(async () => {
      await actions.queue.cancel(id, "me");
      return automation;
    });
    actions.work({ retryMs: 1_000_000_000, retryMsMax: 1_000_000_000 });
    expect((await actions.outcome(invocation!)).payload).toMatchObject({ cancelled: true });
    expect(receiver.received).toHaveLength(0);
  });

  test("is not tried again, says who cancelled it, and lets the next one go on", async () => {
    const actions = startActions(redis.url);
    let isUp = false;
    const receiver = await startReceiver((response) => void response.writeHead(isUp ? 200 : 500).end());
    const automation = automationOf(webhook(receiver.url));
    const [first] = firedBy(automation);
    const [second] = firedBy(automation);
    actions.work({ retryMs: 1_000_000_000, retryMsMax: 1_000_000_000 });
    await actions.queue.addInvocations([first!, second!]);
    await expect.poll(async () => (await actions.queue.delivery(first!.id))?.state).toBe("retrying");
    isUp = true;
    expect(await actions.queue.cancel(first!.id, "the API key night-shift")).toBe("cancelled");
    expect((await actions.outcome(first!)).payload).toMatchObject({
      reason: "cancelled by the API key night-shift",
      cancelled: true,
      attempts: 1,
    });
    await expect.poll(async () => (await actions.queue.delivery(second!.id))?.state).toBe("delivered");
    expect(await actions.queue.delivery(first!.id)).toMatchObject({ state: "cancelled", attempt_count: 1 });
    expect(await actions.queue.cancel(first!.id, "me")).toBe("ended");
    // The target has accepted a later one, so this one is sent only if a person insists.
    expect(await actions.queue.redeliver(first!.id, asSent)).toEqual({ kind: "outdated" });
    expect(await actions.queue.redeliver(first!.id, { ...asSent, insists: true })).toBeNull();
    await expect.poll(async () => (await actions.queue.delivery(first!.id))?.state).toBe("delivered");
  });

  test("is cancelled before it was ever tried, if no worker has taken it", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver();
    const [invocation] = firedBy(automationOf(webhook(receiver.url)));
    await actions.queue.addInvocations([invocation!]);
    expect(await actions.queue.cancel(invocation!.id, "me")).toBe("cancelled");
    actions.work();
    expect((await actions.outcome(invocation!)).payload).toMatchObject({ cancelled: true, attempts: 0 });
    expect(receiver.received).toHaveLength(0);
  });
});

test("deliveries are found by automation, target and time", async () => {
  const actions = startActions(redis.url);
  const pump = automationOf(webhook("https://example.org/pumps"), { name: "pump watch" });
  const vent = automationOf(webhook("https://example.com/vents"), { name: "vent watch" });
  const invocations = [...firedBy(pump), ...firedBy(vent)];
  await actions.queue.addInvocations(invocations);
  const found = async (filter: object) =>
    (await actions.listed("waiting", { filter })).map(({ automation }) => automation.name);
  expect(await found({ automation: "pump watch" })).toEqual(["pump watch"]);
  expect(await found({ automation: vent.id })).toEqual(["vent watch"]);
  expect(await found({ target: "EXAMPLE.com" })).toEqual(["vent watch"]);
  const fired = Date.parse(invocations[0]!.firing.triggered);
  expect(await found({ since: fired, until: fired + 1 })).toHaveLength(2);
  expect(await found({ since: fired + 1 })).toEqual([]);
  expect(await found({ until: fired })).toEqual([]);
  const page = await actions.queue.deliveries("waiting", { count: 1, filter: { target: "example.org" } });
  expect(page.deliveries).toHaveLength(1);
  const rest = await actions.queue.deliveries("waiting", {
    start: page.next!,
    filter: { target: "example.org" },
  });
  expect(rest).toEqual({ deliveries: [], next: null });
});
