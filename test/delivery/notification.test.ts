/** Notifications, sent to a real HTTP receiver and a real SMTP server. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DestinationSchema } from "../../src/core/model/destination.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { automationOf, firedBy, invocationOf, pumpEvent, startReceiver } from "./support.ts";
import { startMail, startWithDestination } from "./support-destinations.ts";

let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(() => redis.stop());

type Json = Record<string, unknown>;

const startWith = (definition: Json, settings: object = {}) =>
  startWithDestination(redis.url, definition, settings);

const notify = {
  type: "send-notification",
  destination: "ops",
  subject: "{{ event.event }}\nin {{ labels.zone }}",
  body: "Pressure is <{{ event.payload.pressure }}> & falling, @everyone",
  retry: { attempts: 3 },
};
const subject = "pump.stopped in north";
const body = "Pressure is <0.4> & falling, @everyone";

describe("a notification", () => {
  const sentTo = async (definition: Json) => {
    const receiver = await startReceiver();
    const actions = await startWith({ url: receiver.url, ...definition });
    const invocation = invocationOf(notify);
    const { kind, payload } = await actions.deliver(invocation);
    expect([kind, payload["destination"]]).toEqual(["executed", "ops"]);
    const [request] = receiver.received;
    expect(request?.headers).toMatchObject({
      "content-type": "application/json",
      "webhook-id": invocation.id,
    });
    return JSON.parse(request?.body ?? "") as Json;
  };

  // The text of an event may come from anyone, so it must not address a channel.
  test("to Slack is text that cannot address a channel", async () => {
    expect(await sentTo({ type: "slack" })).toEqual({
      text: `*${subject}*\nPressure is &lt;0.4&gt; &amp; falling, @everyone`,
    });
  });

  test("to Teams is a card", async () => {
    expect(await sentTo({ type: "ms-teams" })).toMatchObject({
      type: "message",
      attachments: [
        {
          contentType: "application/vnd.microsoft.card.adaptive",
          content: { type: "AdaptiveCard", body: [{ text: subject }, { text: body }] },
        },
      ],
    });
  });

  test("to Discord is an embed that pings no one", async () => {
    expect(await sentTo({ type: "discord" })).toEqual({
      embeds: [{ title: subject, description: body }],
      allowed_mentions: { parse: [] },
    });
  });

  test("to a webhook has the texts and the firing", async () => {
    expect(await sentTo({ type: "webhook", secret: "signing" })).toMatchObject({
      subject,
      body,
      automation: { name: "pump watch" },
      firing: { triggering_labels: { zone: "north" } },
    });
  });
});

test("of all destinations, only a webhook gets the trace", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const event = { ...pumpEvent(), trace: traceparent };
  for (const [type, expected] of [
    ["webhook", traceparent],
    ["slack", undefined],
  ]) {
    const receiver = await startReceiver();
    const actions = await startWith({ type, url: receiver.url });
    await actions.deliver(invocationOf(notify, { event }));
    expect(receiver.received[0]?.headers["traceparent"]).toBe(expected);
  }
});

// Half a character is not valid Unicode. A strict receiver refuses it with a 400, which is final.
describe("a notification is readable even if the event", () => {
  const bodyFor = async (definition: Json, event: Parameters<typeof pumpEvent>[0]) => {
    const receiver = await startReceiver();
    const actions = await startWith({ url: receiver.url, ...definition });
    const action = { ...notify, subject: "{{ event.payload.text }}", body: "{{ event.payload.text }}" };
    await actions.deliver(invocationOf(action, { event: pumpEvent(event) }));
    return receiver.received[0]?.body ?? "";
  };
  const halves = /\\u[dD][89a-fA-F]/;

  test.each([
    { type: "slack" },
    { type: "ms-teams" },
    { type: "discord" },
    { type: "pagerduty", routing_key: "key" },
  ])("contains half a character ($type)", async (definition) => {
    const body = await bodyFor(definition, { payload: { text: "fell to \uD83D" } });
    expect(body).toContain("fell to \uFFFD");
    expect(body).not.toMatch(halves);
  });

  test.each([0, 1])("has to be cut in the middle of a character (%i)", async (offset) => {
    const text = "x".repeat(offset) + "🌱".repeat(4_000);
    const body = await bodyFor({ type: "discord" }, { payload: { text } });
    expect(body).toContain("🌱…");
    expect(body).not.toMatch(halves);
  });

  test("is too large for PagerDuty, or has no source", async () => {
    const definition = { type: "pagerduty", routing_key: "key" };
    const resource = { "prefect.resource.id": " " };
    const sent = await bodyFor(definition, { resource, payload: { text: "\u0001".repeat(600_000) } });
    expect(Buffer.byteLength(sent)).toBeLessThan(512_000);
    expect(JSON.parse(sent)).toMatchObject({ payload: { source: "pump watch" } });
  });
});

// Otherwise an incident would stay open after the pump is back, or every absence would page again.
test("a PagerDuty incident is resolved by the resolution of the alarm that opened it, and by no other", async () => {
  const receiver = await startReceiver((response) => void response.writeHead(202).end("{}"));
  const key = { type: "pagerduty", routing_key: "key", severity: "critical" };
  const actions = await startWith({ ...key, url: receiver.url });
  const automation = { ...automationOf(notify), actions_on_resolve: automationOf(notify).actions };
  const firing = (state: "Triggered" | "Resolved", zone: string): Invocation =>
    firedBy(automation, { state, labels: { zone } })[0]!;
  await actions.deliver(firing("Triggered", "north"));
  await actions.deliver(firing("Triggered", "south"));
  await actions.deliver(firing("Resolved", "north"));
  const [north, south, resolved] = receiver.received.map((request) => JSON.parse(request.body) as Json);
  expect(north).toMatchObject({
    routing_key: "key",
    event_action: "trigger",
    payload: {
      summary: subject,
      source: "greenhouse.pump.1",
      severity: "critical",
      timestamp: "2026-03-01T12:00:00Z",
      custom_details: { body, labels: { zone: "north" } },
    },
  });
  expect(resolved).toMatchObject({ event_action: "resolve", dedup_key: north?.["dedup_key"] });
  expect(south?.["dedup_key"]).not.toBe(north?.["dedup_key"]);
});

describe("call-webhook", () => {
  test("goes to its destination, given by name or id, with its headers, method and signature", async () => {
    const receiver = await startReceiver();
    const actions = await startWith({
      type: "webhook",
      url: receiver.url,
      method: "PUT",
      headers: { authorization: "Bearer key", "x-zone": "all" },
      secret: "signing",
    });
    const action = {
      type: "call-webhook",
      payload: "{{ event.id }}",
      headers: { "x-zone": "{{ labels.zone }}" },
    };
    for (const where of [{ destination: "ops" }, { block_document_id: actions.id }]) {
      const { kind } = await actions.deliver(invocationOf({ ...action, ...where }));
      expect(kind).toBe("executed");
    }
    expect(receiver.received).toHaveLength(2);
    for (const request of receiver.received) {
      expect(request).toMatchObject({
        method: "PUT",
        headers: { authorization: "Bearer key", "x-zone": "north" },
      });
      expect(request.headers).toHaveProperty("webhook-signature");
    }
  });

  test("to PagerDuty fails at once, and says what to use instead", async () => {
    const actions = await startWith({ type: "pagerduty", routing_key: "hush" });
    const { kind, payload } = await actions.deliver(
      invocationOf({ type: "call-webhook", destination: "ops" }),
    );
    expect([kind, payload["reason"], payload["attempts"]]).toEqual([
      "failed",
      expect.stringContaining("use send-notification"),
      1,
    ]);
  });
});

test.each([
  { type: "send-notification", destination: "nobody", body: "a" },
  { type: "call-webhook", block_document_id: "0190a000-0000-7000-8000-000000000001" },
])("an unknown destination is looked up again: $type", async (action) => {
  const actions = await startWith({ type: "slack", url: "https://example.org" });
  const { kind, payload } = await actions.deliver(invocationOf({ ...action, retry: { attempts: 2 } }));
  expect([kind, payload["attempts"]]).toEqual(["failed", 2]);
  expect(payload["reason"]).toContain("does not exist");
});

test("a destination is looked up at each attempt, so that a corrected one is used", async () => {
  const receiver = await startReceiver();
  const broken = await startReceiver(async (response) => {
    const [destination] = await actions.log.destinations.list();
    const definition = DestinationSchema.parse({ ...destination?.definition, url: receiver.url });
    await actions.log.destinations.put([{ ...destination!, definition }]);
    response.writeHead(500).end();
  });
  const actions = await startWith({ type: "slack", url: broken.url });
  const { kind, payload } = await actions.deliver(invocationOf(notify));
  expect([kind, payload["attempts"]]).toEqual(["executed", 2]);
});

describe("secrets of destinations", () => {
  test("are in no event, log line or dead letter, even if the endpoint repeats them", async () => {
    const receiver = await startReceiver((response, request) => {
      const { authorization = "", "x-basic": basic = "" } = request.headers;
      response.writeHead(400).end(`no: ${authorization} ${String(basic)} ${request.path}`);
    });
    const url = `${receiver.url}/hush-path-of-it`;
    const headers = { authorization: "Bearer hush-token" };
    const actions = await startWith({ type: "webhook", url, headers, secret: "hush-signing" });
    const { kind, payload } = await actions.deliver(invocationOf(notify));
    expect(kind).toBe("failed");
    expect(payload["reason"]).toContain("responded 400");
    const outputs = [await actions.events(), await actions.listed("dead"), actions.logger.lines];
    expect(JSON.stringify(outputs)).not.toContain("hush");
  });
});

describe("email", () => {
  const restsAtOnce = {
    endpoints: { concurrencyMax: 1, failuresMax: 1, restMs: 600_000, restMsMax: 600_000 },
  };

  test("is sent once to all recipients, with the headers that mail servers expect", async () => {
    const { mails, destination } = await startMail();
    const actions = await startWith({ ...destination, username: "me", password: "hush" });
    const invocation = invocationOf(notify);
    const { kind, payload } = await actions.deliver(invocation);
    expect([kind, payload["destination"], payload["accepted"]]).toEqual(["executed", "ops", destination.to]);
    expect(payload).not.toHaveProperty("rejected");
    expect(mails).toHaveLength(1);
    const [mail] = mails;
    expect(mail).toMatchObject({ from: "tripline@example.org", to: destination.to, user: "me" });
    expect(mail?.text).toContain(`Subject: ${subject}\r\n`);
    expect(mail?.text).toContain(`Message-ID: <${invocation.id}@tripline>`);
    expect(mail?.text).toContain("Auto-Submitted: auto-generated");
    expect(mail?.text).toContain(body);
  });

  test.each([
    [451, "executed", 2],
    [550, "failed", 1],
  ])("that the server answers with %i is %s after %i attempts", async (responseCode, kind, attempts) => {
    let calls = 0;
    const { destination } = await startMail({
      onRcptTo: (_address, _session, done) =>
        ++calls > 2 ? done() : done(Object.assign(new Error("not now"), { responseCode })),
    });
    const actions = await startWith(destination);
    const outcome = await actions.deliver(invocationOf(notify));
    expect([outcome.kind, outcome.payload["attempts"]]).toEqual([kind, attempts]);
  });

  test("is sent to the recipients that the server accepts, and names the others", async () => {
    const { mails, destination } = await startMail({
      onRcptTo: ({ address }, _session, done) =>
        address === "a@example.org"
          ? done()
          : done(Object.assign(new Error("unknown"), { responseCode: 550 })),
    });
    const actions = await startWith(destination);
    const { kind, payload } = await actions.deliver(invocationOf(notify));
    expect([kind, payload["accepted"], payload["rejected"]]).toEqual([
      "executed",
      ["a@example.org"],
      ["b@example.org"],
    ]);
    expect(mails.map(({ to }) => to)).toEqual([["a@example.org"]]);
  });

  // Greylisting, a full mailbox: the one would never get the message, or the other would get it again and again.
  test.each([
    [[450, 451], ["a@example.org", "b@example.org"], undefined],
    [[450, 550], ["a@example.org"], ["b@example.org"]],
  ])("is sent again only to those who were refused for a while: %j", async (statuses, accepted, rejected) => {
    const left = [...statuses];
    const { mails, destination } = await startMail({
      onRcptTo: ({ address }, _session, done) => {
        const responseCode = address === "a@example.org" ? undefined : left.shift();
        done(responseCode === undefined ? null : Object.assign(new Error("grey"), { responseCode }));
      },
    });
    const actions = await startWith(destination);
    const invocation = invocationOf(notify);
    const { kind, payload } = await actions.deliver(invocation);
    expect([kind, payload["accepted"], payload["rejected"]]).toEqual(["executed", accepted, rejected]);
    expect(mails.map(({ to }) => to)).toEqual(accepted.map((address) => [address]));
    await expect.poll(() => actions.queue.delivery(invocation.id)).toMatchObject({ state: "delivered" });
    const { attempts } = (await actions.queue.delivery(invocation.id))!;
    expect(attempts[0]?.reason).toBe(
      "the server accepted it for a@example.org, but not for all: b@example.org: 450 grey",
    );
    expect(attempts.at(-1)?.answer).toBe(rejected && "refused for b@example.org: 550 grey");
  });

  // It says nothing about the message. The server may be in maintenance.
  test("is tried again at a server that turns every client away, whatever the status", async () => {
    let calls = 0;
    const { mails, destination } = await startMail({
      onConnect: (_session, done) =>
        ++calls > 2 ? done() : done(Object.assign(new Error("no service now"), { responseCode: 554 })),
    });
    const actions = await startWith(destination);
    expect((await actions.deliver(invocationOf(notify))).payload["attempts"]).toBe(3);
    expect(mails).toHaveLength(1);
  });

  // No certificate can be checked against a server name that is an IP address.
  test.each(["tls", "starttls"])("reaches a server by its IP address with %s", async (security) => {
    const { destination } = await startMail({ disabledCommands: [], secure: security === "tls" });
    const actions = await startWith({ ...destination, security });
    expect((await actions.deliver(invocationOf(notify))).payload["reason"]).toMatch(/certificate/);
  });

  test("waits while its server cannot be reached, and that costs no attempt", async () => {
    const { destination, server } = await startMail();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    const actions = await startWith(destination, restsAtOnce);
    const invocation = invocationOf(notify);
    await actions.queue.addInvocations([invocation]);
    await expect
      .poll(() => actions.queue.delivery(invocation.id))
      .toMatchObject({
        state: "deferred",
        attempt_count: 1,
        reason: `smtp://127.0.0.1:${destination.port} is resting: nothing is sent to it for now`,
      });
  });

  test("goes on to a server that turns one away, and leaves no connection open", async () => {
    let calls = 0;
    const { mails, destination, server } = await startMail({
      onRcptTo: (_address, _session, done) =>
        ++calls > 2 ? done() : done(Object.assign(new Error("not now"), { responseCode: 451 })),
    });
    const actions = await startWith(destination, restsAtOnce);
    const invocations = [notify, notify, notify].map((action) => invocationOf(action));
    for (const invocation of invocations) {
      expect((await actions.deliver(invocation)).kind).toBe("executed");
      await expect.poll(() => server.connections.size).toBe(0);
    }
    expect(mails).toHaveLength(3);
  });

  test("with a wrong password is tried again, and the password is not shown", async () => {
    const { mails, destination } = await startMail({
      onAuth: ({ password }, _session, done) => done(new Error(`not ${password}`)),
    });
    const actions = await startWith({ ...destination, username: "me", password: "hush" });
    const { kind, payload } = await actions.deliver(invocationOf(notify));
    expect([kind, payload["attempts"], mails]).toEqual(["failed", 3, []]);
    const outputs = [await actions.events(), await actions.listed("dead"), actions.logger.lines];
    expect(JSON.stringify(outputs)).not.toContain("hush");
  });

  test("is not sent without TLS unless the destination allows it", async () => {
    const { mails, destination } = await startMail();
    const actions = await startWith({ ...destination, security: "starttls" });
    const { kind } = await actions.deliver(invocationOf(notify));
    expect([kind, mails]).toEqual(["failed", []]);
  });

  test("is not sent to private addresses unless they are allowed", async () => {
    const { mails, destination } = await startMail();
    for (const host of ["127.0.0.1", "localhost"]) {
      const actions = await startWith({ ...destination, host }, { dangerouslyAllowPrivateAddresses: false });
      const { kind, payload } = await actions.deliver(invocationOf(notify));
      expect([kind, payload["attempts"]]).toEqual(["failed", 3]);
      expect(payload["reason"]).toContain("not a public address");
    }
    expect(mails).toEqual([]);
  });
});
