/** Limits that protect a server or a receiver. Each test fails when its limit is removed or raised. */

import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { DestinationSchema, destinationIdOf } from "../../src/core/model/destination.ts";
import { type DeliveryState, withAttempt } from "../../src/delivery/delivery-state.ts";
import { prepareRequest } from "../../src/delivery/http/request.ts";
import { sendRequest } from "../../src/delivery/http/send-request.ts";
import { WebhookClient } from "../../src/delivery/http/webhook-client.ts";
import { jobIdOf, queueName, queuePrefix } from "../../src/delivery/queue-keys.ts";
import { deferralMs, retryDelayMs, triedMs } from "../../src/delivery/retry-delay.ts";
import { systemClock } from "../../src/retry/clock.ts";
import { workspaceKeys } from "../../src/store/keys.ts";
import { Renderer } from "../../src/templates/renderer.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { invocationOf, pumpEvent, startActions, startReceiver, webhook } from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const never = new AbortController().signal;

function startClient(): WebhookClient {
  const client = new WebhookClient({ dangerouslyAllowPrivateAddresses: ["loopback"] });
  onTestFinished(() => client.close());
  return client;
}

const requestTo = (url: string) => ({
  url: new URL(url),
  method: "POST",
  headers: {},
  body: null,
  timeoutMs: 10_000,
});

describe("a response", () => {
  test("is kept only at its start, and is cut off if it goes on", async () => {
    let sentBytes = 0;
    const closed = Promise.withResolvers<void>();
    const receiver = await startReceiver((response) => {
      response.on("close", () => closed.resolve());
      const more = () => {
        do sentBytes += 16_384;
        while (response.write("x".repeat(16_384)));
      };
      response.on("drain", more);
      more();
    });
    const { excerpt } = await startClient().send(requestTo(receiver.url), never);
    expect(excerpt).toBe("x".repeat(4_096));
    await closed.promise;
    expect(sentBytes).toBeGreaterThan(131_072);
    expect(sentBytes).toBeLessThan(50_000_000); // the rest is what the sockets' buffers hold
  });

  test("that is large but ends keeps its connection", async () => {
    const ports = new Set<number | undefined>();
    const receiver = await startReceiver((response) => {
      ports.add(response.socket?.remotePort);
      response.end("x".repeat(131_072 - 1));
    });
    const client = startClient();
    for (let index = 0; index < 8; index++) await client.send(requestTo(receiver.url), never);
    expect(ports.size).toBeLessThanOrEqual(2); // the second request may come before the first connection is free
  });

  test.each([
    [400, {}, "y".repeat(2_000)],
    [302, { location: `http://example.org/${"y".repeat(2_000)}` }, ""],
  ])("with status %i is quoted only briefly in the reason", async (status, headers, body) => {
    const receiver = await startReceiver((response) => void response.writeHead(status, headers).end(body));
    const outcome = await sendTo(receiver.url, startClient());
    const { reason } = outcome as { reason: string };
    expect(reason).toContain("yyy");
    expect(reason.length).toBeLessThanOrEqual(`responded ${status}: `.length + 500);
  });

  test.each([
    [429, true],
    [503, true],
    [500, false],
    [408, false],
  ])("with status %i and Retry-After makes the whole endpoint rest: %s", async (status, rests) => {
    const receiver = await startReceiver((response) => {
      response.writeHead(status, { "retry-after": "1000000" }).end();
    });
    const client = startClient();
    // At most an hour, whatever the endpoint asks for.
    expect(await sendTo(receiver.url, client)).toMatchObject({ kind: "retry", afterMs: 3_600_000 });
    const next = await client.endpoints.enter(new URL(receiver.url).origin);
    expect("waitMs" in next).toBe(rests);
    if ("waitMs" in next) expect(next.waitMs).toBeLessThanOrEqual(60_000);
  });
});

async function sendTo(url: string, webhooks: WebhookClient) {
  const invocation = invocationOf(webhook(url));
  const actions = startActions(redis.url);
  const target = {
    url,
    method: "POST",
    headers: {},
    secret: undefined,
    timeout: 10,
    limit: null,
    destination: null,
    identity: { url },
    hidden: [],
  };
  const body = { body: null, contentType: "application/json" };
  return sendRequest(prepareRequest(target, body, invocation.id, new Date(), null), {
    log: actions.log,
    webhooks,
    clock: systemClock,
    checkHeld: async () => {},
    isWoken: false,
    addressees: undefined,
    renderer: new Renderer(invocation),
    redact: (text) => text,
    wake: async () => false,
    signal: never,
  });
}

// Otherwise a machine that is slow, or a process that is paused, makes endpoints look dead that respond in time.
test("a response that came in time counts, although the process was too busy to look at it", async () => {
  const code = `
    const { parentPort } = require("node:worker_threads");
    const server = require("node:http").createServer((request, response) => setTimeout(() => response.end("ok"), 50));
    server.listen(0, "127.0.0.1", () => parentPort.postMessage(server.address().port));
  `;
  const receiver = new Worker(code, { eval: true });
  onTestFinished(async () => void (await receiver.terminate()));
  const [port] = (await once(receiver, "message")) as [number];
  const client = startClient();
  const request = { ...requestTo(`http://127.0.0.1:${port}/`), timeoutMs: 500 };
  await client.send(request, never); // connects
  const sent = client.send(request, never);
  await sleep(10);
  await new Promise((resolve) => setImmediate(resolve)); // timers come next, and only then what has arrived
  const busyUntil = performance.now() + 1_000;
  while (performance.now() < busyUntil);
  expect(await sent).toMatchObject({ status: 200, excerpt: "ok" });
});

test("an endpoint gets no more connections than its limit allows", async () => {
  let inFlightCount = 0;
  let inFlightCountMax = 0;
  const receiver = await startReceiver((response) => {
    inFlightCount += 1;
    inFlightCountMax = Math.max(inFlightCountMax, inFlightCount);
    void sleep(100).then(() => {
      inFlightCount -= 1;
      response.end();
    });
  });
  const client = new WebhookClient({
    dangerouslyAllowPrivateAddresses: ["loopback"],
    limits: { concurrencyMax: 2 },
  });
  onTestFinished(() => client.close());
  await Promise.all(Array.from({ length: 6 }, () => client.send(requestTo(receiver.url), never)));
  expect(inFlightCountMax).toBe(2);
});

describe("a delivery", () => {
  test("keeps its reason short, however long a name in it is", async () => {
    const actions = startActions(redis.url);
    actions.work();
    const invocation = invocationOf({ type: "pause-automation", automation: "p".repeat(10_000) });
    await actions.queue.addInvocations([invocation]);
    const { payload } = await actions.outcome(invocation);
    expect(payload["reason"]).toMatch(/^no automation is named "ppp/);
    expect(String(payload["reason"])).toHaveLength(2_000);
  });

  test("shows only the start of a long target", async () => {
    const { queue } = startActions(redis.url);
    const invocation = invocationOf(webhook(`http://example.org/${"y".repeat(2_000)}`));
    await queue.addInvocations([invocation]);
    expect((await queue.delivery(invocation.id))?.target).toHaveLength(500);
  });

  test("stores only its latest attempts", () => {
    let state: DeliveryState = { invocation: invocationOf({ type: "do-nothing" }) };
    for (let index = 1; index <= 55; index++) {
      state = withAttempt(state, { at: "2026-03-01T12:00:00Z", reason: `${index}`, duration_ms: 1 });
    }
    expect(state.attempts?.map(({ reason }) => Number(reason))).toEqual(
      Array.from({ length: 50 }, (_, index) => index + 6),
    );
    expect(state.attemptCount).toBe(55);
  });

  // A payload that crashes the process would otherwise take down one worker after the other without a pause. A worker
  // that is only slow looks the same, so this must not end the delivery, nor use up the only attempt that it has.
  test.each([
    [10, false],
    [11, true],
  ])("during which workers were lost %i times waits: %s; and is then made", async (crashCount, waits) => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver();
    const invocation = invocationOf(webhook(receiver.url, { retry: { attempts: 1 } }));
    await actions.queue.addInvocations([invocation]);
    const key = `${queuePrefix(actions.workspace)}:${queueName}:${jobIdOf(invocation.id)}`;
    await actions.redis.hset(key, "stc", crashCount);
    let deferredCount = 0;
    const metrics = { deferred: () => void deferredCount++ };
    actions.work({}, { metrics });
    const { event, payload } = await actions.outcome(invocation);
    expect(event).toMatch(/executed$/);
    expect([payload["attempts"], deferredCount]).toEqual([1, waits ? 1 : 0]);
  });

  // It may come from the machine: a lack of memory or files, a database that answers strangely for a moment.
  test("in which something unexpected went wrong is tried again", async () => {
    const actions = startActions(redis.url);
    const receiver = await startReceiver();
    const { destinations } = workspaceKeys(actions.workspace);
    await actions.redis.set(destinations, "not a hash");
    const invocation = invocationOf({ type: "send-notification", destination: "ops", body: "low" });
    await actions.queue.addInvocations([invocation]);
    actions.work();
    await expect.poll(() => actions.logger.lines.join("\n")).toContain("unexpected error: WRONGTYPE");
    const definition = DestinationSchema.parse({ name: "ops", type: "webhook", url: receiver.url });
    const id = destinationIdOf(actions.workspace, "ops");
    await actions.redis.del(destinations);
    await actions.log.destinations.put([{ id, definition, source: { kind: "api" }, created: 0, updated: 0 }]);
    expect((await actions.outcome(invocation)).payload).toMatchObject({ status_code: 200 });
  });

  test("waits longer after each attempt, up to a limit, but never less than the endpoint asks for", () => {
    const settings = { retryMs: 100, retryMsMax: 1_000 };
    const longest = (attempt: number) => retryDelayMs(settings, attempt, null, 1);
    expect([1, 2, 3, 4, 5, 50].map(longest)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    expect(retryDelayMs(settings, 3, null, 0)).toBe(0);
    expect(retryDelayMs(settings, 3, null, 0.5)).toBe(200);
    expect(retryDelayMs(settings, 1, 60_000, 0)).toBe(60_000);
    expect(retryDelayMs(settings, 50, 60_000, 1)).toBe(61_000);
    expect(retryDelayMs(settings, 1, 500, 1)).toBe(550);
    // An endpoint that always asks for no wait, or a short one, is not asked again and again without a pause.
    expect(retryDelayMs(settings, 50, 0, 0.5)).toBe(500);
    expect(retryDelayMs(settings, 50, 500, 1)).toBe(1_000);
    expect([deferralMs(1_000, 0), deferralMs(1_000, 1)]).toEqual([1_000, 1_250]);
  });

  // Otherwise a server that is stopped for a weekend would give up what it never tried.
  test("counts only the time in which workers ran", () => {
    const hour = 3_600_000;
    expect(triedMs({ ms: 5_000, at: 1_000 }, 4_000, hour)).toBe(8_000);
    expect(triedMs({ ms: 5_000, at: 1_000 }, 60 * hour, hour)).toBe(5_000 + hour);
    expect(triedMs({ ms: 5_000, at: 1_000 }, 0, hour)).toBe(5_000); // the clock was set back
  });
});

describe("the queue", () => {
  const keyOf = (workspace: string, id: string) => `${queuePrefix(workspace)}:${queueName}:${jobIdOf(id)}`;

  // Otherwise Redis would grow with every delivery ever made.
  test.each([
    ["a finished job", { type: "do-nothing" }, { keepFinishedSeconds: 1 }],
    ["a dead letter", { type: "pause-automation", automation: "none" }, { keepDeadLettersSeconds: 1 }],
  ])("forgets %s after its time", async (_, action, settings) => {
    const actions = startActions(redis.url, settings);
    actions.work();
    const first = invocationOf(action);
    await actions.queue.addInvocations([first]);
    await actions.outcome(first);
    // BullMQ removes old jobs when the next job ends.
    await expect
      .poll(
        async () => {
          const next = invocationOf(action);
          await actions.queue.addInvocations([next]);
          await actions.outcome(next);
          return actions.redis.exists(keyOf(actions.workspace, first.id));
        },
        { timeout: 15_000, interval: 300 },
      )
      .toBe(0);
  });

  // While an engine is down its outbox keeps invocations that may have been added already. If the queue forgot them
  // sooner, the engine would deliver them a second time when it comes back.
  test("remembers a finished job for a day, and a dead letter for a month", async () => {
    const actions = startActions(redis.url);
    const invocation = invocationOf({ type: "do-nothing" });
    await actions.queue.addInvocations([invocation]);
    const options = await actions.redis.hget(keyOf(actions.workspace, invocation.id), "opts");
    expect(JSON.parse(options ?? "")).toMatchObject({
      removeOnComplete: { age: 86_400 },
      removeOnFail: { age: 30 * 86_400 },
    });
  });
});

// Services refuse texts that are too long, with a status that is final. A long event must not cost the alarm.
describe("a notification is cut to the lengths that its service accepts", () => {
  interface Sent {
    readonly text: string;
    readonly embeds: readonly { readonly title: string; readonly description: string }[];
    readonly attachments: readonly { readonly content: { readonly body: readonly { text: string }[] } }[];
    readonly payload: {
      readonly summary: string;
      readonly source: string;
      readonly custom_details: { readonly body: string };
    };
  }

  test.each([
    ["slack", {}, ({ text }: Sent) => [text], [40_000]],
    ["discord", {}, ({ embeds: [embed] }: Sent) => [embed?.title, embed?.description], [256, 4_096]],
    [
      "ms-teams",
      {},
      ({ attachments: [card] }: Sent) => card?.content.body.map(({ text }) => text),
      [1_000, 5_000],
    ],
    [
      "pagerduty",
      { routing_key: "key" },
      ({ payload }: Sent) => [payload.summary, payload.source, payload.custom_details.body],
      [1_024, 1_024, 50_000],
    ],
  ])("for %s", async (type, fields, textsOf, lengths) => {
    const receiver = await startReceiver();
    const actions = startActions(redis.url);
    const definition = DestinationSchema.parse({ name: "ops", type, url: receiver.url, ...fields });
    const id = destinationIdOf(actions.workspace, "ops");
    const source = { kind: "api" } as const;
    await actions.log.destinations.put([{ id, definition, source, created: 0, updated: 0 }]);
    actions.work();
    const text = "{{ event.payload.text }}";
    const resource = { "prefect.resource.id": "r".repeat(2_000) };
    const event = pumpEvent({ resource, payload: { text: "t".repeat(60_000) } });
    const invocation = invocationOf(
      { type: "send-notification", destination: "ops", subject: text, body: text },
      { event },
    );
    await actions.queue.addInvocations([invocation]);
    expect((await actions.outcome(invocation)).event).toMatch(/executed$/);
    const texts = textsOf(JSON.parse(receiver.received[0]?.body ?? "") as Sent);
    expect(texts?.map((sent) => sent?.length)).toEqual(lengths);
  });
});
