/** What a server tells about itself: what it runs with, and what is wrong with its deployment. */

import { Hono } from "hono";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { mountAll } from "../../../src/api/http/route.ts";
import { tenantsOf, type Workspace } from "../../../src/api/http/tenant.ts";
import { type DoctorReport, doctorRoutes, type Examine } from "../../../src/api/server/doctor.ts";
import { Refused, Tripline } from "../../../src/client/index.ts";
import { version } from "../../../src/version.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { bearer, type KeyedServer, send, serve } from "../http/auth-support.ts";

let redis: TestRedis;
let databaseCount = 0;
let server: KeyedServer | null = null;

beforeAll(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  await server?.stop();
  server = null;
});
afterAll(() => redis.stop());

async function start(options: readonly string[] = []): Promise<KeyedServer> {
  databaseCount += 1;
  server = await serve(`${redis.url}/${databaseCount}`, options);
  return server;
}

const clientOf = ({ url }: KeyedServer, key: string | null = null) =>
  new Tripline({ url: `${url}/api`, key, patienceMs: 0 });

describe("the settings of a server", () => {
  test("are those that it runs with, beside versions, limits and how long things are kept", async () => {
    const before = Date.now();
    const heartbeat = "https://heartbeats.example/4f0c6f1e-secret";
    const running = await start([
      ...["--history-max-age", "2d", "--history-max-size", "unlimited", "--give-up-after", "90m"],
      ...["--heartbeat-url", heartbeat, "--workspace", "north,south"],
    ]);
    const settings = await clientOf(running).server.settings();
    expect(settings).toMatchObject({
      versions: {
        tripline: version,
        node: process.versions.node,
        redis: expect.stringMatching(/^\d+\.\d+\.\d+$/),
        history: expect.stringMatching(/^sqlite 3\.\d+\.\d+$/),
      },
      workspace: "north",
      workspaces: ["north", "south"],
      roles: ["api", "engine", "actions", "recorder"],
      retention: {
        log_seconds: 3_600,
        history_seconds: 172_800,
        history_bytes: null,
        delivered_seconds: 86_400,
        dead_letter_seconds: 30 * 86_400,
      },
      limits: { lateness_seconds: 0, give_up_after_seconds: 5_400, event_bytes: 1_500_000 },
      canary_seconds: 60,
      telemetry: { traces: false, metrics: false },
      secrets_sealed: false,
    });
    expect(Date.parse(settings.started)).toBeLessThanOrEqual(before + 1_000);
    const of = (name: string) => settings.settings?.find((setting) => setting.name === name);
    expect(of("--history-max-age")).toMatchObject({
      variable: "TRIPLINE_HISTORY_MAX_AGE",
      value: "2d",
      default: "30d",
      changed: true,
    });
    expect(of("--concurrency")).toMatchObject({ value: "100", default: "100", changed: false });
    expect(of("--heartbeat-url")?.value).toBe("https://heartbeats.example/********");
    const { text } = await send(`${running.url}/api/settings`);
    expect(text).not.toContain("4f0c6f1e");
  });

  // They concern all workspaces, and the holder of a key must not learn which others exist.
  test("are shown to keys of the first workspace only, and no key sees another workspace", async () => {
    const running = await start(["--workspace", "north,south"]);
    const [north, south] = [
      await running.key({ workspace: "north" }),
      await running.key({ workspace: "south" }),
    ];
    const first = await clientOf(running, north.token).server.settings();
    expect(first.workspaces).toEqual(["north"]);
    expect(first.settings?.length).toBeGreaterThan(30);
    const answer = await send(`${running.url}/api/settings`, { headers: bearer(south.token) });
    expect(JSON.parse(answer.text)).toMatchObject({
      workspace: "south",
      workspaces: ["south"],
      settings: null,
    });
    expect(answer.text).not.toContain("north");
    const { token } = await running.key({ workspace: "north", scopes: ["automations:read", "events:read"] });
    for (const ask of ["settings", "doctor"] as const)
      await expect(clientOf(running, token).server[ask]()).rejects.toThrow(Refused);
  });
});

describe("the examination of a deployment", () => {
  test("finds what is wrong with Redis, and that the rest is well", async () => {
    const running = await start();
    const { status, findings } = await clientOf(running).server.doctor();
    const of = (check: string) => findings.find((finding) => finding.check === check);
    expect(status).toBe("problem");
    expect(of("persistence")).toMatchObject({
      status: "problem",
      message: expect.stringContaining("There is no append-only file"),
      remedy: expect.stringContaining("appendonly yes"),
    });
    expect(of("api keys")).toMatchObject({
      status: "warning",
      message: expect.stringContaining("no API keys"),
    });
    for (const check of ["redis", "round trip", "queue", "dead letters", "secrets", "history", "recorder"])
      expect(of(check)).toMatchObject({ check, status: "ok" });
    expect(of("shard 0")?.message).toContain("An engine owns it");
  });
});

test("what concerns all workspaces is examined for the first one only", async () => {
  const running = await start(["--workspace", "north,south"]);
  const { token } = await running.key({ workspace: "south" });
  await running.key({ workspace: "north" });
  const { findings } = await clientOf(running, token).server.doctor();
  const checks = findings.map(({ check }) => check);
  expect(checks).toEqual(expect.arrayContaining(["shard 0", "queue", "secrets", "recorder"]));
  for (const check of ["redis", "memory", "api keys", "history"]) expect(checks).not.toContain(check);
  expect(JSON.stringify(findings)).not.toContain(".sqlite");
});

describe("examinations", () => {
  const well: DoctorReport = { status: "ok", findings: [] };
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const workspace = (name: string) => ({ workspace: name, log: {}, history: null }) as unknown as Workspace;

  function appOf(examine: Examine, timeoutMs?: number) {
    const app = new Hono();
    const keys = { find: async () => null, exist: async () => false };
    const tenants = tenantsOf([workspace("north"), workspace("south")], keys);
    const base = "/api/:workspace";
    mountAll(app, base, doctorRoutes(examine, timeoutMs), { tenants });
    return async (name: string) => (await app.request(`/api/${name}/doctor`)).json() as Promise<DoctorReport>;
  }

  // A page that asks every second must not make a slow Redis slower.
  test("are made one at a time, and shared by those who ask meanwhile", async () => {
    const runs: string[] = [];
    let runningCount = 0;
    const ask = appOf(async (name) => {
      runs.push(name);
      runningCount += 1;
      expect(runningCount).toBe(1);
      await pause(20);
      runningCount -= 1;
      return well;
    });
    const answers = await Promise.all(["north", "south", "north", "south", "north"].map(ask));
    expect(answers).toEqual(Array.from({ length: 5 }, () => well));
    expect(runs).toEqual(["north", "south"]);
    await ask("north");
    expect(runs).toEqual(["north", "south", "north"]);
  });

  test("that take too long are a problem, and keep no one from the next", async () => {
    let count = 0;
    const ask = appOf(async () => {
      count += 1;
      if (count === 1) await pause(2_000);
      return well;
    }, 50);
    expect(await ask("north")).toMatchObject({ status: "problem", findings: [{ check: "checks" }] });
    expect(await ask("north")).toEqual(well);
  });

  test("that fail are no one's but those who asked", async () => {
    let count = 0;
    const ask = appOf(async () => {
      count += 1;
      if (count === 1) throw new Error("the sensor fell off");
      return well;
    });
    await ask("north").catch(() => {});
    expect(await ask("north")).toEqual(well);
  });
});
