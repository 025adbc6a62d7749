import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Automation } from "../../../src/core/model/automation.ts";
import { startOfLog } from "../../../src/store/position.ts";
import { greenhouseAutomation } from "../../support/greenhouse.ts";
import { pumpEvent, startApi, type TestApi } from "../support.ts";
import { automationsOf, type Json, pumps, trigger } from "./automation-requests.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.stop());

// Each test begins with an empty workspace.
beforeEach(() => api.connection.flushall());

const { call, create, read } = automationsOf(() => api);

const detailOf = ({ body }: { body: unknown }) =>
  (body as { exception_detail: { type: string; loc: unknown[]; msg: string }[] }).exception_detail;

/** The kinds of entries and the names of events in the log, in order. */
async function logged(): Promise<string[]> {
  const entries = await api.log.read(startOfLog, { count: 1_000 });
  return entries.map((entry) => (entry.kind === "event" ? entry.event.name : entry.kind));
}

const prefix = "prefect-cloud.automation";

describe("an automation that is created", () => {
  test.each(["/", ""])("at /automations%s is returned in full, with every default", async (path) => {
    const { status, body } = await call("POST", path, { name: "pumps", trigger: {}, actions: [] });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      name: "pumps",
      description: "",
      enabled: true,
      tags: [],
      trigger: {
        type: "event",
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        match: {},
        match_related: {},
        after: [],
        expect: [],
        for_each: [],
        posture: "Reactive",
        threshold: 1,
        within: 0,
      },
      actions: [],
      actions_on_trigger: [],
      actions_on_resolve: [],
      source: { kind: "api" },
      created: expect.stringMatching(/^20.*\.\d{6}Z$/),
      updated: expect.any(String),
    });
    expect(await read((body as Json)["id"] as string)).toEqual(body);
  });

  test("gets new ids at every level of its trigger, whatever was sent", async () => {
    const id = "0190a000-0000-7000-8000-000000000001";
    const child = { ...trigger, id };
    const nested = { type: "compound", id, within: 60, require: "all", triggers: [child, child] };
    const created = (await create({ trigger: nested }))["trigger"] as Json;
    const ids = [created, ...(created["triggers"] as Json[])].map((part) => part["id"]);
    expect(new Set([...ids, id]).size).toBe(4);
  });

  test("ignores unknown keys of triggers and actions, and recognizes composites by their triggers", async () => {
    const created = await create({
      trigger: { within: null, triggers: [{ ...trigger, color: "green" }] },
      actions: [{ type: "do-nothing", color: "green" }],
    });
    expect(created["trigger"]).toMatchObject({ type: "sequence" });
    expect(JSON.stringify(created)).not.toContain("green");
  });

  test("is in the log before the answer, together with an event that reports it", async () => {
    const created = await create();
    await api.post(JSON.stringify([pumpEvent()]));
    expect(await logged()).toEqual(["automation-put", `${prefix}.created`, "pump.stopped"]);
    const [, event] = await api.log.read(startOfLog, { count: 2 });
    expect(event).toMatchObject({
      event: {
        wire: {
          resource: { "prefect.resource.id": `${prefix}.${created.id}`, "prefect.resource.name": "pumps" },
          payload: created,
        },
      },
    });
  });
});

describe("POST /automations rejects", () => {
  const webhook = { type: "call-webhook", url: "https://example.org" };
  test.each<[string, unknown, string, (string | number)[]]>([
    ["a missing name", { trigger, actions: [] }, "missing", ["body", "name"]],
    ["missing actions", { name: "a", trigger }, "missing", ["body", "actions"]],
    ["an id", { ...pumps, id: "x" }, "extra_forbidden", ["body", "id"]],
    ["an unknown key", { ...pumps, color: "green" }, "extra_forbidden", ["body", "color"]],
    [
      "an unknown posture",
      { ...pumps, trigger: { posture: "Lazy" } },
      "enum",
      ["body", "trigger", "posture"],
    ],
    [
      "a Proactive trigger of 9 s",
      { ...pumps, trigger: { posture: "Proactive", within: 9 } },
      "greater_than_equal",
      ["body", "trigger", "within"],
    ],
    [
      "an action that Tripline does not have",
      { ...pumps, actions: [{ type: "run-deployment" }] },
      "value_error",
      ["body", "actions", 0, "type"],
    ],
    [
      "a pause action without an automation",
      { ...pumps, actions: [{ type: "pause-automation" }] },
      "value_error",
      ["body", "actions", 0, "automation_id"],
    ],
    [
      "a webhook without a URL",
      { ...pumps, actions: [{ type: "call-webhook" }] },
      "missing",
      ["body", "actions", 0, "url"],
    ],
    [
      "a template that does not parse",
      { ...pumps, actions: [{ ...webhook, payload: { text: "{{ event.name" } }] },
      "value_error",
      ["body", "actions", 0, "payload", "text"],
    ],
    [
      "a reference to the server's environment",
      { ...pumps, actions: [{ ...webhook, headers: { a: "${env.HOME}" } }] },
      "value_error",
      ["body", "actions", 0, "headers", "a"],
    ],
    [
      "a mask where no secret is stored",
      { ...pumps, actions: [{ ...webhook, secret: "********" }] },
      "value_error",
      ["body", "actions", 0, "secret"],
    ],
    [
      "an invalid URL",
      { ...pumps, actions: [{ ...webhook, url: "ftp://a" }] },
      "value_error",
      ["body", "actions", 0, "url"],
    ],
    ["a list", [], "object_type", ["body"]],
  ])("%s, and names its place", async (_what, body, type, loc) => {
    const answer = await call("POST", "/", body);
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({ exception_message: "Invalid request received." });
    expect(detailOf(answer)).toEqual([expect.objectContaining({ type, loc })]);
    expect(await logged()).toEqual([]);
  });

  // Prefect's client sends the first form.
  test.each([
    [{ type: "metric", posture: "Metric", metric: { name: "lateness" } }, ["type"]],
    [{ posture: "Metric", metric: { name: "lateness" } }, ["posture"]],
    [{ type: "compound", within: 10, triggers: [{ type: "metric" }] }, ["triggers", 0, "type"]],
  ])("a metric trigger, and says what to do instead: %j", async (metric, place) => {
    const mistakes = detailOf(await call("POST", "/", { ...pumps, trigger: metric }));
    expect(mistakes.map(({ loc }) => loc)).toEqual([["body", "trigger", ...place]]);
    expect(mistakes[0]?.msg).toMatch(
      /^Metric triggers do not exist here.*docs\/prefect\.md, Metric triggers$/,
    );
  });

  test("an unknown type of action, and lists the known ones", async () => {
    const [mistake] = detailOf(await call("POST", "/", { ...pumps, actions: [{ type: "run-deployment" }] }));
    expect(mistake?.msg).toContain("call-webhook, send-notification, emit-event, pause-automation");
  });

  test.each([
    ["beside it", { ...webhook, payload: 7 }],
    // What is missing is shown by what it is missing from.
    ["in the action as a whole", { ...webhook, url: undefined }],
  ])("a mistake %s without repeating a secret", async (_place, wrong) => {
    const answer = await call("POST", "/", { ...pumps, actions: [{ ...wrong, secret: "hush" }] });
    expect(answer.status).toBe(422);
    expect(JSON.stringify(answer)).not.toContain("hush");
  });

  test("a body that nests more than 50 levels deep", async () => {
    const typeAt = async (levels: number) => {
      const deep = JSON.parse(`${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}`) as unknown;
      return detailOf(await call("POST", "/", { ...pumps, trigger: deep }))[0]?.type;
    };
    expect(await typeAt(50)).not.toBe("too_deep");
    expect(await typeAt(51)).toBe("too_deep");
    expect(await typeAt(5_000)).toBe("too_deep");
  });
});

describe("a PUT", () => {
  test("changes what it names, keeps the rest, and gives the trigger new ids", async () => {
    const before = await create({ description: "Pumps", tags: ["wet"], enabled: false });
    const { id } = before;
    const { type: _type, ...withoutType } = trigger;
    const body = { name: "all pumps", trigger: withoutType, actions: [] };
    expect(await call("PUT", `/${id.toUpperCase()}`, body)).toEqual({ status: 204, body: null });
    const after = await read(id);
    expect(after).toMatchObject({ name: "all pumps", description: "Pumps", tags: ["wet"], enabled: false });
    expect(after["created"]).toBe(before["created"]);
    expect(String(after["updated"]) > String(before["updated"])).toBe(true);
    expect((after["trigger"] as Json)["id"]).not.toBe((before["trigger"] as Json)["id"]);
    expect(await logged()).toEqual([
      "automation-put",
      `${prefix}.created`,
      "automation-put",
      `${prefix}.updated`,
    ]);
  });

  test.each([
    ["lacks actions", { name: "pumps", trigger }, "missing"],
    ["has an owner", { ...pumps, owner_resource: "a" }, "extra_forbidden"],
  ])("that %s is rejected", async (_what, body, type) => {
    const { id } = await create();
    const answer = await call("PUT", `/${id}`, body);
    expect([answer.status, detailOf(answer)[0]?.type]).toEqual([422, type]);
  });

  test("of what GET returned keeps the secrets that it does not show", async () => {
    const webhook = { type: "call-webhook", url: "https://example.org/{{ event.id }}" };
    const created = await create({
      actions: [{ type: "do-nothing" }, { ...webhook, secret: "first secret" }],
      actions_on_resolve: [{ ...webhook, secret: "second secret" }],
    });
    const { id, name, trigger: sent, actions, actions_on_resolve } = created;
    const moved = (actions as Json[]).toReversed();
    expect((await call("PUT", `/${id}`, { name, trigger: sent, actions: moved })).status).toBe(204);
    expect(
      (await call("PUT", `/${id}`, { name, trigger: sent, actions: moved, actions_on_resolve })).status,
    ).toBe(204);
    const stored = (await api.log.automation(id)) as Automation;
    expect(stored.secrets).toEqual({
      SECRET_OF_ACTIONS_0: "first secret",
      SECRET_OF_ACTIONS_ON_RESOLVE_0: "second secret",
    });
    const entries = JSON.stringify([await read(id), (await api.events()).map(({ event }) => event.wire)]);
    expect(entries).not.toContain("first secret");
    expect(entries).not.toContain("SECRET_OF");
  });
});

test("a PATCH pauses and resumes, and accepts nothing else", async () => {
  const { id, updated } = await create();
  expect(await call("PATCH", `/${id}`, { enabled: false })).toEqual({ status: 204, body: null });
  const paused = await read(id);
  expect(paused["enabled"]).toBe(false);
  expect(paused["updated"]).not.toBe(updated);
  expect(await call("PATCH", `/${id}`, { enabled: true })).toEqual({ status: 204, body: null });
  expect((await read(id))["enabled"]).toBe(true);
  for (const body of [{}, { enabled: null }, { enabled: false, name: "x" }, []]) {
    expect((await call("PATCH", `/${id}`, body)).status).toBe(422);
  }
});

test("a deletion is reported once, with the deleted automation", async () => {
  const created = await create();
  const answers = await Promise.all([1, 2, 3].map(() => call("DELETE", `/${created.id}`)));
  expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404]);
  expect(answers.find(({ status }) => status === 404)?.body).toEqual({
    exception_message: "Automation not found",
  });
  expect((await logged()).slice(2)).toEqual(["automation-delete", `${prefix}.deleted`]);
  expect((await api.events()).at(-1)?.event.wire.payload).toMatchObject(created);
});

test.each(["PUT", "PATCH", "DELETE", "GET"])(
  "%s of an unknown automation is answered with 404",
  async (method) => {
    const body = { PUT: pumps, PATCH: { enabled: true } }[method];
    for (const id of ["0190a000-0000-7000-8000-00000000ffff", "nonsense"]) {
      expect((await call(method, `/${id}`, body)).status).toBe(404);
    }
  },
);

test("automations from files can be paused over HTTP, but changed only in their files", async () => {
  const source = { kind: "file", file: "rules/pumps.yaml", enabled: true } as const;
  const fromFile: Automation = { ...greenhouseAutomation("pumps"), source };
  await api.log.putAutomations([fromFile]);
  for (const [method, body] of [
    ["PUT", pumps],
    ["DELETE", undefined],
  ] as const) {
    const answer = await call(method, `/${fromFile.id}`, body);
    expect(answer).toEqual({
      status: 409,
      body: { detail: '"pumps" is defined in rules/pumps.yaml; change it there' },
    });
  }
  expect((await call("PATCH", `/${fromFile.id}`, { enabled: false })).status).toBe(204);
  expect(await api.log.automation(fromFile.id)).toMatchObject({ enabled: false, source });
});

describe("a filter", () => {
  const names = async (body?: unknown) => {
    const answer = await call("POST", "/filter", body);
    expect(answer.status).toBe(200);
    return (answer.body as Json[]).map(({ name }) => name);
  };

  beforeEach(async () => {
    await create({ name: "b", tags: ["wet", "loud"] });
    await create({ name: "a", tags: ["wet"] });
    await create({ name: "C" });
  });

  test("finds all automations, sorted by name, even without a body or with every key null", async () => {
    const sorted = ["C", "a", "b"];
    expect(await names()).toEqual(sorted);
    expect(await names({})).toEqual(sorted);
    expect(await names({ automations: null, sort: null, limit: null, offset: 0 })).toEqual(sorted);
  });

  test("sorts and pages", async () => {
    expect(await names({ sort: "NAME_DESC" })).toEqual(["b", "a", "C"]);
    expect(await names({ sort: "CREATED_DESC" })).toEqual(["C", "a", "b"]);
    const [b] = (await call("POST", "/filter", { automations: { name: { any_: ["b"] } } })).body as Json[];
    await call("PATCH", `/${b?.["id"]}`, { enabled: false });
    expect(await names({ sort: "UPDATED_DESC" })).toEqual(["b", "C", "a"]);
    expect(await names({ limit: 1, offset: 1 })).toEqual(["a"]);
    expect(await names({ limit: 0 })).toEqual([]);
  });

  test.each<[object, string[]]>([
    [{ name: { any_: ["a", "c"] }, tags: null, created: null }, ["a"]],
    [{ name: { any_: [] } }, []],
    [{ name: {} }, ["C", "a", "b"]],
    [{ tags: { all_: ["wet", "loud"] } }, ["b"]],
    [{ tags: { any_: ["wet", "dry"] } }, ["a", "b"]],
    [{ tags: { is_null_: true } }, ["C"]],
    [{ tags: { is_null_: false }, name: { any_: ["a", "C"] } }, ["a"]],
    [{ created: { before_: "2020-01-01T00:00:00Z" } }, []],
    [{ created: { before_: "2999-01-01T00:00:00Z" } }, ["C", "a", "b"]],
  ])("by %j finds %j", async (automations, found) => {
    expect(await names({ automations })).toEqual(found);
  });

  test.each([
    [{ automations: { color: {} } }, "exception_detail"],
    [{ automations: { name: { all_: [] } } }, "exception_detail"],
    [{ automations: { created: { before_: "yesterday" } } }, "exception_detail"],
    [{ sort: "BY_COLOUR" }, "exception_detail"],
    [{ offset: -1 }, "exception_detail"],
    [{ limit: 201 }, "detail"],
    [{ limit: -1 }, "detail"],
  ])("%j is rejected", async (body, key) => {
    const answer = await call("POST", "/filter", body);
    expect(answer.status).toBe(422);
    expect(answer.body).toHaveProperty(key);
  });

  test("counts automations", async () => {
    expect((await call("POST", "/count")).body).toBe(3);
    expect((await call("POST", "/count", { automations: { tags: { is_null_: true } } })).body).toBe(1);
  });
});

test("related-to finds what a resource owns and what acts on it, and owned-by deletes what it owns", async () => {
  const owner_resource = "greenhouse/north";
  const owned = await create({ name: "owned", owner_resource });
  expect(owned).not.toHaveProperty("owner_resource");
  expect(JSON.stringify(owned)).not.toContain(owner_resource);
  const byId = { type: "pause-automation", automation_id: owned.id };
  await create({ name: "acts by id", actions: [byId] });
  await create({
    name: "acts by name",
    actions_on_resolve: [{ type: "resume-automation", automation: "owned" }],
  });
  const related = async (resource: string) =>
    ((await call("GET", `/related-to/${encodeURIComponent(resource)}`)).body as Json[]).map(
      ({ name }) => name,
    );
  expect(await related(owner_resource)).toEqual(["owned"]);
  expect((await related(`${prefix}.${owned.id}`)).sort()).toEqual(["acts by id", "acts by name"]);
  expect(await related("nothing")).toEqual([]);
  // An update does not change who owns it.
  await call("PUT", `/${owned.id}`, pumps);
  const deletion = await call("DELETE", `/owned-by/${encodeURIComponent(owner_resource)}`);
  expect(deletion).toEqual({ status: 202, body: null });
  expect((await call("POST", "/count")).body).toBe(2);
  expect((await logged()).at(-1)).toBe(`${prefix}.deleted`);
});
