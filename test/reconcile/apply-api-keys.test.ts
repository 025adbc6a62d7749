/** Applies the keys of a file to a real Redis. test/cli/api-keys-file.test.ts tests the file itself and the server. */

import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ApiKeyTaken, applyApiKeys, type WantedApiKey } from "../../src/reconcile/apply-api-keys.ts";
import { makeKey } from "../../src/store/api-key.ts";
import { ApiKeyStore } from "../../src/store/api-key-store.ts";
import { connect } from "../../src/store/connection.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: ReturnType<typeof connect>;
let store: ApiKeyStore;

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  store = new ApiKeyStore(redis);
});

const noon = new Date("2026-03-01T12:00:00.000Z");
const later = new Date("2026-03-02T12:00:00.000Z");

function wanted(digit: string, changes: Partial<WantedApiKey> = {}): WantedApiKey {
  return {
    id: digit.repeat(12),
    hash: digit.repeat(64),
    name: `key ${digit}`,
    workspace: "default",
    scopes: ["events:write"],
    expires: null,
    rate: null,
    ...changes,
  };
}

const apply = (keys: readonly WantedApiKey[], { now = noon, workspaces = ["default"] } = {}) =>
  applyApiKeys(store, keys, workspaces, now);
const nothing = { created: [], changed: [], revoked: [], stillRevoked: [] };

test("keys are created, changed and revoked to match the file; the same file again changes nothing", async () => {
  const [first, second] = [wanted("1"), wanted("2")];
  expect(await apply([first, second])).toEqual({ ...nothing, created: [first.id, second.id] });
  expect(await apply([first, second], { now: later })).toEqual(nothing);
  expect(await store.find(first.id)).toEqual({
    ...first,
    created: noon.toISOString(),
    revoked: null,
    revokedBy: null,
    source: "file",
  });

  const changed = { ...first, name: "another name" };
  expect(await apply([changed], { now: later })).toEqual({
    ...nothing,
    changed: [first.id],
    revoked: [second.id],
  });
  expect(await store.find(first.id)).toMatchObject({ name: "another name", created: noon.toISOString() });
  expect(await store.find(second.id)).toMatchObject({ revoked: later.toISOString(), revokedBy: "file" });
  expect(await apply([changed], { now: later })).toEqual(nothing);
});

test("a key that returns to the file is active again, but one that was revoked by hand stays revoked", async () => {
  const [first, second] = [wanted("1"), wanted("2")];
  await apply([first, second]);
  await apply([second]);
  await store.update(second.id, (key) => ({ ...key!, revoked: noon.toISOString(), revokedBy: "command" }));
  expect(await apply([first, second])).toEqual({
    ...nothing,
    changed: [first.id],
    stillRevoked: [second.id],
  });
  expect(await store.find(first.id)).toMatchObject({ revoked: null, revokedBy: null });
  expect(await store.find(second.id)).toMatchObject({ revoked: noon.toISOString(), revokedBy: "command" });
  // Removing it from the file does not change that the command revoked it.
  expect(await apply([first], { now: later })).toEqual(nothing);
  expect(await store.find(second.id)).toMatchObject({ revoked: noon.toISOString(), revokedBy: "command" });
});

test("keys of other workspaces and keys made by a command are not revoked", async () => {
  const elsewhere = wanted("1", { workspace: "elsewhere" });
  await apply([elsewhere], { workspaces: ["elsewhere"] });
  const { key: byCommand } = makeKey(wanted("2"), noon);
  await store.put(byCommand);
  expect(await apply([])).toEqual(nothing);
  expect(await store.find(elsewhere.id)).toMatchObject({ revoked: null });
  expect(await store.find(byCommand.id)).toEqual(byCommand);
});

test("an id that belongs to a key made by a command is refused before anything changes", async () => {
  const { key: byCommand } = makeKey(wanted("2"), noon);
  await store.put(byCommand);
  const taken = apply([wanted("1"), wanted("3", { id: byCommand.id })]);
  await expect(taken).rejects.toThrow(ApiKeyTaken);
  expect(await store.all()).toEqual([byCommand]);
  // With the same secret it is the same key, which the file takes over.
  const { id, hash } = byCommand;
  expect(await apply([wanted("3", { id, hash })])).toEqual({ ...nothing, changed: [id] });
  expect(await store.find(id)).toMatchObject({ source: "file", created: byCommand.created });
});

// Between reading the keys and changing them, an operator may revoke one.
test("a key that is revoked while the file is applied stays revoked", async () => {
  const first = wanted("1");
  await apply([first]);
  const revokedMeanwhile = {
    all: () => store.all(),
    update: async (id: string, change: Parameters<ApiKeyStore["update"]>[1]) => {
      const revoke = { revoked: noon.toISOString(), revokedBy: "command" } as const;
      await store.update(id, (key) => ({ ...key!, ...revoke }));
      return store.update(id, change);
    },
  };
  await applyApiKeys(revokedMeanwhile, [], ["default"], later);
  expect(await store.find(first.id)).toMatchObject({ revoked: noon.toISOString(), revokedBy: "command" });
  await applyApiKeys(revokedMeanwhile, [{ ...first, name: "another name" }], ["default"], later);
  expect(await store.find(first.id)).toMatchObject({ name: "another name", revokedBy: "command" });
});
