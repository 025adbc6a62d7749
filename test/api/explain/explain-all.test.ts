/** `POST /api/explain`: one event against all automations, on a server without an engine. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AllExplanations } from "../../../src/client/index.ts";
import { type Automation, AutomationSchema } from "../../../src/core/model/automation.ts";
import { millisecond } from "../../../src/core/model/time.ts";
import { pumpEvent, startApi, type TestApi } from "../support.ts";

let counter = 0;

function automationOf(name: string, trigger: object, fields: Partial<Automation> = {}): Automation {
  counter += 1;
  const now = Date.now() * millisecond;
  return {
    ...AutomationSchema.parse({ name, trigger, actions: [] }),
    id: `0190a000-0000-7000-8000-${String(counter).padStart(12, "0")}`,
    source: { kind: "api" },
    secrets: {},
    created: now,
    updated: now,
    ...fields,
  };
}

async function explain(api: TestApi, body: object): Promise<{ status: number; answer: AllExplanations }> {
  const headers = { "Content-Type": "application/json" };
  const request = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(`${api.url}/api/explain`, request);
  return { status: response.status, answer: (await response.json()) as AllExplanations };
}

const namesIn = ({ explanations }: AllExplanations) => explanations.map(({ automation }) => automation.name);
const summariesIn = ({ explanations }: AllExplanations) =>
  Object.fromEntries(explanations.map(({ automation, summary }) => [automation.name, summary]));

describe.each([
  ["without a history", false],
  ["with a history", true],
])("%s", (_, history) => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi({ history });
  });
  afterAll(() => api?.stop());

  const stopped = (pump: string) =>
    pumpEvent({ occurred: new Date().toISOString(), event: "pump.stopped", resource: resourceOf(pump) });
  const resourceOf = (pump: string) => ({ "prefect.resource.id": pump, zone: "north" });

  test("automations that fired come first, then others that cover the event, then near misses; the rest is counted", async () => {
    await api.log.putAutomations([
      automationOf("Any pump", { expect: ["pump.*"] }),
      automationOf("Every second stop", { expect: ["pump.stopped"], threshold: 2, within: 3_600 }),
      automationOf("South", { expect: ["pump.stopped"], match: { zone: "south" } }),
      automationOf("South, pump 9", {
        expect: ["pump.stopped"],
        match: { zone: "south", "prefect.resource.id": "pump.9" },
      }),
      automationOf("Vents", { expect: ["vent.opened"] }),
      automationOf("Vents and pumps", {
        type: "compound",
        require: "all",
        within: 60,
        triggers: [{ expect: ["vent.opened"] }, { expect: ["pump.stopped"] }],
      }),
    ]);
    const events = [stopped("pump.1"), stopped("pump.2"), pumpEvent({ event: "lamp.off" })];
    for (const event of events) expect((await api.post(JSON.stringify([event]))).status).toBe(204);

    const { status, answer } = await explain(api, { event: events[1]?.["id"] });
    expect(status).toBe(200);
    expect(answer.event).toMatchObject({ id: events[1]?.["id"], event: "pump.stopped" });
    expect(namesIn(answer)).toEqual([
      "Any pump",
      "Every second stop",
      "Vents and pumps",
      "South",
      "South, pump 9",
    ]);
    expect(answer.explanations.map(({ fired }) => fired)).toEqual([true, true, false, false, false]);
    expect(answer.explanations.every(({ complete }) => complete)).toBe(true);
    expect(answer.not_listed).toEqual({ covering: 0, not_covering: 1 });
    expect(summariesIn(answer)["South"]).toContain('the label zone of its resource is "north"');

    const first = await explain(api, { event: events[0]?.["id"], limit: 1 });
    expect(namesIn(first.answer)).toEqual(["Any pump", "South", "South, pump 9"]);
    expect(first.answer.not_listed).toEqual({ covering: 2, not_covering: 1 });

    const unrelated = await explain(api, { event: events[2]?.["id"] });
    expect(unrelated.answer).toMatchObject({ explanations: [], not_listed: { not_covering: 6 } });
  });

  test("the answer for each automation equals the one for this automation alone", async () => {
    const event = stopped("pump.3");
    await api.post(JSON.stringify([event]));
    const { answer } = await explain(api, { event: event["id"] });
    expect(answer.explanations.length).toBeGreaterThan(3);
    for (const explanation of answer.explanations) {
      const alone = await fetch(`${api.url}/api/automations/${explanation.automation.id}/explain`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ event: event["id"] }),
      });
      expect(await alone.json()).toEqual(explanation);
    }
  });

  // Its present trigger says nothing about what it did when the event arrived.
  test("an automation that has changed since the event is judged as it was then", async () => {
    const valve = automationOf("Valve", { expect: ["valve.closed"] });
    await api.log.putAutomations([valve]);
    const event = pumpEvent({ event: "valve.closed" });
    await api.post(JSON.stringify([event]));
    await api.log.putAutomations([
      {
        ...automationOf("Valve", { expect: ["valve.burst"] }),
        id: valve.id,
        created: valve.created,
        updated: (Date.now() + 5) * millisecond,
      },
    ]);
    const { answer } = await explain(api, { event: event["id"] });
    expect(summariesIn(answer)).toMatchObject({ Valve: "The automation fired with this event." });
  });

  test("an event that was never received is explained as if it arrived now", async () => {
    const event = stopped("pump.4");
    const { answer } = await explain(api, { event, limit: 2 });
    expect(namesIn(answer).slice(0, 2)).toContain("Any pump");
    expect(answer.not_listed.covering).toBe(1);
    expect((await api.events()).some(({ event: { id } }) => id === event["id"])).toBe(false);
  });

  test("of an event that was never received, the automations that would fire come first", async () => {
    const gates = [
      ["Gate 1", 5],
      ["Gate 2", 1],
      ["Gate 3", 5],
      ["Gate 4", 1],
    ].map(([name, threshold]) =>
      automationOf(String(name), { expect: ["gate.opened"], threshold, within: 60 }),
    );
    await api.log.putAutomations(gates);
    const { answer } = await explain(api, { event: pumpEvent({ event: "gate.opened" }) });
    expect(namesIn(answer)).toEqual(["Gate 2", "Gate 4", "Gate 1", "Gate 3"]);
    await api.log.deleteAutomations(gates.map(({ id }) => id));
  });

  // The state of each is read from Redis.
  test("an event that was never received is explained for at most 20 automations that cover it", async () => {
    const floods = Array.from({ length: 21 }, (_, index) =>
      automationOf(`Flood ${index}`, { expect: ["flood"] }),
    );
    await api.log.putAutomations(floods);
    const event = pumpEvent({ event: "flood" });
    const { answer } = await explain(api, { event, limit: 200 });
    expect(namesIn(answer).filter((name) => name.startsWith("Flood"))).toHaveLength(20);
    expect(answer.not_listed.covering).toBe(1);
    await api.log.deleteAutomations(floods.map(({ id }) => id));
  });

  test("an event that is not in the log is 404", async () => {
    const { status, answer } = await explain(api, { event: "00000000-0000-4000-8000-0000000fffff" });
    expect(status).toBe(404);
    expect(answer).toMatchObject({
      exception_message: expect.stringContaining("Neither the log nor the history"),
    });
  });
});

// With one replay per automation, or one for all without a pause, the server would answer nothing else for minutes.
test("ten thousand automations are explained while other requests are served", async () => {
  const api = await startApi();
  try {
    const many = Array.from({ length: 10_000 }, (_, index) =>
      automationOf(`Pump ${index}`, {
        expect: ["pump.stopped"],
        match: { "prefect.resource.id": `pump.${index}` },
      }),
    );
    for (let start = 0; start < many.length; start += 1_000) {
      await api.log.putAutomations(many.slice(start, start + 1_000));
    }
    const event = pumpEvent({ resource: { "prefect.resource.id": "pump.77" } });
    await api.post(JSON.stringify([event]));
    let isDone = false;
    const explaining = explain(api, { event: event["id"] }).finally(() => {
      isDone = true;
    });
    let servedCount = 0;
    while (!isDone) {
      await fetch(`${api.url}/api/health`);
      if (!isDone) servedCount += 1;
    }
    const { answer } = await explaining;
    expect(answer.explanations[0]).toMatchObject({ automation: { name: "Pump 77" }, fired: true });
    expect(answer.explanations).toHaveLength(11);
    expect(answer.not_listed).toEqual({ covering: 0, not_covering: 9_989 });
    expect(servedCount).toBeGreaterThan(2);
  } finally {
    await api.stop();
  }
}, 60_000);
