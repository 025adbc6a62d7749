/** An alarm goes out even if its template cannot be rendered: plainly, and marked. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { invocationOf, pumpEvent, startActions, startReceiver, webhook } from "./support.ts";
import { startMail, startWithDestination } from "./support-destinations.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

type Json = Record<string, unknown>;

const broken = "{{ event.payload.pressure + 'bar' }}";
const reason = "+ cannot be applied to a number and a text; use ~ to join texts";

/** What every plain message says: what fired, for which key, because of what, and why it is plain. */
function expectPlain(text: string): void {
  expect(text).toContain("pump watch fired (zone=north) at 2026-03-01T12:00:00Z.");
  expect(text).toMatch(
    /Event: pump\.stopped of greenhouse\.pump\.1 at 2026-03-01T12:00:00Z, id [0-9a-f-]{36}\./,
  );
  expect(text).toContain(`The template of this message failed, so it is plain.`);
  expect(text).toContain(reason);
}

/** Delivers a webhook to a receiver. */
async function deliver(fields: Json, given: Parameters<typeof invocationOf>[1] = {}) {
  const receiver = await startReceiver();
  const actions = startActions(redis.url);
  actions.work();
  const invocation = invocationOf(webhook(receiver.url, fields), given);
  await actions.queue.addInvocations([invocation]);
  const outcome = await actions.outcome(invocation);
  const [request] = receiver.received;
  return { actions, invocation, outcome, request, body: request?.body ?? "" };
}

describe("a webhook whose template fails", () => {
  test("is sent with a plain text in the place of what failed, and the rest as written", async () => {
    const payload = { text: broken, severity: "critical", codes: ["{{ labels.zone }}", broken] };
    const { outcome, body } = await deliver({ payload });
    expect(outcome.event).toBe("prefect-cloud.automation.action.executed");
    const sent = JSON.parse(body) as { text: string; codes: string[] };
    expect(sent).toMatchObject({ severity: "critical", codes: ["north", expect.any(String)] });
    expectPlain(sent.text);
    expect(sent.text).toContain("payload.text: ");
    expectPlain(sent.codes[1] ?? "");
    expect(outcome.payload["template_failures"]).toEqual([
      { field: "payload.text", reason },
      { field: "payload.codes.1", reason },
    ]);
  });

  test("and is JSON as a whole is sent as JSON, with the firing", async () => {
    const { request, body } = await deliver({ payload: `{"text": "${broken}"}`, secret: "signing" });
    expect(request?.headers).toMatchObject({ "content-type": "application/json" });
    expect(request?.headers).toHaveProperty("webhook-signature");
    const sent = JSON.parse(body) as Json;
    expectPlain(String(sent["text"]));
    expect(sent).toMatchObject({
      template_failures: [{ field: "payload", reason }],
      automation: { name: "pump watch" },
      event: { event: "pump.stopped" },
      labels: { zone: "north" },
    });
  });

  test.each([
    [{}, `Pressure: ${broken}`, "text/plain; charset=utf-8"],
    [{ "Content-Type": "text/markdown" }, `{ ${broken} }`, "text/markdown"],
    [{ "Content-Type": "application/cloudevents+json" }, broken, "application/cloudevents+json"],
  ])("and is a text is sent as a text, unless its type says JSON: %j", async (headers, payload, type) => {
    const { request, body } = await deliver({ payload, headers });
    expect(request?.headers["content-type"]).toBe(type);
    expectPlain(type.endsWith("json") ? String((JSON.parse(body) as Json)["text"]) : body);
  });

  test.each([
    ["{{ 1 / 0 }}", "division by zero"],
    ["{% for i in range(100000000) %}{% endfor %}", "the template does too much"],
    ["${env.MISSING}", "${env.MISSING} has no value"],
  ])("for any reason is sent and says why: %s", async (payload, why) => {
    const { outcome, body } = await deliver({ payload });
    expect(outcome.payload).toMatchObject({ status_code: 200 });
    expect(body).toContain(why);
  });

  test("in a header is sent without that header", async () => {
    const headers = {
      "x-broken": broken,
      "x-note": "{{ event.payload.note }}",
      "x-zone": "{{ labels.zone }}",
    };
    const event = pumpEvent({ payload: { pressure: 1, note: "line\r\nx-evil: yes" } });
    const { outcome, request } = await deliver({ headers }, { event });
    expect(request?.headers).toMatchObject({ "x-zone": "north" });
    expect(Object.keys(request?.headers ?? {})).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/broken|note|evil/)]),
    );
    expect(outcome.payload["template_failures"]).toEqual([
      { field: "headers.x-broken", reason },
      { field: "headers.x-note", reason: expect.stringContaining("the header was left out: ") },
    ]);
  });

  test("is a dead letter only if its url cannot be rendered, and says so", async () => {
    const { outcome, request } = await deliver({ url: `http://127.0.0.1/${broken}` });
    expect(outcome.event).toBe("prefect-cloud.automation.action.failed");
    expect(outcome.payload["reason"]).toBe(
      `nothing was sent, because the template of the url failed: ${reason}`,
    );
    expect(request).toBeUndefined();
  });

  test("says so after an absence without any event", async () => {
    const { body } = await deliver({ payload: "{{ 1 / 0 }}" }, { event: null });
    expect(body).toContain("pump watch fired (zone=north) at 2026-03-01T12:00:00Z.\nThere was no event.\n");
  });

  test("gives no secret away", async () => {
    const given = { secrets: { TOKEN: "t0k3n-of-ours" } };
    const payload = { text: "${env.TOKEN} {{ 1 / 0 }}", other: "${env.TOKEN}" };
    const { outcome, body } = await deliver({ payload }, given);
    expect(JSON.parse(body)).toMatchObject({
      other: "t0k3n-of-ours",
      text: expect.not.stringContaining("t0k3n"),
    });
    expect(JSON.stringify(outcome)).not.toContain("t0k3n");
  });
});

describe("a payload that is one text", () => {
  const event = pumpEvent({ payload: { pressure: 1, note: 'the "north" pump' } });

  test("and was meant as JSON is never sent as broken JSON", async () => {
    const { body, request, outcome } = await deliver(
      { payload: '{"text": "{{ event.payload.note }}"}' },
      { event },
    );
    expect(request?.headers["content-type"]).toBe("application/json");
    expect(JSON.parse(body)).toMatchObject({ event: { payload: { note: 'the "north" pump' } } });
    expect(outcome.payload["template_failures"]).toEqual([
      { field: "payload", reason: expect.stringContaining("put each value through the filter tojson") },
    ]);
  });

  test.each([
    "[{{ labels.zone }}] {{ event.payload.note }} [low]",
    "{ {{ labels.zone }} }",
    "{{ event.payload.note }}",
  ])("and is no JSON is sent as it is: %s", async (payload) => {
    const { body, outcome } = await deliver({ payload }, { event });
    expect(body).toBe(
      payload.replace("{{ labels.zone }}", "north").replace("{{ event.payload.note }}", 'the "north" pump'),
    );
    expect(outcome.payload).not.toHaveProperty("template_failures");
  });
});

describe("a notification whose template fails", () => {
  const action = {
    type: "send-notification",
    destination: "ops",
    subject: "low: {{ labels.zone }}",
    body: broken,
  };

  test.each([
    [{ type: "slack" }, (sent: Json) => sent["text"]],
    [{ type: "discord" }, (sent: Json) => (sent["embeds"] as Json[])[0]?.["description"]],
    [{ type: "webhook" }, (sent: Json) => sent["body"]],
    [{ type: "ms-teams" }, (sent: Json) => JSON.stringify(sent).replaceAll("\\n", "\n")],
    [
      { type: "pagerduty", routing_key: "key" },
      (sent: Json) => ((sent["payload"] as Json)["custom_details"] as Json)["body"],
    ],
  ])("reaches its destination plainly: %j", async (definition, textOf) => {
    const receiver = await startReceiver();
    const actions = await startWithDestination(redis.url, { url: receiver.url, ...definition });
    const { kind, payload } = await actions.deliver(invocationOf(action));
    expect(kind).toBe("executed");
    expect(payload["template_failures"]).toEqual([{ field: "body", reason }]);
    const sent = receiver.received[0]?.body ?? "";
    expectPlain(String(textOf(JSON.parse(sent) as Json)));
    expect(sent).toContain("low: north");
  });

  test("reaches a mailbox plainly", async () => {
    const { mails, destination } = await startMail();
    const actions = await startWithDestination(redis.url, destination);
    await actions.deliver(invocationOf(action));
    expectPlain(
      (mails[0]?.text ?? "").replaceAll("=\r\n", "").replaceAll("=3D", "=").replaceAll("\r\n", "\n"),
    );
  });

  test("in its subject alone keeps its body, and says so below it", async () => {
    const receiver = await startReceiver();
    const actions = await startWithDestination(redis.url, { type: "webhook", url: receiver.url });
    await actions.deliver(invocationOf({ ...action, subject: broken, body: "low" }));
    expect(JSON.parse(receiver.received[0]?.body ?? "")).toMatchObject({
      subject: "pump watch",
      body: `low\n\nThe template of this message failed, so it is plain. subject: ${reason}`,
    });
  });

  test("to a chat service over call-webhook has the service's own form", async () => {
    const receiver = await startReceiver();
    const actions = await startWithDestination(redis.url, { type: "discord", url: receiver.url });
    await actions.deliver(
      invocationOf({ type: "call-webhook", destination: "ops", payload: `{"content": ${broken}}` }),
    );
    const { embeds } = JSON.parse(receiver.received[0]?.body ?? "") as { embeds: Json[] };
    expectPlain(String(embeds[0]?.["description"]));
  });
});

describe("an event whose template fails", () => {
  const emit = async (fields: Json) => {
    const actions = startActions(redis.url);
    actions.work();
    const invocation = invocationOf({ type: "emit-event", event: "pump.checked", ...fields });
    await actions.queue.addInvocations([invocation]);
    const outcome = await actions.outcome(invocation);
    return { outcome, emitted: (await actions.events()).find(({ event }) => event === "pump.checked") };
  };

  test("is emitted without the parts that failed, and says which", async () => {
    const { outcome, emitted } = await emit({
      resource: { "prefect.resource.id": "pump.1", zone: broken, state: "low" },
      related: [
        { "prefect.resource.id": "zone.{{ labels.zone }}", "prefect.resource.role": "zone", note: broken },
      ],
      payload: { pressure: broken, zone: "{{ labels.zone }}" },
    });
    expect(emitted).toMatchObject({
      resource: { "prefect.resource.id": "pump.1", state: "low" },
      related: [{ "prefect.resource.id": "zone.north", "prefect.resource.role": "zone" }],
      payload: {
        pressure: null,
        zone: "north",
        template_failures: [{ field: "payload.pressure", reason }],
      },
    });
    expect(emitted?.resource).not.toHaveProperty("zone");
    expect(outcome.payload["template_failures"]).toHaveLength(3);
  });

  test.each([
    [{ event: broken }, "event"],
    [{ resource: { "prefect.resource.id": broken } }, "resource.prefect.resource.id"],
    [
      { related: [{ "prefect.resource.id": "a", "prefect.resource.role": broken }] },
      "related.0.prefect.resource.role",
    ],
  ])("is not emitted under a wrong name or id: %j", async (fields, field) => {
    const { outcome, emitted } = await emit(fields);
    expect(emitted).toBeUndefined();
    expect(outcome.payload["reason"]).toBe(
      `no event was emitted, because the template of ${field} failed: ${reason}`,
    );
  });
});

// "incident." would stand for every incident at once.
test.each([
  "incident.{{ event.payload.number }}",
  "{{ ('incident.' ~ event.payload.number) | lower }}",
  "{% if event %}incident.{{ event.payload.number }}{% endif %}",
])("an event is not emitted under an id with a hole: %s", async (id) => {
  const actions = startActions(redis.url);
  actions.work();
  const resource = { "prefect.resource.id": id };
  const invocation = invocationOf({ type: "emit-event", event: "incident.opened", resource });
  await actions.queue.addInvocations([invocation]);
  const outcome = await actions.outcome(invocation);
  expect(outcome.payload["reason"]).toContain(
    'the template of resource.prefect.resource.id failed: an expression is empty, which leaves a hole in the id "incident.{{ }}"',
  );
  expect((await actions.events()).filter(({ event }) => event === "incident.opened")).toEqual([]);
});

test("a plain message is marked in the delivery, in its event by a label, and in the log", async () => {
  const { actions, invocation, outcome } = await deliver({ payload: { text: broken } });
  expect(outcome.resource).toMatchObject({ "prefect-cloud.action.template": "failed" });
  const failures = [{ field: "payload.text", reason }];
  await expect.poll(() => actions.queue.delivery(invocation.id)).toMatchObject({ state: "delivered" });
  expect(await actions.queue.delivery(invocation.id)).toMatchObject({ template_failures: failures });
  expect(actions.logger.lines.join("\n")).toContain("A template failed; the message is plain");

  const whole = await deliver({ payload: { text: "fine" } });
  expect(whole.outcome.resource).not.toHaveProperty("prefect-cloud.action.template");
  await expect
    .poll(() => whole.actions.queue.delivery(whole.invocation.id))
    .toMatchObject({ state: "delivered" });
  expect(await whole.actions.queue.delivery(whole.invocation.id)).not.toHaveProperty("template_failures");
});
