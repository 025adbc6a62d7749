/** An id in which an expression printed nothing would mix up different things, in whatever way the template writes it. */

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { loadText } from "../../rules/support.ts";
import { startApi, type TestApi } from "../support.ts";

const { hooks, diagnostics } = loadText(
  `
hooks:
  - name: text
    template: |
      {"event": "issue.opened", "payload": {"note": "{{ body.note }}"},
       "resource": {"prefect.resource.id": "gh.{{ body.repository }}", "prefect.resource.name": "{{ body.title }}"}}
  - name: joined
    template: '{"event": "e", "resource": {"prefect.resource.id": {{ ("gh." ~ body.repository) | tojson }}}}'
  - name: chosen
    template: '{"event": "e", "resource": {"prefect.resource.id": "{{ "gh." ~ body.repository if body else "none" }}"}}'
  - name: branch
    template: '{% if body %}{"event": "e", "resource": {"prefect.resource.id": "gh.{{ body.repository }}"}}{% endif %}'
  - name: several
    template: |
      [{% for pump in body.pumps %}{"event": "pump.on{{ body.suffix }}", "resource": {"prefect.resource.id": "pump.{{ pump.id }}"},
        "related": [{"prefect.resource.id": "house.{{ pump.house }}", "prefect.resource.role": "house"}]}
      {%- if not loop.last %},{% endif %}{% endfor %}]
  - name: own-id
    template: '{"id": "gh-{{ body.delivery }}", "event": "e", "resource": {"prefect.resource.id": "gh"}}'
  - name: own-id-in-mapping
    template: { id: "gh-{{ body.delivery }}", event: e, resource: { prefect.resource.id: gh } }
  - name: no-id
    template: '{"id": "{{ body.delivery }}", "event": "e", "resource": {"prefect.resource.id": "gh", "zone": "{{ body.zone }}"}}'
  - name: list
    template: '{{ body.events | default([]) | tojson }}'
  - name: nothing
    template: '{% if body.go %}{}{% endif %}{{ body.missing }}'
`,
  { env: {} },
);

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

async function call(name: string, body: unknown, type = "application/json") {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const headers = { "Content-Type": type };
  const response = await fetch(`${api.url}/api/hooks/${name}`, { method: "POST", headers, body: text });
  return { status: response.status, ...((await response.json()) as { events: string[]; reason?: string }) };
}

async function stored() {
  return (await api.events()).map(({ event }) => event.wire);
}

const hole = (place: string, id: string) =>
  expect.stringContaining(`${place}: an expression is empty, which leaves a hole in the id "${id}"`);

test.each([
  ["text", {}, hole("0.resource.prefect.resource.id", "gh.{{ }}")],
  ["text", { repository: null }, hole("0.resource.prefect.resource.id", "gh.{{ }}")],
  ["text", { repository: " " }, hole("0.resource.prefect.resource.id", "gh.{{ }}")],
  ["text", { repository: "" }, hole("0.resource.prefect.resource.id", "gh.{{ }}")],
  ["joined", {}, hole("0.resource.prefect.resource.id", "gh.{{ }}")],
  ["chosen", { a: 1 }, hole("0.resource.prefect.resource.id", "gh.{{ }}")],
  ["branch", { a: 1 }, hole("0.resource.prefect.resource.id", "gh.{{ }}")],
  ["own-id", {}, hole("0.id", "gh-{{ }}")],
  ["own-id-in-mapping", {}, hole("0.id", "gh-{{ }}")],
])("the hook %s makes no event of %j", async (name, body, reason) => {
  expect(await call(name, body)).toMatchObject({ status: 202, reason });
  expect((await stored()).map(({ event }) => event)).toEqual(["tripline.webhook.failed"]);
});

test("a form without the field is a hole, too", async () => {
  const type = "application/x-www-form-urlencoded";
  const reason = hole("0.resource.prefect.resource.id", "gh.{{ }}");
  expect(await call("text", "note=hello", type)).toMatchObject({ status: 202, reason });
  expect(await call("text", "repository=tripline&note=a+b", type)).toMatchObject({ status: 200 });
  const [, event] = await stored();
  expect(event).toMatchObject({
    resource: { "prefect.resource.id": "gh.tripline" },
    payload: { note: "a b" },
  });
});

test("a hole elsewhere than in an id is none", async () => {
  expect(await call("text", { repository: "r" })).toMatchObject({ status: 200 });
  expect(await call("no-id", {})).toMatchObject({ status: 200 });
  expect(await call("list", {})).toMatchObject({ status: 200, events: [] });
  expect(await call("nothing", {})).toMatchObject({ status: 200, events: [] });
  const events = await stored();
  expect(events.map(({ resource }) => resource)).toEqual([
    { "prefect.resource.id": "gh.r", "prefect.resource.name": "" },
    { "prefect.resource.id": "gh", zone: "" },
  ]);
  expect(events[0]?.payload).toEqual({ note: "" });
});

test("an event with a hole harms only itself", async () => {
  const pumps = [{ id: 1, house: "a" }, { house: "b" }, { id: 3, house: "c" }, { id: 4 }];
  const answer = await call("several", { pumps });
  expect(answer.status).toBe(202);
  expect(answer.reason).toEqual(hole("1.resource.prefect.resource.id", "pump.{{ }}"));
  expect(answer.reason).toEqual(hole("3.related.0.prefect.resource.id", "house.{{ }}"));
  const made = (await stored()).filter(({ event }) => event === "pump.on");
  expect(made.map(({ resource }) => resource["prefect.resource.id"])).toEqual(["pump.1", "pump.3"]);
});
