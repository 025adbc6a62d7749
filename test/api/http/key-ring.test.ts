/** How long keys are remembered: for a second, and for five minutes while Redis is unavailable. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { KeyRing } from "../../../src/api/http/key-ring.ts";
import { makeKey } from "../../../src/store/api-key.ts";
import { ApiKeyStore } from "../../../src/store/api-key-store.ts";
import { connect, RedisUnreachable } from "../../../src/store/connection.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";

let server: TestRedis;
let redis: ReturnType<typeof connect>;
let now: number;

beforeEach(async () => {
  server = await startRedis();
  redis = connect(server.url);
  now = 1_000_000;
  vi.spyOn(performance, "now").mockImplementation(() => now);
});

afterEach(async () => {
  vi.restoreAllMocks();
  redis.disconnect();
  await server.stop();
});

async function newKey() {
  const wanted = {
    name: "test",
    workspace: "default",
    scopes: ["admin"],
    expires: null,
    rate: null,
  } as const;
  const created = makeKey({ ...wanted, scopes: [...wanted.scopes] }, new Date());
  await new ApiKeyStore(redis).put(created.key);
  return created;
}

test("a revoked key is rejected after a second", async () => {
  const { key, token } = await newKey();
  const ring = new KeyRing(redis);
  expect(await ring.find(token)).toMatchObject({ id: key.id });
  await new ApiKeyStore(redis).put({ ...key, revoked: new Date().toISOString() });
  now += 999;
  expect(await ring.find(token)).not.toBeNull();
  now += 1;
  expect(await ring.find(token)).toBeNull();
});

// Without this limit, a revoked key would be accepted for as long as Redis is unavailable.
test("a cached key is accepted for five minutes while Redis is unavailable, and no longer", async () => {
  const { key, token } = await newKey();
  const ring = new KeyRing(redis);
  expect(await ring.find(token)).toMatchObject({ id: key.id });
  await server.kill9();
  const minute = 60_000;
  now += 5 * minute - 1;
  expect(await ring.find(token)).toMatchObject({ id: key.id });
  now += 1;
  await expect(ring.find(token)).rejects.toThrow(RedisUnreachable);
  now += 2_000;
  await expect(ring.find(token)).rejects.toThrow(RedisUnreachable);
});

// A client that tries random ids must not fill the server's memory.
test("at most 10,000 ids are cached", async () => {
  const { key, token } = await newKey();
  const ring = new KeyRing(redis);
  await ring.find(token);
  const reads = vi.spyOn(ApiKeyStore.prototype, "find");
  await ring.find(token);
  expect(reads).not.toHaveBeenCalled();
  const guesses = Array.from({ length: 10_000 }, (_, guess) => guess.toString(16).padStart(12, "0"));
  await Promise.all(guesses.map((id) => ring.find(`tripline_${id}_${"x".repeat(43)}`)));
  reads.mockClear();
  await ring.find(token);
  expect(reads.mock.calls).toEqual([[key.id]]);
});
