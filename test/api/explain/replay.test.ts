/** Explanations by replay: how far into the log they look, and that they leave room for other work. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Breather } from "../../../src/api/explain/replay.ts";
import type { Explanation } from "../../../src/client/index.ts";
import { type Automation, AutomationSchema } from "../../../src/core/model/automation.ts";
import { millisecond } from "../../../src/core/model/time.ts";
import { workspaceKeys } from "../../../src/store/keys.ts";
import { Log } from "../../../src/store/log.ts";
import { pumpEvent, startApi, type TestApi } from "../support.ts";

test("work that pauses for others lets them run every few milliseconds, and not more often", async () => {
  let turnCount = 0;
  let isOver = false;
  const takeTurns = () => {
    turnCount += 1;
    if (!isOver) setImmediate(takeTurns);
  };
  setImmediate(takeTurns);
  const breather = new Breather();
  const start = performance.now();
  let stepCount = 0;
  while (performance.now() - start < 300) {
    await breather.breathe();
    stepCount += 1;
  }
  isOver = true;
  expect(turnCount).toBeGreaterThan(3); // 30 on an idle machine
  expect(turnCount).toBeLessThan(100);
  expect(stepCount).toBeGreaterThan(1_000);
});

describe("an event whose consequence came later", () => {
  let api: TestApi;
  beforeAll(async () => {
    api = await startApi();
  });
  afterAll(() => api?.stop());

  const startMs = Date.now() - 3_600_000;
  const atMs = (seconds: number) => startMs + 1_000 * seconds;

  /** Copies what is appended by `append` into the log, as if it had been received then. */
  async function receivedAt(seconds: number, append: (log: Log) => Promise<unknown>): Promise<void> {
    const scratch = new Log(api.connection, `scratch ${seconds}`);
    await append(scratch);
    const entries = await api.connection.xrange(workspaceKeys(`scratch ${seconds}`).log, "-", "+");
    for (const [index, [, fields]] of entries.entries()) {
      await api.connection.xadd(workspaceKeys("default").log, `${atMs(seconds)}-${index}`, ...fields);
    }
  }

  const heartbeat = (seconds: number, id: string) => ({
    event: pumpEvent({
      id,
      event: "pump.heartbeat",
      occurred: new Date(atMs(seconds)).toISOString(),
      related: [],
      payload: {},
      follows: null,
    }) as never,
    lineage: [],
    trace: null,
  });

  function automationOf(name: string, trigger: object): Automation {
    return {
      ...AutomationSchema.parse({ name, trigger, actions: [] }),
      id: `0190b000-0000-7000-8000-00000000000${name.length % 10}`,
      source: { kind: "api" },
      secrets: {},
      created: atMs(0) * millisecond,
      updated: atMs(0) * millisecond,
    };
  }

  test("is explained up to the absence that followed it, and no further", async () => {
    const first = "00000000-0000-4000-8000-0000000beef1";
    const trigger = {
      posture: "Proactive",
      expect: ["pump.heartbeat"],
      after: ["pump.heartbeat"],
      within: 60,
      lateness: 30,
    };
    const quiet = automationOf("Pump went quiet", trigger);
    await receivedAt(1, (log) => log.putAutomations([quiet]));
    await api.connection.hset(workspaceKeys("default").automations, quiet.id, JSON.stringify(quiet));
    await receivedAt(10, (log) => log.appendEvents([heartbeat(10, first)]));
    await receivedAt(500, (log) =>
      log.appendEvents([heartbeat(500, "00000000-0000-4000-8000-0000000beef2")]),
    );
    const response = await fetch(`${api.url}/api/automations/${quiet.id}/explain`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ event: first }),
    });
    const explanation = (await response.json()) as Explanation;
    expect(explanation).toMatchObject({ complete: true, fired: true });
    const decisions = explanation.triggers[0]?.decisions.map(({ at, outcome }) => [Date.parse(at), outcome]);
    // Time settles after the lateness, and the absence is certain after window and lateness. The heartbeat that ended
    // the absence came too late to belong to the explanation.
    expect(decisions).toEqual([
      [atMs(10), "waits until its time has settled"],
      [atMs(40), "opened a window"],
      [atMs(100), "fires"],
    ]);
  });
});
