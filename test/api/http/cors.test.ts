/** Web pages of other sites: which of them may read answers, and which may change something. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { SocketClient } from "../sockets/socket-client.ts";
import { type Answer, bearer, type KeyedServer, pumpEvents, send, serve } from "./auth-support.ts";

const app = "https://app.example.org";
const elsewhere = "https://elsewhere.example";

let redis: TestRedis;
let server: KeyedServer;

beforeAll(async () => {
  redis = await startRedis();
  server = await serve(redis.url, ["--cors-origin", `${app},http://localhost:5173`]);
});

afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

const events = () => `${server.url}/api/events`;
const json = { "Content-Type": "application/json" };
const post = (headers: Record<string, string>): Promise<Answer> =>
  send(events(), { method: "POST", headers: { ...json, ...headers }, body: pumpEvents(1) });
const preflight = (origin: string): Promise<Answer> =>
  send(events(), {
    method: "OPTIONS",
    headers: {
      Origin: origin,
      "Access-Control-Request-Method": "POST",
      "Access-Control-Request-Headers": "authorization,content-type",
    },
  });
const allowedOrigin = ({ headers }: Answer) => headers["access-control-allow-origin"];

test("a preflight from an allowed origin is answered, Authorization included, without a key", async () => {
  const { status, headers } = await preflight(app);
  expect({ status, headers }).toMatchObject({
    status: 204,
    headers: {
      "access-control-allow-origin": app,
      "access-control-allow-headers": "Authorization,Content-Type,Content-Encoding,X-Prefect-Api-Version",
      "access-control-allow-methods": "GET,POST,PUT,PATCH,DELETE",
      "access-control-max-age": "7200",
    },
  });
  expect(headers["access-control-allow-credentials"]).toBeUndefined();
});

test("a preflight from another origin gets no permission", async () => {
  expect(allowedOrigin(await preflight(elsewhere))).toBeUndefined();
});

describe("without keys", () => {
  test("a page of an allowed origin may change things and read the answer", async () => {
    const answer = await post({ Origin: app, "Sec-Fetch-Site": "cross-site" });
    expect(answer.status).toBe(204);
    expect(allowedOrigin(answer)).toBe(app);
    // A page may read no header that is not named, and so could not know when to try again.
    expect(answer.headers["access-control-expose-headers"]).toBe("Retry-After,Tripline-History-Behind");
  });

  test("a page of another origin may not", async () => {
    const answer = await post({ Origin: elsewhere });
    expect(answer.status).toBe(403);
    expect(answer.text).toMatch(/--cors-origin/);
    expect(allowedOrigin(answer)).toBeUndefined();
  });

  // The origin says nothing about the host name of the request: DNS rebinding must stay impossible.
  test("a request to another host name is refused, whatever its origin", async () => {
    expect((await post({ Origin: app, Host: "elsewhere.example" })).status).toBe(403);
  });

  test("a WebSocket opens for an allowed origin, and for no other", async () => {
    const client = await SocketClient.open(`${events()}/in`, { headers: { Origin: app } });
    await client.close();
    const refused = SocketClient.open(`${events()}/in`, { headers: { Origin: elsewhere } });
    await expect(refused).rejects.toThrow("403");
  });
});

describe("with keys", () => {
  let token: string;
  beforeAll(async () => {
    ({ token } = await server.key({ scopes: ["events:write"] }));
    while ((await post({})).status !== 401);
  });

  test("a page of an allowed origin needs one, and can read why it was refused", async () => {
    const answer = await post({ Origin: app, "Sec-Fetch-Site": "cross-site" });
    expect([answer.status, allowedOrigin(answer)]).toEqual([401, app]);
  });

  test("a page of an allowed origin with a key may do what the key may", async () => {
    const answer = await post({ Origin: app, "Sec-Fetch-Site": "cross-site", ...bearer(token) });
    expect([answer.status, allowedOrigin(answer)]).toEqual([204, app]);
  });

  test("a page of another origin is refused even with a key, which a browser may have remembered", async () => {
    const answer = await post({ Origin: elsewhere, "Sec-Fetch-Site": "cross-site", ...bearer(token) });
    expect([answer.status, allowedOrigin(answer)]).toEqual([403, undefined]);
  });
});
