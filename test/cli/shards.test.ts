/** `tripline shards`, against a real server. */

import { afterAll, beforeAll, expect, test } from "vitest";
import type { Shards } from "../../src/client/index.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { commandsAt } from "./commands-at.ts";
import { Sandbox, type Server } from "./support.ts";

const sandbox = new Sandbox();
let redis: TestRedis;
let server: Server;
const { tripline, json, emit } = commandsAt(sandbox, () => server);

beforeAll(async () => {
  redis = await startRedis();
  server = await sandbox.serve(redis.url, ["--shards", "3"]);
});

afterAll(async () => {
  await sandbox.close();
  await redis?.stop();
});

test("tripline shards shows who owns which shard, and changes their number with all windows", async () => {
  const rules = sandbox.write(
    "pumps.yaml",
    `automations:
  - name: Three beats
    trigger: {expect: [pump.beat], threshold: 3, within: 3600}
    actions: [{type: do-nothing}]
`,
  );
  await tripline("apply", rules);
  await emit("pump.beat", "pump.1");
  await emit("pump.beat", "pump.1");
  const counted = () => tripline("windows", "Three beats");
  await expect.poll(async () => (await counted()).stdout).toContain("2 of 3");

  const before = await json<Shards>("shards");
  expect(before).toMatchObject({ count: 3, generation: 0, change: null });
  const [engine, ...others] = before.engines;
  expect(others).toEqual([]);
  expect(engine?.shards).toEqual([0, 1, 2]);
  expect(before.shards.map(({ owner }) => owner)).toEqual([engine?.name, engine?.name, engine?.name]);
  for (const { since } of before.shards) expect(Date.parse(since ?? "")).toBeLessThanOrEqual(Date.now());
  const { stdout } = await tripline("shards", "ls");
  expect(await tripline("shards")).toMatchObject({ code: 0, stdout: expect.stringContaining("OWNER") });
  expect(stdout).toMatch(/^ENGINE +SINCE +SHARDS/);
  expect(stdout).toMatch(/^SHARD +OWNER +SINCE +BEHIND/m);

  expect(await tripline("shards", "set", "2")).toMatchObject({
    code: 0,
    stderr: "There are 2 shards now.\n",
  });
  expect(await tripline("shards", "set", "2")).toMatchObject({
    code: 0,
    stderr: "There are 2 shards already.\n",
  });
  await expect
    .poll(async () => (await json<Shards>("shards")).shards.map(({ owner }) => owner))
    .toEqual([engine?.name, engine?.name]);
  expect(await json<Shards>("shards")).toMatchObject({ count: 2, generation: 1 });
  expect((await counted()).stdout).toContain("2 of 3");
  await emit("pump.beat", "pump.1");
  await expect.poll(async () => (await tripline("events", "ls")).stdout).toContain("automation.triggered");
});

test("tripline shards set refuses a number that no workspace can have", async () => {
  for (const count of ["0", "1025", "many"]) {
    expect(await tripline("shards", "set", count)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("from 1 to 1024"),
    });
  }
});

test("the API answers which number it expects, and that no engine runs that could change it", async () => {
  const put = (body: object) =>
    fetch(`${server.api}/shards`, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  expect((await put({ count: 0 })).status).toBe(422);
  const lonely = await sandbox.serve(redis.url, ["--roles", "api", "--workspace", "lonely"]);
  const answer = await fetch(`${lonely.api}/shards`, {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: '{"count":2}',
  });
  expect(answer.status).toBe(409);
  expect(await answer.json()).toEqual({ detail: expect.stringContaining("No engine has ever run") });
  expect(await (await fetch(`${lonely.api}/shards`)).json()).toMatchObject({ count: 0, shards: [] });
});
