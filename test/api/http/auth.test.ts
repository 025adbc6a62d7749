import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../../src/store/connection.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { allOperations } from "../all-routes.ts";
import { SocketClient } from "../sockets/socket-client.ts";
import {
  allScopes,
  basic,
  bearer,
  type KeyedServer,
  pumpEvents,
  send,
  serve,
  until,
} from "./auth-support.ts";

let redis: TestRedis;
let databaseCount = 0;

/** The URL of an unused database. Keys apply to all workspaces of a database. */
const freshDatabase = () => {
  databaseCount += 1;
  return `${redis.url}/${databaseCount}`;
};

beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const unauthorized = { status: 401, text: '{"exception_message":"Unauthorized"}' };
const webSockets = ["/events/in", "/events/out"];
const unknownId = "00000000-0000-4000-8000-000000000000";

describe("a server with keys", () => {
  let server: KeyedServer;
  let token: string;
  let database: string;

  beforeAll(async () => {
    database = freshDatabase();
    server = await serve(database);
    token = (await server.key()).token;
    await until(async () => (await send(`${server.url}/api/hello`)).status === 401, 3_000);
  });
  afterAll(() => server.stop());

  const get = (path: string, headers: Record<string, string> = {}) =>
    send(`${server.url}${path}`, { headers });

  test("answers only health and readiness checks without one", async () => {
    for (const path of [
      "/api/automations",
      "/api/hello",
      "/api/admin/version",
      "/api/no-such-path",
      "/metrics",
    ]) {
      expect({ path, ...(await get(path)) }).toMatchObject({ path, ...unauthorized });
    }
    expect(await send(`${server.url}/api/events`, { method: "POST", body: "[]" })).toMatchObject(
      unauthorized,
    );
    expect(await get("/api/accounts/a/workspaces/default/automations")).toMatchObject(unauthorized);
    expect((await get("/api/health")).text).toBe("true");
    await until(async () => (await get("/api/ready")).status === 200, 5_000);
    expect((await get("/api/accounts/a/workspaces/default/health")).status).toBe(200);
  });

  test("accepts a key as Bearer, and in every form of auth string that Prefect's client can send", async () => {
    const lower = { authorization: `bearer ${token}` };
    for (const headers of [
      bearer(token),
      lower,
      basic(token),
      basic(`anything:${token}`),
      basic(`a:b:${token}`),
    ]) {
      expect({ headers, status: (await get("/api/automations", headers)).status }).toEqual({
        headers,
        status: 200,
      });
    }
  });

  test("rejects everything that only looks like a key", async () => {
    const [, id = "", secret = ""] = /^tripline_([^_]+)_(.+)$/.exec(token) ?? [];
    const other = secret.startsWith("A") ? `B${secret.slice(1)}` : `A${secret.slice(1)}`;
    const refused = [
      bearer(`tripline_${id}_${other}`),
      bearer(`tripline_${id}_${secret.slice(1)}`),
      bearer(`tripline_${id}_`),
      bearer(`tripline_000000000000_${secret}`),
      bearer(secret),
      bearer(`x${token}`),
      basic(`${token}:anything`),
      { Authorization: "Basic !!!" },
      { Authorization: token },
      { Authorization: "Bearer" },
      { Authorization: "" },
      { Authorization: `Digest ${token}` },
    ];
    for (const sent of refused) {
      expect({ sent, ...(await get("/api/automations", sent)) }).toMatchObject({
        sent,
        ...unauthorized,
      });
    }
    // After "Basic", a browser would ask its user for a password, and then send it on its own.
    expect((await get("/api/automations")).headers["www-authenticate"]).toBe("Bearer");
  });

  // A signature takes the place of a key: see test/cli/canary.test.ts.
  const scoped = allOperations.filter(({ path }) => !webSockets.includes(path) && path !== "/canary");

  test.each(scoped)("requires $scope for $method $path, as documented", async (operation) => {
    const { method, path, scope, outside } = operation;
    const filled = path.replaceAll(/\{\w+\}/g, unknownId);
    const ask = (credentials: Record<string, string>) =>
      send(`${server.url}${outside ? "" : "/api"}${filled}`, {
        method: method.toUpperCase(),
        headers: credentials,
        ...(method === "get" ? {} : { body: "?" }),
      });
    const anonymous = await ask({});
    if (scope === null) {
      expect([401, 403]).not.toContain(anonymous.status);
      return;
    }
    expect(anonymous).toMatchObject(unauthorized);
    const needed = scope === "any" ? [] : [scope];
    const others = allScopes.filter((other) => ![...needed, "admin"].includes(other));
    const lacking = await ask(bearer((await server.key({ scopes: others })).token));
    if (scope === "any") {
      expect([401, 403]).not.toContain(lacking.status);
      return;
    }
    expect(lacking.status).toBe(403);
    expect(JSON.parse(lacking.text)).toEqual({ detail: `This key lacks the scope ${scope}` });
    for (const granted of [scope, "admin"] as const) {
      const { token: sufficient } = await server.key({ scopes: [granted] });
      expect([401, 403]).not.toContain((await ask(bearer(sufficient))).status);
    }
  });

  test.each(webSockets)(
    "requires the scope of %s in a handshake without Prefect's subprotocol",
    async (path) => {
      const scope = path === "/events/in" ? "events:write" : "events:read";
      const open = (credentials: Record<string, string>) =>
        SocketClient.open(`${server.url}/api${path}`, { subprotocol: null, headers: credentials });
      const others = allScopes.filter((other) => other !== scope && other !== "admin");
      await expect(open({})).rejects.toThrow("403");
      await expect(open(bearer((await server.key({ scopes: others })).token))).rejects.toThrow("403");
      await (await open(bearer((await server.key({ scopes: [scope] })).token))).close();
    },
  );

  test.each(webSockets)(
    "requires the scope of %s in the first message of Prefect's subprotocol",
    async (path) => {
      const scope = path === "/events/in" ? "events:write" : "events:read";
      const others = allScopes.filter((other) => other !== scope && other !== "admin");
      const { token: lacking } = await server.key({ scopes: others });
      const { token: sufficient } = await server.key({ scopes: [scope] });
      const answerTo = async (text: string | null) => {
        const client = await SocketClient.open(`${server.url}/api${path}`);
        client.send({ type: "auth", token: text });
        return client.closed;
      };
      expect(await answerTo(null)).toEqual({ code: 1008, reason: "Auth required but no token provided" });
      expect(await answerTo("")).toEqual({ code: 1008, reason: "Auth required but no token provided" });
      expect(await answerTo("tripline_x\n")).toEqual({ code: 1008, reason: "Invalid token" });
      expect(await answerTo(lacking)).toEqual({ code: 1008, reason: `This key lacks the scope ${scope}` });
      for (const text of [sufficient, `anything:${sufficient}`]) {
        await (await SocketClient.prefect(`${server.url}/api${path}`, text)).close();
      }
    },
  );

  // Otherwise a client could stay connected forever with a revoked key.
  test.each(webSockets)("closes %s within seconds when its key is revoked", async (path) => {
    const { key, token: revokedToken } = await server.key();
    const client = await SocketClient.prefect(`${server.url}/api${path}`, revokedToken);
    if (path === "/events/out") client.send({ type: "filter", filter: {} });
    await server.keys.put({ ...key, revoked: new Date().toISOString() });
    const revokedAt = performance.now();
    expect(await client.closed).toEqual({ code: 1008, reason: "The key is no longer valid" });
    expect(performance.now() - revokedAt).toBeLessThan(4_000);
  });

  test("stores the id of a key, but not its secret", async () => {
    const { token: second } = await server.key();
    const connection = connect(database);
    const stored = JSON.stringify(await connection.hgetall("tl:api-keys"));
    connection.disconnect();
    for (const created of [token, second]) {
      const [, id, ...secret] = created.split("_");
      expect(stored).toContain(id);
      expect(stored).not.toContain(secret.join("_"));
    }
  });

  test("rejects a key within seconds of its revocation, and as soon as it expires", async () => {
    const { key, token: revokedToken } = await server.key();
    expect((await get("/api/hello", bearer(revokedToken))).status).toBe(200);
    await server.keys.put({ ...key, revoked: new Date().toISOString() });
    await until(async () => (await get("/api/hello", bearer(revokedToken))).status === 401, 2_000);

    const past = await server.key({ expires: new Date(Date.now() - 1).toISOString() });
    expect(await get("/api/hello", bearer(past.token))).toMatchObject(unauthorized);
    const soon = await server.key({ expires: new Date(Date.now() + 400).toISOString() });
    expect((await get("/api/hello", bearer(soon.token))).status).toBe(200);
    // It expires on time, although the server has cached it.
    await until(async () => (await get("/api/hello", bearer(soon.token))).status === 401, 900);
  });

  test("answers under any host name, and lets no page of another site change anything", async () => {
    const named = { Host: "tripline.example", ...bearer(token) };
    expect((await get("/api/hello", named)).status).toBe(200);
    const post = (site: string) =>
      send(`${server.url}/api/events`, {
        method: "POST",
        headers: { ...bearer(token), "Sec-Fetch-Site": site },
        body: "[]",
      });
    expect((await post("same-origin")).status).toBe(204);
    expect((await post("cross-site")).status).toBe(403);
  });
});

describe("a server without keys", () => {
  let server: KeyedServer;
  let port: string;

  beforeAll(async () => {
    server = await serve(freshDatabase(), ["--host", "0.0.0.0"]);
    port = new URL(server.url).port;
  });
  afterAll(() => server.stop());

  const ask = (headers: Record<string, string>, method = "GET") =>
    send(`${server.url}${method === "GET" ? "/api/automations" : "/api/events"}`, {
      method,
      headers,
      ...(method === "GET" ? {} : { body: "[]" }),
    });

  test("listens only on the loopback address, whatever --host says, and logs how to change that", async () => {
    expect(new URL(server.url).hostname).toBe("127.0.0.1");
    const warnings = server.warnings.join("");
    expect(warnings).toContain("There are no API keys");
    expect(warnings).toContain("tripline keys create");
    expect(warnings).toContain("0.0.0.0");
    expect((await ask({})).status).toBe(200);
    expect((await ask(bearer("whatever a client is set up with"))).status).toBe(200);
  });

  // Otherwise a site could point its name at 127.0.0.1 and read everything: to the browser both are the same origin.
  test("answers only to names of this machine", async () => {
    for (const host of [
      `127.0.0.1:${port}`,
      "localhost",
      `LOCALHOST:${port}`,
      `[::1]:${port}`,
      "a.localhost",
    ]) {
      expect({ host, status: (await ask({ Host: host })).status }).toEqual({ host, status: 200 });
    }
    for (const host of [
      "evil.example",
      `evil.example:${port}`,
      "127.0.0.1.evil.example",
      "localhost.evil.example",
    ]) {
      const { status, text } = await ask({ Host: host });
      expect({ host, status }).toEqual({ host, status: 403 });
      expect(text).toContain(host);
      expect(text).toContain("tripline keys create");
    }
    const metrics = await send(`${server.url}/metrics`, { headers: { Host: "evil.example" } });
    expect(metrics.status).toBe(403);
    expect((await send(`${server.url}/api/health`, { headers: { Host: "evil.example" } })).status).toBe(200);
  });

  // A page may post to any address, although it cannot read the answer.
  test("lets no page of another site change anything", async () => {
    const host = { Host: `localhost:${port}` };
    expect((await ask({ ...host, Origin: `http://localhost:${port}` }, "POST")).status).toBe(204);
    expect((await ask(host, "POST")).status).toBe(204);
    for (const origin of [
      "https://evil.example",
      "http://localhost:1",
      `http://127.0.0.1:${port}`,
      "null",
      "?",
    ]) {
      const { status, text } = await ask({ ...host, Origin: origin }, "POST");
      expect({ origin, status }).toEqual({ origin, status: 403 });
      expect(text).toContain("pages of other sites");
    }
    for (const headers of [{ Host: `evil.example:${port}` }, { ...host, Origin: "https://evil.example" }]) {
      await expect(SocketClient.open(`${server.url}/api/events/out`, { headers })).rejects.toThrow("403");
    }
    for (const method of ["GET", "HEAD"]) {
      const headers = { ...host, Origin: "https://evil.example" };
      const read = await send(`${server.url}/api/automations`, { method, headers });
      expect(read.status).toBe(200);
      expect(read.headers["access-control-allow-origin"]).toBeUndefined();
    }
  });

  test("requires one as soon as the first exists, even after all are revoked, until all are deleted", async () => {
    const early = await SocketClient.prefect(`${server.url}/api/events/in`);
    const { key, token } = await server.key();
    await until(async () => (await ask({})).status === 401, 3_000);
    expect((await early.closed).code).toBe(1008);
    expect((await ask(bearer(token))).status).toBe(200);
    await server.keys.put({ ...key, revoked: new Date().toISOString() });
    await until(async () => (await ask(bearer(token))).status === 401, 2_000);
    expect((await ask({})).status).toBe(401);
    await server.keys.remove(key.id);
    await until(async () => (await ask({})).status === 200, 3_000);
  });
});

test("a server that other machines can reach still requires a key after its last one is deleted", async () => {
  const database = freshDatabase();
  const before = await serve(database);
  const { key, token } = await before.key();
  await before.stop();

  const server = await serve(database, ["--host", "0.0.0.0"]);
  const url = `http://127.0.0.1:${new URL(server.url).port}/api/hello`;
  const ask = async (headers: Record<string, string>) => (await send(url, { headers })).status;
  expect(new URL(server.url).hostname).toBe("0.0.0.0");
  expect(server.warnings).not.toContainEqual(expect.stringContaining("API keys"));
  expect(await ask(bearer(token))).toBe(200);
  await server.keys.remove(key.id);
  await until(async () => (await ask(bearer(token))) === 401, 2_000);
  expect(await ask({})).toBe(401);
  await server.stop();
});

describe("a rate", () => {
  const post = (server: KeyedServer, token: string, count: number) =>
    send(`${server.url}/api/events`, { method: "POST", headers: bearer(token), body: pumpEvents(count) });

  test("counts requests and events across all processes, and says when to try again", async () => {
    const database = freshDatabase();
    const [first, second] = [await serve(database), await serve(database)];
    const { token } = await first.key({ rate: { count: 10, seconds: 3_600 } });
    const { token: unlimited } = await first.key();
    expect((await post(first, token, 7)).status).toBe(204);
    for (const server of [first, second, first]) {
      expect((await send(`${server.url}/api/automations`, { headers: bearer(token) })).status).toBe(200);
    }
    const refusal = await post(second, token, 1);
    expect(refusal.status).toBe(429);
    const wait = Number(refusal.headers["retry-after"]);
    expect(wait).toBeGreaterThan(300);
    expect(wait).toBeLessThanOrEqual(360);
    expect(JSON.parse(refusal.text)).toEqual({ detail: expect.stringContaining(`${wait} s`) });
    expect((await post(second, unlimited, 100)).status).toBe(204);
    await Promise.all([first.stop(), second.stop()]);
  });

  // Each event of a batch counts. Otherwise a batch of any size would cost as much as one event.
  test("of one per second is exhausted for a minute and a half by a batch of a hundred events", async () => {
    const server = await serve(freshDatabase());
    const { token } = await server.key({ rate: { count: 1, seconds: 1 } });
    expect((await post(server, token, 100)).status).toBe(204);
    const refusal = await post(server, token, 1);
    expect(refusal.status).toBe(429);
    expect(Number(refusal.headers["retry-after"])).toBeGreaterThan(80);
    await server.stop();
  });

  test("accepts a batch as a whole, and makes later requests wait for the excess", async () => {
    const server = await serve(freshDatabase());
    const { token } = await server.key({ rate: { count: 20, seconds: 1 } });
    const started = performance.now();
    expect((await post(server, token, 40)).status).toBe(204);
    expect((await post(server, token, 1)).status).toBe(429);
    await until(async () => (await post(server, token, 1)).status === 204, 5_000);
    // 41 events: 20 are allowed at the start, and the others at 20 per second.
    expect(performance.now() - started).toBeGreaterThanOrEqual(1_040);
    await server.stop();
  });
});

test("a rate slows a WebSocket down, and no event is lost", async () => {
  const server = await serve(freshDatabase());
  const { token } = await server.key({ rate: { count: 20, seconds: 1 } });
  const started = performance.now();
  const client = await SocketClient.prefect(`${server.url}/api/events/in`, token);
  for (const count of [40, 1]) {
    for (const event of JSON.parse(pumpEvents(count)) as object[]) client.send(event);
    await client.ping();
  }
  expect(performance.now() - started).toBeGreaterThanOrEqual(1_040);
  await client.close();
  const { token: reader } = await server.key();
  const count = async () => {
    const filtered = { method: "POST", headers: bearer(reader), body: "{}" };
    const { text } = await send(`${server.url}/api/events/filter`, filtered);
    return (JSON.parse(text) as { total: number }).total;
  };
  await until(async () => (await count()) === 41, 5_000);
  await server.stop();
});

test("while Redis is unavailable, a cached key can read the metrics, and another key gets 503", async () => {
  const ownRedis = await startRedis();
  const server = await serve(ownRedis.url);
  const { token } = await server.key();
  const { token: unseen } = await server.key();
  const metrics = (headers: Record<string, string>) => send(`${server.url}/metrics`, { headers });
  expect((await metrics(bearer(token))).status).toBe(200);
  await ownRedis.kill9();
  await until(async () => (await send(`${server.url}/api/ready`)).status === 503, 10_000);
  expect((await metrics(bearer(token))).status).toBe(200);
  const refusal = await metrics(bearer(unseen));
  expect(refusal.status).toBe(503);
  expect(refusal.headers["retry-after"]).toBe("1");
  await ownRedis.restart();
  await server.stop();
  await ownRedis.stop();
});
