/** Explanations of what the log no longer holds: from the history. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { AllExplanations, Explanation } from "../../../src/client/index.ts";
import { type Automation, AutomationSchema } from "../../../src/core/model/automation.ts";
import { type Micros, millisecond } from "../../../src/core/model/time.ts";
import { workspaceKeys } from "../../../src/store/keys.ts";
import { pumpEvent, startApi, type TestApi } from "../support.ts";

let api: TestApi;
const keys = workspaceKeys("default");

beforeAll(async () => {
  api = await startApi({ history: true });
});
afterAll(() => api?.stop());

const hourAgo = Date.now() * millisecond - 3_600_000_000;

async function automationOf(
  trigger: object,
  { created = hourAgo, updated = created }: { created?: Micros; updated?: Micros } = {},
): Promise<Automation> {
  const automation: Automation = {
    ...AutomationSchema.parse({ name: `Pumps ${randomUUID()}`, trigger, actions: [] }),
    id: randomUUID(),
    source: { kind: "api" },
    secrets: {},
    created,
    updated,
  };
  await api.connection.hset(keys.automations, automation.id, JSON.stringify(automation));
  return automation;
}

async function post(names: readonly string[]): Promise<string[]> {
  const occurred = new Date().toISOString();
  const events = names.map((event) => pumpEvent({ id: randomUUID(), event, occurred }));
  expect((await api.post(JSON.stringify(events))).status).toBe(204);
  return events.map(({ id }) => String(id));
}

/** Removes everything from the log, once it is recorded. */
async function trimAll(): Promise<void> {
  const last = await api.log.lastPosition();
  await vi.waitFor(async () => expect(await api.history?.recordedPosition()).toBe(last), 20_000);
  const count = await api.connection.xlen(keys.log);
  await api.connection.xtrim(keys.log, "MAXLEN", 0);
  await api.connection.incrby(keys.trimmed, count);
}

async function ask<T>(path: string, body: unknown): Promise<{ status: number; answer: T }> {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(`${api.url}/api${path}`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  return { status: response.status, answer: (await response.json()) as T };
}

const explain = (automation: Automation, event: string | undefined) =>
  ask<Explanation>(`/automations/${automation.id}/explain`, { event });

describe("an event that the log no longer holds", () => {
  beforeEach(async () => {
    await api.connection.del(keys.automations);
  });

  test("is explained with the events that counted before it", async () => {
    const burst = await automationOf({ expect: ["pump.failed"], threshold: 3, within: 600 });
    const ids = await post(["pump.failed", "pump.failed", "pump.failed", "pump.started"]);
    await trimAll();
    const counted = await explain(burst, ids[1]);
    expect(counted.answer).toMatchObject({
      fired: false,
      summary: "The event was covered, but did not fire the automation: counted (2 of 3).",
      complete: false,
      changed_since: null,
    });
    expect((await explain(burst, ids[2])).answer).toMatchObject({
      fired: true,
      summary: "The automation fired with this event.",
    });
    expect((await explain(burst, ids[3])).answer.summary).toMatch(/^The event is not covered: its name is/);
    const all = await ask<AllExplanations>("/explain", { event: ids[2] });
    expect(all.answer.explanations).toMatchObject([{ automation: { id: burst.id }, fired: true }]);
  });

  // The window of the second event began in the history and ends in the log.
  test("counts for one that the log still holds", async () => {
    const burst = await automationOf({ expect: ["pump.leaked"], threshold: 2, within: 600 });
    await post(["pump.leaked"]);
    await trimAll();
    const [last] = await post(["pump.leaked"]);
    expect((await explain(burst, last)).answer).toMatchObject({ fired: true });
  });

  test("is explained by the present definition of an automation that was changed since, and says so", async () => {
    const later = hourAgo + 2 * 3_600_000_000;
    const changed = await automationOf({ expect: ["pump.failed"] }, { updated: later });
    const [id] = await post(["pump.failed"]);
    await trimAll();
    const { answer } = await explain(changed, id);
    expect(answer.fired).toBe(true);
    expect(Date.parse(answer.changed_since ?? "")).toBe(later / millisecond);
  });

  // The history reaches back to the creation, so nothing before it is missing; but it holds no definitions.
  test("is explained for an automation that was created after the oldest event of the history", async () => {
    await post(["pump.started"]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const burst = await automationOf(
      { expect: ["pump.failed"], threshold: 2, within: 600 },
      { created: Date.now() * millisecond },
    );
    const ids = await post(["pump.failed", "pump.failed"]);
    await trimAll();
    expect((await explain(burst, ids[0])).answer).toMatchObject({
      fired: false,
      summary: "The event was covered, but did not fire the automation: counted (1 of 2).",
      complete: true,
      changed_since: null,
    });
    expect((await explain(burst, ids[1])).answer).toMatchObject({ fired: true });
    const later = Date.now() * millisecond;
    await api.connection.hset(keys.automations, burst.id, JSON.stringify({ ...burst, updated: later }));
    expect(Date.parse((await explain(burst, ids[1])).answer.changed_since ?? "")).toBe(later / millisecond);
  });

  test("did nothing to an automation that was created after it", async () => {
    const [id] = await post(["pump.failed"]);
    await trimAll();
    const younger = await automationOf({ expect: ["pump.failed"] }, { created: Date.now() * millisecond });
    await new Promise((resolve) => setTimeout(resolve, 20));
    await post(["pump.failed"]);
    expect((await explain(younger, id)).answer).toMatchObject({
      fired: false,
      summary: "The automation did not exist when the event arrived.",
    });
  });

  test("is unknown if the history does not hold it either", async () => {
    const burst = await automationOf({ expect: ["pump.failed"] });
    const { status, answer } = await explain(burst, randomUUID());
    expect(status).toBe(404);
    expect(JSON.stringify(answer)).toContain("Neither the log nor the history holds the event");
  });
});
