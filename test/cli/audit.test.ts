/** Who changed what: in the events about changes, in `tripline audit`, in `tripline apply`, and in the log of a reload. */

import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { logLines, Sandbox, type Server } from "./support.ts";

let redis: TestRedis;
let sandbox: Sandbox;
let server: Server;
let token: string;
let watched: string;

const within = { timeout: 30_000, interval: 200 };
const rule = (trigger: string, more = "") =>
  `name: watched\ntrigger: ${trigger}\nactions: [{ type: do-nothing }]\n${more}`;

beforeAll(async () => {
  redis = await startRedis();
  sandbox = new Sandbox();
  const created = await sandbox.output([
    "keys",
    "create",
    "-n",
    "deploy bot",
    "-s",
    "admin",
    "--redis",
    redis.url,
  ]);
  token = created.stdout.trim();
  watched = sandbox.write("watched.yaml", rule("{ posture: Proactive, expect: [pump.beat], within: 30s }"));
  server = await sandbox.serve(redis.url, ["--rules", watched]);
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

const run = (words: readonly string[], more: Record<string, string> = {}) =>
  sandbox.output(words, { TRIPLINE_API_URL: server.api, TRIPLINE_API_KEY: token, ...more });

interface Entry {
  readonly what: string;
  readonly change: string;
  readonly name: string;
  readonly changed_by: { readonly type: string; readonly name: string | null };
  readonly changes: readonly { readonly field: string; readonly old?: unknown; readonly new?: unknown }[];
}

async function audit(): Promise<Entry[]> {
  const { stdout, code } = await run(["audit", "--json"]);
  expect(code).toBe(0);
  return JSON.parse(stdout) as Entry[];
}

/** Waits until the change is in the history. */
const entryOf = (name: string, change: string) =>
  vi.waitFor(async () => {
    const found = (await audit()).filter((entry) => entry.name === name && entry.change === change);
    expect(found).toHaveLength(1);
    return found[0];
  }, within);

async function put(path: string, method: string, body?: unknown): Promise<number> {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const options = body === undefined ? {} : { body: JSON.stringify(body) };
  return (await fetch(`${server.api}${path}`, { method, headers, ...options })).status;
}

test("the key that was made by a command is listed with who made it and what it may do", async () => {
  expect(await entryOf("deploy bot", "created")).toMatchObject({
    what: "api-key",
    changed_by: { type: "command", name: expect.stringMatching(/.+/) },
    changes: [
      { field: "scopes", new: ["admin"] },
      { field: "expires", new: null },
      { field: "rate", new: null },
    ],
  });
  expect(JSON.stringify(await audit())).not.toContain(token.split("_").at(-1));
});

test("tripline apply prints old and new values without secrets, and the audit names its key", async () => {
  const text = (within: string, secret: string) =>
    `name: applied\ntrigger: { expect: [pump.failed], within: ${within} }\n` +
    `actions: [{ type: call-webhook, url: "https://example.com/${secret.length}", secret: "\${env.SIGN}" }]\n`;
  const file = sandbox.write("applied.yaml", text("30s", "a"));
  await run(["apply", file], { SIGN: "whsec_b2xkIHNlY3JldA==" });
  sandbox.write("applied.yaml", text("1m", "bb"));
  const { stdout } = await run(["apply", file], { SIGN: "whsec_bmV3IHNlY3JldA==" });
  expect(stdout).toContain("    trigger.within: 30 -> 60\n");
  expect(stdout).toContain('    actions[0].url: "https://example.com/1" -> "https://example.com/2"\n');
  expect(stdout).toContain('    actions[0].secret: "********" -> "********"\n');
  expect(stdout).not.toMatch(/whsec_/);
  const entry = await entryOf("applied", "updated");
  expect(entry).toMatchObject({ what: "automation", changed_by: { type: "api-key", name: "deploy bot" } });
  expect(entry?.changes).toContainEqual({ field: "trigger.within", old: 30, new: 60 });
  expect(JSON.stringify(entry)).not.toContain("whsec_");
});

test("a pause over the API is listed with its key, and nothing is listed for a change that changes nothing", async () => {
  const list = await fetch(`${server.api}/automations/`, { headers: { Authorization: `Bearer ${token}` } });
  const automations = (await list.json()) as { id: string; name: string }[];
  const { id = "" } = automations.find(({ name }) => name === "watched") ?? {};
  expect(await put(`/automations/${id}`, "PATCH", { enabled: false })).toBe(204);
  expect(await entryOf("watched", "updated")).toMatchObject({
    changed_by: { type: "api-key", name: "deploy bot" },
    changes: [{ field: "enabled", old: true, new: false }],
  });
  expect(await put(`/automations/${id}`, "PATCH", { enabled: true })).toBe(204);
});

test("a destination is listed with what changed, and its secrets are masked", async () => {
  const slack = (path: string) => ({
    type: "slack",
    name: "chat",
    url: `https://hooks.slack.com/services/${path}`,
  });
  expect(await put("/destinations", "POST", slack("T/B/old-secret"))).toBe(201);
  expect(await put("/destinations/chat", "PUT", slack("T/B/new-secret"))).toBe(200);
  expect(await put("/destinations/chat", "PUT", slack("T/B/new-secret"))).toBe(200);
  expect(await put("/destinations/chat", "DELETE")).toBe(204);
  expect(await entryOf("chat", "updated")).toMatchObject({
    what: "destination",
    changed_by: { type: "api-key", name: "deploy bot" },
    changes: [{ field: "url", old: "********", new: "********" }],
  });
  await entryOf("chat", "deleted");
  const text = (await run(["audit"])).stdout;
  expect(text).toMatch(/^\S+ {2}key deploy bot {2}updated destination chat\n {4}url: "\*{8}" -> "\*{8}"$/m);
  expect(text).not.toMatch(/(old|new)-secret/);
});

test("a reload says which windows it kept and reset, and the audit that rule files did it", async () => {
  await run(["emit", "--event", "pump.beat", "--resource-id", "pump.1"]);
  const hook =
    "hooks:\n  - { name: door, template: { event: opened, resource: { prefect.resource.id: door } } }\n";
  const details = (fields: string) => () =>
    logLines(server.process).find(
      (line) => line["automation"] === "watched" && String(line["fields"]) === fields,
    );
  await vi.waitFor(async () => {
    const { stdout } = await run(["windows", "watched", "--json"]);
    expect(JSON.parse(stdout)[0].windows).toHaveLength(1);
  }, within);
  writeFileSync(
    watched,
    rule("{ posture: Proactive, expect: [pump.beat], within: 30s }", "description: pumps\n"),
  );
  expect(await server.process.until(details("description"))).toMatchObject({
    msg: "Automation changed",
    windows: { kept: 1, reset: 0 },
  });
  writeFileSync(
    watched,
    `${rule("{ posture: Proactive, expect: [pump.beat], within: 60s }", "description: pumps\n")}---\n${hook}`,
  );
  expect(await server.process.until(details("trigger"))).toMatchObject({ windows: { kept: 0, reset: 1 } });
  const entries = await vi.waitFor(async () => {
    const found = (await audit()).filter(({ changed_by: { type } }) => type === "rule-files");
    expect(found.length).toBeGreaterThan(3);
    return found;
  }, within);
  expect(entries).toContainEqual(
    expect.objectContaining({ changes: [{ field: "trigger.within", old: 30, new: 60 }] }),
  );
  expect(entries).toContainEqual(expect.objectContaining({ what: "hook", name: "door", change: "created" }));
  writeFileSync(watched, hook);
  const deleted = () => logLines(server.process).find(({ msg }) => msg === "Automation deleted");
  expect(await server.process.until(deleted)).toMatchObject({
    automation: "watched",
    windows: { kept: 0, reset: 1 },
  });
});

test("a key that is revoked and forgotten is listed", async () => {
  const made = await run(["keys", "create", "-n", "short", "-s", "events:read", "--redis", redis.url]);
  const other = made.stdout.trim();
  for (const step of ["revoke", "forget"]) await run(["keys", step, other, "--redis", redis.url]);
  await vi.waitFor(async () => {
    const changes = (await audit()).filter(({ name }) => name === "short").map(({ change }) => change);
    expect(changes).toEqual(["deleted", "revoked", "created"]);
  }, within);
});
