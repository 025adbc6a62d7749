/** Test messages: sent to real receivers, once, as deliveries are. */

import { describe, expect, test } from "vitest";
import { NotFound, Refused } from "../../../src/client/index.ts";
import { invocationOf, startReceiver } from "../../delivery/support.ts";
import { startMail } from "../../delivery/support-destinations.ts";
import { deliveriesInApi } from "../deliveries/delivery-support.ts";

const { api, queue, client, work, putDestination } = deliveriesInApi();

type Json = Record<string, unknown>;

const mark = "[TEST] Test by Tripline";

test.each<[Json, string]>([
  [{ type: "webhook", method: "PUT", secret: "signing", headers: { "X-Team": "hush hush" } }, "PUT"],
  [{ type: "slack" }, "POST"],
  [{ type: "ms-teams" }, "POST"],
  [{ type: "discord" }, "POST"],
  [{ type: "pagerduty", routing_key: "key-of-the-greenhouse" }, "POST"],
])("a test message is sent once, is marked, and what was sent is shown (%j)", async (fields, method) => {
  const receiver = await startReceiver((response) => void response.writeHead(202).end("thanks"));
  const id = await putDestination({ ...fields, url: receiver.url });
  const result = await client().destinations.test(id);
  expect(result).toMatchObject({ ok: true, status_code: 202, reason: null, answer: "thanks" });
  expect(result.duration_ms).toBeGreaterThanOrEqual(0);
  const [request, ...others] = receiver.received;
  expect(others).toEqual([]);
  expect(request?.method).toBe(method);
  expect(request?.body).toContain(mark);
  expect(request?.body).toContain("This is a test of the destination");
  expect(result.sent).toMatchObject({
    kind: "http",
    method,
    rendered: "now",
    body: request?.body.replace("key-of-the-greenhouse", "********"),
  });
  expect(JSON.stringify(result)).not.toMatch(/hush|signing"|key-of-the-greenhouse/);
  if (fields["type"] !== "pagerduty") expect(result.sent.url).toMatch(/^http:\/\/[\d.]+:\d+\/\*{8}$/);
  else expect(request?.body).toContain('"severity":"info"');
  if (fields["type"] === "webhook") {
    expect(JSON.parse(request?.body ?? "")).toMatchObject({ test: true });
    expect(request?.headers).toMatchObject({
      "x-team": "hush hush",
      "webhook-signature": expect.stringMatching(/^v1,/),
    });
  }
  // Nothing of it is left: no job, and no event in the log.
  expect(await client().deliveries.counts()).toMatchObject({ waiting: 0, delivered: 0, dead: 0 });
  expect(await api().events()).toEqual([]);
});

describe("an email", () => {
  test("is sent with the login of the destination", async () => {
    const { mails, destination } = await startMail();
    await putDestination({ ...destination, username: "tripline", password: "hush" });
    const result = await client().destinations.test("ops");
    expect(result).toMatchObject({ ok: true, status_code: null, reason: null, sent: { kind: "email" } });
    expect(mails).toMatchObject([{ user: "tripline", to: ["a@example.org", "b@example.org"] }]);
    expect(mails[0]?.text).toContain(`Subject: ${mark}`);
    expect(JSON.stringify(result)).not.toContain("hush");
  });

  test("whose login is refused says so, without the password", async () => {
    const { destination } = await startMail();
    await putDestination({ ...destination, username: "tripline", password: "a wrong one" });
    const result = await client().destinations.test("ops");
    expect(result).toMatchObject({ ok: false, reason: expect.stringContaining("no: hush") });
    expect(JSON.stringify(result)).not.toContain("a wrong one");
  });
});

describe("what becomes of a test is answered:", () => {
  test("a refusal, with what the receiver said, and without secrets that it repeats", async () => {
    const receiver = await startReceiver(
      (response, { path, headers }) =>
        void response.writeHead(400).end(`no such ${path} for ${headers["authorization"]}`),
    );
    const headers = { Authorization: "Bearer very-secret-token" };
    await putDestination({ type: "webhook", url: `${receiver.url}/secret-path-of-a-chat`, headers });
    const result = await client().destinations.test("ops");
    expect(result).toMatchObject({
      ok: false,
      status_code: 400,
      reason: expect.stringContaining("responded 400: no such "),
      answer: null,
    });
    expect(JSON.stringify(result)).not.toMatch(/very-secret-token|secret-path-of-a-chat/);
    expect(receiver.received).toHaveLength(1);
  });

  test("a receiver that cannot be reached", async () => {
    const receiver = await startReceiver();
    await new Promise((resolve) => receiver.server.close(resolve));
    await putDestination({ type: "slack", url: receiver.url });
    expect(await client().destinations.test("ops")).toMatchObject({
      ok: false,
      status_code: null,
      reason: expect.stringContaining("ECONNREFUSED"),
    });
  });

  test("a receiver that is slower than the destination allows", async () => {
    const receiver = await startReceiver(() => {});
    await putDestination({ type: "webhook", url: receiver.url, timeout: "0.2s" });
    expect(await client().destinations.test("ops")).toMatchObject({
      ok: false,
      reason: "timed out: no complete response within 200 ms",
    });
  });

  test("an address that is not allowed", async () => {
    await putDestination({ type: "slack", url: "http://10.0.0.1/secret-path-of-a-chat" });
    expect(await client().destinations.test("ops")).toMatchObject({
      ok: false,
      reason: expect.stringContaining("10.0.0.1 is not a public address"),
    });
  });

  // The receiver would be asked again and again, and its breaker would answer for it.
  test("a receiver that fails is asked each time", async () => {
    const receiver = await startReceiver((response) => void response.writeHead(500).end());
    await putDestination({ type: "slack", url: receiver.url });
    for (let number = 0; number < 7; number++) {
      expect(await client().destinations.test("ops")).toMatchObject({ ok: false, status_code: 500 });
    }
    expect(receiver.received).toHaveLength(7);
  });

  // A place in line that nobody takes would hold up deliveries.
  test.each([{ rate: "1/h" }, { concurrency: 1 }])("a limit that is reached: %j", async (limits) => {
    const receiver = await startReceiver((response) => void setTimeout(() => response.end(), 1_000));
    await putDestination({ type: "webhook", url: receiver.url, limits });
    const [first, second] = [
      client().destinations.test("ops"),
      receiver.arrived(1).then(() => client().destinations.test("ops")),
    ];
    expect(await second).toMatchObject({
      ok: false,
      status_code: null,
      reason: expect.stringContaining("as its limits allow"),
    });
    expect(await first).toMatchObject({ ok: true });
    expect(receiver.received).toHaveLength(1);
    const [times] = await api().connection.keys("tl:{default}:limit:*:times");
    const waiting = await api().connection.keys("tl:{default}:limit:*:waiting");
    expect(waiting).toEqual([]);
    if (times !== undefined) expect(await api().connection.zcard(times)).toBe(1);
  });
});

test("a destination that is disabled is not sent anything", async () => {
  const receiver = await startReceiver((response) => void response.writeHead(410).end());
  await putDestination({ type: "slack", url: receiver.url });
  // The test itself disables nothing: that is for deliveries.
  expect(await client().destinations.test("ops")).toMatchObject({ ok: false, status_code: 410 });
  expect(await client().endpoints.list()).toEqual([]);
  const invocation = invocationOf({ type: "send-notification", destination: "ops", body: "down" });
  await queue().addInvocations([invocation]);
  work();
  await expect.poll(() => client().endpoints.list()).toHaveLength(1);
  await new Promise((resolve) => setTimeout(resolve, 5_100)); // for so long, a process may not know
  await expect(client().destinations.test("ops")).rejects.toThrow(Refused);
  await expect(client().destinations.test("ops")).rejects.toThrow(
    /disabled since .* 410 Gone\..*endpoints enable/,
  );
  expect(receiver.received).toHaveLength(2);
}, 20_000);

test("an unknown destination is not found", async () => {
  await expect(client().destinations.test("ops")).rejects.toThrow(NotFound);
});

test("ten tests at a time are enough", async () => {
  const receiver = await startReceiver(() => {});
  for (let number = 0; number < 11; number++) {
    await putDestination({ name: `ops ${number}`, type: "webhook", url: receiver.url, timeout: "1s" });
  }
  const post = async (number: number) => {
    const response = await fetch(`${api().url}/api/destinations/ops%20${number}/test`, { method: "POST" });
    return { status: response.status, retryAfter: response.headers.get("retry-after") };
  };
  const first = Array.from({ length: 10 }, (_, number) => post(number));
  await receiver.arrived(10);
  expect(await post(10)).toEqual({ status: 429, retryAfter: "1" });
  for (const { status } of await Promise.all(first)) expect(status).toBe(200);
});
