/** What can be read over the API without a history: automations, their explanations, the server's state, its metrics. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Automation, AutomationSchema } from "../../src/core/model/automation.ts";
import { secretMask } from "../../src/core/model/secret.ts";
import { millisecond, second } from "../../src/core/model/time.ts";
import { withTriggerIds } from "../../src/core/model/trigger.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";
import { pumpEvent, startApi, type TestApi } from "./support.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.stop());

const get = (path: string, headers: Record<string, string> = {}) => fetch(`${api.url}${path}`, { headers });

const pumpStopped: Automation = {
  ...AutomationSchema.parse({
    name: "A pump stopped",
    trigger: { expect: ["pump.stopped"], match: { "prefect.resource.id": "pump.*" } },
    actions: [
      {
        type: "call-webhook",
        url: "https://example.org/${env.PATH_TOKEN}",
        headers: { Authorization: "Bearer ${env.TOKEN}" },
        secret: "whsec_c2VjcmV0IHdyaXR0ZW4gZG93bg==",
      },
      { type: "do-nothing" },
    ],
    actions_on_resolve: [{ type: "call-webhook", url: "https://example.org", secret: "${env.SIGNING}" }],
  }),
  id: "0190a000-0000-7000-8000-000000000001",
  source: { kind: "file", file: "rules/pumps.yaml", enabled: true },
  secrets: { PATH_TOKEN: "path-token-value", TOKEN: "token-value", SIGNING: "signing-value" },
  created: 1_700_000_000_000_000,
  updated: 1_700_000_000_123_456,
};

describe("automations", () => {
  const ventsOpened: Automation = {
    ...pumpStopped,
    ...AutomationSchema.parse({ name: "A burst of vents", trigger: { threshold: 3, within: "1m" } }),
    id: "0190a000-0000-7000-8000-000000000002",
    trigger: withTriggerIds(pumpStopped.trigger, () => "0190a000-0000-7000-8000-00000000000a"),
  };

  beforeAll(() => api.log.putAutomations([pumpStopped, ventsOpened]));

  test("are listed by name, each with all its fields", async () => {
    const response = await get("/api/automations");
    expect(response.status).toBe(200);
    const [first, second] = (await response.json()) as Record<string, unknown>[];
    expect([first?.["name"], second?.["name"]]).toEqual(["A burst of vents", "A pump stopped"]);
    expect(second).toMatchObject({
      id: pumpStopped.id,
      description: "",
      enabled: true,
      tags: [],
      trigger: { type: "event", match: { "prefect.resource.id": "pump.*" }, within: 0, threshold: 1 },
      actions_on_trigger: [],
      source: { kind: "file", file: "rules/pumps.yaml" },
      created: "2023-11-14T22:13:20Z",
      updated: "2023-11-14T22:13:20.123456Z",
    });
  });

  test("never show a secret, neither the value of a reference nor one that is written in the rule", async () => {
    const texts = await Promise.all(
      ["/api/automations", `/api/automations/${pumpStopped.id}`].map(async (path) =>
        (await get(path)).text(),
      ),
    );
    for (const text of texts) {
      expect(text).toContain("${env.TOKEN}");
      expect(text).toContain(secretMask);
      for (const hidden of ["secrets", "whsec_", "path-token-value", "token-value", "signing-value"]) {
        expect(text).not.toContain(hidden);
      }
    }
  });

  test("are found by id in upper or lower case", async () => {
    const response = await get(`/api/automations/${pumpStopped.id.toUpperCase()}`);
    expect(await response.json()).toMatchObject({ name: "A pump stopped" });
  });

  test.each(["0190a000-0000-7000-8000-00000000ffff", "nonsense", "%00", "__proto__"])(
    "are not found by the unknown id %s",
    async (id) => {
      const response = await get(`/api/automations/${id}`);
      expect(response.status).toBe(404);
      expect(await response.json()).toEqual({ exception_message: "Automation not found" });
    },
  );
});

describe("POST /automations/{id}/explain", () => {
  const explain = async (body: unknown) => {
    const request = {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "Content-Type": "application/json" },
    };
    const response = await fetch(`${api.url}/api/automations/${pumpStopped.id}/explain`, request);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  test.each([
    [{}, ["event"], "required"],
    [{ event: 7 }, ["event"], "id of an event"],
    [{ event: "nonsense" }, ["event"], "valid UUID"],
    [{ event: { event: "pump.failed" } }, ["event", "resource"], "required"],
    [{ event: { event: 7, resource: { "prefect.resource.id": "" } } }, ["event", "event"], "string"],
  ])("rejects %j with the place of the mistake", async (request, place, message) => {
    const { status, body } = await explain(request);
    expect(status).toBe(422);
    expect(body["exception_detail"]).toContainEqual(
      expect.objectContaining({ loc: ["body", ...place], msg: expect.stringContaining(message) }),
    );
  });
});

describe("the server", () => {
  test.each([
    ["/api/health", 200, true],
    ["/api/ready", 200, { message: "OK", status: "ok", problems: [] }],
    ["/api/hello", 200, "👋"],
    ["/api/version", 200, "0.8.4"],
    ["/api/admin/version", 200, "3.99.0"],
    [
      "/api/csrf-token?client=0190a000-0000-7000-8000-000000000001",
      422,
      { detail: "CSRF protection is disabled." },
    ],
    ["/api/nothing-here", 404, { detail: "Not Found" }],
    ["/nothing-here", 404, { detail: "Not Found" }],
  ])("answers %s with %i %j", async (path, status, body) => {
    const response = await get(path);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual(body);
  });

  test("says in /ready why it is not ready", async () => {
    api.notReady = "Redis is unavailable";
    const response = await get("/api/ready");
    api.notReady = null;
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    const body = { message: "Redis is unavailable", status: "unavailable", problems: [] };
    expect(await response.json()).toEqual(body);
  });

  // A load balancer that took it out would make clients lose events that the log can still take.
  test("is ready while it is degraded, except for a monitor that asks strictly", async () => {
    const problem = { part: "history", message: "The disk is full." } as const;
    api.problems = [problem];
    const body = { message: "Degraded: The disk is full.", status: "degraded", problems: [problem] };
    for (const [query, status] of [
      ["", 200],
      ["?strict=false", 200],
      ["?strict=true", 503],
    ] as const) {
      const response = await get(`/api/ready${query}`);
      expect(response.status).toBe(status);
      expect(await response.json()).toEqual(body);
    }
    expect((await get("/api/ready?strict=maybe")).status).toBe(422);
    api.problems = [];
  });

  test("is not ready while alarms are not raised, except for a load balancer, which asks for the role api", async () => {
    const message = "No engine is running.";
    api.problems = [{ part: "engine", message, stopsAlarms: true }];
    const problems = [{ part: "engine", message }];
    const body = { message: `Stalled: ${message}`, status: "stalled", problems };
    for (const [query, status] of [
      ["", 503],
      ["?role=api", 200],
      ["?role=api&strict=true", 503],
    ] as const) {
      const response = await get(`/api/ready${query}`);
      expect(response.status).toBe(status);
      expect(await response.json()).toEqual(body);
    }
    expect((await get("/api/ready?role=engine")).status).toBe(422);
    api.problems = [];
  });

  test.each([
    ["0.8.4", 200],
    ["0.9.0", 200],
    ["1.0.0", 200],
    ["0.7.9", 400],
    ["0.8", 400],
    ["new", 400],
  ])(
    "answers a client of API version %s with %i, and its health check always with 200",
    async (version, status) => {
      const headers = { "X-PREFECT-API-VERSION": version };
      expect((await get("/api/automations", headers)).status).toBe(status);
      expect((await get("/api/health", headers)).status).toBe(200);
      expect((await get("/api/admin/version", headers)).status).toBe(200);
    },
  );
});

describe("metrics", () => {
  const lines = async (): Promise<string[]> => (await (await get("/metrics")).text()).split("\n");

  test("count the events that were accepted, and those that were rejected by reason", async () => {
    await api.post(JSON.stringify([pumpEvent(), pumpEvent()]));
    await api.post(JSON.stringify([pumpEvent(), pumpEvent(), {}]));
    await api.post("[");
    const response = await get("/metrics");
    expect(response.headers.get("content-type")).toContain("text/plain");
    expect(await lines()).toEqual(
      expect.arrayContaining([
        "tripline_events_accepted_total 2",
        'tripline_events_rejected_total{reason="invalid"} 4',
        'tripline_events_rejected_total{reason="unreachable"} 0',
        'tripline_firings_total{state="Triggered"} 0',
      ]),
    );
  });

  test("show the windows of a shard while this process owns it, and no stale numbers afterward", async () => {
    api.metrics.owned(0, true);
    api.metrics.openWindows(0, 3);
    const line = 'tripline_open_windows{shard="0"} 3';
    expect(await lines()).toContain(line);
    api.metrics.owned(0, false);
    expect(await lines()).not.toContain(line);
  });

  test("show how far each shard is, whoever owns it, and nothing while that is not known", async () => {
    const status = { shard: 0, owner: null, entriesBehind: 7, delayMs: 1_500, outboxAgeMs: 2_500 };
    let known = true;
    api.metrics.inWorkspace("default").observeShards(async () => {
      if (!known) throw new RedisUnreachable("away");
      return {
        engines: ["a", "b"],
        shards: [
          { ...status, watermarkAgeMs: 3_500 },
          { ...status, shard: 1, owner: "a", watermarkAgeMs: null },
        ],
      };
    });
    const place = '{workspace="default",shard="0"}';
    expect(await lines()).toEqual(
      expect.arrayContaining([
        `tripline_log_lag_entries${place} 7`,
        `tripline_detection_delay_seconds${place} 1.5`,
        `tripline_shard_has_owner${place} 0`,
        `tripline_watermark_age_seconds${place} 3.5`,
        `tripline_outbox_age_seconds${place} 2.5`,
        'tripline_engines{workspace="default"} 2',
        'tripline_shard_owner{workspace="default",shard="1",owner="a"} 1',
      ]),
    );
    // Shard 1 has never committed anything.
    expect((await lines()).filter((line) => line.startsWith("tripline_watermark_age"))).toHaveLength(1);
    known = false;
    expect((await lines()).filter((line) => line.includes(place))).toEqual([]);
  });

  test("show how late firings are committed, never less than no time", async () => {
    const bucket = (le: string) => `tripline_firing_delay_seconds_bucket{le="${le}",state="Triggered"}`;
    const countIn = async (le: string) =>
      Number(
        (await lines())
          .find((line) => line.startsWith(bucket(le)))
          ?.split(" ")
          .at(-1) ?? 0,
      );
    const before = { soon: await countIn("1"), later: await countIn("5") };
    const now = Date.now() * millisecond;
    const automation = { id: pumpStopped.id };
    api.metrics.fired(0, { automation, state: "Triggered", triggered: now - 2 * second });
    api.metrics.fired(0, { automation, state: "Triggered", triggered: now + 60 * second });
    expect({ soon: await countIn("1"), later: await countIn("5") }).toEqual({
      soon: before.soon + 1,
      later: before.later + 2,
    });
  });

  test("show actions by type and outcome, their duration, and the memory of the process", async () => {
    api.metrics.actionFinished("call-webhook", "executed", 0.2);
    const current = await lines();
    expect(current).toContain('tripline_actions_total{type="call-webhook",outcome="executed"} 1');
    expect(current).toContain('tripline_action_duration_seconds_sum{type="call-webhook"} 0.2');
    expect(current.some((line) => line.startsWith("process_resident_memory_bytes "))).toBe(true);
  });
});
