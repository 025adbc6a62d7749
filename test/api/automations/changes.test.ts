/** The latest changes of automations, from the events that announce them: over the API, by rule files, and forged ones. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type NewAutomation, Refused, Tripline } from "../../../src/client/index.ts";
import { applyRules } from "../../../src/reconcile/carry-out.ts";
import { loadText } from "../../rules/support.ts";
import { startApi, type TestApi } from "../support.ts";

let api: TestApi;
let tripline: Tripline;

beforeAll(async () => {
  api = await startApi({ history: true });
  tripline = new Tripline({ url: `${api.url}/api`, patienceMs: 0 });
});
afterAll(() => api.stop());

const pumpsStop = { expect: ["pump.stopped"], threshold: 2, within: "1h" };
const pumpStopped: NewAutomation = {
  name: "A pump stopped",
  trigger: pumpsStop,
  actions: [
    { type: "call-webhook", url: "https://greenhouse.example/alarms", secret: "whsec_c2VjcmV0LXB1bXA=" },
  ],
};

test("changes over the API are listed, the latest first, with what differs and who made them", async () => {
  const { id } = await tripline.automations.create(pumpStopped);
  await tripline.automations.pause(id);
  await tripline.automations.resume(id);
  await tripline.automations.update(id, {
    ...pumpStopped,
    trigger: { ...pumpsStop, threshold: 3 },
    actions: [
      { type: "call-webhook", url: "https://greenhouse.example/alarms", secret: "whsec_b3RoZXItcHVtcA==" },
    ],
  });
  await tripline.automations.delete(id);
  const changes = await tripline.automations.changes({ automation: id });
  expect(changes.map(({ change }) => change)).toEqual(["deleted", "changed", "resumed", "paused", "created"]);
  const automation = { id, name: "A pump stopped" };
  const by = { type: "no-key", name: null, id: null };
  for (const change of changes) expect(change).toMatchObject({ automation, by });
  expect(changes[3]?.fields).toEqual([{ field: "enabled", old: true, new: false }]);
  expect(changes[1]?.fields).toContainEqual({ field: "trigger.threshold", old: 2, new: 3 });
  expect(JSON.stringify(changes)).not.toContain("whsec_");
  const events = await tripline.events.page({ id: { id: changes.map(({ event_id: event }) => event) } });
  expect(events.total).toBe(5);
});

test("those of rule files are listed too, and pausing is told from changing", async () => {
  const apply = (text: string) => applyRules(api.log, loadText(text), { from: "watched files", prune: true });
  await apply("automations: [{name: vents, trigger: {expect: [vent.opened]}}]");
  await apply("automations: [{name: vents, enabled: false, trigger: {expect: [vent.opened]}}]");
  await apply("automations: [{name: vents, enabled: true, trigger: {expect: [vent.shut]}}]");
  const [latest, second, first, ...older] = await tripline.automations.changes();
  const automation = { name: "vents" };
  const by = { type: "rule-files", name: null, id: null };
  expect(latest).toMatchObject({ change: "changed", automation, by });
  expect(latest?.fields.map(({ field }) => field)).toContain("enabled");
  expect(second).toMatchObject({ change: "paused", automation, by });
  expect(first).toMatchObject({ change: "created", automation, by });
  expect(older.length).toBe(5);
});

// Anyone with a key for events may post these, and a page must not break.
test("an event that only has the name of one is shown as far as it goes", async () => {
  await tripline.events.emit({
    event: "prefect-cloud.automation.updated",
    resource: { "prefect.resource.id": "sensor.7" },
    payload: { changed_by: "the gardener", changes: { enabled: false } },
  });
  const [latest] = await tripline.automations.changes({ limit: 1 });
  expect(latest).toMatchObject({
    change: "changed",
    automation: { id: "sensor.7", name: "" },
    by: null,
    fields: [],
  });
});

test("at most as many as asked for are listed, and of an automation without any, none", async () => {
  expect(await tripline.automations.changes({ limit: 2 })).toHaveLength(2);
  expect(await tripline.automations.changes({ automation: randomUUID() })).toEqual([]);
  for (const query of ["limit=0", "limit=101", "limit=many", "automation=vents"]) {
    const { status } = await fetch(`${api.url}/api/changes?${query}`);
    expect({ query, status }).toEqual({ query, status: 422 });
  }
});

test("a server without a history says that it has none", async () => {
  const without = await startApi();
  const refused = await new Tripline({ url: `${without.url}/api` }).automations
    .changes()
    .catch((error) => error);
  expect(refused).toBeInstanceOf(Refused);
  expect(refused).toMatchObject({ status: 404, message: expect.stringContaining("keeps no history") });
  await without.stop();
});
