/** `tripline doctor` finds what is wrong with a deployment, and says what to do. */

import { randomBytes } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { shardKeys, workspaceKeys } from "../../src/store/keys.ts";
import { version } from "../../src/version.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { startCluster } from "../support/redis-cluster.ts";
import { Sandbox } from "./support.ts";

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly message: string;
  readonly remedy: string | null;
}

let redis: TestRedis;
let admin: Redis;
let sandbox: Sandbox;

beforeAll(async () => {
  redis = await startRedis({ appendOnly: "always" });
  admin = new Redis(redis.url);
  sandbox = new Sandbox();
});

afterAll(async () => {
  await sandbox.close();
  await admin.quit();
  await redis.stop();
});

const within = { timeout: 40_000, interval: 200 };

async function doctor(words: readonly string[] = [], env: Record<string, string> = {}) {
  const all = ["doctor", "--json", "--redis", redis.url, ...words];
  const { code, stdout, stderr } = await sandbox.output(all, env);
  expect(stderr).toBe("");
  const { status, findings } = JSON.parse(stdout) as { status: string; findings: Finding[] };
  const of = (check: string) => findings.find((finding) => finding.check === check);
  return { code, status, findings, of };
}

const off = ["--history-url", "off"];

describe("Redis", () => {
  const settings = ["appendonly", "appendfsync", "maxmemory", "maxmemory-policy", "min-replicas-to-write"];
  let before: string[] = [];

  beforeAll(async () => {
    before = (await Promise.all(settings.map((name) => admin.config("GET", name)))).flat() as string[];
  });
  afterEach(async () => {
    for (let index = 0; index < before.length; index += 2)
      await admin.config("SET", before[index] ?? "", before[index + 1] ?? "");
  });

  test("is fine as it should be, and nothing is written to it", async () => {
    const { of } = await doctor(off);
    for (const check of ["redis", "clock", "persistence", "saving", "eviction", "memory", "replicas"])
      expect(of(check)).toMatchObject({ status: "ok", remedy: null });
    expect(of("persistence")?.message).toContain("loses nothing");
    expect(await admin.dbsize()).toBe(0);
  });

  test.each([
    ["persistence", "problem", "appendonly", "no", "config set appendonly yes"],
    ["persistence", "warning", "appendfsync", "no", "appendfsync everysec"],
    ["eviction", "problem", "maxmemory-policy", "allkeys-lru", "noeviction"],
  ])("with a wrong setting is a finding: %s, %s", async (check, status, setting, value, remedy) => {
    await admin.config("SET", setting, value);
    const { code, of } = await doctor(off);
    expect(of(check)).toMatchObject({ status, remedy: expect.stringContaining(remedy) });
    expect(code).toBe(2); // no engine has ever run here
  });

  test("that is nearly full is a problem, and one that is getting full is a warning", async () => {
    const used = Number(/^used_memory:(\d+)/m.exec(await admin.info("memory"))?.[1]);
    await admin.config("SET", "maxmemory", String(Math.round(used * 1.2)));
    expect((await doctor(off)).of("memory")?.status).toMatch(/warning|problem/);
    await admin.config("SET", "maxmemory", String(used));
    const full = await doctor(off);
    expect(full.of("memory")).toMatchObject({ status: "problem" });
    // It refuses even to read several things at once.
    expect(full.of("workspace")).toMatchObject({
      status: "problem",
      message: expect.stringContaining("OOM"),
    });
  });

  test("with a replica that it does not wait for is a warning", async () => {
    const second = await startRedis();
    const replica = new Redis(second.url);
    try {
      await replica.replicaof("127.0.0.1", redis.port);
      await vi.waitFor(async () => expect(await admin.info("replication")).toContain("state=online"), within);
      expect((await doctor(off)).of("replicas")).toMatchObject({
        status: "warning",
        remedy: expect.stringContaining("min-replicas-to-write 1"),
      });
      await admin.config("SET", "min-replicas-to-write", "1");
      expect((await doctor(off)).of("replicas")).toMatchObject({ status: "ok" });
    } finally {
      await replica.quit();
      await second.stop();
    }
  });

  test("with processes of different versions is a warning", async () => {
    const names = [version, "0.0.1"].map((each) => `tripline-engine/${each}`);
    const engines = names.map((connectionName) => new Redis(redis.url, { connectionName }));
    try {
      await Promise.all(engines.map((engine) => engine.ping()));
      expect((await doctor(off)).of("processes")).toMatchObject({
        status: "warning",
        message: expect.stringContaining("1 × engine 0.0.1"),
      });
      await engines[1]?.quit();
      expect((await doctor(off)).of("processes")).toMatchObject({ status: "ok" });
    } finally {
      for (const engine of engines) engine.disconnect();
    }
  });

  test("that does not answer, or is a replica, is a problem with its remedy", async () => {
    const words = ["doctor", "--json", ...off, "--redis"];
    const { code, stdout } = await sandbox.output([...words, "redis://127.0.0.1:1"]);
    expect(code).toBe(2);
    const [finding] = JSON.parse(stdout).findings;
    expect(finding).toMatchObject({ check: "redis", status: "problem" });
    expect(finding.message).toContain("ECONNREFUSED");
    expect(finding.remedy).toContain("--redis");
  });
});

/** A server with everything in its own workspace. */
function serve(workspace: string, words: readonly string[], env: Record<string, string> = {}) {
  const history = `sqlite:${sandbox.folder}/${workspace}.sqlite`;
  return sandbox.serve(redis.url, ["--workspace", workspace, "--history-url", history, ...words], env);
}

const lookAt = (workspace: string, api: string) => [
  ...["--workspace", workspace, "--url", api],
  ...["--history-url", `sqlite:${sandbox.folder}/${workspace}.sqlite`],
];

test("firings that are not dispatched, deliveries that were given up and what is not recorded are findings", async () => {
  const rules = sandbox.write(
    "fails.yaml",
    "name: fails\ntrigger: { expect: [pump.stopped], within: 0 }\nactions: [{ type: call-webhook, url: 'http://127.0.0.1:1/' }]\n",
  );
  const roles = ["--roles", "api,engine,actions", "--rules", rules, "--give-up-after", "1ms"];
  const { api } = await serve("ill", roles);
  await vi.waitFor(async () => {
    expect((await doctor(lookAt("ill", api))).of("shard 0")).toMatchObject({ status: "ok" });
  }, within);
  // The engine reads the outbox when it takes over a shard. It does not know of what someone else adds later.
  await admin.xadd(shardKeys("ill", 0).outbox, "1-1", "invocation", "{}");
  await sandbox.output(["emit", "-e", "pump.stopped", "-r", "pump.1"], { TRIPLINE_API_URL: api });
  await vi.waitFor(async () => {
    const ill = await doctor(lookAt("ill", api));
    expect(ill.of("dead letters")).toMatchObject({
      status: "warning",
      message: "1 deliveries were given up.",
    });
    expect(ill.of("outbox")).toMatchObject({ status: "problem" });
    expect(ill.of("recorder")?.message).toMatch(/^The recorder is .* behind the log\.$/);
    expect(ill.of("canary")).toMatchObject({ status: "warning" });
    expect(ill.of("secrets")).toMatchObject({ status: "ok" });
    expect(ill.of("shard 0")).toMatchObject({ status: "ok" });
  }, within);
}, 120_000);

test("a deployment that works has nothing to fix; without its server, it has", async () => {
  const made = await sandbox.output([
    ...["keys", "create", "--name", "doctor", "--scope", "automations:read"],
    ...["--workspace", "well", "--redis", redis.url],
  ]);
  const box = { TRIPLINE_SECRET_KEY: randomBytes(32).toString("base64") };
  const env = { TRIPLINE_API_KEY: made.stdout.trim(), ...box };
  const { api, process } = await serve("well", ["--canary", "1s"], box);
  await vi.waitFor(async () => {
    expect(await admin.hget(workspaceKeys("well").canary, "returned")).not.toBeNull();
  }, within);
  const well = await doctor(lookAt("well", api), env);
  expect(well.findings.filter(({ status }) => status !== "ok")).toEqual([]);
  expect(well).toMatchObject({ code: 0, status: "ok" });
  expect(well.of("version")?.message).toContain(version);
  expect(well.of("processes")?.message).toContain(`engine ${version}`);
  expect(well.of("canary")?.message).toMatch(/^It came back .* ago, after \d+ ms\.$/);
  expect(well.of("recorder")?.message).toBe("Everything is recorded.");
  expect(well.of("history")?.message).toMatch(/^\d+ events at sqlite:/);
  const wrong = await doctor(lookAt("well", api), { ...box, TRIPLINE_API_KEY: "wrong" });
  expect(wrong.of("access")).toMatchObject({ status: "warning", remedy: expect.stringContaining("keys") });
  expect(wrong.code).toBe(1);

  await process.end("SIGKILL");
  await vi.waitFor(async () => expect(await admin.exists(shardKeys("well", 0).lease)).toBe(0), within);
  const dead = await doctor(lookAt("well", api), env);
  expect(dead).toMatchObject({ code: 2, status: "problem" });
  expect(dead.of("shard 0")).toMatchObject({
    status: "problem",
    remedy: expect.stringContaining("role engine"),
  });
  expect(dead.of("api")).toMatchObject({
    status: "problem",
    message: expect.stringContaining("ECONNREFUSED"),
  });
}, 120_000);

test("a history that was named and is not there is a problem", async () => {
  const { of } = await doctor(["--history-url", `sqlite:${sandbox.folder}/missing.sqlite`]);
  expect(of("history")).toMatchObject({
    status: "problem",
    message: expect.stringContaining("no such file"),
  });
});

test("people read one line for each check, and its remedy below it", async () => {
  const { code, stdout } = await sandbox.output([
    "doctor",
    "--redis",
    redis.url,
    ...off,
    "--workspace",
    "new",
  ]);
  expect(code).toBe(2);
  expect(stdout).toMatch(/^ok +redis +Redis [\d.]+ answers\.$/m);
  expect(stdout).toMatch(
    /^problem +engine +No engine has ever run: .*\n +→ Start a process with the role engine/m,
  );
  expect(stdout).toMatch(/1 problem, \d warnings?\.\n$/);
});

test("each master of a cluster is checked", async () => {
  const cluster = await startCluster();
  try {
    const words = ["doctor", "--json", ...off, "--redis", cluster.url];
    const { stdout } = await sandbox.output(words);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    expect(findings).toContainEqual(expect.objectContaining({ check: "cluster", status: "ok" }));
    const versions = findings.filter(({ check }) => check === "redis");
    expect(new Set(versions.map(({ message }) => message)).size).toBeGreaterThanOrEqual(3);
    expect(findings).toContainEqual(expect.objectContaining({ check: "queue", status: "ok" }));
  } finally {
    await cluster.stop();
  }
}, 120_000);
