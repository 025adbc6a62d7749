import { randomUUID } from "node:crypto";
import { type IncomingMessage, request } from "node:http";
import { json } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPage, sealPage } from "../../../src/api/events/page-token.ts";
import { resolveFilter } from "../../../src/history/filter.ts";
import { Log } from "../../../src/store/log.ts";
import { startApi, type TestApi } from "../support.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi({ history: true });
});

afterAll(() => api.stop());

interface Page {
  readonly events: readonly { readonly id: string; readonly event: string }[];
  readonly total: number;
  readonly next_page: string | null;
}

function sensorEvent(name: string, changes: Record<string, unknown> = {}) {
  const occurred = new Date().toISOString();
  return {
    id: randomUUID(),
    occurred,
    event: name,
    resource: { "prefect.resource.id": "sensor.1" },
    ...changes,
  };
}

async function post(...events: readonly unknown[]): Promise<void> {
  expect((await api.post(JSON.stringify(events))).status).toBe(204);
}

interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

/** Sends a request with any headers, including Host, which `fetch` does not allow. */
async function ask<T = Page>(
  url: string,
  { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer<T>> {
  const method = body === undefined ? "GET" : "POST";
  const type: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const sent = request(url, { method, headers: { ...type, ...headers } }, resolve);
    sent.once("error", reject);
    sent.end(typeof body === "string" || body === undefined ? body : JSON.stringify(body));
  });
  return { status: response.statusCode ?? 0, body: (await json(response)) as T };
}

const filter = (body: unknown, base = api.url) => ask(`${base}/api/events/filter`, { body });

describe("a query", () => {
  test("finds an event as soon as it is acknowledged", async () => {
    for (let round = 0; round < 20; round += 1) {
      const event = sensorEvent("acknowledged");
      await post(event);
      const { body } = await filter({ filter: { id: { id: [event.id] } } });
      expect(body).toEqual({
        events: [expect.objectContaining({ id: event.id })],
        total: 1,
        next_page: null,
      });
    }
  });

  test("is answered even if the recorder has stopped, without the events that it has not recorded", async () => {
    const stopped = await startApi({ history: true });
    try {
      await stopped.recorder?.stop();
      await stopped.post(JSON.stringify([sensorEvent("unrecorded")]));
      expect((await filter({}, stopped.url)).body).toEqual({ events: [], total: 0, next_page: null });
    } finally {
      await stopped.stop();
    }
  });

  test("needs no body, and no particular part of one", async () => {
    await post(sensorEvent("bodiless"));
    for (const body of ["", "null", {}, { filter: null, limit: null }, { filter: { occurred: null } }]) {
      const answer = await filter(body);
      expect(answer.status).toBe(200);
      expect(answer.body.total).toBeGreaterThan(0);
    }
  });

  const related = [{ "prefect.resource.id": "house.1", "prefect.resource.role": "house", floor: "2" }];
  const resource = { "prefect.resource.id": "sensor.7", "sensor.kind": "wind" };
  const named = { event: { name: ["one", "two"] } };
  test.each([
    [{ event: { prefix: ["on"] } }, ["one"]],
    [{ event: { prefix: ["on", "tw"], exclude_prefix: ["o"] } }, ["two"]],
    [{ event: { name: ["one", "two"], exclude_name: ["two"] } }, ["one"]],
    [named, ["one", "two"]],
    [{ ...named, order: "ASC" }, ["two", "one"]],
    [{ resource: { id: ["sensor.7"] } }, ["two"]],
    [{ resource: { id_prefix: ["sensor.7"] } }, ["two"]],
    [{ resource: { labels: { "sensor.kind": ["w*", "x"] } } }, ["two"]],
    [{ ...named, resource: { distinct: true, id: ["sensor.7", "sensor.1"] } }, ["one", "two"]],
    [{ related: { id: ["house.1"], role: ["house"] } }, ["one"]],
    [{ related: [{ labels: { floor: "2" } }, { role: ["house"] }] }, ["one"]],
    [{ related: { resources_in_roles: [["house.1", "house"]] } }, ["one"]],
    [{ any_resource: { id: ["house.1", "sensor.7"] } }, ["one", "two"]],
    [{ any_resource: { labels: { floor: "!3" } } }, ["one"]],
    [{ id: { id: ["00000000000040008000000000000ABC"] } }, ["two"]],
    [{ text: { query: '"gale warning"' } }, ["two"]],
    [{ ...named, occurred: { since: "2026-01-02T00:00:00Z", until: "2026-01-02T00:00:00Z" } }, ["one"]],
  ])("with %j finds %j", async (written, names) => {
    const one = { occurred: "2026-01-02T00:00:00Z", related, id: "00000000-0000-4000-8000-000000000def" };
    const two = { occurred: "2026-01-01T00:00:00Z", resource, payload: { text: "Gale warning" } };
    await post(
      sensorEvent("one", one),
      sensorEvent("two", { ...two, id: "00000000-0000-4000-8000-000000000abc" }),
    );
    const occurred = { since: "2026-01-01T00:00:00Z", until: "2026-01-31T00:00:00Z" };
    const { body } = await filter({ filter: { occurred, ...written } });
    expect(body.events.map(({ event }) => event)).toEqual(names);
    expect(body.total).toBe(names.length);
  });

  test.each([
    [{ limit: 101 }, ["body", "limit"], "less_than_equal"],
    [{ limit: -1 }, ["body", "limit"], "greater_than_equal"],
    [{ limit: "50" }, ["body", "limit"], "number_type"],
    [{ filters: {} }, ["body", "filters"], "extra_forbidden"],
    [{ filter: { event: { nmae: [] } } }, ["body", "filter", "event", "nmae"], "extra_forbidden"],
    [{ filter: { id: { id: ["17"] } } }, ["body", "filter", "id", "id", 0], "value_error"],
    [{ filter: { order: "UP" } }, ["body", "filter", "order"], "enum"],
    [{ filter: { text: { query: "x".repeat(201) } } }, ["body", "filter", "text", "query"], "value_error"],
    ["{", ["body", 1], "json_invalid"],
  ])("with %j is rejected", async (body, loc, type) => {
    const answer = await ask<{ exception_detail: unknown }>(`${api.url}/api/events/filter`, { body });
    expect(answer.status).toBe(422);
    expect(answer.body.exception_detail).toEqual([expect.objectContaining({ loc, type })]);
  });

  test("without a history says how to configure one", async () => {
    const bare = await startApi();
    try {
      const answer = await ask<{ detail: string }>(`${bare.url}/api/events/filter`, { body: {} });
      expect(answer).toEqual({
        status: 404,
        body: { detail: expect.stringContaining("TRIPLINE_HISTORY_URL") },
      });
    } finally {
      await bare.stop();
    }
  });
});

describe("pages", () => {
  test.each(["ASC", "DESC"])(
    "contain every event once, even if new ones arrive, and keep the first page's total (%s)",
    async (order) => {
      const name = `paged.${order}`;
      const posted = Array.from({ length: 25 }, () => sensorEvent(name));
      await post(...posted);
      const found: string[] = [];
      let { body: page } = await filter({ filter: { event: { name: [name] }, order }, limit: 10 });
      for (;;) {
        found.push(...page.events.map(({ id }) => id));
        expect(page.total).toBe(25);
        if (page.next_page === null) break;
        await post(sensorEvent(name));
        await filter({ limit: 0 }); // waits until the event is recorded
        const answer = await ask(page.next_page);
        expect(answer.status).toBe(200);
        page = answer.body;
      }
      expect(found.toSorted()).toEqual(posted.map(({ id }) => id).toSorted());
    },
  );

  test("have 50 events by default, none for a limit of 0, and at most 100", async () => {
    await post(...Array.from({ length: 101 }, () => sensorEvent("sized")));
    const sized = { event: { name: ["sized"] } };
    const pageOf = async (limit?: number | null) => (await filter({ filter: sized, limit })).body;
    expect((await pageOf()).events).toHaveLength(50);
    expect((await pageOf(100)).events).toHaveLength(100);
    expect(await pageOf(0)).toEqual({ events: [], total: 101, next_page: null });
  });

  test("have URLs with the host and the base path of the first request", async () => {
    await post(sensorEvent("linked"), sensorEvent("linked"));
    const body = { filter: { event: { name: ["linked"] } }, limit: 1 };
    const headers = {
      Host: "localhost:8123",
      "X-Forwarded-Host": "elsewhere.example",
      "X-Forwarded-Proto": "https",
    };
    const { body: page } = await ask(`${api.url}/api/events/filter`, { body, headers });
    expect(page.next_page).toMatch(/^http:\/\/localhost:8123\/api\/events\/filter\/next\?page-token=[\w-]+$/);
    const cloud = `${api.url}/api/accounts/a/workspaces/default`;
    const first = await ask(`${cloud}/events/filter`, { body });
    expect(first.body.next_page).toMatch(`${cloud}/events/filter/next?page-token=`);
    expect((await ask(first.body.next_page ?? "")).body.events).toHaveLength(1);
  });

  test("have URLs with the host and the protocol that a trusted proxy names", async () => {
    const behind = await startApi({ history: true, trustProxy: true });
    try {
      await behind.post(JSON.stringify([sensorEvent("proxied"), sensorEvent("proxied")]));
      const headers = { "X-Forwarded-Host": "tripline.example", "X-Forwarded-Proto": "https" };
      const { body } = await ask(`${behind.url}/api/events/filter`, { body: { limit: 1 }, headers });
      expect(body.next_page).toMatch("https://tripline.example/api/events/filter/next?page-token=");
      const bare = await ask(`${behind.url}/api/events/filter`, { body: { limit: 1 } });
      expect(bare.body.next_page).toMatch(`${behind.url}/api/`);
    } finally {
      await behind.stop();
    }
  });

  test("work with a filter of a thousand ids", async () => {
    const posted = Array.from({ length: 3 }, () => sensorEvent("many"));
    await post(...posted);
    const ids = [...posted.map(({ id }) => id), ...Array.from({ length: 997 }, () => randomUUID())];
    const { body } = await filter({ filter: { id: { id: ids } }, limit: 2 });
    expect((await ask(body.next_page ?? "")).body.events).toHaveLength(1);
  });

  test("are rejected if their filter is too long for a URL", async () => {
    await post(sensorEvent("endless"), sensorEvent("endless"));
    const ids = Array.from({ length: 4_000 }, () => randomUUID());
    const name = ["endless", ...ids];
    const answer = await ask<{ detail: string }>(`${api.url}/api/events/filter`, {
      body: { filter: { event: { name } }, limit: 1 },
    });
    expect(answer).toEqual({ status: 422, body: { detail: expect.stringContaining("shorten the filter") } });
    expect((await filter({ filter: { event: { name } }, limit: 50 })).status).toBe(200);
  });
});

describe("a page's token", () => {
  const next = (token: string) => ask<object>(`${api.url}/api/events/filter/next?page-token=${token}`);
  const forbidden = { status: 403, body: { detail: "Forbidden" } };
  const page = {
    filter: resolveFilter({}, 0),
    limit: 1,
    after: { occurred: 5, key: 6, total: 7 },
  };

  test("is rejected if it is empty, truncated, changed, extended, or from another workspace", async () => {
    const token = sealPage(await api.log.secret("page-token"), page);
    expect((await next(token)).status).toBe(200);
    expect(await next("")).toEqual(forbidden);
    expect(await next("x")).toEqual(forbidden);
    expect(await next(token.slice(0, -1))).toEqual(forbidden);
    expect(await next(`${token}A`)).toEqual(forbidden);
    expect(await next(`${token}!`)).toEqual(forbidden);
    expect(await next(sealPage("another secret", page))).toEqual(forbidden);
    for (let index = 0; index < token.length; index += 7) {
      const changed = token[index] === "A" ? "B" : "A";
      expect(await next(token.slice(0, index) + changed + token.slice(index + 1))).toEqual(forbidden);
    }
  });

  test("is reported as missing if there is none", async () => {
    const answer = await ask<{ exception_detail: unknown }>(`${api.url}/api/events/filter/next`);
    expect(answer.status).toBe(422);
    expect(answer.body.exception_detail).toEqual([
      expect.objectContaining({ type: "missing", loc: ["query", "page-token"] }),
    ]);
  });

  test("contains its page, and even its last bits are checked", () => {
    const token = sealPage("secret", page);
    expect(openPage("secret", token)).toEqual(page);
    const spellings = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"].filter(
      (last) => openPage("secret", token.slice(0, -1) + last) !== null,
    );
    expect(spellings).toEqual([token.at(-1)]);
  });

  // A short token could otherwise become a text that fills the memory.
  test("may be at most 16 MB long once it is inflated", () => {
    const sealed = (length: number) =>
      sealPage("secret", { ...page, filter: resolveFilter({ event: { name: ["x".repeat(length)] } }, 0) });
    expect(openPage("secret", sealed(16_000_000))?.limit).toBe(1);
    expect(() => openPage("secret", sealed(17_000_000))).toThrow(RangeError);
  });

  test("is signed with a secret that all servers of a workspace share and that has no other use", async () => {
    const logs = Array.from({ length: 5 }, () => new Log(api.connection, "default"));
    const secrets = await Promise.all(logs.map((log) => log.secret("shared")));
    expect(new Set(secrets).size).toBe(1);
    expect(Buffer.from(secrets[0] ?? "", "base64url")).toHaveLength(32); // too long to guess
    expect(secrets[0]).not.toBe(await api.log.secret("page-token"));
  });
});

describe("counts", () => {
  const count = <T = unknown>(countable: string, body: unknown) =>
    ask<T>(`${api.url}/api/events/count-by/${countable}`, { body });
  const occurred = { since: "2026-02-01T00:00:00Z", until: "2026-02-02T23:59:59Z" };

  test.each([
    [
      "event",
      [
        ["counted.a", 2],
        ["counted.b", 1],
      ],
    ],
    [
      "resource",
      [
        ["sensor.1", 2],
        ["Wind", 1],
      ],
    ],
    [
      "day",
      [
        ["2026-02-01T00:00:00+00:00", 1],
        ["2026-02-02T00:00:00+00:00", 2],
      ],
    ],
    [
      "time",
      [
        ["2026-02-01T00:00:00+00:00", 1],
        ["2026-02-02T00:00:00+00:00", 2],
      ],
    ],
  ])("are grouped by %s", async (countable, counts) => {
    const wind = { "prefect.resource.id": "sensor.2", "prefect.resource.name": "Wind" };
    const id = (last: number) => ({ id: `00000000-0000-4000-8000-00000000cc0${last}` });
    await post(
      sensorEvent("counted.a", { occurred: "2026-02-01T12:00:00Z", ...id(1) }),
      sensorEvent("counted.a", { occurred: "2026-02-02T12:00:00Z", ...id(2) }),
      sensorEvent("counted.b", { occurred: "2026-02-02T13:00:00Z", resource: wind, ...id(3) }),
    );
    const { status, body } = await count<{ label: string; count: number }[]>(countable, {
      filter: { occurred, event: { prefix: ["counted."] } },
    });
    expect(status).toBe(200);
    expect(body.map(({ label, count }) => [label, count])).toEqual(counts);
  });

  test("are rejected with Prefect's message if there would be too many", async () => {
    const { status, body } = await count("event", { filter: { occurred }, time_unit: "second" });
    expect(status).toBe(422);
    expect(body).toEqual({
      detail: expect.stringContaining("would create 172799 buckets, which is too many"),
    });
  });

  test.each([
    ["week", { filter: {} }, ["path", "countable"], "enum"],
    ["day", {}, ["body", "filter"], "missing"],
    ["time", { filter: {}, time_interval: 0.001 }, ["body", "time_interval"], "greater_than_equal"],
    ["time", { filter: {}, time_unit: "year" }, ["body", "time_unit"], "enum"],
    ["time", { filter: {}, interval: 1 }, ["body", "interval"], "extra_forbidden"],
  ])("by %s of %j are rejected", async (countable, body, loc, type) => {
    const answer = await count<{ exception_detail: unknown }>(countable, body);
    expect(answer.status).toBe(422);
    expect(answer.body.exception_detail).toEqual([expect.objectContaining({ loc, type })]);
  });
});
