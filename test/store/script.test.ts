/** How scripts are called. What each does is tested in log.test.ts and test/contract. */

import type { Command } from "ioredis";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { closeConnection, connect } from "../../src/store/connection.ts";
import { Script } from "../../src/store/script.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());

/** The commands that a call of the script sends. */
async function commandsOf(script: Script, replicaCount: number): Promise<Command[]> {
  const redis = connect(server.url);
  try {
    await redis.ping();
    const sent = vi.spyOn(redis, "sendCommand");
    await script.run(redis, ["key"], ["a text", Buffer.from("bytes")], replicaCount).catch(() => {});
    return sent.mock.calls.map(([command]) => command as Command);
  } finally {
    closeConnection(redis);
  }
}

test("an answered command does not keep its arguments in memory", async () => {
  const [unknown, sent] = await commandsOf(new Script("return #ARGV"), 0);
  expect([unknown?.name, sent?.name]).toEqual(["evalsha", "eval"]);
  expect(sent?.args).toEqual([]);
});

test("a command that failed keeps its arguments, because it may be sent again", async () => {
  const [, sent] = await commandsOf(new Script("return redis.error_reply('no')"), 0);
  expect(sent?.args.slice(2)).toEqual(["key", "a text", Buffer.from("bytes")]);
});

test("a command that waits for replicas is no exception", async () => {
  const replica = await startRedis();
  const admin = connect(replica.url);
  try {
    const { port } = new URL(server.url);
    await admin.replicaof("127.0.0.1", port);
    await vi.waitFor(
      async () => expect(await admin.info("replication")).toContain("master_link_status:up"),
      10_000,
    );
    await commandsOf(new Script("return 1"), 0);
    const [first, ...others] = await commandsOf(new Script("return 1"), 1);
    expect(others.map(({ name }) => name)).toEqual(["wait"]);
    expect(first?.args).toEqual([]);
  } finally {
    closeConnection(admin);
    await replica.stop();
  }
});
