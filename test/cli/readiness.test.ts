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

async function ready(api: string, query = "") {
  const answer = await fetch(`${api}/ready${query}`);
  return { code: answer.status, ...((await answer.json()) as { message: string; status: string }) };
}

async function metric(url: string, name: string) {
  const text = await (await fetch(`${url}/metrics`)).text();
  const value = new RegExp(`^${name}\\{.*\\} (.*)$`, "m").exec(text)?.[1];
  return value === undefined ? null : Number(value);
}

const stalled = (message: string, code = 503) => ({
  code,
  status: "stalled",
  problems: [{ part: "engine", message: expect.stringMatching(message) }],
});
const beat = ["emit", "--event", "pump.beat", "--resource-id", "pump.1"];

test("an API without any engine is stalled, and shows how late alarms are", async () => {
  const rules = sandbox.write(
    "silent.yaml",
    "name: silent\ntrigger: { posture: Proactive, expect: [pump.beat], within: 10s }\nactions: [{ type: do-nothing }]\n",
  );
  const { api, url } = await sandbox.serve(redis.url, ["--roles", "api,recorder", "--rules", rules]);
  await vi.waitFor(
    async () => expect(await ready(api)).toMatchObject(stalled("^No engine has ever run here")),
    within,
  );
  // What a load balancer asks: this process can still accept events.
  expect(await ready(api, "?role=api")).toMatchObject(stalled("^No engine has ever run here", 200));
  expect((await ready(api, "?role=api&strict=true")).code).toBe(503);
  expect(await metric(url, "tripline_shard_has_owner")).toBeNull();

  const engine = await sandbox.serve(redis.url, ["--roles", "engine,actions"]);
  await vi.waitFor(async () => expect(await ready(api)).toMatchObject({ code: 200, status: "ok" }), within);
  await vi.waitFor(async () => expect(await metric(url, "tripline_log_lag_entries")).toBe(0), within);
  expect(await metric(url, "tripline_shard_has_owner")).toBe(1);

  await engine.process.end("SIGKILL");
  const none = "^No engine is running, since \\d{4}-\\d\\d-\\d\\dT[0-9:]{8}Z\\. Events are accepted";
  await vi.waitFor(async () => expect(await ready(api)).toMatchObject(stalled(none)), within);
  expect((await sandbox.output(beat, { TRIPLINE_API_URL: api })).code).toBe(0);
  // There are beats as well.
  expect(await metric(url, "tripline_log_lag_entries")).toBeGreaterThanOrEqual(1);
  expect(await metric(url, "tripline_shard_has_owner")).toBe(0);
  await vi.waitFor(
    async () => expect(await metric(url, "tripline_detection_delay_seconds")).toBeGreaterThan(1),
    within,
  );

  await sandbox.serve(redis.url, ["--roles", "engine,actions"]);
  await vi.waitFor(async () => {
    expect(await ready(api)).toMatchObject({ code: 200, status: "ok" });
    expect(await metric(url, "tripline_log_lag_entries")).toBe(0);
  }, within);
});

// It still owns the shard, so no one takes over.
test("an engine that stands still while an event waits is reported, until it moves on", async () => {
  const words = ["--workspace", "stopped", "--history-url", "off"];
  const stops = [...words, "--lease", "60s"];
  const { process: engine } = await sandbox.serve(redis.url, ["--roles", "engine,actions", ...stops]);
  const { api } = await sandbox.serve(redis.url, [...["--roles", "api", "--stalled-after", "1s"], ...stops]);
  await vi.waitFor(async () => expect(await ready(api)).toMatchObject({ code: 200, status: "ok" }), within);
  process.kill(engine.pid, "SIGSTOP");
  try {
    expect((await sandbox.output(beat, { TRIPLINE_API_URL: api })).code).toBe(0);
    const reported =
      "^Shard 0 has stalled, since .*Z: .*although \\d+ entr(y waits|ies wait) after \\d+-\\d+";
    await vi.waitFor(async () => expect(await ready(api)).toMatchObject(stalled(reported)), within);
    expect((await ready(api, "?role=api")).code).toBe(200);
  } finally {
    process.kill(engine.pid, "SIGCONT");
  }
  await vi.waitFor(async () => expect(await ready(api)).toMatchObject({ code: 200, status: "ok" }), within);
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
