/** Secrets from files: one mechanism for every variable that Tripline reads and for those in rules. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadSecretFiles } from "../../src/cli/secret-files.ts";
import { settingsOptions } from "../../src/cli/settings.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { Sandbox } from "./support.ts";

const sandbox = new Sandbox();
let redis: TestRedis;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await sandbox.close();
  await redis.stop();
});

const secret = (text: string): string => sandbox.write(`secret-${randomUUID()}`, text);

describe("a variable that names a file", () => {
  test("works for every setting and for the variables of clients", () => {
    const names = [
      ...settingsOptions().map(({ envVar }) => envVar ?? ""),
      "REDIS_URL",
      "TRIPLINE_API_KEY",
      "TRIPLINE_API_URL",
      "PREFECT_API_KEY",
    ].filter((name) => name !== "TRIPLINE_API_KEYS_FILE");
    expect(names).toContain("TRIPLINE_HISTORY_URL");
    for (const name of names) {
      const env: NodeJS.ProcessEnv = { [`${name}_FILE`]: secret("a value\n") };
      loadSecretFiles(env);
      expect(env[name]).toBe("a value");
    }
  });

  test("is ignored if it is not Tripline's, is empty, or is itself a setting", () => {
    const env = { SSL_CERT_FILE: "/nowhere", TRIPLINE_REDIS_FILE: "", TRIPLINE_API_KEYS_FILE: "/nowhere" };
    const before = { ...env };
    loadSecretFiles(env);
    expect(env).toEqual(before);
  });

  test("keeps all but the last line break", () => {
    const env: NodeJS.ProcessEnv = { TRIPLINE_API_KEY_FILE: secret(" a\nb\r\n") };
    loadSecretFiles(env);
    expect(env["TRIPLINE_API_KEY"]).toBe(" a\nb");
  });

  test("gives commands their Redis and their API key", async () => {
    const file = secret(`${redis.url}/3\n`);
    const { stdout, code } = await sandbox.output(["keys", "ls"], { TRIPLINE_REDIS_FILE: file });
    expect({ stdout, code }).toMatchObject({ code: 0, stdout: expect.stringContaining("There are no keys") });
    const created = await sandbox.output(["keys", "create", "--name", "a", "--scope", "events:write"], {
      REDIS_URL_FILE: file,
    });
    const server = await sandbox.serve(`${redis.url}/3`);
    const emit = ["emit", "-e", "pump.stopped", "-r", "pump.1", "--url", server.api];
    expect((await sandbox.output(emit)).code).toBe(1);
    expect((await sandbox.output(emit, { TRIPLINE_API_KEY_FILE: secret(created.stdout) })).code).toBe(0);
  });

  test.each([
    [
      { TRIPLINE_REDIS_FILE: "/nowhere/redis" },
      "TRIPLINE_REDIS_FILE names /nowhere/redis, which cannot be read",
    ],
    [
      { TRIPLINE_REDIS: "redis://127.0.0.1:1", TRIPLINE_REDIS_FILE: "/nowhere" },
      "TRIPLINE_REDIS and TRIPLINE_REDIS_FILE are both set. Unset one of them.",
    ],
  ])("stops the command with a remedy: %j", async (env, says) => {
    const { code, stderr } = await sandbox.output(["keys", "ls"], env);
    expect(code).toBe(2);
    expect(stderr).toContain(says);
  });
});

describe("a reference to the environment in a rule", () => {
  const rule = sandbox.write(
    `rule.yaml`,
    `name: pump-stopped
trigger: {posture: Reactive, expect: [pump.stopped], within: 0}
actions:
  - {type: call-webhook, url: "https://example.com/", secret: "\${env.PUMP_SECRET}"}
`,
  );

  test("is filled in from the file that NAME_FILE names", async () => {
    const check = (env: Record<string, string>) => sandbox.output(["check", rule], env);
    expect((await check({})).stdout).toContain("the environment has no PUMP_SECRET");
    const file = secret(`whsec_${Buffer.alloc(32, 7).toString("base64")}\n`);
    expect((await check({ PUMP_SECRET_FILE: file })).code).toBe(0);
    const unreadable = await check({ PUMP_SECRET_FILE: "/nowhere" });
    expect(unreadable.code).toBe(1);
    expect(unreadable.stdout).toContain("rule.yaml:4:");
    expect(unreadable.stdout).toContain("PUMP_SECRET_FILE names /nowhere, which cannot be read");
  });

  test("reaches a server's actions from a file", async () => {
    const receiver = await sandbox.listen();
    const rules = sandbox.write(
      `serve-${randomUUID()}.yaml`,
      `name: pump-stopped
trigger: {posture: Reactive, expect: [pump.stopped], within: 0}
actions:
  - {type: call-webhook, url: "${receiver.url}", payload: {sign: "\${env.PUMP_SIGN}"}}
`,
    );
    const server = await sandbox.serve(`${redis.url}/4`, ["--rules", rules], {
      PUMP_SIGN_FILE: secret("from a file\n"),
    });
    await sandbox.output(["emit", "-e", "pump.stopped", "-r", "pump.1", "--url", server.api]);
    const [delivery] = await receiver.until((deliveries) => deliveries.length > 0);
    expect(delivery?.body).toEqual({ sign: "from a file" });
  });
});
