/** The mask of a webhook's secret, sent back with an automation: it stands only while requests go where they went. */

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Automation } from "../../../src/core/model/automation.ts";
import { secretMask } from "../../../src/core/model/secret.ts";
import { startApi, type TestApi } from "../support.ts";
import { automationsOf, type Json, pumps, trigger } from "./automation-requests.ts";

let api: TestApi;
const { call, create } = automationsOf(() => api);

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.stop());

beforeEach(() => api.connection.flushall());

const webhook = { type: "call-webhook", url: "https://example.org/{{ event.id }}", secret: "hush" };
const sited = { ...webhook, headers: { Host: "a.example" } };
const named = { ...webhook, url: "https://{{ automation.name }}.example/" };
const commented = { ...webhook, url: "https://a{#/#}{{ automation.name }}.example/" };
const hosted = { ...webhook, headers: { Host: "{{ automation.name }}" } };

test.each<[string, Json, Json, Json]>([
  ["url", webhook, { url: "https://evil.example/" }, {}],
  ["url", webhook, { url: undefined, destination: "evil" }, {}],
  ["the Host header", webhook, { headers: { host: "evil.example" } }, {}],
  ["the Host header", sited, { headers: {} }, {}],
  ["name", named, {}, { name: "evil" }],
  ["name", commented, {}, { name: "evil" }],
  ["name", hosted, {}, { name: "evil" }],
  ["trigger", named, {}, { trigger: { ...trigger, expect: ["evil"] } }],
])("a changed %s is refused", async (changed, action, actionChange, change) => {
  const { id } = await create({ actions: [action] });
  const masked = { ...action, secret: secretMask, ...actionChange };
  const refused = await call("PUT", `/${id}`, { name: "pumps", trigger, ...change, actions: [masked] });
  expect(refused.status).toBe(422);
  if (!("destination" in actionChange)) {
    expect(JSON.stringify(refused.body)).toContain(`${changed} changed; send the secret itself again`);
    expect(refused.body).toMatchObject({ exception_detail: [{ loc: ["body", "actions", 0, "secret"] }] });
  }
  expect((await stored(id)).actions[0]).toMatchObject({ url: action["url"] });
  // What is left out keeps its value, and a changed name would take the secret elsewhere as well.
  if (Object.keys(change).length > 0) {
    const { id: other } = await create({ actions_on_resolve: [action] });
    expect((await call("PUT", `/${other}`, { ...pumps, ...change })).status).toBe(422);
  }
});

test("what does not decide where requests go may change", async () => {
  const { id } = await create({ actions: [webhook] });
  const masked = { ...webhook, secret: secretMask, payload: "new", headers: { "X-New": "1" } };
  expect((await call("PUT", `/${id}`, { name: "renamed", trigger, actions: [masked] })).status).toBe(204);
  expect(Object.values((await stored(id)).secrets)).toEqual(["hush"]);
});

test("a list of actions that is left out keeps the values that it refers to", async () => {
  const definition = {
    ...pumps,
    actions_on_resolve: [{ ...webhook, secret: "${env.KEY}", headers: { Authorization: "${env.TOKEN}" } }],
  };
  const rule = { definition, file: "rules.yaml", secrets: { KEY: "hush", TOKEN: "hush token" } };
  const applied = await call("POST", "/apply", { automations: [rule] });
  expect(applied.status).toBe(200);
  const [{ id }] = (applied.body as { changes: [{ id: string }] }).changes;
  expect((await call("PUT", `/${id}`, { ...pumps, description: "changed" })).status).toBe(204);
  const { secrets, actions_on_resolve } = await stored(id);
  expect(secrets).toMatchObject({ TOKEN: "hush token", SECRET_OF_ACTIONS_ON_RESOLVE_0: "hush" });
  expect(actions_on_resolve).toMatchObject([{ headers: { Authorization: "${env.TOKEN}" } }]);
});

test("they do not keep those if a changed name would take them to another host", async () => {
  const { secret: _secret, ...unsigned } = { ...named, headers: { Authorization: "${env.TOKEN}" } };
  const rule = {
    definition: { ...pumps, actions: [], actions_on_resolve: [unsigned] },
    file: "rules.yaml",
    secrets: { TOKEN: "hush token" },
  };
  const applied = await call("POST", "/apply", { automations: [rule] });
  expect(applied.status).toBe(200);
  const [{ id }] = (applied.body as { changes: [{ id: string }] }).changes;
  const put = (name: string) => call("PUT", `/${id}`, { ...pumps, actions: [], name });
  expect((await put("evil")).status).toBe(422);
  expect((await put("pumps")).status).toBe(204);
});

test("an applied rule cannot hold a mask as its secret", async () => {
  const definition = { ...pumps, actions: [{ ...webhook, secret: "${env.KEY}" }] };
  const rule = { definition, file: "rules.yaml", secrets: { KEY: secretMask } };
  const refused = await call("POST", "/apply", { automations: [rule] });
  expect([refused.status, JSON.stringify(refused.body)]).toEqual([
    422,
    expect.stringContaining("is the mask of a stored secret"),
  ]);
});

// It would take the destination's secrets to another site behind the same address.
test("an action that names a destination cannot set its Host header", async () => {
  const action = { type: "call-webhook", destination: "ops", headers: { host: "evil.example" } };
  const refused = await call("POST", "/", { ...pumps, actions: [action] });
  expect([refused.status, JSON.stringify(refused.body)]).toEqual([
    422,
    expect.stringContaining("a destination decides the host"),
  ]);
});

// Whoever can send events would decide where the secret goes.
test.each<[Json, boolean]>([
  [{ url: "https://{{ event.payload.host }}/", secret: "hush" }, true],
  [{ url: "{{ event.payload.url }}", secret: "hush" }, true],
  [{ url: "https://a{{ labels.zone }}.example/", secret: "hush" }, true],
  [{ url: "https://{{ ['x/', event.payload.host][1] }}/", secret: "hush" }, true],
  [{ url: "https://{{ '}}/' ~ event.payload.host }}/", secret: "hush" }, true],
  [{ url: "https://{# / #}{{ event.payload.host }}/", secret: "hush" }, true],
  [{ url: "https://{{ '/' if false else event.payload.host }}", secret: "hush" }, true],
  [{ url: "https://{% set host = event.payload.host %}{{ host }}/", secret: "hush" }, true],
  [{ url: "https://example.org/", headers: { hOST: "{{ event.payload.host }}" }, secret: "hush" }, true],
  [{ url: "https://example.org/", headers: { "X-Host": "{{ event.payload.host }}" }, secret: "hush" }, false],
  [{ url: "https://{{ automation.name }}.example/{{ event.id }}", secret: "hush" }, false],
  [{ url: "https://{{ event.payload.host }}/" }, false],
  [{ url: "https://example.org/{{ event.payload.path }}", secret: "hush" }, false],
])("a webhook with %j, its host from an event and a secret: refused %s", async (fields, isRefused) => {
  const answer = await call("POST", "/", { ...pumps, actions: [{ type: "call-webhook", ...fields }] });
  expect(answer.status).toBe(isRefused ? 422 : 201);
  if (isRefused) expect(JSON.stringify(answer.body)).toMatch(/the host (of the url )?comes from an event/);
});

test("a header called __proto__ is refused, instead of vanishing", async () => {
  const headers = '{"__proto__": "x", "X-Other": "y"}';
  const action = JSON.stringify({
    ...pumps,
    actions: [{ type: "call-webhook", url: "https://example.org/" }],
  });
  const destination = '{"type": "webhook", "name": "odd", "url": "https://example.org/"}';
  for (const [path, body] of [
    ["automations", action.replace('"url"', `"headers":${headers},"url"`)],
    ["destinations", destination.replace('"url"', `"headers":${headers},"url"`)],
  ]) {
    const response = await fetch(`${api.url}/api/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: body ?? "",
    });
    expect([response.status, await response.text()]).toEqual([
      422,
      expect.stringContaining("cannot be the name of a header"),
    ]);
  }
});

async function stored(id: string): Promise<Automation> {
  return (await api.log.automation(id)) as Automation;
}
