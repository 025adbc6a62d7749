import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { callRedis, connect, RedisUnreachable } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { startOfLog } from "../../src/store/position.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

/** The error of a transaction that ioredis rejects. */
function transactionError(message: string): Error & { previousErrors: Error[] } {
  return Object.assign(new Error(message), { previousErrors: [] });
}

describe("the message of RedisUnreachable", () => {
  test("quotes the command that made a transaction fail", () => {
    const error = transactionError("EXECABORT Transaction discarded because of previous errors.");
    error.previousErrors.push(new Error("OOM command not allowed when used memory > 'maxmemory'."));
    expect(new RedisUnreachable(error).message).toMatch(/: OOM command not allowed/);
  });

  // ioredis rejects every command of the transaction with the same error, which lists itself as a previous one.
  test("quotes the connection's error when a transaction was cut off", () => {
    const error = transactionError("read ECONNRESET");
    error.previousErrors.push(error, error);
    expect(new RedisUnreachable(error).message).toMatch(/: read ECONNRESET$/);
  });
});

describe("a connection", () => {
  let server: TestRedis;
  let redis: Redis;
  beforeAll(async () => {
    server = await startRedis();
    redis = connect(server.url) as Redis;
    await redis.ping();
  });
  afterAll(async () => {
    redis.disconnect();
    await server.stop();
  });

  // Without a limit, every request to the API would hang while Redis is silent.
  test("gives up a command after five seconds", async () => {
    const other = connect(server.url);
    await other.client("PAUSE", 60_000, "WRITE");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      let outcome = "waiting";
      const called = callRedis(() => redis.set("pump", "on")).catch((error: unknown) => {
        outcome = "rejected";
        return error;
      });
      vi.advanceTimersByTime(4_999);
      await new Promise(setImmediate);
      expect(outcome).toBe("waiting");
      vi.advanceTimersByTime(1);
      expect(await called).toBeInstanceOf(RedisUnreachable);
    } finally {
      vi.useRealTimers();
      await other.client("UNPAUSE");
      other.disconnect();
    }
  });

  test("gives up an attempt to connect after two seconds, and makes the next after one at most", () => {
    const { connectTimeout, retryStrategy } = redis.options;
    expect(connectTimeout).toBe(2_000);
    expect([1, 2, 20, 21, 1_000].map((attempt) => retryStrategy?.(attempt))).toEqual([
      50, 100, 1_000, 1_000, 1_000,
    ]);
  });

  // The caller learns that it failed, and may have done something else since.
  test("that breaks does not send its last command again", async () => {
    const [broken, other] = [connect(server.url), connect(server.url)];
    try {
      const id = await broken.client("ID");
      await other.client("PAUSE", 30_000, "WRITE");
      const counted = callRedis(() => broken.incr("starts")).catch((error: unknown) => error);
      await expect.poll(async () => String(await other.client("LIST"))).toMatch(/flags=\S*b/);
      await other.client("KILL", "ID", id);
      await other.client("UNPAUSE");
      expect(await counted).toBeInstanceOf(RedisUnreachable);
      await expect.poll(() => broken.ping().catch(() => null)).toBe("PONG");
      expect(await other.get("starts")).toBeNull();
    } finally {
      broken.disconnect();
      other.disconnect();
    }
  });

  // A connection that died without a word would otherwise be waited for forever: commands that block have no timeout.
  test("that waits for entries asks Redis for five seconds at most, and is given up after ten of silence", async () => {
    const log = new Log(redis, "greenhouse");
    const duplicating = vi.spyOn(redis, "duplicate");
    const observer = new Redis(server.url);
    const monitor = await observer.monitor();
    try {
      const asked = new Promise<string[]>((resolve) => {
        monitor.on("monitor", (_time: string, words: string[]) => {
          if (words[0]?.toUpperCase() === "XREAD") resolve(words);
        });
      });
      const read = log.readBatch(startOfLog, { count: 1, blockMs: 3_600_000 }).catch(() => {});
      expect((await asked).join(" ")).toMatch(/ BLOCK 5000 /i);
      expect(duplicating.mock.lastCall).toEqual([{ commandTimeout: undefined, socketTimeout: 10_000 }]);
      log.close();
      await read;
    } finally {
      duplicating.mockRestore();
      monitor.disconnect();
      observer.disconnect();
    }
  });
});

// ioredis goes on with the database 0, which may hold another installation.
test("a connection to a database that Redis does not have runs no command", async () => {
  const server = await startRedis();
  const losses: string[] = [];
  const redis = connect(`${server.url}/99`, { onLost: ({ message }) => losses.push(message) });
  const plain = connect(server.url);
  try {
    for (let count = 0; count < 5; count += 1) {
      await expect(callRedis(() => redis.set("pump", "on"))).rejects.toBeInstanceOf(RedisUnreachable);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await plain.get("pump")).toBeNull();
    expect(losses).toEqual(["ERR DB index is out of range"]);
  } finally {
    redis.disconnect();
    plain.disconnect();
    await server.stop();
  }
});

// A line for every attempt to reconnect would fill the log during an outage.
test("a connection reports each outage once", async () => {
  const server = await startRedis();
  const losses: string[] = [];
  const redis = connect(server.url, { name: "pump-room", onLost: ({ message }) => losses.push(message) });
  try {
    await redis.ping();
    expect(await redis.client("GETNAME")).toBe("pump-room");
    for (const outageCount of [1, 2]) {
      let attemptCount = 0;
      const countAttempt = () => void attemptCount++;
      redis.on("reconnecting", countAttempt);
      await server.kill9();
      await expect.poll(() => attemptCount).toBeGreaterThan(3);
      expect(losses).toHaveLength(outageCount);
      redis.off("reconnecting", countAttempt);
      await server.restart();
      await expect.poll(() => redis.status).toBe("ready");
    }
  } finally {
    redis.disconnect();
    await server.stop();
  }
});
