/** The wire contract of Prefect's clients: automations over plain HTTP. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContractServer, type Json, placesOf, pumpEvent } from "./contract-support.ts";

let api: ContractServer;

beforeAll(async () => {
  api = await ContractServer.start();
});

afterAll(() => api.stop());

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const trigger = {
  type: "event",
  expect: ["pump.stopped"],
  posture: "Reactive",
  threshold: 1,
  within: 0,
};
const pumps = { name: "pumps", trigger, actions: [{ type: "do-nothing" }] };

type Automation = Json & { id: string; created: string; updated: string; trigger: Json };

async function create(changes: Json = {}): Promise<Automation> {
  const answer = await api.post("/automations/", { ...pumps, ...changes });
  expect({ status: answer.status, text: answer.text }).toMatchObject({ status: 201 });
  return answer.body as Automation;
}

const read = async (id: string) => (await api.get(`/automations/${id}`)).body as Automation;

const names = async (query?: Json): Promise<string[]> => {
  const { status, body } = await api.post("/automations/filter", query);
  expect({ status, body }).toMatchObject({ status: 200 });
  return (body as Automation[]).map(({ name }) => String(name));
};

describe("POST /automations/", () => {
  test("answers 201 with every field and default, with and without a trailing slash", async () => {
    for (const path of ["/automations/", "/automations"]) {
      const { status, body } = await api.post(path, {
        name: "bare",
        trigger: { posture: "Reactive" },
        actions: [],
      });
      expect({ status, body }).toMatchObject({
        status: 201,
        body: {
          id: expect.stringMatching(uuid),
          name: "bare",
          description: "",
          enabled: true,
          tags: [],
          trigger: {
            type: "event",
            id: expect.stringMatching(uuid),
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
          created: expect.stringMatching(/Z$/),
          updated: expect.stringMatching(/Z$/),
        },
      });
      expect(await read((body as Automation).id)).toEqual(body);
    }
  });

  test("assigns new ids to every trigger, whatever was sent", async () => {
    const id = randomUUID();
    const nested = {
      type: "compound",
      id,
      require: "all",
      within: "PT90S",
      triggers: [
        { ...trigger, id },
        { type: "sequence", id, within: null, triggers: [trigger, trigger] },
      ],
    };
    const made = (await create({ trigger: nested })).trigger;
    expect(made).toMatchObject({ type: "compound", within: 90, require: "all" });
    const idsIn = (part: Json): unknown[] => [
      part["id"],
      ...((part["triggers"] as Json[]) ?? []).flatMap(idsIn),
    ];
    expect(new Set([...idsIn(made), id]).size).toBe(6);
  });

  test("accepts what Prefect's client sends: owner_resource null, and match_related as an object or a list", async () => {
    const matches = [{ a: "b" }, [{ a: ["b", "c"] }, { d: "!e" }]];
    for (const match_related of matches) {
      const made = await create({ owner_resource: null, trigger: { ...trigger, match_related } });
      expect(made.trigger["match_related"]).toEqual(match_related);
      expect(made).not.toHaveProperty("owner_resource");
    }
  });

  test.each<[string, Json, string]>([
    ["no name", { name: undefined }, "body.name: missing"],
    ["no trigger", { trigger: undefined }, "body.trigger: missing"],
    ["no actions", { actions: undefined }, "body.actions: missing"],
    ["actions that are not a list", { actions: {} }, "body.actions: list_type"],
    ["an unknown key", { color: 1 }, "body.color: extra_forbidden"],
    ["an id", { id: randomUUID() }, "body.id: extra_forbidden"],
    ["an unknown posture", { trigger: { ...trigger, posture: "Lazy" } }, "body.trigger.posture: enum"],
    ["a negative within", { trigger: { ...trigger, within: -1 } }, "body.trigger.within: greater_than_equal"],
    ["a null within", { trigger: { ...trigger, within: null } }, "body.trigger.within: "],
    [
      "a Proactive trigger within 9 seconds",
      { trigger: { posture: "Proactive", within: 9 } },
      "body.trigger.within: ",
    ],
    ["an unknown type of trigger", { trigger: { type: "metric" } }, "body.trigger"],
    ["an unknown type of action", { actions: [{ type: "dance" }] }, "body.actions.0"],
    ["a selected automation without its id", { actions: [{ type: "pause-automation" }] }, "body.actions.0"],
    [
      "an inferred automation with an id",
      { actions: [{ type: "pause-automation", source: "inferred", automation_id: randomUUID() }] },
      "body.actions.0",
    ],
    [
      "an invalid template of a notification",
      { actions: [{ type: "send-notification", block_document_id: randomUUID(), subject: "{{", body: "" }] },
      "body.actions.0.subject",
    ],
    [
      "an invalid template of a webhook",
      { actions: [{ type: "call-webhook", block_document_id: randomUUID(), payload: "{% if %}" }] },
      "body.actions.0.payload",
    ],
    ["a require that cannot be met", { trigger: compound({ require: 3 }) }, "body.trigger.require"],
    ["a require of 0", { trigger: compound({ require: 0 }) }, "body.trigger.require"],
    [
      "a composite without within",
      { trigger: compound({ within: undefined }) },
      "body.trigger.within: missing",
    ],
  ])("rejects %s", async (_what, changes, place) => {
    const answer = await api.post("/automations/", { ...pumps, ...changes });
    expect(answer.status).toBe(422);
    expect(placesOf(answer).filter((found) => found.startsWith(place))).not.toEqual([]);
  });

  test.each([undefined, 0, 10])(
    "sets within to 10 seconds if a Proactive trigger has a within of %s",
    async (within) => {
      const made = await create({ trigger: { ...trigger, posture: "Proactive", within } });
      expect(made.trigger["within"]).toBe(10);
    },
  );
});

function compound(changes: Json): Json {
  return { type: "compound", require: "any", within: null, triggers: [trigger, trigger], ...changes };
}

describe("PUT and PATCH", () => {
  test("answer 204 without a body, and change what they name and `updated`, but never `created` or the id", async () => {
    const before = await create({ description: "d", tags: ["t"], enabled: false });
    const path = `/automations/${before.id.toUpperCase()}`;
    const put = await api.call("PUT", path, { json: { ...pumps, name: "renamed" } });
    expect(put).toMatchObject({ status: 204, text: "" });
    const changed = await read(before.id);
    // What a PUT leaves out stays unchanged: Prefect's client sends only what was set.
    expect(changed).toMatchObject({ name: "renamed", description: "d", tags: ["t"], enabled: false });
    expect(changed).toMatchObject({ id: before.id, created: before.created });
    expect(changed.updated > before.updated).toBe(true);
    expect(changed.trigger["id"]).not.toBe(before.trigger["id"]);
    expect(await api.call("PATCH", path, { json: { enabled: true } })).toMatchObject({
      status: 204,
      text: "",
    });
    const enabled = await read(before.id);
    expect(enabled).toMatchObject({ enabled: true, created: before.created, trigger: changed.trigger });
    expect(enabled.updated > changed.updated).toBe(true);
  });

  test.each<[string, unknown]>([
    ["PUT", { name: "a", trigger }],
    ["PUT", { name: "a", actions: [] }],
    ["PUT", { trigger, actions: [] }],
    ["PUT", { ...pumps, owner_resource: null }],
    ["PUT", { ...pumps, id: randomUUID() }],
    ["PUT", []],
    ["PATCH", {}],
    ["PATCH", { enabled: "perhaps" }],
    ["PATCH", { enabled: true, name: "a" }],
    ["PATCH", null],
  ])("reject an invalid request and change nothing: %s %j", async (method, json) => {
    const before = await create();
    expect(await api.call(method, `/automations/${before.id}`, { json })).toMatchObject({ status: 422 });
    expect(await read(before.id)).toEqual(before);
  });

  test("accept a trigger without its type, as `prefect automation update` sends it", async () => {
    const { id } = await create({ trigger: compound({}) });
    const { type: _type, ...untyped } = compound({ within: 60 });
    const answer = await api.call("PUT", `/automations/${id}`, { json: { ...pumps, trigger: untyped } });
    expect(answer).toMatchObject({ status: 204 });
    expect((await read(id)).trigger).toMatchObject({ type: "compound", within: 60 });
  });
});

test("DELETE answers 204, and 404 the second time", async () => {
  const { id } = await create();
  expect(await api.call("DELETE", `/automations/${id}`)).toMatchObject({ status: 204, text: "" });
  for (const method of ["DELETE", "GET"]) {
    expect(await api.call(method, `/automations/${id}`)).toMatchObject({ status: 404 });
  }
});

describe("POST /automations/filter", () => {
  const any = (...any_: string[]) => ({ name: { any_ } });
  const four = { name: { any_: ["f-a", "f-b", "f-c", "F-A"] } };

  beforeAll(async () => {
    await create({ name: "f-b", tags: ["x", "y"] });
    await create({ name: "f-a", tags: ["x"] });
    const { id } = await create({ name: "f-c" });
    await create({ name: "F-A", tags: ["y"] });
    await api.call("PATCH", `/automations/${id}`, { json: { enabled: false } });
  });

  test.each<[Json, string[]]>([
    [{ automations: four }, ["F-A", "f-a", "f-b", "f-c"]],
    [{ automations: four, sort: "NAME_DESC" }, ["f-c", "f-b", "f-a", "F-A"]],
    [{ automations: four, sort: "CREATED_DESC" }, ["F-A", "f-c", "f-a", "f-b"]],
    [{ automations: four, sort: "UPDATED_DESC" }, ["f-c", "F-A", "f-a", "f-b"]],
    [{ automations: four, limit: 2, offset: 1 }, ["f-a", "f-b"]],
    [{ automations: four, limit: 0 }, []],
    [{ automations: any("f-a"), sort: null, limit: null, offset: 0 }, ["f-a"]],
    [{ automations: { ...any("f-a"), created: null, tags: null } }, ["f-a"]],
    [{ automations: { ...four, tags: { all_: ["x", "y"] } } }, ["f-b"]],
    [{ automations: { ...four, tags: { any_: ["x", "z"] } } }, ["f-a", "f-b"]],
    [{ automations: { ...four, tags: { is_null_: true } } }, ["f-c"]],
    [{ automations: { ...four, created: { before_: "2020-01-01T00:00:00Z" } } }, []],
  ])("with %j finds %j", async (query, expected) => {
    expect(await names(query)).toEqual(expected);
  });

  test("needs no body, and neither does the count", async () => {
    const all = await names();
    expect(await names({ automations: null, sort: null, limit: null, offset: 0 })).toEqual(all);
    expect((await api.post("/automations/count")).body).toBe(all.length);
  });

  test.each([
    { limit: 201 },
    { limit: -1 },
    { offset: -1 },
    { sort: "NAME" },
    { automations: { color: 1 } },
    { automations: { tags: { some_: [] } } },
  ])("rejects %j", async (query) => {
    expect(await api.post("/automations/filter", query)).toMatchObject({ status: 422 });
  });

  test("says how large a page may be", async () => {
    expect(await api.post("/automations/filter", { limit: 201 })).toMatchObject({
      body: { detail: expect.stringContaining("200") },
    });
  });
});

test("related-to finds what a resource owns and what acts on it; owned-by deletes what it owns", async () => {
  const target = await create({ name: "target" });
  const owner_resource = "prefect.deployment.1/2 ?";
  const owned = await create({ name: "owned", owner_resource });
  const acting = await create({ actions: [{ type: "pause-automation", automation_id: target.id }] });
  const related = async (resource: string) => {
    const { body } = await api.get(`/automations/related-to/${encodeURIComponent(resource)}`);
    return (body as Automation[]).map(({ id }) => id);
  };
  expect(await related(owner_resource)).toEqual([owned.id]);
  expect(await related(`prefect.automation.${target.id}`)).toEqual([acting.id]);
  expect(await related("nothing")).toEqual([]);
  const path = `/automations/owned-by/${encodeURIComponent(owner_resource)}`;
  expect(await api.call("DELETE", path)).toMatchObject({ status: 202 });
  expect(await api.get(`/automations/${owned.id}`)).toMatchObject({ status: 404 });
  expect(await api.get(`/automations/${acting.id}`)).toMatchObject({ status: 200 });
});

test("events report an automation's life, and an event posted after its creation triggers it", async () => {
  const event = `life.${randomUUID()}`;
  const made = await create({ name: "alive", trigger: { ...trigger, expect: [event] } });
  const cause = pumpEvent({ event });
  await api.emit(cause);
  const lifeEvents = async (count: number): Promise<Json[]> => {
    const filter = { resource: { id_prefix: [`prefect-cloud.automation.${made.id}`] }, order: "ASC" };
    for (;;) {
      const { body } = await api.post("/events/filter", { filter });
      const { events } = body as { events: Json[] };
      if (events.length >= count) return events;
    }
  };
  const before = await lifeEvents(4);
  await api.call("PATCH", `/automations/${made.id}`, { json: { enabled: false } });
  const paused = await read(made.id);
  await api.call("DELETE", `/automations/${made.id}`);
  const events = await lifeEvents(6);
  const prefix = "prefect-cloud.automation.";
  expect(before.map(({ event }) => event).sort()).toEqual(
    ["action.executed", "action.triggered", "created", "triggered"].map((name) => prefix + name),
  );
  const kind = (name: string) => events.find(({ event }) => event === prefix + name);
  expect(kind("created")).toMatchObject({
    resource: { "prefect.resource.id": prefix + made.id, "prefect.resource.name": "alive" },
    payload: made,
  });
  expect(kind("updated")).toMatchObject({ payload: paused });
  expect(kind("deleted")).toMatchObject({ payload: paused });
  expect(kind("triggered")).toMatchObject({
    resource: { "prefect.resource.id": prefix + made.id, "prefect.posture": "Reactive" },
    related: expect.arrayContaining([
      expect.objectContaining({
        "prefect.resource.id": `prefect-cloud.event.${cause.id}`,
        "prefect.resource.role": "triggering-event",
      }),
    ]),
    payload: { triggering_labels: {}, triggering_event: { id: cause.id } },
  });
});
