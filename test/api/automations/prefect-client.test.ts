/** What Prefect's client sees of automations and sends back: it knows only its own types of triggers and actions. */

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Automation } from "../../../src/core/model/automation.ts";
import { startApi, type TestApi } from "../support.ts";
import { automationsOf, type Json, pumps, trigger } from "./automation-requests.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.stop());

// Each test begins with an empty workspace.
beforeEach(() => api.connection.flushall());

const { call, create, read } = automationsOf(() => api);

const prefect = { "X-PREFECT-API-VERSION": "0.8.4" };
const emit = { type: "emit-event", event: "pump.{{ labels.zone }}", related: [], payload: {} };
const webhook = {
  type: "call-webhook",
  url: "https://example.org",
  headers: { a: "b" },
  payload: { text: "{{ event.id }}" },
  secret: "hush",
};
const pause = { type: "pause-automation", source: "selected", automation: "vents" };
const notify = { type: "send-notification", destination: "ops", body: "{{ event.event }}" };
const richTrigger = {
  ...trigger,
  posture: "Proactive",
  within: 60,
  lateness: 20,
  refire: "once",
  on_gap: "fire",
  schedule: { cron: "0 6 * * *" },
};

/** The automation as the client's models keep it: only the fields that they have. */
const asClient = (automation: Json): Json => {
  const fields: Record<string, string[]> = {
    "do-nothing": [],
    "call-webhook": ["block_document_id", "payload"],
    "send-notification": ["block_document_id", "subject", "body"],
    "pause-automation": ["source", "automation_id"],
  };
  const pick = (from: Json, keys: string[]) => Object.fromEntries(keys.map((key) => [key, from[key]]));
  const actions = (list: unknown) =>
    (list as Json[]).map((action) => pick(action, ["type", ...(fields[action["type"] as string] ?? [])]));
  const triggerFields = ["type", "match", "match_related", "after", "expect", "for_each"];
  return {
    ...pick(automation, ["name", "description", "enabled", "tags"]),
    trigger: pick(automation["trigger"] as Json, [...triggerFields, "posture", "threshold", "within"]),
    actions: actions(automation["actions"]),
    actions_on_trigger: actions(automation["actions_on_trigger"]),
    actions_on_resolve: actions(automation["actions_on_resolve"]),
  };
};

test("Prefect's client gets every action in a type and shape that it can parse", async () => {
  const { id } = await create({ actions: [emit, webhook, pause, notify] });
  const own = (await read(id))["actions"] as Json[];
  expect(own.map(({ type }) => type)).toEqual([emit, webhook, pause, notify].map(({ type }) => type));
  const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/);
  const prefectActions = (await read(id, prefect))["actions"];
  expect(prefectActions).toEqual([
    expect.objectContaining({
      type: "send-notification",
      block_document_id: uuid,
      body: expect.any(String),
    }),
    expect.objectContaining({
      type: "call-webhook",
      block_document_id: uuid,
      payload: '{"text":"{{ event.id }}"}',
    }),
    expect.objectContaining({ type: "pause-automation", source: "selected", automation_id: uuid }),
    expect.objectContaining({
      type: "send-notification",
      block_document_id: uuid,
      body: "{{ event.event }}",
    }),
  ]);
  const [filtered] = (await call("POST", "/filter", {}, prefect)).body as Json[];
  expect(filtered?.["actions"]).toEqual(prefectActions);
});

// The models drop fields that they do not know. A rename must not remove the URL of a rule's webhook.
test("a PUT of what the client's models keep loses nothing", async () => {
  const { id } = await create({ trigger: richTrigger, actions: [emit, webhook, pause, notify] });
  const before = await read(id);
  const sent: Json = { ...asClient(await read(id, prefect)), description: "changed", enabled: true };
  (sent["actions"] as Json[]).reverse();
  expect(await call("PUT", `/${id}`, sent, prefect)).toEqual({ status: 204, body: null });
  const after = await read(id);
  const { id: triggerId, ...sameTrigger } = before["trigger"] as Json;
  expect(after["trigger"]).toMatchObject(sameTrigger);
  expect((after["trigger"] as Json)["id"]).not.toBe(triggerId);
  expect(after["actions"]).toEqual((before["actions"] as Json[]).toReversed());
  expect(Object.values(((await api.log.automation(id)) as Automation).secrets)).toEqual(["hush"]);
});

// The schedule ends the windows, so within is 0, which the client's models turn into the shortest window.
test("a PUT keeps a schedule with until", async () => {
  const schedule = { cron: "0 2 * * *", timezone: "Europe/Berlin", until: "03:30", early: 300 };
  const { id } = await create({ trigger: { ...trigger, posture: "Proactive", schedule } });
  const sent: Json = { ...asClient(await read(id, prefect)), description: "changed" };
  expect((sent["trigger"] as Json)["within"]).toBe(0);
  (sent["trigger"] as Json)["within"] = 10;
  expect(await call("PUT", `/${id}`, sent, prefect)).toEqual({ status: 204, body: null });
  expect((await read(id))["trigger"]).toMatchObject({ schedule, within: 0 });
  // And what Tripline's own API shows can be sent back.
  const { name, trigger: shown, actions } = await read(id);
  expect((await call("PUT", `/${id}`, { name, trigger: shown, actions })).status).toBe(204);
  expect((await read(id))["trigger"]).toMatchObject({ schedule, within: 0 });
});

test("a PUT still changes what the client changed", async () => {
  const { id } = await create({ trigger: richTrigger, actions: [webhook] });
  const sent = asClient(await read(id, prefect));
  (sent["trigger"] as Json)["threshold"] = 7;
  ((sent["actions"] as Json[])[0] as Json)["payload"] = "{{ event.event }}";
  await call("PUT", `/${id}`, sent, prefect);
  const after = await read(id);
  expect(after["trigger"]).toMatchObject({ threshold: 7 });
  expect(after["trigger"]).not.toHaveProperty("refire");
  expect(after["actions"]).toMatchObject([{ url: "https://example.org", payload: "{{ event.event }}" }]);
});

test("a PUT by any other client removes what its trigger leaves out", async () => {
  const { id } = await create({ trigger: richTrigger });
  const { lateness: _lateness, ...rest } = richTrigger;
  await call("PUT", `/${id}`, { ...pumps, trigger: rest });
  expect((await read(id))["trigger"]).not.toHaveProperty("lateness");
});
