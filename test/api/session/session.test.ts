/** Signing in to the dashboard: the key stays where no script can read it, and neither half of the sign-in is of use alone. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pageTokenOf } from "../../../src/api/http/page-token.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { bearer, type KeyedServer, send, serve, until } from "../http/auth-support.ts";
import { SocketClient } from "../sockets/socket-client.ts";

const json = { "Content-Type": "application/json" };

interface SessionAnswer {
  readonly key_required: boolean;
  readonly allowed: boolean;
  readonly key: { readonly name: string } | null;
  readonly scopes: readonly string[];
  readonly workspace: string | null;
  readonly workspaces: readonly string[];
  readonly page_token: string | null;
  readonly version: string | null;
}

let redis: TestRedis;
let server: KeyedServer;
let token: string;

beforeAll(async () => {
  redis = await startRedis();
  server = await serve(redis.url, ["--workspace", "default,annex"]);
  token = (await server.key({ name: "gardener", scopes: ["events:read"] })).token;
  await until(async () => (await send(`${server.url}/api/hello`)).status === 401, 3_000);
});
afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

const signIn = (key: string, headers: Record<string, string> = {}) =>
  send(`${server.url}/api/session`, {
    method: "POST",
    headers: { ...json, ...headers },
    body: JSON.stringify({ key }),
  });
const cookieOf = (setCookie: string | string[] | undefined) => String(setCookie).split(";")[0] ?? "";
const session = async (headers: Record<string, string>) =>
  JSON.parse((await send(`${server.url}/api/session`, { headers })).text) as SessionAnswer;

describe("signing in", () => {
  test("puts the key into a cookie that no script can read, and that belongs to the API below any path", async () => {
    const { status, headers } = await signIn(` ${token}\n`);
    expect(status).toBe(200);
    const cookie = String(headers["set-cookie"]);
    expect(cookie.split("; ").sort()).toEqual([
      "HttpOnly",
      "Max-Age=2592000",
      "SameSite=Strict",
      `tripline_key=${token}`,
    ]);
    expect(headers["cache-control"]).toBe("no-store");
  });

  test("marks the cookie as secure when the page came over TLS, whatever is between", async () => {
    const { headers } = await signIn(token, { Origin: "https://tripline.example.org" });
    expect(String(headers["set-cookie"])).toContain("Secure");
  });

  test("refuses a key that is misspelled, and repeats nothing of it", async () => {
    for (const wrong of [`${token.slice(0, -1)}!`, "tripline_nonsense", "page_abc"]) {
      const { status, text, headers } = await signIn(wrong);
      expect({ status, cookie: headers["set-cookie"] }).toEqual({ status: 401, cookie: undefined });
      expect(text).toContain("not a valid API key");
      expect(text).not.toContain(wrong);
    }
    expect((await signIn("")).status).toBe(422);
  });

  test("is refused to pages of other sites", async () => {
    expect((await signIn(token, { "Sec-Fetch-Site": "cross-site" })).status).toBe(403);
  });

  test("ends with the cookie", async () => {
    const { status, headers } = await send(`${server.url}/api/session`, { method: "DELETE" });
    expect({ status, cookie: cookieOf(headers["set-cookie"]) }).toEqual({
      status: 204,
      cookie: "tripline_key=",
    });
    expect(String(headers["set-cookie"])).toContain("Max-Age=0");
  });
});

describe("a session", () => {
  test("tells pages with the cookie who the viewer is, and their page token", async () => {
    expect(await session({ Cookie: `other=1; tripline_key=${token}` })).toEqual({
      key_required: true,
      allowed: true,
      key: { id: expect.any(String), name: "gardener" },
      scopes: ["events:read"],
      workspace: "default",
      workspaces: ["default"],
      page_token: pageTokenOf(token),
      version: expect.any(String),
    });
  });

  test("tells programs with a key the same, without a page token", async () => {
    expect(await session(bearer(token))).toMatchObject({
      allowed: true,
      scopes: ["events:read"],
      page_token: null,
    });
  });

  test("tells strangers only that a key is needed, and deletes a cookie that opens nothing", async () => {
    const nothing = {
      key_required: true,
      allowed: false,
      key: null,
      scopes: [],
      workspace: null,
      workspaces: [],
      page_token: null,
      version: null,
    };
    expect(await session({})).toEqual(nothing);
    expect(await session(bearer("tripline_wrong"))).toEqual(nothing);
    const { text, headers } = await send(`${server.url}/api/session`, {
      headers: { Cookie: `tripline_key=${token}x` },
    });
    expect(JSON.parse(text)).toEqual(nothing);
    expect(String(headers["set-cookie"])).toContain("Max-Age=0");
  });

  test("of a revoked key is over at once", async () => {
    const made = await server.key();
    expect((await session({ Cookie: `tripline_key=${made.token}` })).allowed).toBe(true);
    await server.keys.put({ ...made.key, revoked: new Date().toISOString(), revokedBy: "command" });
    await until(async () => !(await session({ Cookie: `tripline_key=${made.token}` })).allowed, 3_000);
  });
});

describe("a request of a page", () => {
  const get = async (headers: Record<string, string>) =>
    (await send(`${server.url}/api/events/filter/next?page-token=x`, { headers })).status;

  test("is let in with the cookie and its page token together, and with neither alone", async () => {
    const other = (await server.key()).token;
    const cookie = { Cookie: `tripline_key=${token}` };
    expect(await get({ ...cookie, ...bearer(pageTokenOf(token)) })).not.toBe(401);
    expect(await get(cookie)).toBe(401);
    expect(await get(bearer(pageTokenOf(token)))).toBe(401);
    expect(await get({ ...cookie, ...bearer(pageTokenOf(other)) })).toBe(401);
    expect(await get({ Cookie: "tripline_key=", ...bearer(pageTokenOf("")) })).toBe(401);
  });

  test("has the scopes of the key", async () => {
    const headers = { ...json, Cookie: `tripline_key=${token}`, ...bearer(pageTokenOf(token)) };
    const { status } = await send(`${server.url}/api/events`, { method: "POST", headers, body: "[]" });
    expect(status).toBe(403);
  });

  test("over a WebSocket needs both as well", async () => {
    const url = `${server.url}/api/events/out`;
    const cookie = { Cookie: `tripline_key=${token}` };
    const open = (headers: Record<string, string>) => SocketClient.open(url, { headers });
    const admitted = await open(cookie);
    admitted.send({ type: "auth", token: pageTokenOf(token) });
    await admitted.until((messages) => messages.some(({ type }) => type === "auth_success"));
    await admitted.close();
    for (const [headers, presented] of [
      [{}, pageTokenOf(token)],
      [cookie, "page_wrong"],
      [cookie, null],
    ] as const) {
      const refused = await open(headers);
      refused.send({ type: "auth", token: presented });
      expect((await refused.closed).code).toBe(1008);
    }
  });
});

// Without keys everyone on this machine may do everything, and there is nothing to sign in with.
test("a server without keys says so, and names its workspaces", async () => {
  const open = await serve(`${redis.url}/1`, ["--workspace", "default,annex"]);
  try {
    const answer = await send(`${open.url}/api/session`);
    expect(JSON.parse(answer.text)).toMatchObject({
      key_required: false,
      allowed: true,
      key: null,
      workspace: "default",
      workspaces: ["default", "annex"],
      page_token: null,
    });
    const rebound = await send(`${open.url}/api/session`, { headers: { Host: "evil.example.org" } });
    expect(rebound.status).toBe(403);
  } finally {
    await open.stop();
  }
});
