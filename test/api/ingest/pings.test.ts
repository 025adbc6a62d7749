/** Pings: any cron job reports with one curl, with any method, as to healthchecks.io. */

import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { EventSchema, type WireEvent } from "../../../src/core/model/event.ts";
import { loadText } from "../../rules/support.ts";
import { startApi, type TestApi } from "../support.ts";

const { hooks, diagnostics } = loadText(
  `
hooks:
  - { name: nightly-backup, template: ping }
  - name: locked
    template: ping
    signature: { type: shared-secret, header: X-Token, secret: hush }
  - { name: pumps, template: { event: pump.called, resource: { prefect.resource.id: pump.1 } } }
`,
  { env: {} },
);

let api: TestApi;

beforeAll(async () => {
  expect(diagnostics).toEqual([]);
  api = await startApi();
});

afterAll(() => api.stop());

beforeEach(async () => {
  await api.connection.flushall();
  await api.log.hooks.replaceAll(hooks);
});

const ping = (path: string, options: RequestInit = {}) => fetch(`${api.url}/api/hooks/${path}`, options);

async function stored(): Promise<WireEvent[]> {
  const events = (await api.events()).map(({ event }) => event.wire);
  for (const event of events) expect(EventSchema.parse(event)).toEqual(event);
  return events;
}

test.each([
  ["nightly-backup", "ping.succeeded", null],
  ["nightly-backup/", "ping.succeeded", null],
  ["nightly-backup/start", "ping.started", null],
  ["nightly-backup/fail", "ping.failed", null],
  ["nightly-backup/0", "ping.succeeded", 0],
  ["nightly-backup/1", "ping.failed", 1],
  ["nightly-backup/255", "ping.failed", 255],
])("%s is %s, with any method", async (path, event, exitStatus) => {
  for (const method of ["GET", "POST", "HEAD"]) {
    const response = await ping(path, { method, ...(method === "POST" ? { body: "42 files" } : {}) });
    expect(response.status).toBe(200);
  }
  const resource = {
    "prefect.resource.id": "ping.nightly-backup",
    "prefect.resource.name": "nightly-backup",
  };
  const common = { event, resource };
  expect(await stored()).toMatchObject([
    { ...common, payload: { exit_status: exitStatus, method: "GET", body: "" } },
    { ...common, payload: { exit_status: exitStatus, method: "POST", body: "42 files" } },
    { ...common, payload: { exit_status: exitStatus, method: "HEAD", body: "" } },
  ]);
});

test.each([
  "nightly-backup/soon",
  "nightly-backup/256",
  "nightly-backup/-1",
  "pumps",
  "pumps/start",
  "none",
  "none/start",
])("%s is not found", async (path) => {
  expect((await ping(path)).status).toBe(404);
  expect(await stored()).toEqual([]);
});

test("a hook with a signature takes pings that have it", async () => {
  expect((await ping("locked/fail")).status).toBe(401);
  expect((await ping("locked/fail", { headers: { "X-Token": "hush" } })).status).toBe(200);
  expect((await stored()).map(({ event }) => event)).toEqual(["ping.failed"]);
});

test("the same run counts once, however often curl tries", async () => {
  for (const path of ["nightly-backup/start?rid=7", "nightly-backup/start?rid=7", "nightly-backup/0?rid=7"])
    await ping(path);
  const [first, second, third] = await stored();
  expect(first?.id).toBe(second?.id);
  expect(first?.id).not.toBe(third?.id);
  expect(first?.payload["run"]).toBe("7");
});

// A page can make a browser on the server's machine load an image from anywhere.
test("a page of another site cannot ping", async () => {
  expect((await ping("nightly-backup", { headers: { "Sec-Fetch-Site": "cross-site" } })).status).toBe(403);
  expect((await ping("nightly-backup", { headers: { Origin: "http://elsewhere.example" } })).status).toBe(
    403,
  );
  expect(await stored()).toEqual([]);
});

test("the end of a long output is kept", async () => {
  await ping("nightly-backup/1", { method: "POST", body: `${"x".repeat(50_000)} disk full` });
  const [event] = await stored();
  expect(String(event?.payload["body"])).toMatch(/^x{9990} disk full$/);
});

// A job that prints much, or in another encoding, has run all the same.
test.each([
  ["20 MB", Buffer.from(`${"x".repeat(20_000_000)} disk full`), {}, /^x{9990} disk full$/],
  ["Latin-1", Buffer.from("sch\xf6n", "latin1"), {}, /^sch\ufffdn$/],
  ["Chinese text, cut in the middle of a character", Buffer.from("满".repeat(20_000)), {}, /^满{10000}$/],
  ["gzip", gzipSync("disk full"), { "Content-Encoding": "gzip" }, /^disk full$/],
  ["no gzip", Buffer.from("disk full"), { "Content-Encoding": "gzip" }, /^$/],
  ["an unknown encoding", Buffer.from("?"), { "Content-Encoding": "zstd" }, /^$/],
  ["broken JSON", Buffer.from('{"disk": '), { "Content-Type": "application/json" }, /^\{"disk": $/],
])("a ping counts, whatever its body is: %s", async (_what, body, headers, kept) => {
  for (const path of ["nightly-backup/1", "locked/1"]) {
    const answer = await ping(path, { method: "POST", body, headers: { "X-Token": "hush", ...headers } });
    expect(answer.status).toBe(200);
  }
  const events = await stored();
  expect(events).toHaveLength(2);
  for (const { event, payload } of events) {
    expect(event).toBe("ping.failed");
    expect(payload["body"]).toMatch(kept);
  }
});
