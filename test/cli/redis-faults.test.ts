/** A Redis that answers, but refuses: a sentence with a remedy at the start, and a short log while it lasts. */

import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { logLines, Sandbox } from "./support.ts";

let redis: TestRedis;
let admin: Redis;
let sandbox: Sandbox;
let address: string;

beforeAll(async () => {
  redis = await startRedis();
  admin = new Redis(redis.url);
  admin.on("error", () => {}); // a test cuts it off
  sandbox = new Sandbox();
  address = new URL(redis.url).host;
  await admin.call("ACL", "SETUSER", "pump", "on", ">pw", "~*", "+@all", "-@scripting");
  await admin.call("ACL", "SETUSER", "vent", "on", ">pw", "~vent:*", "&*", "+@all");
});

afterAll(async () => {
  admin.disconnect();
  await sandbox.close();
  await redis.stop();
});

test.each([
  ["serve", "redis://pump:wr@ng@ADDRESS", "WRONGPASS", "Put the user and the password into the URL"],
  ["keys ls", "redis://pump:wr@ng@ADDRESS", "WRONGPASS", "Put the user and the password into the URL"],
  ["serve", "redis://vent:pw@ADDRESS", "NOPERM", "Allow that user everything: redis-cli acl setuser"],
  ["serve", "redis://ADDRESS/99", "ERR DB index is out of range", "Name another one: redis://host:6379/0"],
  [
    "serve",
    "redis://nowhere.invalid",
    "getaddrinfo ENOTFOUND nowhere.invalid",
    "choose another with --redis",
  ],
])("%s with %s says why it cannot, %s, and a remedy", async (command, template, reason, remedy) => {
  const url = template.replace("ADDRESS", address);
  const { code, stderr } = await sandbox.output([...command.split(" "), "--redis", url], {
    TRIPLINE_PORT: "0",
  });
  expect(code).toBe(1);
  expect(stderr).toContain(`Redis is unavailable: ${reason}`);
  expect(stderr).toContain(remedy);
  expect(stderr).not.toMatch(/^ +at |Node\.js v|wr@ng/m);
});

// Each attempt of BullMQ is an error: hundreds per second, in the log and as load on a Redis that is in trouble.
test.each([
  ["OOM", ["maxmemory", "1"], ["maxmemory", "0"]],
  ["NOREPLICAS", ["min-replicas-to-write", "2"], ["min-replicas-to-write", "0"]],
] as const)(
  "a Redis that says %s is reported in few lines, and as not ready until it is over",
  async (kind, on, off) => {
    const rule = sandbox.write(
      "stopped.yaml",
      "name: stopped\ntrigger: { expect: [pump.stopped] }\nactions: [{ type: call-webhook, url: 'http://127.0.0.1:9/' }]\n",
    );
    const { api, process } = await sandbox.serve(redis.url, ["--rules", rule, "--retry", "100ms"]);
    const ready = async () => {
      const answer = await fetch(`${api}/ready`);
      return { code: answer.status, ...((await answer.json()) as object) };
    };
    const post = async () =>
      (
        await fetch(`${api}/events`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify([
            {
              id: randomUUID(),
              occurred: new Date().toISOString(),
              event: "pump.stopped",
              resource: { "prefect.resource.id": "pump.1" },
            },
          ]),
        })
      ).status;
    expect(await post()).toBe(204); // its delivery is retried, so the worker has something to take
    await vi.waitFor(() => expect(process.stdout).toContain("Delivery failed"), { timeout: 30_000 });

    await admin.config("SET", ...on);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect(await ready()).toMatchObject({
      code: 503,
      status: "unavailable",
      message: expect.stringContaining(kind),
    });
    expect(await post()).toBe(503);
    const reported = logLines(process).filter(({ msg }) => msg === "BullMQ error");
    expect(reported.length).toBeLessThan(4);

    await admin.config("SET", ...off);
    await vi.waitFor(async () => expect(await ready()).toMatchObject({ code: 200 }), { timeout: 30_000 });
    await vi.waitFor(async () => expect(await post()).toBe(204), { timeout: 30_000 });
    await process.end();
  },
);

// As a fault, it would be a 500 for senders, who do not try again.
test("a password that is set later is an outage, and passes", async () => {
  const { api, process } = await sandbox.serve(redis.url);
  await admin.config("SET", "requirepass", "later");
  await admin.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
  const ask = async () => (await fetch(`${api}/automations/filter`, { method: "POST" })).status;
  await vi.waitFor(async () => expect(await ask()).toBe(503), { timeout: 30_000 });
  await vi.waitFor(async () => expect(await (await fetch(`${api}/ready`)).text()).toContain("NOAUTH"), {
    timeout: 30_000,
  });
  for (let count = 0; count < 10; count += 1) expect(await ask()).toBe(503);
  await admin.config("SET", "requirepass", "");
  await vi.waitFor(async () => expect(await ask()).toBe(200), { timeout: 30_000 });
  await process.end();
});
