/** What a delivery sends, as people see it: the same as its receiver gets, without the secrets. */

import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Invocation } from "../../../src/core/model/invocation.ts";
import { millisecond } from "../../../src/core/model/time.ts";
import { deliveryEvent } from "../../../src/delivery/delivery-state.ts";
import {
  automationOf,
  firedBy,
  invocationOf,
  pumpEvent,
  startReceiver,
  webhook,
} from "../../delivery/support.ts";
import { startMail } from "../../delivery/support-destinations.ts";
import { deliveriesInApi } from "./delivery-support.ts";

type Json = Record<string, unknown>;

const { api, queue, work, putDestination, reached } = deliveriesInApi();

async function shown(id: string, query = ""): Promise<{ status: number; body: Json; text: string }> {
  const response = await fetch(`${api().url}/api/deliveries/${id}/request${query}`);
  const text = await response.text();
  return { status: response.status, body: JSON.parse(text) as Json, text };
}

/** Everything that is masked, or that the connection adds. */
function comparable(headers: Json): Json {
  const own = ["host", "connection", "content-length", "transfer-encoding"];
  const rest = Object.entries(headers).filter(([name]) => !own.includes(name));
  return Object.fromEntries(
    rest.map(([name, value]) => [name, name === "webhook-signature" ? "********" : value]),
  );
}

const notify = {
  type: "send-notification",
  destination: "ops",
  subject: "{{ event.event }}",
  body: "Pressure is {{ event.payload.pressure }}, <@everyone>",
};

describe("before and after it was sent, the request of a delivery is shown as its receiver gets it", () => {
  const plain = { "X-Zone": "{{ labels.zone }}" };
  test.each<[string, Json, Json | null]>([
    ["the firing as JSON", { headers: plain }, null],
    ["a mapping", { payload: { pressure: "{{ event.payload.pressure }}" }, method: "PUT" }, null],
    ["a text, signed", { payload: "stopped at {{ event.occurred }}", secret: "signing key" }, null],
    ["no body", { method: "GET" }, null],
    ["a template that fails", { payload: "{{ event.payload.pressure | fromjson }}" }, null],
    [
      "a payload for a destination",
      { destination: "ops", payload: { a: 1 } },
      { type: "webhook", method: "PATCH" },
    ],
    ["a notification for a webhook", notify, { type: "webhook" }],
    ["a notification for Slack", notify, { type: "slack" }],
    ["a notification for Teams", notify, { type: "ms-teams" }],
    ["a notification for Discord", notify, { type: "discord" }],
  ])("(%s)", async (_, fields, destination) => {
    const receiver = await startReceiver();
    if (destination !== null) await putDestination({ ...destination, url: receiver.url });
    const action =
      fields["type"] === undefined
        ? { type: "call-webhook", ...(destination === null ? { url: receiver.url } : {}), ...fields }
        : fields;
    const invocation = invocationOf(action);
    await queue().addInvocations([invocation]);
    const before = await shown(invocation.id);
    work();
    await receiver.arrived(1);
    await reached(invocation.id, "delivered");
    const after = await shown(invocation.id);
    const [request] = receiver.received;
    const url = destination === null ? receiver.url : `${new URL(receiver.url).origin}/********`;
    for (const { status, body } of [before, after]) {
      expect(status).toBe(200);
      expect(body).toMatchObject({
        kind: "http",
        method: request?.method,
        url,
        body: request?.body === "" ? null : request?.body,
        truncated: false,
        rendered: "as_sent",
      });
      const { "webhook-timestamp": sent, ...headers } = comparable(body["headers"] as Json);
      const { "webhook-timestamp": received, ...expected } = comparable(request?.headers as Json);
      expect(headers).toEqual(expected);
      expect(Math.abs(Number(sent) - Number(received))).toBeLessThanOrEqual(2);
    }
  });

  test("(an email)", async () => {
    const { mails, destination } = await startMail();
    await putDestination(destination);
    const invocation = invocationOf(notify);
    await queue().addInvocations([invocation]);
    const { body } = await shown(invocation.id);
    expect(body).toEqual({
      kind: "email",
      method: null,
      url: `smtp://127.0.0.1:${destination.port}`,
      headers: {
        From: "Tripline <tripline@example.org>",
        To: "a@example.org, b@example.org",
        Subject: "pump.stopped",
        "Message-ID": `<${invocation.id}@tripline>`,
        "Auto-Submitted": "auto-generated",
      },
      body: "Pressure is 0.4, <@everyone>",
      body_type: "text/plain; charset=utf-8",
      truncated: false,
      rendered: "as_sent",
    });
    work();
    await expect.poll(() => mails.length).toBe(1);
    expect(mails[0]?.text).toContain("Subject: pump.stopped");
    expect(mails[0]?.text).toContain("Pressure is 0.4, <@everyone>");
    expect(mails[0]?.text).toContain(`Message-ID: <${invocation.id}@tripline>`);
  });
});

// Values that are written differently wherever they go: in JSON, in a URL, in the markup of a chat, in base64.
const secrets = {
  TOKEN: 'to"ken&<7>\\x-very-long',
  PATH_KEY: "T000/B000'ü key",
  PASSWORD: "p@ss:w/rd%",
  SIGNING: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  HOST: "secret-host.example.org",
};
const formsOf = (value: string) => [
  value,
  encodeURIComponent(value),
  encodeURI(value),
  JSON.stringify(value).slice(1, -1),
  value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"),
  Buffer.from(value).toString("base64").replace(/=+$/, ""),
  value.replaceAll("'", "%27"),
];

describe("no secret is in the answer", () => {
  const quoted = pumpEvent({ payload: { said: `I heard ${secrets.TOKEN} and ${secrets.PASSWORD}` } });
  const asItSays = "{{ event.payload.said }}";
  const action = {
    type: "call-webhook",
    url: "https://user:p@ss@example.org/${env.PATH_KEY}?key=${env.TOKEN}",
    headers: {
      Authorization: "Bearer ${env.TOKEN}",
      "X-Plain": "a ${env.TOKEN} b",
      "X-Said": asItSays,
      Cookie: "literal-cookie",
      "X-Api-Key": "literal-api-key",
    },
    payload: {
      text: "${env.TOKEN} and ${env.PASSWORD}",
      nested: [{ "k${env.TOKEN}": "{{ '${env.TOKEN}' | upper }}" }],
      said: asItSays,
    },
    secret: "${env.SIGNING}",
  };
  const destination = {
    type: "webhook",
    url: `https://u:${encodeURIComponent(secrets.PASSWORD)}@example.org/${encodeURIComponent(secrets.PATH_KEY)}`,
    headers: { "X-Team": secrets.HOST, Authorization: "Bearer destination-token" },
    secret: secrets.SIGNING,
  };
  const bodies = { ...notify, subject: asItSays, body: `${asItSays} \${env.TOKEN} \${env.PASSWORD}` };
  const never = [
    ...Object.values(secrets).flatMap(formsOf),
    "p@ss",
    "ss@example.org",
    "literal-cookie",
    "literal-api-key",
    "destination-token",
    "routing-key-of-32-characters-000",
    "mail-password",
  ];

  test.each<[string, Json, Json | null]>([
    ["a webhook", action, null],
    ["a URL that is a secret", { ...action, url: "https://${env.HOST}:8443/a" }, null],
    [
      "a text",
      { ...action, payload: '{"token": "${env.PASSWORD}", "said": {{ event.payload.said | tojson }}}' },
      null,
    ],
    [
      "a template that fails",
      { ...action, payload: { a: "{{ event.payload.said | fromjson }}${env.TOKEN}", b: asItSays } },
      null,
    ],
    [
      "a webhook to a destination",
      { type: "call-webhook", destination: "ops", payload: action.payload },
      destination,
    ],
    ["a notification", bodies, destination],
    [
      "Slack",
      bodies,
      { type: "slack", url: `https://hooks.example.org/services/${encodeURI(secrets.PATH_KEY)}` },
    ],
    ["PagerDuty", bodies, { type: "pagerduty", routing_key: "routing-key-of-32-characters-000" }],
    [
      "email",
      bodies,
      {
        type: "email",
        host: "mail.example.org",
        from: "a@example.org",
        to: ["b@example.org"],
        username: "tripline",
        password: "mail-password",
      },
    ],
  ])("(%s)", async (_, fields, target) => {
    if (target !== null) await putDestination(target);
    const automation = automationOf(fields, { secrets });
    await api().log.putAutomations([automation]);
    const [invocation] = firedBy(automation, { event: quoted });
    await queue().addInvocations([invocation!]);
    for (const query of ["", "?rendered=now", "?rendered=as_sent"]) {
      const { status, text, body } = await shown(invocation!.id, query);
      expect([status, body["kind"]]).toEqual([200, target?.["type"] === "email" ? "email" : "http"]);
      for (const form of never) expect(text).not.toContain(form);
      expect(body["body"]).toContain("${env.TOKEN}");
    }
  });

  test("(a delivery that was made, whose secrets are not kept)", async () => {
    const receiver = await startReceiver();
    const automation = automationOf({ ...action, url: `${receiver.url}?key=\${env.TOKEN}` }, { secrets });
    await api().log.putAutomations([automation]);
    const [invocation] = firedBy(automation, { event: quoted });
    await queue().addInvocations([invocation!]);
    work();
    await reached(invocation!.id, "delivered");
    expect(receiver.received[0]?.body).toContain(secrets.PASSWORD); // or this would show nothing
    const { text, body } = await shown(invocation!.id);
    expect(body).toMatchObject({
      kind: "http",
      rendered: "as_sent",
      url: `${receiver.url}?key=\${env.TOKEN}`,
    });
    expect(body).not.toHaveProperty("note");
    for (const form of never) expect(text).not.toContain(form);
    const names = Object.keys(body["headers"] as Json).sort();
    const sent = Object.keys(comparable(receiver.received[0]?.headers as Json)).sort();
    expect(names).toEqual(sent);
  });
});

// Their secrets decide what is sent, although templates cannot see them.
test("a value that breaks the message is reported, and what goes out instead is shown", async () => {
  const broken = { QUOTE: 'say "hush"', LINES: "hush\nhush" };
  const action = { headers: { "X-Lines": "${env.LINES}" }, payload: '{"text": "${env.QUOTE}"}' };
  const invocation = invocationOf(webhook("https://example.org/", action), { secrets: broken });
  await queue().addInvocations([invocation]);
  const { body, text } = await shown(invocation.id);
  expect(text).not.toContain("hush");
  expect(body).toMatchObject({
    note: "A template fails, so the message is plain.",
    template_failures: [{ field: "headers.X-Lines" }, { field: "payload" }],
    body: expect.stringContaining("The template of this message failed"),
  });
  expect(body["headers"]).not.toHaveProperty("x-lines");
});

describe("the rule decides what is shown:", () => {
  const before = webhook("https://example.org/before", { payload: "before" });
  const fired = async (given: object = {}) => {
    const automation = automationOf(before, given);
    const [invocation] = firedBy(automation);
    await queue().addInvocations([invocation!]);
    return { automation, id: invocation!.id };
  };

  test("that of the firing, or the present one on request", async () => {
    const { automation, id } = await fired();
    await api().log.putAutomations([
      { ...automation, actions: [webhook("https://example.org/after", { payload: "after" })] },
    ]);
    expect((await shown(id)).body).toMatchObject({ body: "before", rendered: "as_sent" });
    expect((await shown(id, "?rendered=now")).body).toMatchObject({
      body: "after",
      url: "https://example.org/after",
      rendered: "now",
    });
  });

  // A delivery that has waited goes to the present target, with the present text.
  test("the present one if the next attempt follows it", async () => {
    const receiver = await startReceiver(
      (response) => void response.writeHead(503, { "Retry-After": "600" }).end(),
    );
    const automation = automationOf(webhook(receiver.url, { payload: "before" }));
    const [invocation] = firedBy(automation);
    await api().log.putAutomations([automation]);
    await queue().addInvocations([invocation!]);
    work();
    await reached(invocation!.id, "retrying");
    const { id } = invocation!;
    await api().log.putAutomations([
      { ...automation, actions: [webhook(receiver.url, { payload: "same target" })] },
    ]);
    expect((await shown(id)).body).toMatchObject({ body: "before", rendered: "as_sent" });
    await api().log.putAutomations([
      { ...automation, actions: [webhook("https://example.org/", { payload: "after" })] },
    ]);
    expect((await shown(id)).body).toMatchObject({ body: "after", rendered: "now" });
    expect((await shown(id, "?rendered=as_sent")).body).toMatchObject({ body: "before" });
  });

  test("without a rule, there is no present message", async () => {
    const { id } = await fired();
    expect(await shown(id, "?rendered=now")).toMatchObject({
      status: 409,
      body: {
        detail: expect.stringMatching(/has been deleted\. To see what the rule said .*rendered=as_sent/),
      },
    });
    expect((await shown(id)).status).toBe(200);
    expect((await shown(id, "?rendered=later")).status).toBe(422);
  });

  test("a destination that has changed since is pointed out", async () => {
    const receiver = await startReceiver();
    await putDestination({ type: "slack", url: receiver.url });
    const invocation = invocationOf(notify);
    await queue().addInvocations([invocation]);
    work();
    await reached(invocation.id, "delivered");
    expect((await shown(invocation.id)).body).not.toHaveProperty("note");
    await putDestination({ type: "discord", url: receiver.url });
    expect((await shown(invocation.id)).body).toMatchObject({
      note: expect.stringContaining("destination has changed since"),
      body: expect.stringContaining("embeds"),
    });
  });
});

describe("where nothing is sent, the note says why:", () => {
  test.each<[Json, string]>([
    [{ type: "do-nothing" }, "the action does nothing"],
    [{ ...notify, destination: "gone" }, 'destination "gone" does not exist'],
    [
      { type: "call-webhook", url: "https://example.org/{{ event.payload.pressure | fromjson }}" },
      "template of the url failed",
    ],
    [
      {
        type: "call-webhook",
        url: "https://example.org/",
        payload: "a",
        headers: { a: "b" },
        secret: "${env.NONE}",
      },
      "has no value",
    ],
    [{ type: "pause-automation", automation: "vent watch" }, 'no automation is named "vent watch"'],
  ])("%j", async (action, reason) => {
    const invocation = invocationOf(action);
    await queue().addInvocations([invocation]);
    const { body } = await shown(invocation.id);
    expect(body).toMatchObject({
      kind: "none",
      url: null,
      body: null,
      note: expect.stringContaining(reason),
    });
  });
});

test("an event and a pause are shown as what they do", async () => {
  const target = automationOf({ type: "do-nothing" }, { name: "vent watch" });
  await api().log.putAutomations([target]);
  const emitted = invocationOf({ type: "emit-event", event: "vent.{{ labels.zone }}" });
  const pause = invocationOf({ type: "pause-automation", automation: "vent watch" });
  await queue().addInvocations([emitted, pause]);
  const event = (await shown(emitted.id)).body;
  expect(event).toMatchObject({ kind: "event", method: null, url: null, body_type: "application/json" });
  expect(JSON.parse(String(event["body"]))).toMatchObject({
    event: "vent.north",
    follows: emitted.firingEventId,
  });
  expect((await shown(pause.id)).body).toMatchObject({
    kind: "automation",
    body: JSON.stringify({ automation_id: target.id, enabled: false }),
  });
});

test("of a long body the beginning is shown", async () => {
  const event = pumpEvent({ payload: { text: "x".repeat(200_000) } });
  const invocation = invocationOf(webhook("https://example.org/"), { event });
  await queue().addInvocations([invocation]);
  const { body } = await shown(invocation.id);
  expect(body).toMatchObject({ truncated: true });
  expect(body["body"]).toHaveLength(65_536);
});

describe("what is not known is refused:", () => {
  test.each([randomUUID(), "not-an-id"])("the id %s", async (id) => {
    expect((await shown(id)).status).toBe(404);
  });

  test("a delivery that only the history knows", async () => {
    const invocation: Invocation = invocationOf(webhook("https://example.org/"));
    const event = deliveryEvent({ invocation }, "triggered", Date.now() * millisecond);
    await api().log.appendEvents([{ event, lineage: [], trace: null }]);
    expect(await shown(invocation.id)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining("not known any more") },
    });
  });

  test("an event that was emitted", async () => {
    const invocation = invocationOf({ type: "emit-event", event: "vent.opened" });
    await queue().addInvocations([invocation]);
    work();
    await reached(invocation.id, "delivered");
    expect((await shown(invocation.id)).status).toBe(409);
  });
});
