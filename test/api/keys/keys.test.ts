/** API keys over HTTP, with complete servers: who may make them, see them, and revoke them. */

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { NotFound, Refused, Tripline } from "../../../src/client/index.ts";
import { ApiKeyChanges } from "../../../src/store/api-key-changes.ts";
import { ApiKeyStore } from "../../../src/store/api-key-store.ts";
import { connect } from "../../../src/store/connection.ts";
import { Log } from "../../../src/store/log.ts";
import { startOfLog } from "../../../src/store/position.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { bearer, type KeyedServer, send, serve, until } from "../http/auth-support.ts";

let redis: TestRedis;
let databaseCount = 0;
let server: KeyedServer | null = null;

beforeAll(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  await server?.stop();
  server = null;
});
afterAll(() => redis.stop());

/** A server with an unused database. Keys apply to all workspaces of a database. */
async function start(options: readonly string[] = []): Promise<{ database: string; running: KeyedServer }> {
  databaseCount += 1;
  const database = `${redis.url}/${databaseCount}`;
  server = await serve(database, ["--canary", "0", ...options]);
  return { database, running: server };
}

const clientOf = ({ url }: KeyedServer, key: string | null = null) =>
  new Tripline({ url: `${url}/api`, key, patienceMs: 0 });

async function refusalOf(call: Promise<unknown>): Promise<{ status: number; detail: unknown }> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Refused)) throw new Error(`It was not refused: ${String(error)}`);
  const { detail, exception_message: message } = error.body as Record<string, unknown>;
  return { status: error.status, detail: detail ?? message };
}

describe("the first key of an open server", () => {
  test("is created from this machine without a key, and closes the server within seconds", async () => {
    const { running } = await start();
    const anyone = clientOf(running);
    expect(await anyone.keys.list()).toEqual([]);
    const { key, token } = await anyone.keys.create({ name: "dashboard", scopes: ["admin"] });
    expect(token).toMatch(new RegExp(`^tripline_${key.id}_[\\w-]{43}$`));
    expect(key).toMatchObject({
      name: "dashboard",
      workspace: "default",
      state: "active",
      source: "command",
    });
    const asAnyone = async () => (await send(`${running.url}/api/automations`)).status;
    await until(async () => (await asAnyone()) === 401, 3_000);
    expect((await clientOf(running, token).keys.list()).map(({ id }) => id)).toEqual([key.id]);
  });

  // With it, every request would need a key, and none could make another.
  test("must have the scope admin", async () => {
    const { running } = await start();
    expect(
      await refusalOf(clientOf(running).keys.create({ name: "pump house", scopes: ["events:write"] })),
    ).toEqual({ status: 409, detail: expect.stringContaining("should have the scope admin") });
    expect(await running.keys.all()).toEqual([]);
  });

  test("must belong to the first workspace, whose keys may do what concerns all", async () => {
    const { running } = await start(["--workspace", "north,south"]);
    const at = (workspace: string) =>
      send(`${running.url}/api/accounts/a/workspaces/${workspace}/keys`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ name: "dashboard", scopes: ["admin"] }),
      });
    const refused = await at("south");
    expect(refused.status).toBe(409);
    expect(refused.text).toContain("the workspace north");
    expect((await at("north")).status).toBe(201);
  });

  test.each([
    [{ Host: "evil.example" }, "names the host evil.example"],
    [{ Origin: "https://evil.example" }, "comes from a page of https://evil.example"],
  ])("is not created for a page of another site: %j", async (headers, says) => {
    const { running } = await start();
    const answer = await send(`${running.url}/api/keys`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify({ name: "dashboard", scopes: ["admin"] }),
    });
    expect(answer.status).toBe(403);
    expect(answer.text).toContain(says);
    expect(await running.keys.all()).toEqual([]);
  });

  // Both would be let in without a key, and one of them may have meant to shut the other out.
  test("is one of many that are asked for at the same time", async () => {
    const { running } = await start();
    const asked = Array.from({ length: 5 }, () =>
      clientOf(running)
        .keys.create({ name: "dashboard", scopes: ["admin"] })
        .then(
          () => "created",
          (error: unknown) => (error as Refused).status,
        ),
    );
    expect((await Promise.all(asked)).sort()).toEqual([409, 409, 409, 409, "created"]);
    expect(await running.keys.all()).toHaveLength(1);
  });
});

describe("the keys of a workspace", () => {
  test("are listed without their secrets, with what they may do and when they were last used", async () => {
    const { running } = await start();
    const { token } = await running.key({ name: "admin", scopes: ["admin"] });
    const admin = clientOf(running, token);
    const created = await admin.keys.create({
      name: "pump house",
      scopes: ["events:write", "events:write"],
      rate: "100/s",
      expires: "2099-01-01T00:00:00Z",
    });
    const answer = await send(`${running.url}/api/keys`, { headers: bearer(token) });
    for (const secret of [token, created.token]) {
      expect(answer.text).not.toContain(secret.split("_").slice(2).join("_"));
    }
    expect(answer.text).not.toContain("hash");
    const before = Date.now();
    await until(async () => (await admin.keys.list())[0]?.last_used !== null, 3_000);
    const [first, second] = await admin.keys.list();
    expect(first).toMatchObject({ name: "admin", rate: null, expires: null, revoked: null, state: "active" });
    expect(Math.abs(Date.parse(first?.last_used ?? "") - before)).toBeLessThan(60_000);
    expect(second).toEqual({ ...created.key, last_used: null });
    expect(second).toMatchObject({
      rate: "100/s",
      scopes: ["events:write"],
      expires: "2099-01-01T00:00:00Z",
    });
    await clientOf(running, created.token).events.emit({
      event: "pump.stopped",
      resource: { "prefect.resource.id": "pump.1" },
    });
    await until(async () => (await admin.keys.list())[1]?.last_used !== null, 3_000);
  });

  test("let in once they are created, and no longer than until they are revoked", async () => {
    const { running } = await start();
    const admin = clientOf(running, (await running.key()).token);
    const { key, token } = await admin.keys.create({ name: "reader", scopes: ["automations:read"] });
    const asReader = async () =>
      (await send(`${running.url}/api/automations`, { headers: bearer(token) })).status;
    expect(await asReader()).toBe(200);
    await admin.keys.revoke(key.id);
    await until(async () => (await asReader()) === 401, 3_000);
    await admin.keys.revoke(key.id); // again: nothing changes
    expect(await admin.keys.list()).toMatchObject([{}, { id: key.id, state: "revoked" }]);
  });

  test("are seen and revoked by no key of another workspace", async () => {
    const { running } = await start(["--workspace", "north,south"]);
    const north = await running.key({ workspace: "north" });
    const south = await running.key({ workspace: "south" });
    const [inNorth, inSouth] = [clientOf(running, north.token), clientOf(running, south.token)];
    const { key } = await inSouth.keys.create({ name: "vents", scopes: ["events:read"] });
    expect(key.workspace).toBe("south");
    expect((await inNorth.keys.list()).map(({ id }) => id)).toEqual([north.key.id]);
    expect((await inSouth.keys.list()).map(({ id }) => id)).toEqual([south.key.id, key.id]);
    await expect(inNorth.keys.revoke(key.id)).rejects.toThrow(NotFound);
    expect((await running.keys.find(key.id))?.revoked).toBeNull();
    await expect(inSouth.keys.revoke("000000000000")).rejects.toThrow(NotFound);
  });

  test("are announced in its log, with who did it", async () => {
    const { running, database } = await start();
    const { key: admin, token } = await running.key({ name: "admin" });
    const { key } = await clientOf(running, token).keys.create({ name: "vents", scopes: ["events:read"] });
    await clientOf(running, token).keys.revoke(key.id);
    const connection = connect(database);
    const entries = await new Log(connection, "default").read(startOfLog, { count: 1_000 });
    connection.disconnect();
    const announced = entries.flatMap((entry) => (entry.kind === "event" ? [entry.event.wire] : []));
    const by = { changed_by: { type: "api-key", name: "admin", id: admin.id } };
    expect(announced.filter(({ event }) => event.startsWith("tripline.api-key."))).toMatchObject([
      { event: "tripline.api-key.created", payload: { name: "vents", ...by } },
      { event: "tripline.api-key.revoked", payload: { name: "vents", ...by } },
    ]);
  });

  test("are not made from a request with a mistake", async () => {
    const { running } = await start();
    const { token } = await running.key();
    const mistakes: [body: object, says: string][] = [
      [{ scopes: ["admin"] }, "Field required"],
      [{ name: "", scopes: ["admin"] }, "name should not be empty"],
      [{ name: "a", scopes: [] }, "at least one scope"],
      [{ name: "a", scopes: ["root"] }, "events:write"],
      [{ name: "a", scopes: ["admin"], rate: "many" }, "100/s"],
      [{ name: "a", scopes: ["admin"], expires: "soon" }, "RFC 3339"],
      [{ name: "a", scopes: ["admin"], expires: "2020-01-01T00:00:00Z" }, "in the future"],
      [{ name: "a", scopes: ["admin"], workspace: "south" }, "not permitted"],
    ];
    for (const [body, says] of mistakes) {
      const { status, text } = await send(`${running.url}/api/keys`, {
        method: "POST",
        headers: { "Content-Type": "application/json", ...bearer(token) },
        body: JSON.stringify(body),
      });
      expect({ body, status, text }).toEqual({ body, status: 422, text: expect.stringContaining(says) });
    }
    expect(await running.keys.all()).toHaveLength(1);
  });
});

describe("the last key with the scope admin", () => {
  test("is not revoked, neither while others have expired nor while another workspace has one", async () => {
    const { running } = await start(["--workspace", "north,south"]);
    const { key, token } = await running.key({ workspace: "north" });
    await running.key({ workspace: "south" });
    await running.key({ workspace: "north", scopes: ["automations:write"] });
    await running.key({ workspace: "north", expires: new Date(Date.now() - 1).toISOString() });
    const admin = clientOf(running, token);
    const refused = {
      status: 409,
      detail: expect.stringContaining("Create another one with the scope admin"),
    };
    expect(await refusalOf(admin.keys.revoke(key.id))).toEqual(refused);
    const other = await admin.keys.create({ name: "other", scopes: ["admin"] });
    await admin.keys.revoke(key.id);
    expect((await running.keys.find(key.id))?.revokedBy).toBe("command");
    expect(await refusalOf(clientOf(running, other.token).keys.revoke(other.key.id))).toEqual(refused);
  });

  // Each would rely on the other, and no one could make a key over the API anymore.
  test("is left of two that are revoked at the same time", async () => {
    databaseCount += 1;
    const connection = connect(`${redis.url}/${databaseCount}`);
    const changes = new ApiKeyChanges(connection);
    const actor = { type: "no-key", name: null, id: null } as const;
    for (let round = 0; round < 20; round += 1) {
      const made = [1, 2].map(() =>
        changes.create(
          { name: "admin", workspace: `round-${round}`, scopes: ["admin"], expires: null, rate: null },
          actor,
        ),
      );
      const ids = (await Promise.all(made)).map((created) => created?.key.id ?? "");
      const outcomes = await Promise.all(
        ids.map((id) => changes.revokeUnlessLastAdmin(id, `round-${round}`, actor)),
      );
      expect(outcomes.toSorted()).toEqual(["last admin", "revoked"]);
    }
    const active = (await new ApiKeyStore(connection).all()).filter(({ revoked }) => revoked === null);
    expect(active).toHaveLength(20);
    connection.disconnect();
  });
});
