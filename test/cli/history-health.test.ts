/** A server whose history cannot be written says so, and loses nothing. */

import { randomUUID } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { smallFileSystem } from "../support/small-file-system.ts";
import { launcher, logLines, type Running, Sandbox } from "./support.ts";

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

interface Ready {
  readonly code: number;
  readonly status: string;
  readonly message: string;
}

async function ready(api: string, query = ""): Promise<Ready> {
  const answer = await fetch(`${api}/ready${query}`);
  return { code: answer.status, ...((await answer.json()) as Omit<Ready, "code">) };
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name}(?:\\{.*\\})? (.*)$`, "m").exec(text)?.[1]);
}

async function post(api: string, count: number, resourceId = "pump.1"): Promise<string[]> {
  const events = Array.from({ length: count }, () => ({
    id: randomUUID(),
    occurred: new Date().toISOString(),
    event: "pump.started",
    resource: { "prefect.resource.id": resourceId },
    payload: { pump: resourceId, text: "x".repeat(2_000) },
  }));
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${api}/events`, { method: "POST", headers, body: JSON.stringify(events) });
  expect(answer.status).toBe(204);
  return events.map(({ id }) => id);
}

async function query(api: string) {
  const body = JSON.stringify({ limit: 1 });
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${api}/events/filter`, { method: "POST", headers, body });
  const behind = answer.headers.get("tripline-history-behind");
  return { status: answer.status, behind, ...((await answer.json()) as { readonly total: number }) };
}

const messages = (process: Running) => logLines(process).map(({ msg }) => msg);
const within = { timeout: 30_000, interval: 100 };

const disk = smallFileSystem(12);

describe("a server on a full disk", () => {
  if (disk.missing !== null) {
    test.skip(`not tested: ${disk.missing}`);
    return;
  }

  test("keeps accepting events, names the cause, and records everything once there is space", async () => {
    const folder = disk.mount();
    try {
      const words = ["--workspace", "full", "--history-url", `sqlite:${join(folder, "history.sqlite")}`];
      const server = await sandbox.serve(redis.url, words);
      const { api, url, process } = server;
      expect(await ready(api)).toMatchObject({ code: 200, status: "ok", message: "OK" });
      const filler = join(folder, "filler");
      writeFileSync(filler, Buffer.alloc(9_500_000));
      let sent = 0;
      while ((await metric(url, "tripline_history_up")) === 1) {
        expect(sent).toBeLessThan(4_000);
        sent += (await post(api, 20)).length;
        await pause(100);
      }
      const problem = expect.stringContaining("database or disk is full");
      expect(await ready(api)).toMatchObject({ code: 200, status: "degraded", message: problem });
      expect(await ready(api, "?strict=true")).toMatchObject({ code: 503, status: "degraded" });
      expect(logLines(process)).toContainEqual(
        expect.objectContaining({
          msg: expect.stringContaining("The history is degraded"),
          problem,
        }),
      );
      expect(process.stdout).not.toContain("cannot rollback");

      sent += (await post(api, 1)).length; // still accepted
      const stale = await query(api);
      expect(Number(stale.behind)).toBeGreaterThan(0);
      expect(stale.total).toBeLessThan(sent);
      expect(await metric(url, "tripline_history_lag_seconds")).toBeGreaterThan(0);
      const listed = await sandbox.output(["events", "ls", "-n", "1"], { TRIPLINE_API_URL: api });
      expect(listed.stderr).toMatch(/the server's history is \d+ s behind/);

      rmSync(filler);
      await vi.waitFor(
        async () => expect(await query(api)).toEqual(expect.objectContaining({ total: sent, behind: null })),
        within,
      );
      await vi.waitFor(async () => expect(await ready(api)).toMatchObject({ status: "ok" }), within);
      expect(messages(process)).toContain("The history is up to date again");
      await process.end();
    } finally {
      disk.unmount();
    }
  });
});

test("a history file that is deleted under a running server is reported, and filled again from the log", async () => {
  const file = join(sandbox.folder, "deleted", "history.sqlite");
  const { api, process } = await sandbox.serve(redis.url, [
    "--workspace",
    "deleted",
    "--history-url",
    `sqlite:${file}`,
  ]);
  await post(api, 3);
  await vi.waitFor(async () => expect(await query(api)).toMatchObject({ total: 3 }), within);
  rmSync(join(sandbox.folder, "deleted"), { recursive: true });
  // Even when nothing is asked and nothing arrives.
  const lost = await process.until(() =>
    logLines(process).find(({ msg }) => String(msg).startsWith("The history was lost")),
  );
  expect(lost).toMatchObject({ reason: "its file was deleted", history: `sqlite:${file}` });
  await vi.waitFor(async () => expect(await query(api)).toMatchObject({ total: 3 }), within);
  await post(api, 1);
  await vi.waitFor(async () => expect(await query(api)).toMatchObject({ total: 4 }), within);
  await process.end();
});

// Root may write any file, so this needs another user.
test("a history file that becomes read-only is not written anymore, and the server says so", async (context) => {
  if (process.getuid?.() !== 0) return context.skip("only root can start a server as another user");
  const nobody = 65_534;
  const folder = join(sandbox.folder, "read-only");
  mkdirSync(folder);
  chownSync(folder, nobody, nobody);
  chmodSync(sandbox.folder, 0o755);
  const file = join(folder, "history.sqlite");
  const words = ["--port", "0", "--redis", redis.url, "--workspace", "read-only"];
  const server = sandbox.run(
    "setpriv",
    [`--reuid=${nobody}`, `--regid=${nobody}`, "--clear-groups", launcher, "serve", ...words],
    { TRIPLINE_HISTORY_URL: `sqlite:${file}`, HOME: folder },
  );
  const url = await server.until(
    () => logLines(server).find(({ msg }) => msg === "Tripline is running")?.["url"],
  );
  const api = `${url}/api`;
  await post(api, 1);
  await vi.waitFor(async () => expect(await query(api)).toMatchObject({ total: 1 }), within);
  chmodSync(file, 0o444);
  await post(api, 1);
  await vi.waitFor(
    async () =>
      expect(await ready(api)).toMatchObject({
        code: 200,
        status: "degraded",
        message: expect.stringContaining("its file is read-only (EACCES)"),
      }),
    within,
  );
  chmodSync(file, 0o644);
  await vi.waitFor(async () => expect(await query(api)).toMatchObject({ total: 2 }), within);
  await vi.waitFor(async () => expect(await ready(api)).toMatchObject({ status: "ok" }), within);
  await server.end();
});

test("a server reports an event that its database refuses, and records the others", async () => {
  const workspace = "refusing";
  const server = await sandbox.serve(redis.url, [
    ...["--workspace", workspace, "--history-url", `sqlite:${join(sandbox.folder, "refusing.sqlite")}`],
  ]);
  const { api, url, process } = server;
  const connection = new Redis(redis.url);
  // Nothing that the API accepts is refused by itself.
  const file = new DatabaseSync(join(sandbox.folder, "refusing.sqlite"), { timeout: 10_000 });
  file.exec(
    "create trigger refusal before insert on events when new.payload like '%pump.9%' begin select raise(abort, 'no pump.9'); end",
  );
  file.close();
  const [id] = await post(api, 1, "pump.9");
  await post(api, 3);
  await vi.waitFor(async () => expect(await query(api)).toMatchObject({ total: 3 }), within); // not the report, which names it
  await vi.waitFor(async () => expect(await metric(url, "tripline_unrecorded_events_total")).toBe(2), within);
  expect(messages(process)).toContainEqual(
    "The history's database refused an event, so queries do not find it; the others are recorded",
  );
  const log = await connection.xrevrange(`tl:{${workspace}}:log`, "+", "-");
  const [report, ...more] = log
    .map(([, fields]) => fields.join(" "))
    .filter((text) => text.includes('"event":"tripline.event.unrecorded"'));
  expect(report).toContain(id);
  expect(report).toContain("pump.9");
  expect(more).toEqual([]); // that the report is refused, too, is not reported again
  expect(await ready(api)).toMatchObject({ code: 200, status: "ok" });
  connection.disconnect();
}, 60_000);
