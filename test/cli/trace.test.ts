/** `tripline trace` and `tripline explain` of firings, from whatever id someone holds. */

import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Trace } from "../../src/client/index.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { type Listener, Sandbox, type Server } from "./support.ts";

let redis: TestRedis;
let sandbox: Sandbox;
let listener: Listener;
let server: Server;

const within = { timeout: 30_000, interval: 200 };

beforeAll(async () => {
  redis = await startRedis();
  sandbox = new Sandbox();
  listener = await sandbox.listen();
  const rules = sandbox.write(
    "traced.yaml",
    [
      "name: burst",
      "trigger: { expect: [pump.failed], for_each: [prefect.resource.id], threshold: 3, within: 60s }",
      `actions: [{ type: call-webhook, url: ${listener.url} }, { type: emit-event, event: pump.broken }]`,
      "---",
      "name: nothing at all",
      "trigger: { posture: Proactive, expect: [greenhouse.report], within: 10s, refire: once }",
      `actions: [{ type: call-webhook, url: ${listener.url} }]`,
      "---",
      "name: both",
      "trigger:",
      "  type: compound",
      "  within: 60s",
      "  triggers: [{ expect: [vent.opened] }, { expect: [pump.started], threshold: 2, within: 60s }]",
      "actions: [{ type: do-nothing }]",
      "---",
      "name: unreachable",
      "trigger: { expect: [vent.failed] }",
      "actions: [{ type: call-webhook, url: http://127.0.0.1:9/, retry: { attempts: 1 } }]",
      "---",
      "name: reports failed deliveries",
      "trigger: { expect: [prefect-cloud.automation.action.failed], match: { prefect.resource.name: unreach* } }",
      "actions: [{ type: do-nothing }]",
      "",
    ].join("\n"),
  );
  server = await sandbox.serve(redis.url, ["--rules", rules]);
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

const env = () => ({ TRIPLINE_API_URL: server.api });
const run = (words: readonly string[]) => sandbox.output(words, env());

async function emit(event: string, resource: string): Promise<string> {
  const { stdout, code } = await run(["emit", "--event", event, "--resource-id", resource]);
  expect(code).toBe(0);
  return stdout.trim().split(/\s+/).at(-1) ?? "";
}

async function trace(id: string): Promise<Trace> {
  const { stdout, stderr, code } = await run(["trace", id, "--json"]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as Trace;
}

describe("a firing with events", () => {
  test("is traced from its events to each answer, by every id that belongs to it", async () => {
    const ids: string[] = [];
    await emit("pump.failed", "pump.2"); // another key
    for (let count = 0; count < 3; count++) ids.push(await emit("pump.failed", "pump.1"));
    const [delivery] = await listener.until((deliveries) => deliveries.length > 0);
    const webhookId = delivery?.webhook_id ?? "";
    const traced = await vi.waitFor(async () => {
      const found = await trace(webhookId);
      expect(found.firings[0]?.emitted).toHaveLength(1);
      return found;
    }, within);
    const [firing] = traced.firings;
    expect(firing).toMatchObject({
      automation: { name: "burst" },
      state: "Triggered",
      triggering_event_id: ids[2],
      changed_since: null,
      triggers: [
        {
          trigger: "",
          labels: { "prefect.resource.id": "pump.1" },
          window: { count: 3, threshold: 3 },
          summary: expect.stringMatching(/^3 of 3 expected events occurred from /),
          more_events: false,
        },
      ],
      deliveries: [
        { id: webhookId, state: "delivered", status_code: 200, action_type: "call-webhook" },
        { state: "delivered", action_type: "emit-event" },
      ],
      emitted: [{ event: "pump.broken" }],
    });
    expect(firing?.triggers[0]?.events.map(({ role, event }) => [role, event.id])).toEqual(
      ids.map((id) => ["expected", id]),
    );
    for (const id of [firing?.id ?? "", firing?.event_id ?? "", ids[2] ?? "", webhookId.slice(0, 13)]) {
      expect(await trace(id)).toEqual(traced);
    }
    // An event that counted, and did not cause the firing.
    expect(await trace(ids[0] ?? "")).toEqual({ firings: [], truncated: false });

    const text = (await run(["trace", webhookId])).stdout;
    expect(text).toMatch(/^burst fired at \S+ for pump\.1\n {2}id [0-9a-f-]{36}$/m);
    expect(text).toMatch(/window \[\S+, \S+\) with 3 of 3$/m);
    expect(text).toMatch(
      new RegExp(`^action 0 call-webhook to ${listener.url}.*: delivered, .*status 200, 1 attempt`, "m"),
    );
    expect(text).toContain(`  id ${webhookId}`);
    expect(text).not.toMatch(/ $/m); // the answer has no body
    for (const id of ids) expect(text).toContain(id);

    const explained = await run(["explain", webhookId]);
    expect(explained.stdout).toContain(`delivery ${webhookId} of burst`);
    expect(explained.stdout).toContain("burst: The automation fired with this event.");
    const json = JSON.parse((await run(["explain", webhookId, "--json"])).stdout);
    expect(json).toMatchObject({
      firings: [{ event_id: firing?.event_id }],
      explanations: [{ fired: true }],
    });
  });

  test("of a composite shows the events of each of its triggers", async () => {
    const ids = [await emit("vent.opened", "vent.1"), await emit("pump.started", "pump.1")];
    ids.push(await emit("pump.started", "pump.1"));
    const { firings } = await vi.waitFor(async () => {
      const found = await trace(ids[2] ?? "");
      expect(found.firings).toHaveLength(1);
      return found;
    }, within);
    expect(firings[0]?.triggers).toMatchObject([
      { trigger: "", summary: "2 triggers below it fired.", events: [] },
      { trigger: "0", summary: "An expected event arrived.", events: [{ event: { id: ids[0] } }] },
      { trigger: "1", events: [{ event: { id: ids[1] } }, { event: { id: ids[2] } }] },
    ]);
  });
});

// Events about firings and deliveries can fire automations like any other.
test("what another automation made of an event about a delivery is explained when asked", async () => {
  const cause = await emit("vent.failed", "vent.2");
  const failed = await vi.waitFor(async () => {
    const { stdout } = await run(["events", "ls", "-e", "prefect-cloud.automation.action.failed", "--json"]);
    const [event] = JSON.parse(stdout) as { id: string; payload: { invocation: string } }[];
    expect(event).toBeDefined();
    return event!;
  }, within);
  for (const id of [failed.id, failed.id.slice(0, 13)]) {
    const { stdout } = await run(["explain", id, "--automation", "reports failed deliveries"]);
    expect(stdout).toContain(`event prefect-cloud.automation.action.failed ${failed.id}`);
    expect(stdout).toContain("reports failed deliveries: The automation fired with this event.");
    const burst = await run(["explain", id, "--automation", "burst"]);
    expect(burst.stdout).toContain("burst: The event is not covered");
    expect((await run(["explain", id, "--automation", "unreachable"])).stdout).toContain(
      `delivery ${failed.payload.invocation} of unreachable`,
    );
  }
  const { firings } = await trace(cause);
  const firingId = firings[0]?.event_id ?? "";
  const other = await run(["explain", firingId, "--automation", "burst"]);
  expect(other.stdout).toContain(`event prefect-cloud.automation.triggered ${firingId}`);
  const refused = await run(["explain", failed.payload.invocation, "--automation", "burst"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('is a delivery of "unreachable". Give the id of an event');
});

test("a firing of an automation that was deleted is still shown", async () => {
  const file = sandbox.write(
    "short-lived.yaml",
    "name: short-lived\ntrigger: { expect: [sensor.failed] }\nactions: [{ type: do-nothing }]\n",
  );
  expect((await run(["apply", file])).code).toBe(0);
  const cause = await emit("sensor.failed", "sensor.1");
  const firing = await vi.waitFor(async () => {
    const { firings } = await trace(cause);
    expect(firings).toHaveLength(1);
    return firings[0]!;
  }, within);
  expect((await run(["automations", "rm", "short-lived"])).code).toBe(0);
  const { code, stdout } = await run(["explain", firing.event_id]);
  expect(code).toBe(0);
  expect(stdout).toContain("short-lived fired at ");
  expect(stdout).toContain('cannot be worked out again: the automation "short-lived" or the event');
});

test("an absence that no event preceded is traced and explained", async () => {
  const filter = { event: { name: ["prefect-cloud.automation.triggered"] } };
  const headers = { "Content-Type": "application/json" };
  const found = await vi.waitFor(async () => {
    const answer = await fetch(`${server.api}/events/filter`, {
      method: "POST",
      headers,
      body: JSON.stringify({ filter }),
    });
    const { events } = (await answer.json()) as {
      events: { id: string; payload: { firing_id: string }; resource: Record<string, string> }[];
    };
    const absence = events.find(({ resource }) => resource["prefect.resource.name"] === "nothing at all");
    expect(absence).toBeDefined();
    return absence;
  }, within);
  await pause(500);
  for (const id of [found?.id ?? "", found?.payload.firing_id ?? ""]) {
    const { firings } = await trace(id);
    expect(firings).toMatchObject([
      {
        triggering_event_id: null,
        triggers: [
          {
            window: { count: 0, threshold: 1 },
            summary: expect.stringMatching(/^No expected event occurred from \S+ to \S+\.$/),
            events: [],
          },
        ],
        deliveries: [{ action_type: "call-webhook" }],
      },
    ]);
    const { stdout, code } = await run(["explain", id]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/No expected event occurred from \S+ to \S+/);
    expect(stdout).toMatch(/judged at /);
    expect(stdout).toContain("No event caused it");
  }
});

test("an unknown id, and the name of an automation, are refused with what to give", async () => {
  const unknown = await run(["trace", "0a0b0c0d-0000-4000-8000-000000000000"]);
  expect(unknown).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("Nothing is known about"),
  });
  expect((await run(["trace", "0a0b0c0d"])).stderr).toContain("try the whole id");
  for (const digit of ["1", "2"]) {
    const id = `abcdef00-0000-4000-8000-00000000000${digit}`;
    await run(["emit", "--event", "pump.seen", "--resource-id", "pump.1", "--id", id]);
  }
  const ambiguous = await run(["trace", "abcdef00"]);
  expect(ambiguous.stderr).toMatch(
    /^2 ids begin with abcdef00\. Give more of one:\n {2}abcdef00-0000-4000-8000-0{11}\d {2}event/,
  );
  const named = await run(["trace", "burst"]);
  expect(named).toMatchObject({ code: 1, stderr: expect.stringContaining("This is an automation") });
});
