/** The private Redis of `npm start` is private: other users of the machine can neither read its files nor use it. */

import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PrivateRedis, startPrivateRedis } from "../../scripts/private-redis.ts";

const root = mkdtempSync(join(tmpdir(), "tripline-private-"));
const folder = join(root, ".tripline");
const directory = join(folder, "redis");
let redis: PrivateRedis;

beforeAll(async () => {
  // As an older version left them.
  mkdirSync(directory, { recursive: true });
  for (const open of [root, folder, directory]) chmodSync(open, 0o755);
  redis = await startPrivateRedis(directory, (text) => expect.unreachable(text));
});

afterAll(async () => {
  await redis?.stop();
  rmSync(root, { recursive: true, force: true });
});

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

test("only its owner can enter its folders, also those of an older version", () => {
  expect([modeOf(folder), modeOf(directory)]).toEqual(["700", "700"]);
  expect(modeOf(join(directory, "running.json"))).toBe("600");
});

test("it answers nobody without the password, which no process shows", async () => {
  const { port, hostname, password } = new URL(redis.url);
  expect(hostname).toBe("127.0.0.1");
  expect(password.length).toBeGreaterThanOrEqual(32);
  const stranger = new Redis(Number(port), hostname, { lazyConnect: true, retryStrategy: () => null });
  stranger.on("error", () => {});
  await expect(stranger.call("KEYS", "*")).rejects.toThrow("NOAUTH");
  stranger.disconnect();
  const owner = new Redis(redis.url);
  await owner.set("greeting", "hello");
  expect(await owner.get("greeting")).toBe("hello");
  owner.disconnect();

  const commands = readdirSync("/proc").flatMap((name) => {
    try {
      return /^\d+$/.test(name) ? [readFileSync(`/proc/${name}/cmdline`, "utf8")] : [];
    } catch {
      return []; // it has ended
    }
  });
  expect(commands.some((command) => command.includes("redis-server"))).toBe(true);
  expect(commands.filter((command) => command.includes(password))).toEqual([]);
});

test("it leaves no password behind when it stops", async () => {
  await redis.stop();
  expect(readdirSync(directory)).not.toContain("running.json");
});
