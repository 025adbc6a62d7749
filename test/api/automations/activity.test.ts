/** What automations did lately, through the client, on a server without an engine. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Tripline } from "../../../src/client/index.ts";
import { actionEvent, firingEvent, invocationsOf } from "../../../src/core/machine/consequence.ts";
import type { Firing } from "../../../src/core/machine/firing.ts";
import type { Automation } from "../../../src/core/model/automation.ts";
import {
  formatTime,
  hour,
  type Micros,
  millisecond,
  minute,
  parseTime,
} from "../../../src/core/model/time.ts";
import { automationOf, triggerFiring, webhook } from "../../delivery/support.ts";
import { startApi, type TestApi } from "../support.ts";

let api: TestApi;
let tripline: Tripline;
beforeAll(async () => {
  api = await startApi({ history: true });
  tripline = new Tripline({ url: `${api.url}/api` });
});
afterAll(() => api?.stop());

const watch = (name: string) => automationOf(webhook("http://127.0.0.1:1/"), { name });

/** Reports a firing and its delivery as an engine and a worker would. */
async function fire(automation: Automation, at: Micros, kind: "executed" | "failed", state = "Triggered") {
  const firing = { ...triggerFiring(null), automation, lineage: [], triggered: at, state } as Firing;
  const [delivery] = invocationsOf({ ...firing, state: "Triggered" });
  const events = [
    firingEvent(firing),
    actionEvent(delivery!, "triggered", at),
    actionEvent(delivery!, kind, at),
  ];
  await api.log.appendEvents(events.map((event) => ({ event, lineage: [], trace: null })));
}

test("firings and deliveries of the last hours are counted, in the order of the request", async () => {
  const [pumps, vents, idle] = [watch("Pumps"), watch("Vents"), watch("Idle")];
  await api.log.putAutomations([pumps, vents, idle]);
  const now = Date.now() * millisecond;
  await fire(pumps, now - 150 * minute, "failed");
  await fire(pumps, now - 90 * minute, "executed");
  await fire(pumps, now - 80 * minute, "executed");
  await fire(pumps, now - 10 * minute, "failed", "Resolved");
  await fire(vents, now - 200 * hour, "executed");

  const deleted = randomUUID();
  const automations = [vents.id, deleted, pumps.id, idle.id];
  const activity = await tripline.automations.activity({ automations, hours: 3, buckets: 3 });
  const none = { firings: [0, 0, 0], resolutions: 0, executed: 0, failed: 0 };
  const never = { ...none, last_fired: null, last_state: null };
  const [since = 0, until = 0] = [activity.since, activity.until].map((time) => parseTime(time) ?? 0);
  expect(until - since).toBe(3 * hour);
  expect(until).toBeGreaterThanOrEqual(now);
  expect(activity.bucket_seconds).toBe(3_600);
  expect(activity.automations).toEqual([
    { id: vents.id, ...none, last_fired: formatTime(now - 200 * hour), last_state: "Triggered" },
    { id: deleted, ...never },
    {
      id: pumps.id,
      last_fired: formatTime(now - 10 * minute),
      last_state: "Resolved",
      firings: [1, 2, 0],
      resolutions: 1,
      executed: 2,
      failed: 2,
    },
    { id: idle.id, ...never },
  ]);

  const all = await tripline.automations.activity();
  expect(all.automations.map(({ id }) => id)).toEqual([pumps.id, vents.id, idle.id].sort());
  expect(all.automations.every(({ firings }) => firings.length === 24)).toBe(true);
  expect(all.automations.find(({ id }) => id === pumps.id)?.firings.slice(-4)).toEqual([0, 1, 2, 0]);
});

// 168 hours in 11 parts are no whole number of microseconds.
test("buckets of any number cover all of the time", async () => {
  const { since, until, bucket_seconds } = await tripline.automations.activity({ hours: 168, buckets: 11 });
  const length = ((parseTime(until) ?? 0) - (parseTime(since) ?? 0)) / 1_000_000;
  expect(length).toBeGreaterThanOrEqual(168 * 3_600);
  expect(length).toBeLessThan(168 * 3_600 + 0.001);
  expect(bucket_seconds * 11).toBeCloseTo(length, 3);
});

test.each([
  [{ hours: 169 }, "Input should be less than or equal to 168"],
  [{ hours: 0 }, "Input should be greater than or equal to 1"],
  [{ buckets: 169 }, "Input should be less than or equal to 168"],
  [{ automations: ["pumps"] }, "Input should be a valid UUID"],
  [
    { automations: Array.from({ length: 501 }, () => randomUUID()) },
    "Ask about at most 500 automations at a time",
  ],
])("a request beyond the limits is refused (%#)", async (options, message) => {
  await expect(tripline.automations.activity(options)).rejects.toThrow(message);
});

test("a server without a history says so", async () => {
  const bare = await startApi();
  try {
    const { automations } = new Tripline({ url: `${bare.url}/api` });
    await expect(automations.activity()).rejects.toThrow("This server keeps no history");
    await expect(automations.timeline(randomUUID())).rejects.toThrow("Automation not found");
  } finally {
    await bare.stop();
  }
});
