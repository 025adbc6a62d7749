/** A server sends itself an event that takes the whole way of an alarm, and a heartbeat to others while that comes back. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { canaryAutomationId } from "../../src/core/model/canary.ts";
import { workspaceKeys } from "../../src/store/keys.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { logLines, Sandbox } from "./support.ts";

let redis: TestRedis;
let client: Redis;
let sandbox: Sandbox;

beforeAll(async () => {
  redis = await startRedis();
  client = new Redis(redis.url);
  sandbox = new Sandbox();
});

afterAll(async () => {
  await sandbox.close();
  await client.quit();
  await redis.stop();
});

const within = { timeout: 40_000, interval: 100 };

/** A server with its own workspace and history. Such a server lets no webhook reach a private address. */
function serve(workspace: string, words: readonly string[]) {
  const history = `sqlite:${sandbox.folder}/${workspace}.sqlite`;
  const own = ["--workspace", workspace, "--history-url", history, "--allow-private-addresses", "none"];
  return sandbox.serve(redis.url, [...own, ...words]);
}

async function ready(api: string, query = "?strict=true") {
  const answer = await fetch(`${api}/ready${query}`);
  const body = (await answer.json()) as { problems: { part: string; message: string }[] };
  return { code: answer.status, ...body };
}

async function metric(url: string, name: string): Promise<number | null> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = new RegExp(`^${name}(?:\\{.*\\})? (.*)$`, "m").exec(text)?.[1];
  return value === undefined ? null : Number(value);
}

async function post<T>(url: string, body: unknown): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return (await answer.json()) as T;
}

const canary = (workspace: string) => client.hgetall(workspaceKeys(workspace).canary);

test("the canary comes back, and leaves nothing but its event", async () => {
  const { api, url, process } = await serve("whole", ["--canary", "1s"]);
  await vi.waitFor(async () => expect(Number((await canary("whole"))["latency"])).toBeGreaterThan(0), within);
  const first = (await canary("whole"))["id"];
  await vi.waitFor(async () => {
    const { id, latency, ...rest } = await canary("whole");
    expect(id).not.toBe(first);
    expect(rest).not.toHaveProperty("waiting-since");
    expect(await metric(url, "tripline_canary_latency_seconds")).toBe(Number(latency) / 1_000);
  }, within);
  expect(await metric(url, "tripline_canary_age_seconds")).toBeLessThan(60);
  expect(await metric(url, 'tripline_firings_total\\{state="Triggered"\\}')).toBe(0);
  expect(await ready(api)).toMatchObject({ code: 200, problems: [] });

  expect(await post(`${api}/automations/filter`, {})).toEqual([]);
  expect(await post(`${api}/automations/count`, {})).toBe(0);
  expect(await (await fetch(`${api}/automations`)).json()).toEqual([]);
  const { events } = await post<{ events: { event: string }[] }>(`${api}/events/filter`, {});
  expect(events.length).toBeGreaterThan(0);
  expect(new Set(events.map(({ event }) => event))).toEqual(new Set(["tripline.canary"]));
  for (const state of ["delivered", "dead"]) {
    const listed = (await (await fetch(`${api}/deliveries?state=${state}`)).json()) as object;
    expect(listed).toMatchObject({ deliveries: [] });
  }
  const lines = logLines(process).filter(
    ({ level, msg }) => level === "error" || /Action|canary/.test(String(msg)),
  );
  expect(lines).toEqual([]);
});

// Whoever could change it could make the server send requests into its own network.
test("the automation of the canary can be looked at, and not changed", async () => {
  const { api } = await serve("changed", ["--canary", "1s"]);
  const one = `${api}/automations/${canaryAutomationId}`;
  await vi.waitFor(async () => expect((await fetch(one)).status).toBe(200), within);
  const stored = (await (await fetch(one)).json()) as { actions: object[] };
  expect(stored.actions).toEqual([expect.objectContaining({ secret: "********" })]);
  const headers = { "Content-Type": "application/json" };
  for (const [method, body] of [
    ["PATCH", { enabled: false }],
    ["PUT", { ...stored, actions: [{ type: "call-webhook", url: "http://169.254.169.254" }] }],
    ["DELETE", undefined],
  ] as const) {
    const answer = await fetch(one, { method, headers, body: JSON.stringify(body) });
    expect(answer.status).toBe(409);
    expect(await answer.text()).toContain("--canary 0");
  }
  expect(await (await fetch(one)).json()).toEqual(stored);
});

test("only the server can say that the canary is back", async () => {
  const { api } = await serve("forged", []);
  const now = String(Math.floor(Date.now() / 1_000));
  const signed = {
    "webhook-id": "1",
    "webhook-timestamp": now,
    "webhook-signature": `v1,${"A".repeat(43)}=`,
  };
  for (const headers of [{}, signed]) {
    const answer = await fetch(`${api}/canary`, { method: "POST", headers, body: `{"id":"1"}` });
    expect(answer.status).toBe(401);
  }
});

/** A receiver of heartbeats. */
async function startMonitor() {
  const paths: string[] = [];
  const server = createServer((request, response) => {
    paths.push(`${request.method} ${request.url} ${request.headers.authorization ?? "-"}`);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://user:pass@127.0.0.1:${port}/ping/1`, paths, stop: () => void server.close() };
}

test("heartbeats are sent while the canary comes back, and only then", async () => {
  const monitor = await startMonitor();
  try {
    const front = await serve("apart", ["--roles", "api,engine"]);
    const watching = ["--canary", "1s", "--canary-url", front.api, "--heartbeat-url", monitor.url];
    const back = () => serve("apart", ["--roles", "actions"]);
    const api = await serve("apart", ["--roles", "api", ...watching]);
    await vi.waitFor(async () => {
      const { code, problems } = await ready(api.api);
      expect(code).toBe(503);
      expect(problems).toEqual([
        {
          part: "canary",
          message: expect.stringMatching(/^The canary has not come back, since .*Z\. Its way/),
        },
      ]);
    }, within);
    // It is no reason to send no events, nor is an alarm known to be lost.
    expect((await ready(api.api, "")).code).toBe(200);
    expect(monitor.paths).toEqual([]);

    const first = await back();
    await vi.waitFor(() => expect(monitor.paths.length).toBeGreaterThan(1), within);
    expect(new Set(monitor.paths)).toEqual(new Set([`GET /ping/1 Basic ${btoa("user:pass")}`]));
    const sent = 'tripline_heartbeat_pings_total\\{outcome="succeeded"\\}';
    expect(await metric(api.url, sent)).toBeGreaterThan(0);
    expect((await ready(api.api)).problems).toEqual([]);

    await first.process.end("SIGKILL");
    await vi.waitFor(async () => {
      expect((await ready(api.api)).problems).toMatchObject([{ part: "canary" }]);
    }, within);
    const count = monitor.paths.length;
    await vi.waitFor(async () => {
      // Many heartbeats would have been due.
      const { now, since } = { now: Date.now(), since: Number((await canary("apart"))["waiting-since"]) };
      expect(now - since).toBeGreaterThan(6_000);
    }, within);
    expect(monitor.paths.length).toBe(count);

    await back();
    await vi.waitFor(() => expect(monitor.paths.length).toBeGreaterThan(count), within);
    await vi.waitFor(async () => expect((await ready(api.api)).problems).toEqual([]), within);
  } finally {
    monitor.stop();
  }
}, 120_000);

// It was on its way when the server was stopped for the night.
test("a canary that an earlier server left behind is no problem of a server that has just started", async () => {
  const before = Date.now() - 3_600_000;
  const left = { id: "1", sent: before, "waiting-since": before };
  await client.hset(workspaceKeys("left").canary, left);
  const { api } = await serve("left", ["--canary", "4s"]);
  const found: unknown[] = [];
  await vi.waitFor(async () => {
    found.push(...(await ready(api)).problems.filter(({ part }) => part === "canary"));
    expect(Number((await canary("left"))["returned"])).toBeGreaterThan(before);
  }, within);
  expect(found).toEqual([]);
});

test("an address that no longer answers is replaced", async () => {
  const gone = await serve("moved", ["--canary", "1s"]);
  await vi.waitFor(async () => expect(await canary("moved")).toHaveProperty("returned"), within);
  await gone.process.end();
  const { id: last } = await canary("moved");
  await serve("moved", ["--canary", "1s"]);
  await vi.waitFor(async () => {
    const { id, ...rest } = await canary("moved");
    expect(id).not.toBe(last);
    expect(rest).not.toHaveProperty("waiting-since");
  }, within);
});

test("a heartbeat that would depend on nothing is refused at the start", async () => {
  const url = ["--heartbeat-url", "http://127.0.0.1:1/"];
  const words = ["serve", "--port", "0", "--redis", redis.url, "--workspace", "refused", ...url];
  for (const more of [
    ["--roles", "api,engine"],
    ["--canary", "0"],
  ]) {
    const { code, stderr } = await sandbox.output([...words, ...more]);
    expect(code).toBe(1);
    expect(stderr).toContain("--canary-url");
  }
});
