/** Key files against a real Redis. How they are written, and what a server does with them: test/cli/api-keys-file.test.ts. */

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

const apply = (keys: readonly WantedApiKey[], { at = noon, workspaces = ["default"] } = {}) =>
  applyApiKeys(store, keys, workspaces, at);
const nothing = { created: [], changed: [], revoked: [], stillRevoked: [] };

test("keys are created, changed and revoked to match the file; the same file again changes nothing", async () => {
  const [one, two] = [wanted("1"), wanted("2")];
  expect(await apply([one, two])).toEqual({ ...nothing, created: [one.id, two.id] });
  expect(await apply([one, two], { at: later })).toEqual(nothing);
  expect(await store.find(one.id)).toEqual({
    ...one,
    created: noon.toISOString(),
    revoked: null,
    revokedBy: null,
    source: "file",
  });

  const changed = { ...one, name: "another name" };
  expect(await apply([changed], { at: later })).toEqual({
    ...nothing,
    changed: [one.id],
    revoked: [two.id],
  });
  expect(await store.find(one.id)).toMatchObject({ name: "another name", created: noon.toISOString() });
  expect(await store.find(two.id)).toMatchObject({ revoked: later.toISOString(), revokedBy: "file" });
  expect(await apply([changed], { at: later })).toEqual(nothing);
});

test("a key that the file names again is active again; one that was revoked by hand stays revoked", async () => {
  const [one, two] = [wanted("1"), wanted("2")];
  await apply([one, two]);
  await apply([two]);
  await store.update(two.id, (key) => ({ ...key!, revoked: noon.toISOString(), revokedBy: "command" }));
  expect(await apply([one, two])).toEqual({ ...nothing, changed: [one.id], stillRevoked: [two.id] });
  expect(await store.find(one.id)).toMatchObject({ revoked: null, revokedBy: null });
  expect(await store.find(two.id)).toMatchObject({ revoked: noon.toISOString(), revokedBy: "command" });
  // Gone from the file as well, it is still the command that revoked it.
  expect(await apply([one], { at: later })).toEqual(nothing);
  expect(await store.find(two.id)).toMatchObject({ revoked: noon.toISOString(), revokedBy: "command" });
});

test("keys of other workspaces, and keys made by command, are not revoked", async () => {
  const elsewhere = wanted("1", { workspace: "elsewhere" });
  await apply([elsewhere], { workspaces: ["elsewhere"] });
  const { key: byCommand } = makeKey(wanted("2"), noon);
  await store.put(byCommand);
  expect(await apply([])).toEqual(nothing);
  expect(await store.find(elsewhere.id)).toMatchObject({ revoked: null });
  expect(await store.find(byCommand.id)).toEqual(byCommand);
});

test("an id that a command gave to another secret is refused before anything changes", async () => {
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
test("a key that is revoked in the meantime stays revoked", async () => {
  const one = wanted("1");
  await apply([one]);
  const revokedMeanwhile = {
    all: () => store.all(),
    update: async (id: string, change: Parameters<ApiKeyStore["update"]>[1]) => {
      const revoke = { revoked: noon.toISOString(), revokedBy: "command" } as const;
      await store.update(id, (key) => ({ ...key!, ...revoke }));
      return store.update(id, change);
    },
  };
  await applyApiKeys(revokedMeanwhile, [], ["default"], later);
  expect(await store.find(one.id)).toMatchObject({ revoked: noon.toISOString(), revokedBy: "command" });
  await applyApiKeys(revokedMeanwhile, [{ ...one, name: "another name" }], ["default"], later);
  expect(await store.find(one.id)).toMatchObject({ name: "another name", revokedBy: "command" });
});
