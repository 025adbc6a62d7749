/**
 * Two workspaces on one server, and the key of one tried on everything in the other.
 *
 * Everything in the workspace "north" contains a mark, in names, ids or texts. Whatever "south" requests, no answer may
 * contain the mark, and nothing in the north may change.
 */

import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { workspaceIdOf } from "../../../src/api/http/tenant.ts";
import { connect, type RedisConnection } from "../../../src/store/connection.ts";
import { workspaceKeys } from "../../../src/store/keys.ts";
import { Log } from "../../../src/store/log.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { allOperations } from "../all-routes.ts";
import { SocketClient } from "../sockets/socket-client.ts";
import { type Answer, bearer, type KeyedServer, send, serve, until } from "./auth-support.ts";

type Json = Record<string, unknown>;

const mark = "polar";
const eventId = "00000000-0000-4000-8000-0000000000aa";
/** Of an event that only the north has. */
const northEventId = "00000000-0000-4000-8000-0000000000ab";
const folder = mkdtempSync(join(tmpdir(), "tripline-workspaces-"));

let redis: TestRedis;
let connection: RedisConnection;
let server: KeyedServer;
const tokens = { north: "", south: "" };
/** Ids in the north, for the south to try. */
const known = { automation: "", destination: "", delivery: "", page: "", key: "" };

const api = (path: string) => `${server.url}/api${path}`;
const inNorth = (path: string, workspace = "north") =>
  `${server.url}/api/accounts/any/workspaces/${workspace}${path}`;

const ask = (token: string, method: string, url: string, body?: unknown, type = "application/json") =>
  send(url, {
    method,
    headers: { ...bearer(token), "Content-Type": type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

const eventNamed = (name: string, id: string, resource = name) => ({
  id,
  event: name,
  occurred: new Date().toISOString(),
  resource: { "prefect.resource.id": resource },
});

const automationNamed = (name: string) => ({
  name,
  trigger: { type: "event", expect: [`${name}.stopped`] },
  actions: [{ type: "call-webhook", url: `http://127.0.0.1:1/${name}` }],
});

beforeAll(async () => {
  redis = await startRedis();
  connection = connect(redis.url);
  const rules = join(folder, "rules.yaml");
  writeFileSync(
    rules,
    `name: ${mark}-file
trigger: {expect: [nothing]}
actions: []
---
hooks:
  - name: inbox
    description: ${mark}
    template: {event: ${mark}.hooked, resource: {prefect.resource.id: ${mark}.hook}}
  - name: cron
    template: ping
`,
  );
  const options = ["--workspace", "north,south", "--rules", rules, "--give-up-after", "1ms"];
  server = await serve(redis.url, options);
  for (const workspace of ["north", "south"] as const) {
    tokens[workspace] = (await server.key({ workspace, scopes: ["admin"] })).token;
  }
  await until(async () => (await send(api("/ready"))).status === 200, 10_000);

  const north = async (method: string, path: string, body?: unknown): Promise<Json> => {
    const { status, text } = await ask(tokens.north, method, api(path), body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
    return text === "" ? {} : (JSON.parse(text) as Json);
  };
  known.key = (await server.key({ workspace: "north", name: mark, scopes: ["events:read"] })).key.id;
  known.automation = String((await north("POST", "/automations/", automationNamed(mark)))["id"]);
  const destination = { name: mark, type: "webhook", url: `https://${mark}.example` };
  known.destination = String((await north("POST", "/destinations", destination))["id"]);
  const endpoint = {
    id: "0123456789abcdef",
    destination: null,
    url: `https://${mark}.example`,
    since: "2026-03-01T12:00:00Z",
    reason: "responded 410",
    delivery: eventId,
    automation: { id: known.automation, name: mark },
  };
  await new Log(connection, "north").endpoints.disable(endpoint, {
    event: { ...eventNamed(`${mark}.gone`, randomUUID()), related: [], payload: {}, follows: null },
  });
  await north("POST", "/events", [
    eventNamed(`${mark}.stopped`, eventId),
    eventNamed(`${mark}.other`, northEventId),
  ]);
  await until(async () => {
    const { deliveries } = (await north("GET", "/deliveries")) as { deliveries: { id: string }[] };
    known.delivery = deliveries[0]?.id ?? "";
    return known.delivery !== "";
  }, 20_000);
  await until(async () => {
    known.page = String((await north("POST", "/events/filter", { limit: 1 }))["next_page"] ?? "");
    return known.page !== "";
  }, 10_000);
});

afterAll(async () => {
  await server?.stop();
  connection?.disconnect();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Attempt {
  /** Relative to the base of the API. */
  readonly path: string;
  readonly body?: unknown;
  readonly type?: string;
  /** The status for the north's own key, which shows that the attempt is valid. */
  readonly owner: number;
  /** The status for the south's key. */
  readonly stranger: number;
}

/** An answer about many deliveries repeats their ids, so this is none of the north. What one alone does is tried below. */
const strangersDelivery = "00000000-0000-4000-8000-0000000000dd";

const found = { owner: 200, stranger: 404 };
const own = { owner: 200, stranger: 200 };
const any = { filter: { occurred: { until: "2100-01-01T00:00:00Z" } } };

/** For every operation of the API, an attempt to reach something in the north. The order matters: deletions come last. */
const attempts = (): Record<string, Attempt> => ({
  "post /hooks/{name}": { path: `/hooks/inbox`, body: {}, ...found },
  "get /hooks/{name}": { path: "/hooks/cron", ...found },
  "get /hooks/{name}/{signal}": { path: "/hooks/cron/start", ...found },
  "post /hooks/{name}/{signal}": { path: "/hooks/cron/fail", body: {}, ...found },
  "get /hooks": { path: "/hooks", ...own },
  "post /events": { path: "/events", body: [eventNamed("vent.opened", eventId)], owner: 204, stranger: 204 },
  "post /events/filter": { path: "/events/filter", body: any, ...own },
  "get /events/filter/next": {
    path: `/events/filter/next?${known.page.split("?")[1]}`,
    owner: 200,
    stranger: 403,
  },
  "post /events/count-by/{countable}": { path: "/events/count-by/event", body: any, ...own },
  "get /events/{id}": { path: `/events/${northEventId}`, ...found },
  "get /events/{id}/chain": { path: `/events/${northEventId}/chain`, ...found },
  "post /cloudevents": {
    path: "/cloudevents",
    type: "application/cloudevents+json",
    body: {
      specversion: "1.0",
      id: "1",
      source: "vent",
      type: "vent.closed",
      datacontenttype: "application/json",
    },
    owner: 204,
    stranger: 204,
  },
  "post /automations": {
    path: "/automations",
    body: automationNamed("vent-2"),
    owner: 201,
    stranger: 201,
  },
  "get /automations": { path: "/automations", ...own },
  "post /automations/filter": {
    path: "/automations/filter",
    body: { automations: { name: { any_: [mark] } } },
    ...own,
  },
  "post /automations/count": { path: "/automations/count", body: {}, ...own },
  "post /automations/activity": { path: "/automations/activity", body: {}, ...own },
  "post /automations/apply": { path: "/automations/apply", body: { automations: [], prune: true }, ...own },
  "get /automations/{id}": { path: `/automations/${known.automation}`, ...found },
  "patch /automations/{id}": {
    path: `/automations/${known.automation}`,
    body: { enabled: false },
    owner: 204,
    stranger: 404,
  },
  "put /automations/{id}": {
    path: `/automations/${known.automation}`,
    body: automationNamed(mark),
    owner: 204,
    stranger: 404,
  },
  "get /automations/related-to/{resource}": {
    path: `/automations/related-to/prefect.deployment.${mark}`,
    ...own,
  },
  "get /automations/{id}/windows": { path: `/automations/${known.automation}/windows`, ...found },
  "get /automations/summaries": { path: `/automations/summaries?search=${mark}`, ...own },
  "get /automations/{id}/rule": { path: `/automations/${known.automation}/rule`, ...found },
  "get /automations/{id}/timeline": { path: `/automations/${known.automation}/timeline`, ...found },
  "get /rules": { path: "/rules", ...own },
  "get /windows": { path: "/windows?unresolved=any", ...own },
  "get /windows/counts": { path: "/windows/counts", ...own },
  "get /overview": { path: "/overview", ...own },
  "post /automations/{id}/explain": {
    path: `/automations/${known.automation}/explain`,
    body: { event: eventId },
    ...found,
  },
  "post /explain": { path: "/explain", body: { event: eventId }, ...own },
  "get /lookup": { path: `/lookup?id=${mark}`, ...own },
  "get /trace": { path: `/trace?id=${known.delivery}`, ...found },
  "get /deliveries": { path: "/deliveries", ...own },
  "get /deliveries/{id}": { path: `/deliveries/${known.delivery}`, ...found },
  "get /deliveries/counts": { path: "/deliveries/counts", ...own },
  "get /deliveries/{id}/request": { path: `/deliveries/${known.delivery}/request`, ...found },
  "post /deliveries/redeliver": { path: "/deliveries/redeliver", body: { ids: [strangersDelivery] }, ...own },
  "post /deliveries/cancel": { path: "/deliveries/cancel", body: { ids: [strangersDelivery] }, ...own },
  "get /destinations/health": { path: "/destinations/health", ...own },
  "post /destinations/{id}/test": { path: `/destinations/${known.destination}/test`, ...found },
  // It has ended, which only the north may learn.
  "post /deliveries/{id}/cancel": { path: `/deliveries/${known.delivery}/cancel`, owner: 409, stranger: 404 },
  "post /deliveries/{id}/redeliver": {
    path: `/deliveries/${known.delivery}/redeliver`,
    owner: 202,
    stranger: 404,
  },
  "get /endpoints": { path: "/endpoints", ...own },
  "get /shards": { path: "/shards", ...own },
  "post /endpoints/{id}/enable": { path: "/endpoints/0123456789abcdef/enable", owner: 204, stranger: 404 },
  "get /destinations": { path: "/destinations", ...own },
  "post /destinations": {
    path: "/destinations",
    body: { name: "vent", type: "webhook", url: "https://vent.example" },
    owner: 201,
    stranger: 201,
  },
  "get /destinations/{id}": { path: `/destinations/${known.destination}`, ...found },
  "put /destinations/{id}": {
    path: `/destinations/${known.destination}`,
    body: { name: mark, type: "webhook", url: "https://changed.example" },
    ...found,
  },
  "delete /destinations/{id}": { path: `/destinations/${known.destination}`, owner: 204, stranger: 404 },
  "get /keys": { path: "/keys", ...own },
  "post /keys": {
    path: "/keys",
    body: { name: "vents", scopes: ["events:read"] },
    owner: 201,
    stranger: 201,
  },
  "delete /keys/{id}": { path: `/keys/${known.key}`, owner: 204, stranger: 404 },
  "get /settings": { path: "/settings", ...own },
  "get /doctor": { path: "/doctor", ...own },
  "get /changes": { path: "/changes", ...own },
  "get /map": { path: `/map?automation=${known.automation}`, ...found },
  "delete /automations/owned-by/{resource}": {
    path: `/automations/owned-by/prefect.deployment.${mark}`,
    owner: 202,
    stranger: 202,
  },
  "delete /automations/{id}": { path: `/automations/${known.automation}`, owner: 204, stranger: 404 },
  "put /shards": { path: "/shards", body: { count: 2 }, owner: 202, stranger: 202 },
});

/** Operations that concern the server or need no key, and the WebSockets, which are tried below. */
const elsewhere = [
  "post /canary",
  ...["get /session", "post /session", "delete /session"], // test/api/session/session.test.ts
  ...["/health", "/ready", "/hello", "/version", "/admin/version", "/csrf-token", "/openapi.json", "/docs"],
  ...["/metrics", "/events/in", "/events/out"],
].map((path) => (path.startsWith("/") ? `get ${path}` : path));

/** Everything in the north that does not change by itself. */
async function northState(): Promise<Json> {
  const { log, automations, destinations, disabledEndpoints, hooks, ...keys } = workspaceKeys("north");
  const events = await connection.xrange(log, "-", "+");
  return {
    events: events.filter(([, [, kind]]) => kind !== "beat"),
    automations: await connection.hgetall(automations),
    destinations: await connection.hgetall(destinations),
    endpoints: await connection.hgetall(disabledEndpoints),
    hooks: await connection.hgetall(hooks),
    shards: [await connection.get(keys.shardCount), await connection.hgetall(keys.resharding)],
    deliveries: (await ask(tokens.north, "GET", api("/deliveries"))).text,
    key: await server.keys.find(known.key),
  };
}

const methodOf = (operation: string) => operation.split(" ")[0]?.toUpperCase() ?? "";

/** @param path of the request, whose ids an answer may repeat */
function expectNothingOfTheNorth({ text, headers }: Answer, path: string): void {
  const answer = text + JSON.stringify(headers);
  expect(answer).not.toContain(mark);
  for (const id of [known.automation, known.destination, known.delivery, known.key]) {
    if (!path.includes(id)) expect(answer).not.toContain(id);
  }
}

describe("the key of one workspace", () => {
  test("is tried on every operation of the API", () => {
    const tried = [...Object.keys(attempts()), ...elsewhere];
    expect(tried.toSorted()).toEqual(allOperations.map(({ method, path }) => `${method} ${path}`).toSorted());
  });

  test("finds and changes nothing in another workspace", async () => {
    const before = await northState();
    for (const [operation, { path, body, type, stranger }] of Object.entries(attempts())) {
      const answer = await ask(tokens.south, methodOf(operation), api(path), body, type);
      expect({ operation, status: answer.status }).toEqual({ operation, status: stranger });
      expectNothingOfTheNorth(answer, path);
    }
    expect(await northState()).toEqual(before);
  });

  test("gets 404 at the address of another workspace, by name or by id, as if that did not exist", async () => {
    const before = await northState();
    const addresses = ["north", workspaceIdOf("north"), workspaceIdOf("north").toUpperCase(), "nowhere"];
    for (const [operation, { path, body }] of Object.entries(attempts())) {
      for (const workspace of addresses) {
        const answer = await ask(tokens.south, methodOf(operation), inNorth(path, workspace), body);
        expect({ operation, workspace, status: answer.status }).toEqual({
          operation,
          workspace,
          status: 404,
        });
        expectNothingOfTheNorth(answer, path);
      }
    }
    expect(await northState()).toEqual(before);
  });

  test("cannot read the metrics, which cover all workspaces, unless it belongs to the first workspace", async () => {
    expect((await ask(tokens.south, "GET", `${server.url}/metrics`)).status).toBe(404);
    const { text } = await ask(tokens.north, "GET", `${server.url}/metrics`);
    expect(text).toMatch(/^tripline_log_lag_entries\{workspace="south",shard="0"\} \d+$/m);
    expect(text).toMatch(/^tripline_action_queue\{workspace="north",state="dead_letter"\} 1$/m);
  });

  test("cannot connect to the events of another workspace", async () => {
    for (const direction of ["in", "out"]) {
      const client = await SocketClient.open(inNorth(`/events/${direction}`));
      client.send({ type: "auth", token: tokens.south });
      expect((await client.closed).code).toBe(1008);
      const headers = bearer(tokens.south);
      const handshake = SocketClient.open(inNorth(`/events/${direction}`), { subprotocol: null, headers });
      await expect(handshake).rejects.toThrow("404");
    }
  });
});

test("events go to the workspace of their key, and reach only its subscribers", async () => {
  const filter = { occurred: { since: "2020-01-01T00:00:00Z", until: "2100-01-01T00:00:00Z" } };
  const subscribers = { north: await subscribe(tokens.north), south: await subscribe(tokens.south) };
  async function subscribe(token: string): Promise<SocketClient> {
    const client = await SocketClient.prefect(api("/events/out"), token);
    client.send({ type: "filter", filter, backfill: true });
    return client;
  }
  for (const [index, workspace] of (["north", "south", "north", "south"] as const).entries()) {
    const client = await SocketClient.prefect(api("/events/in"), tokens[workspace]);
    const name = workspace === "north" ? `${mark}.sent` : "vent.sent";
    // The same id in both: an event that one workspace has seen is new to the other.
    client.send(eventNamed(name, `00000000-0000-4000-8000-00000000010${index >> 1}`));
    await client.ping();
    await client.close();
  }
  const last = "00000000-0000-4000-8000-000000000101";
  for (const client of Object.values(subscribers)) await client.until(() => client.ids.includes(last));
  const seen = JSON.stringify(subscribers.south.messages);
  expect(seen).toContain("vent.sent");
  expect(seen).not.toContain(mark);
  expect(JSON.stringify(subscribers.north.messages)).toContain(`${mark}.sent`);
  expect(JSON.stringify(subscribers.north.messages)).not.toContain("vent.sent");
  for (const client of Object.values(subscribers)) await client.close();
});

test("each workspace has its own rules and deliveries", async () => {
  const names = async (token: string) =>
    (JSON.parse((await ask(token, "GET", api("/automations"))).text) as { name: string }[]).map(
      ({ name }) => name,
    );
  // The rule files belong to the first workspace.
  expect(await names(tokens.north)).toContain(`${mark}-file`);
  expect(await names(tokens.south)).not.toContain(`${mark}-file`);

  // It expects events of both workspaces, and sees only those of its own.
  const trigger = { type: "event", expect: [`${mark}.spoke`, "vent.spoke"] };
  const listener = { ...automationNamed("listener"), trigger };
  expect((await ask(tokens.south, "POST", api("/automations/"), listener)).status).toBe(201);
  const post = (token: string, name: string) =>
    ask(token, "POST", api("/events"), [eventNamed(name, crypto.randomUUID())]);
  await post(tokens.north, `${mark}.spoke`);
  await post(tokens.south, "vent.spoke");
  const letters = async () => {
    const { text } = await ask(tokens.south, "GET", api("/deliveries"));
    return (JSON.parse(text) as { deliveries: { automation: Json }[] }).deliveries;
  };
  await until(async () => (await letters()).length > 0, 20_000);
  expect((await letters()).map(({ automation }) => automation["name"])).toEqual(["listener"]);
});

// Without this, the attempts above might have failed for another reason than their key.
test("the key of the workspace itself can do all of this, at both addresses", async () => {
  for (const [operation, { path, body, type, owner }] of Object.entries(attempts())) {
    const method = methodOf(operation);
    if (method === "GET") {
      expect({ operation, status: (await ask(tokens.north, method, inNorth(path), body)).status }).toEqual({
        operation,
        status: owner,
      });
    }
    const { status, text } = await ask(tokens.north, method, api(path), body, type);
    expect({ operation, status, text }).toEqual({ operation, status: owner, text });
  }
});

test("without keys, /api is the first workspace, and a path may name any other", async () => {
  const keyless = await startRedis();
  const open = await serve(keyless.url, ["--workspace", "north", "--workspace", "south"]);
  const address = (workspace: string) => `${open.url}/api/accounts/a/workspaces/${workspace}/automations/`;
  const create = (url: string, name: string) =>
    send(url, { method: "POST", body: JSON.stringify(automationNamed(name)) });
  expect((await create(`${open.url}/api/automations/`, "a")).status).toBe(201);
  expect((await create(address("south"), "b")).status).toBe(201);
  expect((await send(address("east"))).status).toBe(404);
  const names = async (url: string) =>
    (JSON.parse((await send(url)).text) as { name: string }[]).map(({ name }) => name);
  expect(await names(address("north"))).toEqual(["a"]);
  expect(await names(address(workspaceIdOf("south")))).toEqual(["b"]);
  await open.stop();
  await keyless.stop();
});
