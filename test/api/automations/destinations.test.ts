import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { destinationIdOf } from "../../../src/core/model/destination.ts";
import { secretMask } from "../../../src/core/model/secret.ts";
import { applyRules } from "../../../src/reconcile/carry-out.ts";
import { loadText } from "../../rules/support.ts";
import { startApi, type TestApi } from "../support.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.stop());

beforeEach(() => api.connection.flushall());

type Json = Record<string, unknown>;

async function call(method: string, path: string, body?: unknown) {
  const response = await fetch(`${api.url}/api/destinations${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
  });
  const text = await response.text();
  return { status: response.status, text, body: (text === "" ? null : JSON.parse(text)) as Json };
}

const slack = { name: "ops", type: "slack", url: "https://hooks.slack.example/T0/B0/hush-slack" };
const webhook = {
  name: "backend",
  type: "webhook",
  url: "https://user:hush-url@example.org/hook",
  headers: { Authorization: "Bearer hush-header", "X-Zone": "hush-zone" },
  secret: "hush-secret",
};
const pagerduty = { name: "pager", type: "pagerduty", routing_key: "hush-key" };
const email = {
  name: "post",
  type: "email",
  to: ["ops@example.org"],
  from: "Tripline <tripline@example.org>",
  host: "mail.example.org",
  username: "tripline",
  password: "hush-password",
};

describe("a destination", () => {
  test("has an id derived from its name, and is found by both", async () => {
    const created = await call("POST", "", slack);
    const id = destinationIdOf("default", "ops");
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ id, name: "ops", type: "slack", source: { kind: "api" } });
    for (const path of [`/${id}`, `/${id.toUpperCase()}`, "/ops"]) {
      expect((await call("GET", path)).body).toEqual(created.body);
    }
    expect((await call("GET", "")).body).toEqual([created.body]);
  });

  test.each([slack, webhook, pagerduty, email])(
    "of type $type never shows its secrets",
    async (destination) => {
      const created = await call("POST", "", destination);
      expect(created.status).toBe(201);
      const texts = [created, await call("GET", ""), await call("GET", `/${destination.name}`)];
      for (const { text } of texts) {
        expect(text).toContain(secretMask);
        expect(text).not.toContain("hush");
      }
      // The mask in a PUT stands for what is stored.
      const { id, source: _source, created: _created, updated: _updated, ...view } = created.body;
      const changed = await call("PUT", `/${id}`, { ...view, description: "changed" });
      expect(changed).toMatchObject({ status: 200, body: { ...view, description: "changed" } });
      const stored = await api.log.destinations.getByName(destination.name);
      expect(stored?.definition).toMatchObject({ ...destination, description: "changed" });
    },
  );

  test("is deleted once", async () => {
    await call("POST", "", slack);
    expect((await call("DELETE", "/ops")).status).toBe(204);
    expect(await call("DELETE", "/ops")).toMatchObject({
      status: 404,
      body: { exception_message: "Destination not found" },
    });
  });

  test("cannot take a name that is in use, and cannot be renamed", async () => {
    await call("POST", "", slack);
    expect((await call("POST", "", { ...pagerduty, name: "ops" })).status).toBe(409);
    const renamed = await call("PUT", "/ops", { ...slack, name: "others" });
    expect([renamed.status, renamed.text]).toEqual([422, expect.stringContaining("cannot be renamed")]);
  });

  test.each<[object, (string | number)[]]>([
    [{ ...slack, type: "pigeon" }, ["body", "type"]],
    [{ ...slack, url: "hush" }, ["body", "url"]],
    [{ ...slack, url: secretMask }, ["body", "url"]],
    [{ ...slack, color: "hush" }, ["body", "color"]],
    [{ ...pagerduty, routing_key: 7 }, ["body", "routing_key"]],
    [{ ...email, to: ["no-address"] }, ["body", "to", 0]],
    [{ ...email, from: "a@example.org\r\nBcc: b@example.org" }, ["body", "from"]],
    [{ ...webhook, secret: secretMask }, ["body", "secret"]],
  ])(
    "%j is rejected with the place of the mistake, and the value is not repeated",
    async (destination, loc) => {
      const refused = await call("POST", "", destination);
      expect(refused).toMatchObject({ status: 422, body: { exception_detail: [{ loc }] } });
      expect(refused.text).not.toContain("hush");
    },
  );
});

describe("a mask keeps a stored secret only while it goes where it went before", () => {
  const secrets = (definition: object) =>
    JSON.stringify(definition)
      .match(/hush-[a-z]+/g)
      ?.sort() ?? [];
  const sited = { ...webhook, headers: { ...webhook.headers, Host: "alarms.example" } };

  test.each<[string, Json, Json]>([
    ["url", webhook, { url: "https://evil.example/hook" }],
    ["url", webhook, { url: "https://evil.example/hook", headers: {} }],
    ["headers.Host", webhook, { headers: { Authorization: secretMask, Host: "evil.example" } }],
    ["headers.host", webhook, { headers: { "X-Zone": secretMask, host: "evil.example" } }],
    ["headers.Host", sited, { headers: { Authorization: secretMask } }],
    ["headers.Host", sited, { headers: { Authorization: secretMask, Host: "evil.example" } }],
    ["url", pagerduty, { url: "https://evil.example/v2/enqueue" }],
    ["host", email, { host: "evil.example" }],
    ["port", email, { port: 2525 }],
    ["security", email, { security: "none" }],
    ["type", slack, { type: "discord" }],
    // In a pagerduty destination the url is shown.
    ["type", slack, { type: "pagerduty", routing_key: "mine" }],
    ["type", webhook, { type: "slack" }],
  ])("not when %s changes", async (changed, destination, change) => {
    const { body } = await call("POST", "", destination);
    const { id: _id, source: _source, created: _created, updated: _updated, ...view } = body;
    const refused = await call("PUT", `/${destination["name"]}`, { ...view, ...change });
    expect(refused.status).toBe(422);
    expect(refused.text).toContain(`${changed} changed; send the secret itself again`);
    expect(refused.text).not.toContain("hush");
    const stored = await api.log.destinations.getByName(String(destination["name"]));
    expect(stored?.definition).toMatchObject(destination);
  });

  test.each<[string, Json, Json]>([
    ["other headers", webhook, { headers: { Authorization: secretMask, "X-New": "1" } }],
    ["the method", webhook, { method: "PUT" }],
    ["the recipients", email, { to: ["others@example.org"] }],
    ["the severity", pagerduty, { severity: "info" }],
  ])("but may stand when %s change", async (_changed, destination, change) => {
    const { body } = await call("POST", "", destination);
    const { id: _id, source: _source, created: _created, updated: _updated, ...view } = body;
    expect((await call("PUT", `/${destination["name"]}`, { ...view, ...change })).status).toBe(200);
    const stored = await api.log.destinations.getByName(String(destination["name"]));
    expect(secrets(destination)).toEqual(expect.arrayContaining(secrets(stored?.definition ?? {})));
    expect(JSON.stringify(stored)).not.toContain(secretMask);
  });

  test("and the place changes when every secret is sent again", async () => {
    await call("POST", "", webhook);
    const moved = { ...webhook, url: "https://new.example/hook", headers: { "X-Zone": "hush-again" } };
    expect((await call("PUT", "/backend", moved)).status).toBe(200);
    expect((await api.log.destinations.getByName("backend"))?.definition).toMatchObject(moved);
  });
});

test.each([
  { ...webhook, secret: secretMask },
  { ...webhook, headers: { Authorization: secretMask } },
  { ...pagerduty, routing_key: secretMask },
  { ...email, password: secretMask },
])("a mask in rules, which nothing is stored for, is refused: %j", async (destination) => {
  const applied = await fetch(`${api.url}/api/automations/apply`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ automations: [], destinations: [destination] }),
  });
  expect([applied.status, await applied.text()]).toEqual([422, expect.stringContaining("is the mask of")]);
  const { diagnostics } = loadText(JSON.stringify({ destinations: [destination] }), {
    workspace: "default",
    now: 0,
    env: {},
  });
  expect(diagnostics.map(({ message }) => message)).toEqual([expect.stringContaining("is the mask of")]);
});

test("destinations from files can be changed only in their files, which leave those of the API alone", async () => {
  await call("POST", "", pagerduty);
  const apply = async (text: string, now: number) => {
    const { diagnostics, ...rules } = loadText(text, { workspace: "default", now, env: { KEY: "hush" } });
    expect(diagnostics).toEqual([]);
    const plan = await applyRules(api.log, rules, { from: "watched files", prune: true });
    return plan.destinations.filter(({ kind }) => kind !== "unchanged").length;
  };
  const file = "destinations: [{name: ops, type: slack, url: 'https://slack.example/${env.KEY}'}]";
  expect(await apply(file, 1)).toBe(1);
  expect(await apply(file, 2)).toBe(0);
  expect((await api.log.destinations.getByName("ops"))?.definition).toMatchObject({
    url: "https://slack.example/hush",
  });
  for (const [method, body] of [["PUT", slack], ["DELETE"]] as const) {
    const { status, text } = await call(method, "/ops", body);
    expect([status, text]).toEqual([409, expect.stringContaining("change it there")]);
  }
  expect(await apply("destinations: [{name: other, type: discord, url: 'https://a.example'}]", 3)).toBe(2);
  expect((await api.log.destinations.list()).map(({ definition }) => definition.name)).toEqual([
    "other",
    "pager",
  ]);
});
