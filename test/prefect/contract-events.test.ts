/** The wire contract of Prefect's clients: events in and out over plain HTTP. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Answer, ContractServer, type Json, placesOf, pumpEvent } from "./contract-support.ts";

let api: ContractServer;

beforeAll(async () => {
  api = await ContractServer.start();
});

afterAll(() => api.stop());

interface Page {
  readonly events: (Json & { id: string; resource: Json })[];
  readonly total: number;
  readonly next_page: string | null;
}

const pageOf = ({ status, body }: Answer): Page => {
  expect({ status, body }).toMatchObject({ status: 200 });
  return body as Page;
};

const find = async (filter: Json, limit?: number): Promise<Page> =>
  pageOf(await api.post("/events/filter", { filter, ...(limit === undefined ? {} : { limit }) }));

let storyCount = 0;

/** The beginning of event names that no other test uses. */
const freshName = (): string => {
  storyCount += 1;
  return `story${storyCount}.`;
};

const start = Math.floor(Date.now() / 1_000) * 1_000 - 86_400_000;

/** A time of yesterday, `second` seconds after a fixed start. */
const timeAt = (second: number): string => new Date(start + second * 1_000).toISOString();

/** The same, some microseconds earlier or later. */
const timeNear = (second: number, microseconds: number): string =>
  microseconds < 0
    ? timeAt(second - 1).replace(".000Z", `.${1_000_000 + microseconds}Z`)
    : timeAt(second).replace(".000Z", `.${String(microseconds).padStart(6, "0")}Z`);

describe("POST /events", () => {
  test("accepts an array, even an empty one, and answers 204 without a body", async () => {
    for (const events of [[], [pumpEvent()], [pumpEvent(), pumpEvent()]]) {
      const { status, text } = await api.post("/events", events);
      expect({ status, text }).toEqual({ status: 204, text: "" });
    }
  });

  test("stores defaults for missing keys, and keeps Prefect's order of keys and the sender's order of labels", async () => {
    const resource = { "prefect.resource.id": "pump.1", zebra: "z", apple: "a" };
    const related = ["b", "a"].map((id) => ({ "prefect.resource.id": id, "prefect.resource.role": "line" }));
    const bare = pumpEvent({ resource, color: "green" });
    const full = pumpEvent({ related, payload: { n: [1, { m: null }] }, follows: randomUUID() });
    await api.emit(bare, full);
    const storedEvent = (id: string) => find({ id: { id: [id] } }).then(({ events }) => events[0]);
    const [storedBare, storedFull] = [await storedEvent(bare.id), await storedEvent(full.id)];
    expect(Object.keys(storedBare ?? {})).toEqual([
      ...["occurred", "event", "resource", "related", "payload", "id", "follows", "received"],
    ]);
    expect(storedBare).toMatchObject({ related: [], payload: {}, follows: null });
    expect(Object.keys(storedBare?.resource ?? {})).toEqual(Object.keys(resource));
    expect(storedBare?.["received"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z$/);
    expect(storedFull).toMatchObject({ related, payload: full["payload"], follows: full["follows"] });
  });

  test("treats an event with a known id as the same event", async () => {
    const event = pumpEvent();
    await api.emit(event);
    await api.emit({ ...event, id: event.id.toUpperCase() }, event);
    expect(await find({ id: { id: [event.id] } })).toMatchObject({ total: 1 });
  });

  const labels = (count: number): Json =>
    Object.fromEntries([
      ["prefect.resource.id", "p"],
      ...Array.from({ length: count - 1 }, (_, index) => [`l${index}`, "v"]),
    ]);
  const relatedResources = (count: number): Json[] =>
    Array.from({ length: count }, () => ({ "prefect.resource.id": "r", "prefect.resource.role": "x" }));

  test.each([
    ["no id", { id: undefined }, "id"],
    ["an id that is not a UUID", { id: "17" }, "id"],
    ["no time", { occurred: undefined }, "occurred"],
    ["an invalid time", { occurred: "noon" }, "occurred"],
    ["no name", { event: undefined }, "event"],
    ["a name of more than 1024 characters", { event: "x".repeat(1_025) }, "event"],
    ["no resource", { resource: undefined }, "resource"],
    ["a resource without an id", { resource: {} }, "resource.prefect.resource.id"],
    ["a resource with an empty id", { resource: { "prefect.resource.id": "" } }, "resource"],
    ["a label that is not a string", { resource: { "prefect.resource.id": "p", a: null } }, "resource.a"],
    ["more than 500 labels", { resource: labels(501) }, "resource"],
    ["a related resource without a role", { related: [{ "prefect.resource.id": "r" }] }, "related.0"],
    ["more than 100 related resources", { related: relatedResources(101) }, "related"],
    ["related resources that are not a list", { related: null }, "related"],
    ["a payload that is not an object", { payload: [] }, "payload"],
    ["a follows that is not a UUID", { follows: "x" }, "follows"],
  ])("rejects the whole batch if one event has %s", async (_what, changes, place) => {
    const good = pumpEvent();
    const answer = await api.post("/events", [good, pumpEvent(changes)]);
    expect(answer.status).toBe(422);
    expect(placesOf(answer).filter((found) => found.startsWith(`body.1.${place}`))).not.toEqual([]);
    expect(await find({ id: { id: [good.id] } })).toMatchObject({ total: 0 });
  });

  test("accepts names, labels and related resources up to their limits", async () => {
    const event = "ü".repeat(1_024);
    const emitted = pumpEvent({ event, resource: labels(500), related: relatedResources(100) });
    await api.emit(emitted);
    const { events } = await find({ id: { id: [emitted.id] } });
    const { resource, related } = emitted;
    expect(events).toMatchObject([{ event, resource, related }]);
  });
});

describe("POST /events/filter", () => {
  test.each([undefined, {}, { filter: null }, { filter: {}, limit: null }, { filter: {}, limit: 50 }])(
    "finds every event if the body is %j",
    async (json) => {
      const { events, total } = pageOf(await api.post("/events/filter", json));
      expect(events.length).toBe(Math.min(50, total));
      expect(total).toBeGreaterThan(5);
    },
  );

  test("pages through all events once, starting with the total and a link to the next page", async () => {
    const event = freshName();
    // Several share a time: without a fixed order among them, pages would repeat or miss some.
    const events = Array.from({ length: 7 }, (_, index) =>
      pumpEvent({ event, occurred: timeAt(index >> 1) }),
    );
    await api.emit(...events);
    const first = await find({ event: { name: [event] } }, 3);
    expect(first).toMatchObject({
      total: 7,
      next_page: expect.stringContaining("/events/filter/next?page-token="),
    });
    expect(new URL(first.next_page ?? "").origin).toBe(new URL(api.api).origin);
    const seen = first.events.map(({ id }) => id);
    await api.emit(pumpEvent({ event, occurred: timeAt(0) }));
    let next = first.next_page;
    while (next !== null) {
      const page = pageOf(await api.get(next));
      seen.push(...page.events.map(({ id }) => id));
      next = page.next_page;
      expect(seen.length).toBeLessThanOrEqual(8);
    }
    for (const { id } of events) expect(seen.filter((other) => other === id)).toEqual([id]);
  });

  test("builds the next page's URL from the host name of the request", async () => {
    const port = new URL(api.api).port;
    const json = { filter: {}, limit: 1 };
    const page = pageOf(await api.post(`http://localhost:${port}/api/events/filter`, json));
    expect(page.next_page).toMatch(new RegExp(`^http://localhost:${port}/api/events/filter/next`));
  });

  test("returns an empty page for a limit of 0", async () => {
    expect(await find({}, 0)).toMatchObject({ events: [], total: expect.any(Number) });
  });

  test("answers 422 to a missing page token, and 403 to an empty, truncated or changed one", async () => {
    const { next_page } = await find({}, 1);
    const token = new URL(next_page ?? "").searchParams.get("page-token") ?? "";
    expect(await api.get("/events/filter/next")).toMatchObject({ status: 422 });
    const changed = `${token.slice(0, 40)}${token[40] === "A" ? "B" : "A"}${token.slice(41)}`;
    for (const bad of ["", "x", token.slice(0, -5), changed, `${token}A`]) {
      expect(await api.get(`/events/filter/next?page-token=${bad}`)).toMatchObject({
        status: 403,
        body: { detail: "Forbidden" },
      });
    }
  });

  test.each([
    { color: [] },
    { event: { color: [] } },
    { resource: { role: [] } },
    { any_resource: { role: [] } },
    { related: [{ color: [] }] },
    { event: { name: "pump" } },
    { occurred: { since: "yesterday" } },
    { id: { id: ["17"] } },
    { order: "asc" },
    { resource: { distinct: "perhaps" } },
    { related: { resources_in_roles: [["only one"]] } },
    { text: { query: "x".repeat(201) } },
    [],
    "everything",
  ])("rejects the filter %j", async (filter) => {
    expect(await api.post("/events/filter", { filter })).toMatchObject({ status: 422 });
  });
});

describe("a filter", () => {
  const event = freshName();
  const stories: Record<string, Json> = {
    stopped: {
      event: `${event}pump.stopped`,
      resource: { "prefect.resource.id": "pump.1", "prefect.name": "north", hello: "world" },
      related: [
        { "prefect.resource.id": "line.1", "prefect.resource.role": "line", color: "red" },
        { "prefect.resource.id": "line.2", "prefect.resource.role": "site", color: "green" },
      ],
      payload: { reason: "Disk Full", depth: { at: "the well" } },
    },
    started: {
      event: `${event}pump.started`,
      resource: { "prefect.resource.id": "pump.2", hello: "there" },
      related: [{ "prefect.resource.id": "line.1", "prefect.resource.role": "site" }],
    },
    opened: { event: `${event}vent.opened`, resource: { "prefect.resource.id": "vent.1" } },
    again: { event: `${event}vent.opened`, resource: { "prefect.resource.id": "vent.1", shut: "no" } },
  };
  const names = new Map<string, string>();

  beforeAll(async () => {
    const events = Object.entries(stories).map(([name, changes], index) => {
      const story = pumpEvent({ ...changes, occurred: timeAt(index) });
      names.set(story.id, name);
      return story;
    });
    await api.emit(...events);
  });

  const found = async (filter: Json): Promise<string[]> => {
    const { events, total } = await find({
      order: "ASC",
      ...filter,
      event: { prefix: [event], ...(filter["event"] as Json) },
    });
    expect(total).toBe(events.length);
    return events.map(({ id }) => names.get(id) ?? "?");
  };
  const all = Object.keys(stories);

  test.each<[Json, string[]]>([
    [{}, all],
    [{ order: "DESC" }, [...all].reverse()],
    [
      {
        order: null,
        occurred: null,
        resource: null,
        related: null,
        any_resource: null,
        id: null,
        text: null,
      },
      [...all].reverse(),
    ],
    [{ id: { id: [] }, text: { query: "" }, related: [], any_resource: {} }, all],
    // occurred: both ends inclusive
    [{ occurred: { since: timeAt(1), until: timeAt(2) } }, ["started", "opened"]],
    [{ occurred: { since: timeNear(1, 1), until: timeNear(2, -1) } }, []],
    // event
    [{ event: { name: [`${event}vent.opened`] } }, ["opened", "again"]],
    [{ event: { prefix: [`${event}pump`], name: [`${event}vent.opened`] } }, []],
    [{ event: { exclude_prefix: [`${event}pump`] } }, ["opened", "again"]],
    [{ event: { exclude_name: [`${event}vent.opened`, `${event}pump.stopped`] } }, ["started"]],
    [{ event: { prefix: [event.toUpperCase()] } }, []],
    // resource: the primary resource
    [{ resource: { id: ["pump.1", "vent.1"] } }, ["stopped", "opened", "again"]],
    [{ resource: { id: ["line.1"] } }, []],
    [{ resource: { id_prefix: ["pump."] } }, ["stopped", "started"]],
    [{ resource: { id_prefix: ["pump."], labels: { hello: "world" } } }, ["stopped"]],
    [{ resource: { distinct: true } }, ["stopped", "started", "opened"]],
    [{ resource: { distinct: true }, order: "DESC" }, ["again", "started", "stopped"]],
    // labels
    [{ resource: { labels: { hello: ["!world"] } } }, ["started"]],
    [{ resource: { labels: { hello: ["w?r*", "nothing"] } } }, ["stopped"]],
    [{ resource: { labels: { hello: [] } } }, []],
    [{ resource: { labels: {} } }, all],
    [{ resource: { labels: { "prefect.resource.id": "vent.*" } } }, ["opened", "again"]],
    // related: never the primary resource; one resource must meet all criteria of an object
    [{ related: { id: ["line.1"] } }, ["stopped", "started"]],
    [{ related: { id: ["pump.1"] } }, []],
    [{ related: { id: ["line.1"], role: ["site"] } }, ["started"]],
    [{ related: [{ id: ["line.1"] }, { role: ["site"] }] }, ["stopped", "started"]],
    [{ related: [{ labels: { color: "red" } }, { labels: { color: "green" } }] }, ["stopped"]],
    [{ related: { labels: { color: ["red"], "prefect.resource.role": "site" } } }, []],
    [
      {
        related: {
          resources_in_roles: [
            ["line.1", "line"],
            ["x", "y"],
          ],
        },
      },
      ["stopped"],
    ],
    [{ related: {} }, all],
    // any_resource: primary and related resources
    [{ any_resource: { id: ["line.1", "vent.1"] } }, all],
    [{ any_resource: [{ id: ["pump.2"] }, { id_prefix: ["line."] }] }, ["started"]],
    [{ any_resource: { labels: { color: "*" } } }, ["stopped"]],
    // text: name, label values, payload
    [{ text: { query: "PUMP.ST" } }, ["stopped", "started"]],
    [{ text: { query: "north vent.opened" } }, ["stopped", "opened", "again"]],
    [{ text: { query: "disk" } }, ["stopped"]],
    [{ text: { query: '"disk full"' } }, ["stopped"]],
    [{ text: { query: '"full disk"' } }, []],
    [{ text: { query: "pump -north" } }, ["started"]],
    [{ text: { query: "!pump" } }, ["opened", "again"]],
    [{ text: { query: "pump +there" } }, ["started"]],
    [{ text: { query: '+"the well' } }, ["stopped"]],
    [{ text: { query: "- green" } }, ["stopped"]],
    [{ text: { query: "hello" } }, []], // a label's name is not searched
  ])("%j finds %j", async (filter, expected) => {
    expect(await found(filter)).toEqual(expected);
  });
});

test("without times, a filter finds no events of the future, and none that are older than 180 days", async () => {
  const event = freshName();
  const daysFromNow = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  await api.emit(...[1, -1, -179, -182].map((days) => pumpEvent({ event, occurred: daysFromNow(days) })));
  const total = async (occurred: Json | null) => (await find({ event: { name: [event] }, occurred })).total;
  expect(await total(null)).toBe(2);
  expect(await total({ until: daysFromNow(2) })).toBe(3);
  expect(await total({ since: daysFromNow(-200) })).toBe(3);
});
