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

/** A database of its own: keys are those of a whole Redis. */
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

  test("answers nobody without one, but for health and readiness", async () => {
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

  test("takes a key as Bearer, and as each auth string that Prefect's client can be given", async () => {
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

  test("refuses whatever only looks like a key", async () => {
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
    // A browser must not be made to ask a person for a password, which it would then send on its own.
    expect((await get("/api/automations")).headers["www-authenticate"]).toBe("Bearer");
  });

  const scoped = allOperations.filter(({ path }) => !webSockets.includes(path));

  test.each(scoped)("$method $path takes $scope, as its documentation says", async (operation) => {
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
    "%s takes its scope in the handshake of whoever does not speak Prefect",
    async (path) => {
      const scope = path === "/events/in" ? "events:write" : "events:read";
      const knock = (credentials: Record<string, string>) =>
        SocketClient.open(`${server.url}/api${path}`, { subprotocol: null, headers: credentials });
      const others = allScopes.filter((other) => other !== scope && other !== "admin");
      await expect(knock({})).rejects.toThrow("403");
      await expect(knock(bearer((await server.key({ scopes: others })).token))).rejects.toThrow("403");
      await (await knock(bearer((await server.key({ scopes: [scope] })).token))).close();
    },
  );

  test.each(webSockets)("%s takes its scope in Prefect's first message", async (path) => {
    const scope = path === "/events/in" ? "events:write" : "events:read";
    const others = allScopes.filter((other) => other !== scope && other !== "admin");
    const { token: lacking } = await server.key({ scopes: others });
    const { token: sufficient } = await server.key({ scopes: [scope] });
    const introduce = async (text: string | null) => {
      const client = await SocketClient.open(`${server.url}/api${path}`);
      client.send({ type: "auth", token: text });
      return client.closed;
    };
    expect(await introduce(null)).toEqual({ code: 1008, reason: "Auth required but no token provided" });
    expect(await introduce("")).toEqual({ code: 1008, reason: "Auth required but no token provided" });
    expect(await introduce("tripline_x\n")).toEqual({ code: 1008, reason: "Invalid token" });
    expect(await introduce(lacking)).toEqual({ code: 1008, reason: `This key lacks the scope ${scope}` });
    for (const text of [sufficient, `anything:${sufficient}`]) {
      await (await SocketClient.prefect(`${server.url}/api${path}`, text)).close();
    }
  });

  // Whoever is connected would otherwise stay so for good.
  test.each(webSockets)("%s is closed within seconds when its key is revoked", async (path) => {
    const { key, token: doomed } = await server.key();
    const client = await SocketClient.prefect(`${server.url}/api${path}`, doomed);
    if (path === "/events/out") client.send({ type: "filter", filter: {} });
    await server.keys.put({ ...key, revoked: new Date().toISOString() });
    const revoked = performance.now();
    expect(await client.closed).toEqual({ code: 1008, reason: "The key is no longer valid" });
    expect(performance.now() - revoked).toBeLessThan(4_000);
  });

  test("keeps of a key nothing that opens anything", async () => {
    const connection = connect(database);
    const kept = JSON.stringify(await connection.hgetall("tl:api-keys"));
    connection.disconnect();
    expect(kept).toContain(token.split("_")[1]);
    for (const { token: each } of [{ token }, await server.key()]) {
      expect(kept).not.toContain(each.split("_").slice(2).join("_"));
    }
  });

  test("lets a key in no more within seconds of its revocation, and none that has expired", async () => {
    const { key, token: doomed } = await server.key();
    expect((await get("/api/hello", bearer(doomed))).status).toBe(200);
    await server.keys.put({ ...key, revoked: new Date().toISOString() });
    await until(async () => (await get("/api/hello", bearer(doomed))).status === 401, 2_000);

    const past = await server.key({ expires: new Date(Date.now() - 1).toISOString() });
    expect(await get("/api/hello", bearer(past.token))).toMatchObject(unauthorized);
    const soon = await server.key({ expires: new Date(Date.now() + 400).toISOString() });
    expect((await get("/api/hello", bearer(soon.token))).status).toBe(200);
    // At its very instant, whatever is remembered of it.
    await until(async () => (await get("/api/hello", bearer(soon.token))).status === 401, 900);
  });

  test("answers under any name, and changes nothing for a page of another site", async () => {
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

  test("listens to this machine alone, whatever it was told, and says how to change that", async () => {
    expect(new URL(server.url).hostname).toBe("127.0.0.1");
    const said = server.warnings.join("");
    expect(said).toContain("There are no API keys");
    expect(said).toContain("tripline keys create");
    expect(said).toContain("0.0.0.0");
    expect((await ask({})).status).toBe(200);
    expect((await ask(bearer("whatever a client is set up with"))).status).toBe(200);
  });

  // A page whose name its owner points at 127.0.0.1 could read everything: to the browser it is one site.
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

  // A page may post to any address without being asked, though not read the answer.
  test("changes nothing for a page of another site", async () => {
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
    const read = await ask({ ...host, Origin: "https://evil.example" });
    expect(read.status).toBe(200);
    expect(read.headers["access-control-allow-origin"]).toBeUndefined();
  });

  test("asks for one as soon as the first is made, and stays shut when all are revoked", async () => {
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

test("a server that strangers can reach stays shut when its last key is forgotten", async () => {
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

  test("counts each request and each event, in all processes together, and says when to try again", async () => {
    const database = freshDatabase();
    const [one, other] = [await serve(database), await serve(database)];
    const { token } = await one.key({ rate: { count: 10, seconds: 3_600 } });
    const { token: unlimited } = await one.key();
    expect((await post(one, token, 7)).status).toBe(204);
    for (const server of [one, other, one]) {
      expect((await send(`${server.url}/api/automations`, { headers: bearer(token) })).status).toBe(200);
    }
    const refusal = await post(other, token, 1);
    expect(refusal.status).toBe(429);
    const wait = Number(refusal.headers["retry-after"]);
    expect(wait).toBeGreaterThan(300);
    expect(wait).toBeLessThanOrEqual(360);
    expect(JSON.parse(refusal.text)).toEqual({ detail: expect.stringContaining(`${wait} s`) });
    expect((await post(other, unlimited, 100)).status).toBe(204);
    await Promise.all([one.stop(), other.stop()]);
  });

  // Each event counts, however they are packed; otherwise a batch of any size would cost as much as one event.
  test("of one a second is used up for a minute and a half by a batch of a hundred", async () => {
    const server = await serve(freshDatabase());
    const { token } = await server.key({ rate: { count: 1, seconds: 1 } });
    expect((await post(server, token, 100)).status).toBe(204);
    const refusal = await post(server, token, 1);
    expect(refusal.status).toBe(429);
    expect(Number(refusal.headers["retry-after"])).toBeGreaterThan(80);
    await server.stop();
  });

  test("lets a batch pass whole, and has what was too much waited for", async () => {
    const server = await serve(freshDatabase());
    const { token } = await server.key({ rate: { count: 20, seconds: 1 } });
    const started = performance.now();
    expect((await post(server, token, 40)).status).toBe(204);
    expect((await post(server, token, 1)).status).toBe(429);
    await until(async () => (await post(server, token, 1)).status === 204, 5_000);
    // 40 events, of which 20 are there at the start, and one more.
    expect(performance.now() - started).toBeGreaterThanOrEqual(1_040);
    await server.stop();
  });
});

test("a rate makes a WebSocket wait, and loses nothing", async () => {
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

test("while Redis is away, a key that is known still reads the metrics, and an unknown one is told to wait", async () => {
  const own = await startRedis();
  const server = await serve(own.url);
  const { token } = await server.key();
  const { token: unseen } = await server.key();
  const metrics = (headers: Record<string, string>) => send(`${server.url}/metrics`, { headers });
  expect((await metrics(bearer(token))).status).toBe(200);
  await own.kill9();
  await until(async () => (await send(`${server.url}/api/ready`)).status === 503, 10_000);
  expect((await metrics(bearer(token))).status).toBe(200);
  const refusal = await metrics(bearer(unseen));
  expect(refusal.status).toBe(503);
  expect(refusal.headers["retry-after"]).toBe("1");
  await own.restart();
  await server.stop();
  await own.stop();
});
