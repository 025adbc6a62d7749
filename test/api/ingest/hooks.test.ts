import { createHmac } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EventSchema, type WireEvent } from "../../../src/core/model/event.ts";
import { eventBytesMax } from "../../../src/core/model/limits.ts";
import { makeKey } from "../../../src/store/api-key.ts";
import { ApiKeyStore } from "../../../src/store/api-key-store.ts";
import { Log } from "../../../src/store/log.ts";
import { loadText } from "../../rules/support.ts";
import { type KeyedServer, serve } from "../http/auth-support.ts";
import { startApi, type TestApi } from "../support.ts";

const secret = "hush, little pump";
const env = { PUMP_SECRET: secret };

const rules = `
hooks:
  - name: pumps
    template: |
      {% if body.pumps %}[{% for pump in body.pumps %}
        {"event": "pump.{{ pump.state }}", "resource": {"prefect.resource.id": {{ ("pump." ~ pump.id) | tojson }}, "liters": {{ pump.liters | tojson }}}}
        {%- if not loop.last %},{% endif %}{% endfor %}]{% endif %}
  - name: vents
    template:
      event: "{{ method | lower }}.{{ query.kind }}"
      occurred: "{{ body.at }}"
      resource: { prefect.resource.id: "vent.{{ body.vent }}", agent: "{{ headers['user-agent'] }}" }
      related:
        - { prefect.resource.id: "house.{{ body.house }}", prefect.resource.role: house }
      payload: "{{ {'body': body, 'headers': headers, 'query': query, 'received': received} | tojson }}"
      id: "{{ body.id }}"
  - name: texts
    template: [{ event: text.came, resource: { prefect.resource.id: text }, payload: { text: "{{ body | string }}" } }]
  - name: github
    signature: { type: github, secret: "\${env.PUMP_SECRET}" }
    template: { event: "repository.{{ body.payload.action }}", resource: { prefect.resource.id: repository } }
  - name: svix
    signature: { type: standard-webhooks, secret: "\${env.PUMP_SECRET}" }
    template: "[{{ body | tojson }}, {{ body | tojson }}]"
  - name: slack
    signature: { type: slack, secret: "\${env.PUMP_SECRET}" }
    template: { event: "slack.{{ body.event.type }}", resource: { prefect.resource.id: slack } }
  - name: stripe
    signature: { type: stripe, secret: "\${env.PUMP_SECRET}" }
    template: { event: "{{ body.type }}", occurred: "{{ body.created }}", resource: { prefect.resource.id: stripe } }
  - name: shared
    signature: { type: shared-secret, header: X-Pump-Token, secret: "\${env.PUMP_SECRET}" }
    template: { event: shared.sent, resource: { prefect.resource.id: shared }, payload: { all: "{{ headers }}" } }
`;

const { hooks, diagnostics } = loadText(rules, { env });
let api: TestApi;

beforeAll(async () => {
  expect(diagnostics).toEqual([]);
  api = await startApi();
});

afterAll(() => api.stop());

beforeEach(async () => {
  await api.connection.flushall();
  await api.log.hooks.replaceAll(hooks);
});

interface Sent {
  readonly type?: string;
  readonly headers?: Record<string, string>;
}

function send(path: string, body: unknown, { type = "application/json", headers = {} }: Sent = {}) {
  const text = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  const sent = { ...(type === "" ? {} : { "Content-Type": type }), ...headers };
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  return fetch(`${api.url}/api/hooks/${path}`, {
    method: "POST",
    body: bytes as Uint8Array<ArrayBuffer>,
    headers: sent,
  });
}

async function stored(): Promise<WireEvent[]> {
  return (await api.events()).map(({ event }) => event.wire);
}

const answerOf = async (response: Response) =>
  (await response.json()) as { events: string[]; reason?: string; detail?: string };

describe("a hook turns a request into", () => {
  test("events, each valid, as the template writes them", async () => {
    const pumps = [
      { id: 'a"b', state: "stopped", liters: 1.5 },
      { id: 2, state: "started", liters: null },
    ];
    const response = await send("pumps", { pumps });

    expect(response.status).toBe(200);
    const events = await stored();
    expect((await answerOf(response)).events).toEqual(events.map(({ id }) => id));
    expect(events).toMatchObject([
      { event: "pump.stopped", resource: { "prefect.resource.id": 'pump.a"b', liters: "1.5" } },
      { event: "pump.started", resource: { "prefect.resource.id": "pump.2" } },
    ]);
    for (const event of events) expect(EventSchema.parse(event)).toEqual(event);
    expect(new Set(events.map(({ id }) => id)).size).toBe(2);
  });

  test("an event with any part of the request", async () => {
    const body = { vent: 3, house: "north", at: "2026-03-01T09:30:00+01:00", id: "opening 17" };
    const response = await send("vents?kind=opened&tag=a&tag=b", body, {
      headers: { "User-Agent": "vent/1" },
    });

    expect(response.status).toBe(200);
    const [event, ...others] = await stored();
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      event: "post.opened",
      occurred: "2026-03-01T09:30:00+01:00",
      resource: { "prefect.resource.id": "vent.3", agent: "vent/1" },
      related: [{ "prefect.resource.id": "house.north", "prefect.resource.role": "house" }],
      payload: { body, query: { kind: "opened", tag: ["a", "b"] }, headers: { "user-agent": "vent/1" } },
      follows: null,
    });
    expect(Date.parse(String(event?.payload["received"]))).toBeGreaterThan(Date.now() - 60_000);
  });

  test.each([
    ["Unix seconds", 1_772_357_400, "2026-03-01T09:30:00Z"],
    ["Unix seconds with a fraction, as text", "1772357400.000200", "2026-03-01T09:30:00.000200Z"],
    ["Unix milliseconds", 1_772_357_400_123, "2026-03-01T09:30:00.123000Z"],
  ])("an event that occurred at %s", async (_, at, occurred) => {
    expect((await send("vents?kind=opened", { vent: 1, house: 1, at })).status).toBe(200);
    expect((await stored())[0]?.occurred).toBe(occurred);
  });

  test("an event that occurred when it was received, if the template gives no time", async () => {
    await send("vents?kind=opened", { vent: 1, house: 1 });
    const [event] = await stored();
    expect(event?.occurred).toBe(event?.payload["received"]);
  });

  test.each([
    ["text", "hello ü", "text/plain", "hello ü"],
    ["text without a type", "hello", "", "hello"],
    ["nothing", "", "text/plain", ""],
    ["JSON that is declared as text", '{"a":1}', "text/plain", '{"a": 1}'],
    ["text that only begins like JSON", "[not json", "text/plain", "[not json"],
    ["a form", "a=1&b=%C3%BC&b=2", "application/x-www-form-urlencoded", '{"a": "1", "b": ["ü", "2"]}'],
    ["JSON that curl calls a form", '{"a": 1}', "application/x-www-form-urlencoded", '{"a": 1}'],
    ["a form that begins like JSON", "[a]=1", "application/x-www-form-urlencoded", '{"[a]": "1"}'],
  ])("an event for a body of %s", async (_, body, type, text) => {
    expect((await send("texts", body, { type })).status).toBe(200);
    const stringified = String((await stored())[0]?.payload["text"]);
    const expected = text.startsWith("{") ? JSON.stringify(JSON.parse(text)) : text;
    expect(stringified.startsWith("{") ? JSON.stringify(JSON.parse(stringified)) : stringified).toBe(
      expected,
    );
  });

  test("no event if the template writes an empty list", async () => {
    const response = await send("pumps", { pumps: [] });
    expect([response.status, await answerOf(response)]).toEqual([200, { events: [] }]);
    expect(await stored()).toEqual([]);
  });
});

describe("a repeated delivery", () => {
  test.each([
    ["x-github-delivery", "pumps"],
    ["webhook-id", "pumps"],
    ["idempotency-key", "pumps"],
  ])("has the same ids, by its %s", async (header, hook) => {
    const body = { pumps: [{ id: 1 }, { id: 2 }] };
    const idsOf = async (delivery: string) =>
      (await answerOf(await send(hook, body, { headers: { [header]: delivery } }))).events;
    const first = await idsOf("one");
    expect(new Set(first).size).toBe(2);
    expect(await idsOf("one")).toEqual(first);
    expect(await idsOf("two")).not.toEqual(first);
  });

  test("has the same id if the template writes the same id", async () => {
    const idOf = async (id: string) =>
      (await answerOf(await send("vents?kind=opened", { id, vent: 1, house: 1 }))).events;
    expect(await idOf("opening 1")).toEqual(await idOf("opening 1"));
    expect(await idOf("opening 2")).not.toEqual(await idOf("opening 1"));
    expect(await idOf("00000000-0000-4000-8000-00000000ABCD")).toEqual([
      "00000000-0000-4000-8000-00000000abcd",
    ]);
  });

  test("has new ids if nothing identifies it", async () => {
    const ids = async () => (await answerOf(await send("pumps", { pumps: [{ id: 1 }] }))).events;
    expect(await ids()).not.toEqual(await ids());
  });
});

test("a form with JSON in its field payload works with a template for JSON", async () => {
  const body = new URLSearchParams({
    payload: JSON.stringify({ pumps: [{ id: 7, state: "on", liters: "3" }] }),
  });
  const response = await send("pumps", body.toString(), { type: "application/x-www-form-urlencoded" });
  expect(response.status).toBe(200);
  expect((await stored()).map(({ resource }) => resource["prefect.resource.id"])).toEqual(["pump.7"]);
});

test("an id with a hole is a failed template, and says which part is empty", async () => {
  const response = await send("vents?kind=a", { house: 1, at: 1_772_357_400 });
  const { reason } = await answerOf(response);
  expect([response.status, reason]).toEqual([
    202,
    expect.stringMatching(
      /^0\.resource\.prefect\.resource\.id: an expression is empty, .* hole in the id "vent\.\{\{ \}\}"/,
    ),
  ]);
});

test("of the events that a request becomes, the valid ones are stored, and the others reported", async () => {
  const pumps = [
    { id: 1, state: "on", liters: "3" },
    { id: 2, state: "x".repeat(1_100), liters: "3" },
    { id: 3, state: "on", liters: [3] },
    { id: 4, state: "off", liters: "4" },
  ];
  const response = await send("pumps", { pumps }, { headers: { "webhook-id": "17" } });
  const { events, reason } = await answerOf(response);
  expect([response.status, reason]).toEqual([
    202,
    expect.stringMatching(/^1\.event: .*1024.*; 2\.resource\.liters: /),
  ]);
  const all = await stored();
  expect(all.map(({ event }) => event)).toEqual(["pump.on", "pump.off", "tripline.webhook.failed"]);
  expect(all.map(({ id }) => id)).toEqual(events);
});

describe("a request that cannot become an event", () => {
  const failure = async (response: Response) => {
    const { events, reason } = await answerOf(response);
    const [event, ...others] = await stored();
    expect([response.status, others, events]).toEqual([202, [], [event?.id]]);
    expect(EventSchema.parse(event)).toEqual(event);
    expect(Buffer.byteLength(JSON.stringify(event))).toBeLessThan(eventBytesMax);
    expect(event).toMatchObject({ event: "tripline.webhook.failed", payload: { reason } });
    return { event: event as WireEvent, reason: String(reason) };
  };

  test("is stored in full in an event that says why", async () => {
    const body = '{"pumps": 7, "note": "ü\\u0000"}';
    const response = await send("pumps?from=here", body, { headers: { "X-Pump": "1" } });
    const { event, reason } = await failure(response);
    expect(reason).toMatch(/number/);
    expect(event.resource).toEqual({
      "prefect.resource.id": "tripline.webhook.pumps",
      "prefect.resource.name": "pumps",
    });
    expect(event.payload).toMatchObject({
      method: "POST",
      query: { from: "here" },
      headers: { "x-pump": "1", "content-type": "application/json" },
      body,
      body_bytes: Buffer.byteLength(body),
      body_is_cut: false,
    });
  });

  test.each([
    ["invalid JSON", "pumps", "{", /not valid JSON, although its Content-Type is application\/json/],
    ["an event without a required key", "svix", "{}", /0\.resource: Field required/],
    ["an unknown key", "svix", '{"event":"a","ressource":{}}', /0\.ressource: an event has no/],
    ["a list of numbers", "svix", "3", /should write an event/],
    ["an invalid time", "vents?kind=a", '{"vent":1,"house":1,"at":"soon"}', /0\.occurred: .*RFC 3339/],
    ["a name that is too long", "svix", JSON.stringify(eventWith({ event: "a".repeat(1_025) })), /1024/],
    [
      "a payload that nests too deep",
      "svix",
      JSON.stringify(eventWith({ payload: { a: nested(200) } })),
      /nests more than 100/,
    ],
  ])("is stored with the reason: %s", async (_, hook, body, reason) => {
    const signed = hook === "svix" ? { headers: standardHeaders(body) } : {};
    expect((await failure(await send(hook, body, signed))).reason).toMatch(reason);
  });

  test("is stored as base64 if it is not text", async () => {
    const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => index % 256);
    const { event } = await failure(await send("texts", bytes, { type: "application/octet-stream" }));
    const kept = Buffer.from(String(event.payload["body_base64"]), "base64");
    expect(kept.equals(bytes.subarray(0, kept.length))).toBe(true);
    expect(kept.length).toBeGreaterThan(200_000);
    expect(event.payload).toMatchObject({ body_bytes: 300_000, body_is_cut: true });
  });

  // An escape takes six bytes for one. Even then the part that is stored must fit into an event.
  test("is truncated if it is too large for an event", async () => {
    const body = `{"pumps": 1, "x": "${"\u0001".repeat(3_000_000)}"}`;
    const { event } = await failure(
      await send("texts", body.replace("{", "{{"), { type: "application/json" }),
    );
    expect(body.startsWith(String(event.payload["body"]).slice(1))).toBe(true);
    expect(event.payload).toMatchObject({ body_is_cut: true });
  });

  test("is stored with the first 2,000 characters of the reason", async () => {
    const unknown = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`unknown_${index}`, 1]));
    const body = JSON.stringify(eventWith(unknown));
    const { reason = "" } = await answerOf(await send("svix", body, { headers: standardHeaders(body) }));
    expect(reason.length).toBeGreaterThan(2_000);
    expect((await stored())[0]?.payload["reason"]).toBe(reason.slice(0, 2_000));
  });

  test("is reported once per delivery, with another id than its events have once the template is fixed", async () => {
    const headers = { "x-github-delivery": "one" };
    const first = await answerOf(await send("pumps", { pumps: 7 }, { headers }));
    expect(await answerOf(await send("pumps", { pumps: 7 }, { headers }))).toEqual(first);
    const later = await answerOf(await send("pumps", { pumps: [{ id: 1 }] }, { headers }));
    expect(later.events).not.toEqual(first.events);
  });
});

describe("a signature", () => {
  test("is required: nothing is stored without it, or with a wrong one", async () => {
    for (const name of ["github", "svix", "slack", "stripe", "shared"]) {
      const response = await send(name, {}, { headers: { "X-Pump-Token": "guess" } });
      expect([name, response.status]).toEqual([name, 401]);
      expect((await answerOf(response)).detail).toMatch(/signature does not match|is missing/);
    }
    expect(await stored()).toEqual([]);
    expect(await api.metrics.text()).toContain('tripline_events_rejected_total{reason="signature"} 5');
  });

  test("of GitHub may cover a form that contains JSON", async () => {
    const body = `payload=${encodeURIComponent('{"action":"opened"}')}`;
    const digest = createHmac("sha256", secret).update(body).digest("hex");
    const headers = { "X-Hub-Signature-256": `sha256=${digest}` };
    const type = "application/x-www-form-urlencoded";
    expect((await send("github", body, { type, headers })).status).toBe(200);
    expect(await stored()).toMatchObject([{ event: "repository.opened" }]);
  });

  test("of Slack also covers its verification of the URL, which is answered", async () => {
    const body = { type: "url_verification", challenge: "3eZbrw1a", token: "old" };
    const response = await send("slack", body, { headers: slackHeaders(JSON.stringify(body)) });
    expect([response.status, await response.json()]).toEqual([200, { challenge: "3eZbrw1a" }]);
    expect(await stored()).toEqual([]);
  });

  // Their headers are not signed. Otherwise anyone could repeat a request with another header and have it counted again.
  test("of Slack and Stripe covers the id that identifies a repetition", async () => {
    const slack = JSON.stringify({ event_id: "Ev1", event: { type: "message" } });
    const stripe = JSON.stringify({ id: "evt_1", type: "charge.failed", created: 1_772_357_400 });
    for (const delivery of ["a", "b"]) {
      const repeated = { "x-github-delivery": delivery };
      await send("slack", slack, { headers: { ...slackHeaders(slack), ...repeated } });
      await send("stripe", stripe, { headers: { ...stripeHeaders(stripe), ...repeated } });
    }
    const events = await stored();
    expect(events).toHaveLength(4);
    expect(new Set(events.map(({ id }) => id)).size).toBe(2);
    expect(events[1]).toMatchObject({ event: "charge.failed", occurred: "2026-03-01T09:30:00Z" });
  });
});

test("secrets are in no event, no answer and no log line", async () => {
  const headers = {
    "X-Pump-Token": secret,
    Authorization: `Bearer ${secret}`,
    "Proxy-Authorization": secret,
    Cookie: secret,
    // A signature is no secret, but it lets anyone who reads it send the request again.
    "Stripe-Signature": secret,
    "Svix-Signature": secret,
    "Webhook-Signature": secret,
    "X-Hub-Signature": secret,
    "X-Hub-Signature-256": secret,
    "X-Slack-Signature": secret,
  };
  expect((await send("shared", {}, { headers })).status).toBe(200);
  expect((await send("shared", "{", { headers })).status).toBe(202);
  expect((await send("shared", "{", { headers: { "X-Pump-Token": `${secret}x` } })).status).toBe(401);
  const list = await (await fetch(`${api.url}/api/hooks`)).text();
  expect(JSON.parse(list)).toMatchObject([
    { name: "github", signature: { type: "github" } },
    { name: "pumps", signature: null },
    { name: "shared", signature: { type: "shared-secret", header: "X-Pump-Token" } },
    { name: "slack", signature: { type: "slack", tolerance: 300 } },
    { name: "stripe" },
    { name: "svix" },
    { name: "texts" },
    { name: "vents" },
  ]);
  for (const text of [list, JSON.stringify(await stored()), api.logLines.join("")]) {
    expect(text).not.toContain(secret);
  }
});

test("there are no hooks except those of the rules", async () => {
  for (const name of ["nothing", "__proto__", "a%2Fb"]) expect((await send(name, {})).status).toBe(404);
  await api.log.hooks.replaceAll(hooks.filter(({ name }) => name !== "pumps"));
  expect((await send("pumps", {})).status).toBe(404);
  expect((await send("texts", {})).status).toBe(200);
});

test("a body that is too large or has an unknown encoding is rejected", async () => {
  expect((await send("texts", "x".repeat(17 * 1024 * 1024), { type: "text/plain" })).status).toBe(413);
  expect((await send("texts", "x", { headers: { "Content-Encoding": "br" } })).status).toBe(415);
});

describe("with API keys", () => {
  let server: KeyedServer;
  const post = (path: string, body: string, headers: Record<string, string> = {}) =>
    fetch(`${server.url}/api/${path}`, { method: "POST", body, headers });

  beforeEach(async () => {
    // Before the server starts, because it caches for a moment that there are none.
    const wanted = { name: "first", workspace: "default", scopes: [], expires: null, rate: null };
    await new ApiKeyStore(api.connection).put(makeKey(wanted, new Date()).key);
    server = await serve(api.redis.url, ["--workspace", "default,other"]);
  });

  afterEach(() => server.stop());

  test("an unsigned hook needs a key with the right scope and workspace, and a signed one needs none", async () => {
    const other = new Log(api.connection, "other");
    await other.hooks.replaceAll(hooks.filter(({ name }) => name === "texts"));
    const writer = await server.key({ scopes: ["events:write"] });
    const reader = await server.key({ scopes: ["events:read"] });
    const elsewhere = await server.key({ workspace: "other" });
    const withKey = ({ token }: { token: string }) => ({ Authorization: `Bearer ${token}` });

    expect((await post("hooks/texts", "a")).status).toBe(401);
    expect((await post("hooks/texts", "a", withKey(reader))).status).toBe(403);
    expect((await post("hooks/texts", "a", withKey(writer))).status).toBe(200);
    expect((await post("hooks/pumps", "a", withKey(elsewhere))).status).toBe(404);
    expect((await post("hooks/texts", "a", withKey(elsewhere))).status).toBe(200);
    expect((await post("hooks/nothing", "a")).status).toBe(404);
    expect((await fetch(`${server.url}/api/hooks`)).status).toBe(401);

    const body = "{}";
    const signed = standardHeaders(body);
    expect((await post("hooks/svix", body, signed)).status).toBe(202);
    expect((await post("accounts/a/workspaces/default/hooks/svix", body, signed)).status).toBe(202);
    expect((await post("accounts/a/workspaces/other/hooks/svix", body, signed)).status).toBe(404);
    expect((await post("accounts/a/workspaces/none/hooks/svix", body, signed)).status).toBe(404);

    const otherEvents = (await other.read("0-0", { count: 100 })).filter(({ kind }) => kind === "event");
    expect(otherEvents).toHaveLength(1);
    expect(await stored()).toHaveLength(3);
  });
});

function nested(depth: number): unknown {
  return depth === 0 ? null : [nested(depth - 1)];
}

function eventWith(changes: object): object {
  return { event: "a", resource: { "prefect.resource.id": "a" }, ...changes };
}

function standardHeaders(body: string): Record<string, string> {
  const sent = new Date();
  const signature = new Webhook(Buffer.from(secret).toString("base64")).sign("msg", sent, body);
  return {
    "svix-id": "msg",
    "svix-timestamp": String(Math.floor(sent.getTime() / 1_000)),
    "svix-signature": signature,
  };
}

function slackHeaders(body: string): Record<string, string> {
  const sent = Math.floor(Date.now() / 1_000);
  const digest = createHmac("sha256", secret).update(`v0:${sent}:${body}`).digest("hex");
  return { "X-Slack-Request-Timestamp": String(sent), "X-Slack-Signature": `v0=${digest}` };
}

function stripeHeaders(body: string): Record<string, string> {
  const sent = Math.floor(Date.now() / 1_000);
  const digest = createHmac("sha256", secret).update(`${sent}.${body}`).digest("hex");
  return { "Stripe-Signature": `t=${sent},v1=${digest}` };
}
