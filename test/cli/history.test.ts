import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { Sandbox, type Server } from "./support.ts";

let redis: TestRedis;
let sandbox: Sandbox;

beforeAll(async () => {
  redis = await startRedis({ appendOnly: "always" });
  sandbox = new Sandbox();
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

/** Posts events, and returns their ids. */
async function post(server: Server, count: number): Promise<string[]> {
  const events = Array.from({ length: count }, () => ({
    id: randomUUID(),
    occurred: new Date().toISOString(),
    event: "pump.started",
    resource: { "prefect.resource.id": "pump.1" },
  }));
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${server.api}/events`, {
    method: "POST",
    headers,
    body: JSON.stringify(events),
  });
  expect(answer.status).toBe(204);
  return events.map(({ id }) => id);
}

interface Page {
  readonly events: readonly { readonly id: string }[];
  readonly total: number;
}

async function query(server: Server): Promise<Page> {
  const answer = await fetch(`${server.api}/events/filter`, { method: "POST" });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Page;
}

describe("a server's history", () => {
  test("holds every acknowledged event once, even after the server was killed", async () => {
    const first = await sandbox.serve(redis.url, ["--workspace", "killed"]);
    const ids: string[] = [];
    for (let batch = 0; batch < 20; batch += 1) ids.push(...(await post(first, 50)));
    await first.process.end("SIGKILL");
    const second = await sandbox.serve(redis.url, ["--workspace", "killed"]);
    ids.push(...(await post(second, 1)));
    const { events, total } = await query(second);
    expect(total).toBe(ids.length);
    expect(ids).toEqual(expect.arrayContaining(events.map(({ id }) => id)));
    expect(await second.process.end()).toEqual({ code: 0, signal: null });
  });

  test("is separate for each workspace", async () => {
    const server = await sandbox.serve(redis.url, ["--workspace", "north,south"]);
    const [id] = await post(server, 1);
    expect(await query(server)).toMatchObject({ events: [{ id }], total: 1 });
    const south = { ...server, api: `${server.api}/accounts/a/workspaces/south` };
    expect(await query(south)).toMatchObject({ events: [], total: 0 });
    await server.process.end();
  });

  test("may be written by one process and read by another", async () => {
    const words = ["--workspace", "apart"];
    const api = await sandbox.serve(redis.url, [...words, "--roles", "api"]);
    const recorder = await sandbox.serve(redis.url, [...words, "--roles", "recorder"]);
    const ids = await post(api, 3);
    expect((await query(api)).events.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
    await Promise.all([api.process.end(), recorder.process.end()]);
  });

  test("can be turned off", async () => {
    const server = await sandbox.serve(redis.url, ["--workspace", "bare", "--history-url", "off"]);
    const answer = await fetch(`${server.api}/events/filter`, { method: "POST" });
    expect(answer.status).toBe(404);
    expect(await answer.json()).toEqual({ detail: expect.stringContaining("TRIPLINE_HISTORY_URL") });
    await server.process.end();
  });

  test.each([
    ["mysql://here", 2, "Use sqlite:path/to/file"],
    [`sqlite:${join(import.meta.dirname, "history.test.ts")}`, 1, "--history-url off"],
    ["postgres://tripline:sesame@127.0.0.1:9/events", 1, "--history-url off"],
  ])("at %s is refused at startup, with what to do", async (url, exitCode, says) => {
    const words = ["serve", "--port", "0", "--redis", redis.url, "--history-url", url];
    const { code, stdout, stderr } = await sandbox.output(words);
    expect(code).toBe(exitCode);
    expect(stderr).toContain(says);
    expect(stdout + stderr).not.toContain("sesame");
  });
});
