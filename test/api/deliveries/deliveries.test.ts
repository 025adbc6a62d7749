/** Deliveries over HTTP, in every state: from the queue, and from the history once the queue has removed them. */

import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { millisecond } from "../../../src/core/model/time.ts";
import { deliveryEvent } from "../../../src/delivery/delivery-state.ts";
import { DeliveryQueue } from "../../../src/delivery/queue.ts";
import { type ActionWorker, startActionWorker } from "../../../src/delivery/worker.ts";
import { automationOf, firedBy, invocationOf, startReceiver, webhook } from "../../delivery/support.ts";
import { quick, recordingLogger } from "../../delivery/support-settings.ts";
import { startApi, type TestApi } from "../support.ts";

let api: TestApi;
let queue: DeliveryQueue;
let worker: ActionWorker | null = null;

beforeAll(async () => {
  api = await startApi({ history: true });
  queue = new DeliveryQueue(api.redis.url, "default");
});
afterEach(async () => {
  await worker?.close(0);
  worker = null;
});
afterAll(async () => {
  await queue?.close();
  await api?.stop();
});

function work(): void {
  const { log } = api;
  worker = startActionWorker({
    redisUrl: api.redis.url,
    workspace: "default",
    log,
    logger: recordingLogger(),
    settings: quick,
  });
}

async function get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${api.url}/api/deliveries${path}`);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

test("a delivery is found in every state that it passes through", async () => {
  let status = 503;
  const receiver = await startReceiver(
    (response) => void response.writeHead(status, status === 503 ? { "Retry-After": "600" } : {}).end(),
  );
  const [retried, delivered] = [webhook(receiver.url), webhook(`${receiver.url}/2`)].map((action) =>
    invocationOf(action),
  );
  await queue.addInvocations([retried!]);
  expect((await get(`/${retried!.id}`)).body).toMatchObject({ state: "waiting", source: "queue" });
  expect((await get("?state=waiting")).body).toMatchObject({ deliveries: [{ id: retried!.id }], total: 1 });
  work();
  await expect
    .poll(async () => (await get(`/${retried!.id.toUpperCase()}`)).body)
    .toMatchObject({ state: "retrying", attempt_count: 1, next_attempt: expect.stringMatching(/^\d{4}-/) });
  status = 200;
  const other = await startReceiver();
  const second = { ...delivered!, action: webhook(other.url) };
  await queue.addInvocations([second]);
  await expect
    .poll(async () => (await get("?state=delivered")).body)
    .toMatchObject({
      deliveries: [{ id: second.id, firing_event_id: second.firingEventId, status_code: 200 }],
      total: 1,
    });
  expect((await get("")).body).toEqual({ deliveries: [], total: 0, next_offset: null });
});

test("a delivery that the queue has removed is found in the history, with its redeliveries", async () => {
  const invocation = invocationOf(webhook("https://example.org/hook"), { name: "pump watch" });
  const now = Date.now() * millisecond;
  const failed = { attempts: 3, duration_ms: 5, reason: "responded 500", status_code: 500 };
  const append = (...events: Parameters<typeof deliveryEvent>[]) =>
    api.log.appendEvents(
      events.map((parameters) => ({ event: deliveryEvent(...parameters), lineage: [], trace: null })),
    );
  await append([{ invocation }, "triggered", now]);
  expect((await get(`/${invocation.id}`)).body).toMatchObject({ state: "unknown", source: "history" });
  await append([{ invocation }, "failed", now, failed]);
  expect((await get(`/${invocation.id}`)).body).toMatchObject({
    state: "dead",
    reason: "responded 500",
    attempt_count: 3,
    status_code: 500,
    firing_id: null,
    firing_event_id: invocation.firingEventId,
    triggering_event_id: invocation.firing.triggering_event?.id,
    automation: { id: invocation.automation.id, name: "pump watch" },
    action_type: "call-webhook",
    action_index: 0,
    redeliveries: 0,
  });
  const redelivered = { invocation, redeliveries: 1 };
  const result = { attempts: 1, duration_ms: 5, status_code: 200, url: "https://example.org/hook" };
  await append([redelivered, "triggered", now + 1], [redelivered, "executed", now + 2, result]);
  expect((await get(`/${invocation.id}`)).body).toMatchObject({
    state: "delivered",
    reason: null,
    target: "https://example.org/hook",
    redeliveries: 1,
  });
});

test.each([
  ["limit=200", 200],
  ["limit=201", 422],
  ["limit=-1", 422],
  ["offset=1000000", 200],
  ["offset=1000001", 422],
])("a page with %s is answered with %i", async (query, status) => {
  expect((await get(`?${query}`)).status).toBe(status);
});

test.each([randomUUID(), "not-an-id"])("the unknown id %s is answered with 404", async (id) => {
  expect(await get(`/${id}`)).toMatchObject({
    status: 404,
    body: { exception_message: expect.stringContaining("neither the queue nor the history") },
  });
});

test("a delivery is cancelled, listed by filter, and redelivered as the present rule has it", async () => {
  const receiver = await startReceiver();
  const automation = automationOf(webhook("https://example.org/old"), { name: "vent watch" });
  const [invocation] = firedBy(automation, { event: null });
  const id = invocation!.id;
  const post = async (path: string) => {
    const response = await fetch(`${api.url}/api/deliveries/${id}/${path}`, { method: "POST" });
    return [response.status, response.status === 202 ? null : await response.json()];
  };
  expect((await post("cancel"))[0]).toBe(404);
  await queue.addInvocations([invocation!]);
  expect(await post("redeliver")).toEqual([
    409,
    {
      detail: expect.stringContaining("its automation has been deleted. To send what the rule said"),
    },
  ]);
  expect(await post("cancel")).toEqual([202, null]);
  work();
  await expect.poll(async () => (await get(`/${id}`)).body).toMatchObject({ state: "cancelled" });
  expect((await post("cancel"))[0]).toBe(409);
  const filter = "?state=dead&automation=vent+watch&target=example.org&since=2026-01-01T00:00:00Z";
  expect((await get(filter)).body).toMatchObject({ deliveries: [{ id }], next_offset: null });
  expect((await get("?automation=other")).body).toMatchObject({ deliveries: [] });
  expect((await get("?since=yesterday")).status).toBe(422);
  await api.log.putAutomations([{ ...automation, actions: [webhook(receiver.url)] }]);
  expect(await post("redeliver")).toEqual([202, null]);
  await receiver.arrived(1);
  await expect.poll(async () => (await get(`/${id}`)).body).toMatchObject({ state: "delivered" });
});
