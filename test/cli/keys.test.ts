import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { logLines, Sandbox } from "./support.ts";

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
  return { REDIS_URL: `${redis.url}/${databaseCount}` };
};

const create = ["keys", "create", "--name", "pump-house", "--scope"];

describe("tripline keys", () => {
  test("creates a key that a running server requires within seconds, and revokes it as fast", async () => {
    const env = freshDatabase();
    const history = `sqlite:${sandbox.folder}/${randomUUID()}.sqlite`;
    const server = await sandbox.serve(env.REDIS_URL, ["--history-url", history]);
    const emit = async (key: string | null) => {
      const variables = { TRIPLINE_API_URL: server.api, ...(key === null ? {} : { PREFECT_API_KEY: key }) };
      return sandbox.output(["emit", "-e", "pump.stopped", "-r", "pump.1"], variables);
    };
    const untilStatus = async (wanted: number, key: string) => {
      const headers = { Authorization: `Bearer ${key}` };
      for (const deadline = Date.now() + 3_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
        const { status } = await fetch(`${server.api}/hello`, { headers });
        if (status === wanted) return;
        if (Date.now() > deadline) throw new Error(`It still answers ${status}, not ${wanted}`);
      }
    };
    expect((await emit(null)).code).toBe(0);

    const created = await sandbox.output([...create, "events:write"], env);
    // The key alone, so that a script can take it: KEY=$(tripline keys create …).
    expect(created.stdout).toMatch(/^tripline_[0-9a-f]{12}_[\w-]{43}\n$/);
    expect(created.stderr).toContain("gives access to workspace default: events:write.");
    expect(created.stderr).toContain("the only time");
    expect(created.stderr).toContain("This is the first key");
    const key = created.stdout.trim();
    await untilStatus(401, "none");
    const anonymous = await emit(null);
    expect(anonymous.code).toBe(1);
    expect(anonymous.stderr).toContain("401");
    expect((await emit(key)).code).toBe(0);

    const revoked = await sandbox.output(["keys", "revoke", key.split("_")[1] ?? ""], env);
    expect(revoked.code).toBe(0);
    await untilStatus(401, key);
    expect((await emit(key)).code).toBe(1);
    await server.process.end();
    // The server does not print it either.
    expect(server.process.stdout + server.process.stderr).not.toContain(key.split("_").at(-1));
  });

  test("lists keys with their scopes, and no secret", async () => {
    const env = freshDatabase();
    expect((await sandbox.output(["keys", "ls"], env)).stdout).toContain("There are no keys");
    const words = ["--workspace", "north", "--rate", "100/s", "--expires", "90d"];
    const first = await sandbox.output([...create, "events:write,events:read", "-s", "admin", ...words], env);
    const second = await sandbox.output([...create, "admin"], env);
    expect(second.stderr).not.toContain("This is the first key");

    const table = (await sandbox.output(["keys", "ls"], env)).stdout;
    expect(table.split("\n")).toEqual([
      expect.stringMatching(/^ID +NAME +WORKSPACE +SCOPES +RATE +CREATED +EXPIRES +SOURCE +STATE$/),
      expect.stringMatching(
        /pump-house +north +events:write,events:read,admin +100\/s +\S+ +\S+ +command +active$/,
      ),
      expect.stringMatching(/pump-house +default +admin +- +\S+ +- +command +active$/),
      "",
    ]);
    const json = (await sandbox.output(["keys", "ls", "--output", "json"], env)).stdout;
    const [listed] = JSON.parse(json) as Record<string, string>[];
    expect(Date.parse(String(listed?.["expires"])) - Date.parse(String(listed?.["created"]))).toBe(
      90 * 86_400_000,
    );
    for (const { stdout } of [first, second]) {
      expect(table + json).toContain(stdout.split("_")[1]);
      expect(table + json).not.toContain(stdout.trim().split("_").slice(2).join("_"));
    }
    expect(json).not.toContain("hash");
  });

  test("keeps a revoked key in the list until it is forgotten, so that the server still requires a key", async () => {
    const env = freshDatabase();
    const { stdout } = await sandbox.output([...create, "admin"], env);
    const id = stdout.split("_")[1] ?? "";
    const tooSoon = await sandbox.output(["keys", "forget", id], env);
    expect(tooSoon).toMatchObject({ code: 1, stderr: expect.stringContaining(`tripline keys revoke ${id}`) });
    await sandbox.output(["keys", "revoke", id], env);
    expect((await sandbox.output(["keys", "ls"], env)).stdout).toMatch(/ revoked\n$/);
    const forgotten = await sandbox.output(["keys", "forget", id], env);
    expect(forgotten).toMatchObject({ code: 0, stderr: expect.stringContaining("the last one") });
    expect((await sandbox.output(["keys", "ls"], env)).stdout).toContain("There are no keys");
    const unknown = await sandbox.output(["keys", "revoke", id], env);
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining("tripline keys ls") });
  });

  test.each([
    [[...create, "event:write"], "event:write is not a scope. The scopes are events:write, events:read"],
    [["keys", "create", "--scope", "admin"], "--name"],
    [["keys", "create", "--name", "a"], "--scope"],
    [[...create, "admin", "--rate", "fast"], "100/s"],
    [[...create, "admin", "--rate", "0/s"], "100/s"],
    [[...create, "admin", "--expires", "soon"], "90d"],
    [[...create, "admin", "--workspace", "a{b}"], "letters, digits"],
    [[...create, "admin", "--redis", "localhost"], "redis://127.0.0.1:6379"],
  ])("refuses %j and says what it expects", async (words, says) => {
    const env = { REDIS_URL: "redis://127.0.0.1:1" };
    const { code, stdout, stderr } = await sandbox.output(words, env);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(says);
  });

  test("says where it looked for Redis, without the password", async () => {
    const words = ["keys", "ls", "--redis", "redis://user:hunter2@127.0.0.1:1"];
    const { code, stdout, stderr } = await sandbox.output(words);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("redis://user:********@127.0.0.1:1");
    expect(stderr).toContain("REDIS_URL");
    expect(stderr).not.toContain("hunter2");
  });

  test("finds the private Redis of npm start", async () => {
    const env = { TRIPLINE_DATA: sandbox.folder };
    const words = ["scripts/start.ts", "--port", "0", "--log-format", "json"];
    const server = sandbox.run(process.execPath, words, {
      ...env,
      TRIPLINE_HISTORY_URL: `sqlite:${sandbox.folder}/start.sqlite`,
    });
    const line = await server.until(() => logLines(server).find(({ msg }) => msg === "Tripline is running"));
    expect(line["access"]).toBe("only from this machine, without a key");
    const { stdout } = await sandbox.output([...create, "automations:read"], env);
    const headers = { Authorization: `Bearer ${stdout.trim()}` };
    const names = await fetch(`${line["url"]}/api/automations`, { headers });
    expect(names.status).toBe(200);
    expect((await fetch(`${line["url"]}/api/events/filter`, { method: "POST", headers })).status).toBe(403);
    expect(await server.end()).toEqual({ code: 0, signal: null });
  });
});
