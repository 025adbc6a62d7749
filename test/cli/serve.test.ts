import { randomUUID } from "node:crypto";
import { createServer } from "node:net";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { redisUrlExample } from "../../src/store/redis-url.ts";
import { serve as serveHere } from "../api/http/auth-support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { logLines, Sandbox, type Server } from "./support.ts";

const sandbox = new Sandbox();
let redis: TestRedis;
let workspaceCount = 0;

beforeAll(async () => {
  redis = await startRedis({ appendOnly: "always" });
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

/** A fresh workspace, so that tests can share a Redis. */
const freshWorkspace = () => {
  workspaceCount += 1;
  return ["--workspace", `w${workspaceCount}`];
};

const pumpRule = (fields: string) => `name: pump-stopped\n${fields}\nactions: []\n`;

const automationNames = async ({ api }: Server) =>
  ((await (await fetch(`${api}/automations`)).json()) as { name: string }[]).map(({ name }) => name);

describe("tripline serve cannot start", () => {
  test("without Redis, and says how to start one, without a stack trace or a password", async () => {
    const { code, stderr } = await sandbox.output(["serve", "--redis", "redis://user:hunter2@127.0.0.1:1"]);
    expect(code).toBe(1);
    expect(stderr).toContain("redis://user:********@127.0.0.1:1");
    expect(stderr).toContain("redis-server --appendonly yes");
    expect(stderr).toContain("npm start");
    expect(stderr).not.toContain("hunter2");
    expect(stderr).not.toContain("    at ");
  });

  test("on a port that is in use", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const address = other.address();
    const port = typeof address === "object" && address !== null ? String(address.port) : "";
    const words = ["serve", "--redis", redis.url, "--port", port, ...freshWorkspace()];
    const { code, stderr } = await sandbox.output(words);
    other.close();
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("Choose another with --port"),
    });
  });

  test("with rules that have mistakes, when none were applied before", async () => {
    const rules = sandbox.write("mistaken.yaml", pumpRule("triger: {expect: [pump.stopped]}"));
    const words = ["serve", "--redis", redis.url, "--port", "0", "--rules", rules, ...freshWorkspace()];
    const { code, stderr } = await sandbox.output(words);
    expect(code).toBe(1);
    expect(stderr).toMatch(/mistaken\.yaml:2:1: .*triger.*trigger/);
  });

  test("with an invalid REDIS_URL", async () => {
    const { code, stderr } = await sandbox.output(["serve", "--port", "0"], { REDIS_URL: "localhost:6379" });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `REDIS_URL is invalid. Use ${redisUrlExample}.\n`,
    });
  });
});

// While a deployment is updated, some of its processes have the old number.
test("tripline serve with another number of shards than its workspace has keeps that number, and warns", async () => {
  const workspace = freshWorkspace();
  const first = await sandbox.serve(redis.url, ["--shards", "2", ...workspace]);
  await first.process.end();
  const second = await sandbox.serve(redis.url, ["--shards", "3", ...workspace]);
  const { count } = (await (await fetch(`${second.api}/shards`)).json()) as { count: number };
  await second.process.end();
  expect(count).toBe(2);
  const warnings = logLines(second.process).filter(({ level }) => level === "warn");
  expect(warnings).toContainEqual(
    expect.objectContaining({ shards: 2, setting: 3, remedy: "tripline shards set 3" }),
  );
});

// docs/failure.md promises this.
test("tripline serve warns about a Redis without an append-only file, and names the command that turns it on", async () => {
  const volatileRedis = await startRedis();
  try {
    const [warned, durable] = [await serveHere(volatileRedis.url), await serveHere(redis.url)];
    await Promise.all([warned.stop(), durable.stop()]);
    const warning = warned.warnings.find((line) => line.includes("append-only file"));
    expect(warning).toContain("redis-cli config set appendonly yes");
    expect(durable.warnings.join("")).not.toContain("append-only");
  } finally {
    await volatileRedis.stop();
  }
});

// BullMQ printed a sentence of its own, as plain text between the lines of a JSON log, for each of its connections.
test("tripline serve warns once about a Redis that evicts keys, with the remedy", async () => {
  const evicting = await startRedis({ appendOnly: "everysec" });
  const client = new Redis(evicting.url);
  try {
    await client.config("SET", "maxmemory-policy", "allkeys-lru");
    const { process } = await sandbox.serve(evicting.url);
    await process.end();
    const warnings = logLines(process).filter(({ level }) => level === "warn");
    expect(warnings.filter(({ policy }) => policy === "allkeys-lru")).toMatchObject([
      { remedy: "redis-cli config set maxmemory-policy noeviction" },
    ]);
    expect(process.stdout + process.stderr).not.toMatch(/eviction policy/i);
    const [line] = process.stdout.split("\n").filter((each) => each !== "" && !each.startsWith("{"));
    expect(line).toBeUndefined();
  } finally {
    client.disconnect();
    await evicting.stop();
  }
});

describe("tripline serve", () => {
  test("reads settings from the environment, and lets options override them", async () => {
    const env = {
      TRIPLINE_PORT: "0",
      REDIS_URL: redis.url,
      TRIPLINE_WORKSPACE: "from-env",
      TRIPLINE_LOG_FORMAT: "text",
    };
    const server = sandbox.tripline(["serve", "--workspace", "from-option", "--log-format", "json"], env);
    const line = await server.until(() => logLines(server).find(({ msg }) => msg === "Tripline is running"));
    expect(line["workspaces"]).toEqual(["from-option"]);
    await server.end();
  });

  test("applies a valid change to a rule file at once, and keeps the last valid version after an invalid one", async () => {
    const rules = sandbox.write("changing.yaml", pumpRule("trigger: {expect: [pump.stopped]}"));
    const workspace = freshWorkspace();
    const server = await sandbox.serve(redis.url, ["--rules", rules, ...workspace]);
    const untilLogged = (text: string) => server.process.until(() => server.process.stdout.includes(text));
    expect(await automationNames(server)).toEqual(["pump-stopped"]);

    sandbox.write(
      "changing.yaml",
      `${pumpRule("trigger: {}")}---\n${pumpRule("trigger: {}").replace("stopped", "b")}`,
    );
    await untilLogged('"created":["pump-b"]');
    expect(await automationNames(server)).toEqual(["pump-b", "pump-stopped"]);

    sandbox.write("changing.yaml", pumpRule("trigger: {postur: Reactive}"));
    await untilLogged("changing.yaml:2:");
    expect(await automationNames(server)).toEqual(["pump-b", "pump-stopped"]);

    // Even after a restart: an alarm must not fall silent because someone was editing when the machine went down.
    await server.process.end();
    const again = await sandbox.serve(redis.url, ["--rules", rules, ...workspace]);
    expect(again.process.stdout).toContain("changing.yaml:2:");
    expect(await automationNames(again)).toEqual(["pump-b", "pump-stopped"]);
    await again.process.end();
  });

  test("shuts down cleanly and gives up its shard at once, so that the next server need not wait", async () => {
    const workspace = freshWorkspace();
    const words = ["--lease", "30s", ...workspace];
    const first = await sandbox.serve(redis.url, words);
    await untilReady(first);
    expect(await first.process.end("SIGTERM")).toEqual({ code: 0, signal: null });
    expect(logLines(first.process).at(-1)?.["msg"]).toBe("Stopped");

    const second = await sandbox.serve(redis.url, words);
    await untilReady(second);
    await second.process.end();
  });

  test("can run its roles in separate processes", async () => {
    const { url, until } = await sandbox.listen();
    const rules = sandbox.write(
      "roles.yaml",
      `name: a\ntrigger: {expect: [pump.stopped]}\nactions: [{type: call-webhook, url: "${url}"}]\n`,
    );
    const workspace = freshWorkspace();
    const api = await sandbox.serve(redis.url, ["--roles", "api", "--rules", rules, ...workspace]);
    const engine = await sandbox.serve(redis.url, ["--roles", "engine", ...workspace]);
    const actions = await sandbox.serve(redis.url, ["--roles", "actions", ...workspace]);
    await sandbox.output(["emit", "-e", "pump.stopped", "-r", "pump.1"], { TRIPLINE_API_URL: api.api });
    expect(await until(({ length }) => length > 0)).toHaveLength(1);
    expect((await fetch(`${engine.api}/health`)).status).toBe(200);
    expect((await fetch(`${engine.api}/automations`)).status).toBe(404);
    expect(await (await fetch(`${engine.url}/metrics`)).text()).toContain(
      'tripline_firings_total{state="Triggered"} 1',
    );
    await Promise.all([api, engine, actions].map(({ process }) => process.end()));
  });

  test("never shows a secret, although its webhooks are signed with it and contain it", async () => {
    const signing = `whsec_${Buffer.from("the signing secret").toString("base64")}`;
    const token = `token-${randomUUID()}`;
    const { url, until } = await sandbox.listen(["--secret", signing, "--fail", "1"]);
    const rules = sandbox.write(
      "secret.yaml",
      `name: secretive
trigger: {expect: [pump.stopped]}
actions:
  - type: call-webhook
    url: ${url}?key=\${env.TOKEN}
    headers: {authorization: "Bearer \${env.TOKEN}"}
    secret: \${env.SIGNING}
    payload: {token: "\${env.TOKEN}"}
`,
    );
    const workspace = freshWorkspace();
    const server = await sandbox.serve(
      redis.url,
      ["--rules", rules, "--log-level", "trace", "--retry", "1ms", ...workspace],
      {
        TOKEN: token,
        SIGNING: signing,
      },
    );
    await sandbox.output(["emit", "-e", "pump.stopped", "-r", "pump.1"], { TRIPLINE_API_URL: server.api });
    const deliveries = await until(({ length }) => length === 2);
    expect(deliveries[0]?.body).toEqual({ token });
    expect(deliveries.map(({ signature, arrival }) => ({ signature, arrival }))).toEqual([
      { signature: "valid", arrival: 1 },
      { signature: "valid", arrival: 2 },
    ]);
    await server.process.until(() => server.process.stdout.includes("Action executed"));

    const connection = connect(redis.url);
    const log = new Log(connection, workspace[1] ?? "");
    const events = (await log.read("0-0", { count: 1_000 })).filter(({ kind }) => kind === "event");
    connection.disconnect();
    expect(events.length).toBeGreaterThanOrEqual(4);
    const outputs = [
      server.process.stdout,
      server.process.stderr,
      JSON.stringify(events),
      await (await fetch(`${server.api}/automations`)).text(),
      await (await fetch(`${server.url}/metrics`)).text(),
    ];
    for (const text of outputs) {
      expect(text).not.toContain(token);
      expect(text).not.toContain(signing);
    }
    await server.process.end();
  });
});

async function untilReady({ api }: Server): Promise<void> {
  while ((await fetch(`${api}/ready`)).status !== 200)
    await new Promise((resolve) => setTimeout(resolve, 20));
}
