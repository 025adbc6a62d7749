/** The wire contract of Prefect's clients over plain HTTP: what applies to all requests. */

import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ContractServer, type Json, mistakesOf, placesOf, pumpEvent } from "./contract-support.ts";

let api: ContractServer;

beforeAll(async () => {
  api = await ContractServer.start();
});

afterAll(() => api.stop());

const unknownId = "0190a000-0000-7000-8000-000000000001";

describe("the server", () => {
  test.each([
    { path: "/health", status: 200, body: true },
    { path: "/ready", status: 200, body: { message: "OK" } },
    { path: "/hello", status: 200, body: "👋" },
    { path: "/version", status: 200, body: "0.8.4" },
    { path: "/csrf-token?client=x", status: 422, body: { detail: "CSRF protection is disabled." } },
  ])("answers GET $path with $status $body", async ({ path, status, body }) => {
    expect(await api.get(path)).toMatchObject({ status, body });
  });

  test("reports a version of Prefect 3 that is newer than any client", async () => {
    const { status, body } = await api.get("/admin/version");
    expect({ status, body }).toEqual({ status: 200, body: expect.stringMatching(/^3\.\d+\.\d+$/) });
    expect(Number(String(body).split(".")[1])).toBeGreaterThanOrEqual(9);
  });
});

describe("every answer", () => {
  test.each(["/nowhere", "/automations/x/y/z", "/events/no/where", ""])(
    "to an unknown path such as %s is 404",
    async (path) => {
      expect(await api.get(path)).toMatchObject({ status: 404, body: { detail: "Not Found" } });
    },
  );

  // Prefect's server redirects the other spelling of a path with 307. Scripts that rely on this must work here, too.
  test("is the same with and without a trailing slash in the path", async () => {
    const event = pumpEvent({ event: "slash.test" });
    const filter = { event: { name: ["slash.test"] } };
    const { body } = await api.post("/automations", { name: "slash", trigger: {}, actions: [] });
    expect(await api.post("/events/", [event])).toMatchObject({ status: 204 });
    expect(await api.post("/events/filter/", { filter })).toMatchObject({ status: 200, body: { total: 1 } });
    expect(await api.post("/events/count-by/event/", { filter })).toMatchObject({ status: 200 });
    expect(await api.get(`/automations/${(body as { id: string }).id}/`)).toMatchObject({
      status: 200,
      body,
    });
    expect(await api.get("/health/")).toMatchObject({ status: 200 });
    expect(await api.get("/nowhere/")).toMatchObject({ status: 404 });
  });

  test("about an unknown automation is 404 with a message, and so is one about an id that is not a UUID", async () => {
    const put = { name: "a", trigger: {}, actions: [] };
    for (const [method, json] of [
      ["GET", undefined],
      ["PUT", put],
      ["PATCH", { enabled: true }],
      ["DELETE", undefined],
    ] as const) {
      expect(await api.call(method, `/automations/${unknownId}`, { json })).toMatchObject({
        status: 404,
        body: { exception_message: "Automation not found" },
      });
      expect(await api.call(method, "/automations/pumps", { json })).toMatchObject({ status: 404 });
    }
  });

  test("to an invalid body lists every mistake with its place, a stable type and what was sent", async () => {
    const sent = [{ event: "x" }, pumpEvent({ resource: { a: 1 } })];
    const answer = await api.post("/events", sent);
    expect(answer.status).toBe(422);
    expect(answer.body).toMatchObject({
      exception_message: "Invalid request received.",
      request_body: sent,
    });
    expect(placesOf(answer)).toEqual(
      expect.arrayContaining([
        "body.0.id: missing",
        "body.0.occurred: missing",
        "body.0.resource: missing",
        expect.stringMatching(/^body\.1\.resource\.a: /),
      ]),
    );
    expect(mistakesOf(answer)[0]).toMatchObject({ msg: expect.any(String), input: expect.anything() });
  });

  test.each([
    { path: "/events", json: {}, place: "body: list_type" },
    { path: "/events/filter", json: { filter: { color: 1 } }, place: "body.filter.color: extra_forbidden" },
    { path: "/events/filter", json: { filter: { order: "UP" } }, place: "body.filter.order: enum" },
    { path: "/events/filter", json: { limit: -1 }, place: "body.limit: greater_than_equal" },
    { path: "/events/filter", json: { limit: 101 }, place: "body.limit: less_than_equal" },
    { path: "/events/count-by/day", json: {}, place: "body.filter: missing" },
    { path: "/automations/", json: { trigger: {}, actions: [] }, place: "body.name: missing" },
    { path: "/automations/filter", json: { sort: "UP" }, place: "body.sort: enum" },
  ])("to $json at $path names $place", async ({ path, json, place }) => {
    const answer = await api.post(path, json);
    expect({ status: answer.status, places: placesOf(answer) }).toEqual({ status: 422, places: [place] });
  });

  test("to invalid JSON is a 422 of the same form", async () => {
    for (const raw of ["", "{", "[1,]", "\u{feff}{}", "NaN", new Uint8Array([0xff, 0xfe])]) {
      const answer = await api.call("POST", "/events", { raw });
      expect(answer).toMatchObject({
        status: 422,
        body: { exception_message: "Invalid request received.", exception_detail: [expect.anything()] },
      });
    }
  });

  test("to a body that is far too large is 413, not a closed connection", async () => {
    const raw = Buffer.alloc(20_000_000, 0x20);
    expect(await api.call("POST", "/events", { raw })).toMatchObject({ status: 413 });
  });
});

describe("a body", () => {
  test.each([undefined, "application/json", "application/json; charset=utf-8"])(
    "is read as JSON with the type %s",
    async (type) => {
      const raw = JSON.stringify([pumpEvent()]);
      const headers: Record<string, string> = type === undefined ? {} : { "Content-Type": type };
      expect(await api.call("POST", "/events", { raw, headers })).toMatchObject({ status: 204, text: "" });
    },
  );

  test("may be compressed", async () => {
    const raw = new Uint8Array(gzipSync(JSON.stringify([pumpEvent()])));
    const headers = { "Content-Encoding": "gzip" };
    expect(await api.call("POST", "/events", { raw, headers })).toMatchObject({ status: 204 });
  });

  test("may have times with any offset, or none for UTC; they are returned in UTC with their microseconds", async () => {
    const times = [
      ["2026-03-01T10:30:00.123456+01:00", "2026-03-01T09:30:00.123456Z"],
      ["2026-03-01T09:30:00", "2026-03-01T09:30:00Z"],
      ["2026-02-28T23:30:00.5-10:00", "2026-03-01T09:30:00.500000Z"],
    ];
    const events = times.map(([occurred]) => pumpEvent({ occurred, event: "time.test" }));
    await api.emit(...events);
    for (const [index, { id }] of events.entries()) {
      const since = "2026-01-01T00:00:00Z";
      const filter = { occurred: { since }, id: { id: [id.toUpperCase()] } };
      const { body } = await api.post("/events/filter", { filter });
      expect((body as { events: Json[] }).events).toEqual([
        expect.objectContaining({ occurred: times[index]?.[1], id }),
      ]);
    }
  });
});

describe("the client's version of the API", () => {
  const version = (text: string) => ({ "X-PREFECT-API-VERSION": text });

  test.each(["0.8.0", "0.8.4", "0.9.17", "1.0.0"])("may be %s", async (text) => {
    expect(await api.post("/automations/filter", {}, version(text))).toMatchObject({ status: 200 });
  });

  test.each(["0.7.9", "0.8", "0.8.4.1", "a.b.c", "-1.8.4"])("may not be %s", async (text) => {
    expect(await api.post("/automations/filter", {}, version(text))).toMatchObject({
      status: 400,
      body: { detail: expect.stringMatching(/./) },
    });
  });

  test.each(["/health", "/ready", "/hello", "/version", "/admin/version"])(
    "does not matter to %s",
    async (path) => {
      expect(await api.get(path, version("0.1"))).toMatchObject({ status: 200 });
    },
  );
});

// Prefect Cloud's clients have a PREFECT_API_URL of this form.
test("the same API is available under Prefect Cloud's paths", async () => {
  const cloud = `${api.api}/accounts/${unknownId}/workspaces/default`;
  const event = pumpEvent();
  expect(await api.post(`${cloud}/events`, [event])).toMatchObject({ status: 204 });
  const { body } = await api.post(`${cloud}/events/filter`, { filter: { id: { id: [event.id] } } });
  expect(body).toMatchObject({ total: 1 });
  expect(await api.get(`${cloud}/admin/version`)).toMatchObject({ status: 200 });
  expect(await api.get(`${api.api}/accounts/a/workspaces/elsewhere/hello`)).toMatchObject({ status: 404 });
});

describe("a server with keys", () => {
  test("requires one for every request except health and readiness, as Basic or Bearer", async () => {
    const keyed = await ContractServer.start();
    try {
      const token = await keyed.makeKey();
      const unauthorized = { status: 401, body: { exception_message: "Unauthorized" } };
      const basic = (text: string) => ({ Authorization: `Basic ${Buffer.from(text).toString("base64")}` });
      expect(await keyed.post("/automations/filter")).toMatchObject(unauthorized);
      expect(await keyed.post("/events", [])).toMatchObject(unauthorized);
      expect(await keyed.get("/hello")).toMatchObject(unauthorized);
      expect(await keyed.post("/automations/filter", {}, basic("wrong"))).toMatchObject(unauthorized);
      expect(await keyed.post("/automations/filter", {}, { Authorization: "Basic !" })).toMatchObject(
        unauthorized,
      );
      for (const path of ["/health", "/ready"]) expect(await keyed.get(path)).toMatchObject({ status: 200 });
      for (const headers of [basic(token), basic(`me:${token}`), { Authorization: `Bearer ${token}` }]) {
        expect(await keyed.post("/automations/filter", {}, headers)).toMatchObject({ status: 200 });
      }
    } finally {
      await keyed.stop();
    }
  });
});
