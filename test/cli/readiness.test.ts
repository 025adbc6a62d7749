/** A server that no engine works for says so, and goes on accepting events. */

import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { Sandbox } from "./support.ts";

let redis: TestRedis;
let sandbox: Sandbox;

beforeAll(async () => {
  redis = await startRedis();
  sandbox = new Sandbox();
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

const within = { timeout: 30_000, interval: 100 };

test("an API without any engine is degraded, and shows how late alarms are", async () => {
  const rules = sandbox.write(
    "silent.yaml",
    "name: silent\ntrigger: { posture: Proactive, expect: [pump.beat], within: 10s }\nactions: [{ type: do-nothing }]\n",
  );
  const { api, url } = await sandbox.serve(redis.url, ["--roles", "api,recorder", "--rules", rules]);
  const ready = async (query = "") => {
    const answer = await fetch(`${api}/ready${query}`);
    return { code: answer.status, ...((await answer.json()) as object) };
  };
  const metric = async (name: string) => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const value = new RegExp(`^${name}\\{.*\\} (.*)$`, "m").exec(text)?.[1];
    return value === undefined ? null : Number(value);
  };
  const degraded = (message: string) => ({
    code: 200,
    status: "degraded",
    problems: [{ part: "engine", message: expect.stringContaining(message) }],
  });
  expect(await ready()).toMatchObject(degraded("No engine has ever run here"));
  expect((await ready("?strict=true")).code).toBe(503);
  expect(await metric("tripline_shard_has_owner")).toBeNull();

  const engine = await sandbox.serve(redis.url, ["--roles", "engine,actions"]);
  await vi.waitFor(async () => expect(await ready()).toMatchObject({ code: 200, status: "ok" }), within);
  await vi.waitFor(async () => expect(await metric("tripline_log_lag_entries")).toBe(0), within);
  expect(await metric("tripline_shard_has_owner")).toBe(1);

  await engine.process.end("SIGKILL");
  await vi.waitFor(async () => expect(await ready()).toMatchObject(degraded("No engine is running")), within);
  const emit = ["emit", "--event", "pump.beat", "--resource-id", "pump.1"];
  expect((await sandbox.output(emit, { TRIPLINE_API_URL: api })).code).toBe(0);
  expect(await metric("tripline_log_lag_entries")).toBe(1);
  expect(await metric("tripline_shard_has_owner")).toBe(0);
  await vi.waitFor(
    async () => expect(await metric("tripline_detection_delay_seconds")).toBeGreaterThan(1),
    within,
  );

  await sandbox.serve(redis.url, ["--roles", "engine,actions"]);
  await vi.waitFor(async () => {
    expect(await ready()).toMatchObject({ status: "ok" });
    expect(await metric("tripline_log_lag_entries")).toBe(0);
  }, within);
});

// Who has just sent the first heartbeat looks whether it counts.
test("the window of a new key is shown as soon as its event has arrived", async () => {
  const rules = sandbox.write(
    "settling.yaml",
    [
      "name: settling",
      "trigger: { posture: Proactive, expect: [pump.beat], for_each: [prefect.resource.id], within: 30s, lateness: 1h }",
      "actions: [{ type: do-nothing }]",
      "---",
      "name: quiet",
      "trigger: { expect: [pump.failed], for_each: [prefect.resource.id], within: 1h }",
      "actions: [{ type: do-nothing }]",
      "",
    ].join("\n"),
  );
  const history = `sqlite:${join(sandbox.folder, "windows.sqlite")}`;
  const words = ["--workspace", "windows", "--rules", rules, "--history-url", history];
  const { api } = await sandbox.serve(redis.url, words);
  const env = { TRIPLINE_API_URL: api };
  for (const name of ["pump.beat", "pump.failed"]) {
    await sandbox.output(["emit", "--event", name, "--resource-id", "pump.7"], env);
  }
  await vi.waitFor(async () => {
    const { stdout } = await sandbox.output(["windows", "settling"], env);
    expect(stdout).toMatch(/pump\.7 +0 of 1, 1 settling/);
  }, within);
  const { stdout } = await sandbox.output(["windows", "quiet"], env);
  expect(stdout).toMatch(/pump\.7 +quiet until \d{4}-/);
});

// Whoever waits for a deadline looks here when it is. It differs from day to day where clocks change.
test("a window that ends at a time of day is shown with that end, in the zone of its schedule", async () => {
  const schedule = `{ cron: "* * * * * *", timezone: Australia/Lord_Howe, until: "03:30" }`;
  const rules = sandbox.write(
    "until.yaml",
    [
      "name: until",
      `trigger: { posture: Proactive, expect: [job.done], schedule: ${schedule} }`,
      "actions: [{ type: do-nothing }]",
      "---",
      "name: unwanted until",
      `trigger: { expect: [job.failed], threshold: 2, schedule: ${schedule} }`,
      "actions: [{ type: do-nothing }]",
      "",
    ].join("\n"),
  );
  const history = `sqlite:${join(sandbox.folder, "until.sqlite")}`;
  const { api } = await sandbox.serve(redis.url, [
    ...["--workspace", "until", "--rules", rules, "--history-url", history],
  ]);
  const env = { TRIPLINE_API_URL: api };
  const clock = new Intl.DateTimeFormat("en-GB", { timeZone: "Australia/Lord_Howe", timeStyle: "medium" });
  for (const name of ["until", "unwanted until"]) {
    await vi.waitFor(async () => {
      await sandbox.output(["emit", "--event", "job.failed", "--resource-id", "job.7"], env);
      const { stdout } = await sandbox.output(["windows", name, "--json"], env);
      const [window] = JSON.parse(stdout)[0].windows;
      expect(clock.format(Date.parse(window.end))).toBe("03:30:00");
      const length = Date.parse(window.end) - Date.parse(window.start);
      expect(length).toBeGreaterThan(0);
      expect(length).toBeLessThanOrEqual(24.5 * 3_600_000);
    }, within);
  }
});
