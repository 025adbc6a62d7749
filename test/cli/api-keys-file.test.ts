/** The key file of a deployment, with a real Redis and over HTTP. */

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readApiKeys } from "../../src/cli/api-keys-file.ts";
import { formatDiagnostic } from "../../src/rules/diagnostic.ts";
import { hashOf, readToken } from "../../src/store/api-key.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { logLines, root, Sandbox } from "./support.ts";

const sandbox = new Sandbox();
let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

let databaseCount = 0;

/** A fresh database: keys belong to a whole Redis. */
const freshDatabase = () => {
  databaseCount += 1;
  return `${redis.url}/${databaseCount}`;
};

const tokenOf = (digit: string): string => `tripline_${digit.repeat(12)}_${digit.repeat(43)}`;
const admin = tokenOf("a");
const pump = tokenOf("b");

const keyFile = (name: string, ...entries: object[]): string =>
  sandbox.write(`${name}-${randomUUID()}.yaml`, JSON.stringify(entries));
const adminEntry = { name: "admin", scopes: ["admin"], token: admin };
const pumpEntry = { name: "pump-house", scopes: ["events:write"], token: pump, rate: "100/s" };

const serve = (database: string, file: string, words: readonly string[] = []) =>
  sandbox.serve(
    database,
    ["--history-url", `sqlite:${sandbox.folder}/${randomUUID()}.sqlite`, "--host", "0.0.0.0", ...words],
    { TRIPLINE_API_KEYS_FILE: file },
  );

const statusWith = async (api: string, token: string | null): Promise<number> => {
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  return (await fetch(`${api}/automations`, { headers })).status;
};

const listKeys = async (database: string): Promise<Record<string, unknown>[]> => {
  const { stdout } = await sandbox.output(["keys", "ls", "--output", "json", "--redis", database]);
  return JSON.parse(stdout) as Record<string, unknown>[];
};

describe("a server with a key file", () => {
  // Without the file it would have to start twice: first to create a key, then to listen on other addresses.
  test("listens on all addresses from its first start, and requires a key", async () => {
    const server = await serve(freshDatabase(), keyFile("keys", adminEntry, pumpEntry));
    expect(server.url).toMatch(/^http:\/\/0\.0\.0\.0:/);
    expect(await statusWith(server.api, admin)).toBe(200);
    expect(await statusWith(server.api, pump)).toBe(403);
    expect(await statusWith(server.api, null)).toBe(401);
    await server.process.end();
    const output = server.process.stdout + server.process.stderr;
    expect(output).toContain("API keys applied");
    for (const token of [admin, pump]) {
      const secret = readToken(token)?.secret ?? "";
      expect(output).not.toContain(secret);
      expect(output).not.toContain(hashOf(secret));
    }
  });

  test("applies it once when two servers start with it at the same time", async () => {
    const database = freshDatabase();
    const file = keyFile("keys", adminEntry, pumpEntry);
    const servers = await Promise.all([serve(database, file), serve(database, file)]);
    const first = await listKeys(database);
    expect(first.map(({ name, source, state }) => ({ name, source, state }))).toEqual(
      expect.arrayContaining([
        { name: "admin", source: "file", state: "active" },
        { name: "pump-house", source: "file", state: "active" },
      ]),
    );
    for (const { api } of servers) expect(await statusWith(api, admin)).toBe(200);
    await Promise.all(servers.map(({ process }) => process.end()));
    const again = await serve(database, file);
    expect(logLines(again.process).map(({ msg }) => msg)).not.toContain("API keys applied");
    expect(await listKeys(database)).toEqual(first);
  });

  test("revokes keys removed from the file, restores them when they return, and leaves keys made by commands alone", async () => {
    const database = freshDatabase();
    const created = await sandbox.output(
      ["keys", "create", "--name", "by-hand", "--scope", "admin", "--redis", database],
      {},
    );
    const states = async () =>
      Object.fromEntries((await listKeys(database)).map(({ name, state }) => [name, state]));
    const start = async (...entries: object[]) => {
      const server = await serve(database, keyFile("keys", ...entries));
      const status = await statusWith(server.api, pump);
      await server.process.end();
      return { status, states: await states() };
    };
    const withBothEntries = {
      status: 403,
      states: { "by-hand": "active", admin: "active", "pump-house": "active" },
    };
    expect(await start(adminEntry, pumpEntry)).toEqual(withBothEntries);
    expect(await start(adminEntry)).toEqual({
      status: 401,
      states: { "by-hand": "active", admin: "active", "pump-house": "revoked" },
    });
    expect(await start(adminEntry, pumpEntry)).toEqual(withBothEntries);
    expect((await start(adminEntry, { ...pumpEntry, scopes: ["automations:read"] })).status).toBe(200);
    expect(created.code).toBe(0);
  });

  // A leaked key is revoked at once, often long before someone edits the file.
  test("keeps a key revoked that someone revoked by hand, and logs it", async () => {
    const database = freshDatabase();
    const file = keyFile("keys", adminEntry, pumpEntry);
    await (await serve(database, file)).process.end();
    await sandbox.output(["keys", "revoke", "b".repeat(12), "--redis", database]);
    const server = await serve(database, file);
    expect(await statusWith(server.api, pump)).toBe(401);
    expect(logLines(server.process)).toContainEqual(
      expect.objectContaining({ keys: ["b".repeat(12)], remedy: expect.stringContaining("keys forget") }),
    );
    // Removing it from the file and adding it again does not restore it either.
    await (await serve(database, keyFile("keys", adminEntry))).process.end();
    const last = await serve(database, file);
    expect(await statusWith(last.api, pump)).toBe(401);
  });

  test("does not touch keys of workspaces that it does not serve", async () => {
    const database = freshDatabase();
    const north = { ...pumpEntry, workspace: "north" };
    const first = await serve(database, keyFile("north", north), ["--workspace", "north"]);
    const second = await serve(database, keyFile("south", adminEntry));
    expect((await listKeys(database)).map(({ state }) => state)).toEqual(["active", "active"]);
    expect(await statusWith(first.api, pump)).toBe(403);
    expect(await statusWith(second.api, admin)).toBe(200);
  });

  test("accepts the hash of a token in place of the token", async () => {
    const { stdout: token, stderr, code } = await sandbox.output(["keys", "new-token"]);
    expect(code).toBe(0);
    expect(token).toMatch(/^tripline_[0-9a-f]{12}_[\w-]{43}\n$/);
    const lines = stderr.split("\n").filter((line) => /^ {2}(id|sha256): /.test(line));
    const file = sandbox.write("hashed.yaml", ["- name: admin", "  scopes: [admin]", ...lines].join("\n"));
    const server = await serve(freshDatabase(), file);
    expect(await statusWith(server.api, token.trim())).toBe(200);
    expect(await statusWith(server.api, admin)).toBe(401);
  });

  test("does not start if the file has mistakes, and changes no key", async () => {
    const database = freshDatabase();
    const file = sandbox.write(
      "mistaken.yaml",
      `- name: admin\n  scopes: [admin]\n  token: ${admin}\n- name: ci\n  scope: [events:write]\n  token: ${pump.slice(0, -1)}\n`,
    );
    const { code, stdout, stderr } = await sandbox.output(["serve", "--redis", database, "--port", "0"], {
      TRIPLINE_API_KEYS_FILE: file,
    });
    expect(code).toBe(1);
    expect(stderr).toContain(`${file}:5:3: unknown key \`scope\`; did you mean \`scopes\`?`);
    expect(stderr).toContain("Correct the file and start again");
    expect(stdout + stderr).not.toContain("b".repeat(20));
    expect(await listKeys(database)).toEqual([]);
  });

  test("does not take over an id that belongs to a key made by a command", async () => {
    const database = freshDatabase();
    const created = await sandbox.output([
      "keys",
      "create",
      "--name",
      "x",
      "--scope",
      "admin",
      "--redis",
      database,
    ]);
    const id = created.stdout.split("_")[1] ?? "";
    const file = keyFile("keys", adminEntry, { ...pumpEntry, token: `tripline_${id}_${"c".repeat(43)}` });
    const words = ["serve", "--redis", database, "--port", "0", "--api-keys-file", file];
    const { code, stderr } = await sandbox.output(words);
    expect(code).toBe(1);
    expect(stderr).toContain(`${file}:1: the id ${id} belongs to a key made by tripline keys create`);
    expect((await listKeys(database)).map(({ name }) => name)).toEqual(["x"]);
  });
});

describe("a key file", () => {
  test.each([
    ["", "keys.yaml: is empty; write - {name: admin"],
    ["name: admin", "keys.yaml:1:1: should be a list of keys"],
    ["- admin", "keys.yaml:1:3: a key should be a mapping"],
    ["- {name: a, scopes: [admin]}", "keys.yaml:1:10: add token:, or id: and sha256:"],
    [`- {name: a, scopes: [admni], token: ${admin}}`, "did you mean `admin`?"],
    [`- {scopes: [admin], token: ${admin}}`, "keys.yaml:1:3: name is missing"],
    [`- {name: a, token: ${admin}}`, "scopes is missing"],
    ["- {name: a, scopes: [admin], token: hunter2}", "1:37: token is not a valid key"],
    ["- {name: a, scopes: [admin], token: 12345678}", "token should be text; found a number"],
    [`- {name: a, scopes: [admin], token: "x:${admin}"}`, "token is not a valid key"],
    [`- {name: a, scopes: [admin], token: ${admin}, sha256: aa}`, "not both"],
    ["- {name: a, scopes: [admin], id: xyz, sha256: abc}", "id should be 12 hexadecimal digits"],
    [`- {name: a, scopes: [admin], token: ${admin}, rate: fast}`, "100/s"],
    [`- {name: a, scopes: [admin], token: ${admin}, expires: 90d}`, "2027-01-01T00:00:00Z"],
    [`- {name: a, scopes: [admin], token: ${admin}, workspace: "a{b}"}`, "letters, digits"],
    [
      `- {name: a, scopes: [admin], token: ${admin}}\n- {name: b, scopes: [admin], token: ${admin}}`,
      "keys.yaml:2:37: the key in line 1 has the same id",
    ],
  ])("is refused with a place and a remedy: %j", (text, message) => {
    const { diagnostics } = readApiKeys("keys.yaml", text);
    const messages = diagnostics.map(formatDiagnostic).join("\n");
    expect(messages).toContain(message);
    expect(messages).not.toMatch(/hunter2|12345678|a{20}/);
  });

  test("may be an empty list, which revokes all of its keys", () => {
    expect(readApiKeys("keys.yaml", "[]")).toEqual({ keys: [], diagnostics: [] });
  });

  test("works as docs/security.md shows it, once the placeholders are filled in", () => {
    const document = readFileSync(join(root, "docs", "security.md"), "utf8");
    const [, example = ""] = /### Keys from a file[\s\S]*?```yaml[^\n]*\n([\s\S]*?)```/.exec(document) ?? [];
    expect(readApiKeys("keys.yaml", example).diagnostics).toHaveLength(3);
    const filled = example
      .replace("tripline_…", admin)
      .replace('id: "…"', `id: "${"b".repeat(12)}"`)
      .replace('sha256: "…"', `sha256: "${"c".repeat(64)}"`);
    const { keys, diagnostics } = readApiKeys("keys.yaml", filled);
    expect(diagnostics.map(formatDiagnostic)).toEqual([]);
    expect(keys.map(({ key }) => key.name)).toEqual(["admin", "ci"]);
  });

  test("can set a key's rate and expiry", () => {
    const { keys } = readApiKeys(
      "keys.yaml",
      `- {name: a, scopes: [admin, admin], token: ${admin}, rate: 10/30s, expires: "2027-01-01T01:00:00+01:00"}`,
    );
    expect(keys[0]?.key).toMatchObject({
      scopes: ["admin"],
      rate: { count: 10, seconds: 30 },
      expires: "2027-01-01T00:00:00Z",
      workspace: "default",
    });
  });
});
