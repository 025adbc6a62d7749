/** Connections to a real cluster: they fail as fast as those to one server, and send nothing twice. */

import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { WireEvent } from "../../src/core/model/event.ts";
import { DeliveryQueue } from "../../src/delivery/queue.ts";
import { RedisShardStore } from "../../src/engine/redis-shard-store.ts";
import {
  callRedis,
  closeConnection,
  connect,
  duplicateForBlocking,
  mastersOf,
  type RedisConnection,
  RedisUnreachable,
} from "../../src/store/connection.ts";
import { workspaceKeys } from "../../src/store/keys.ts";
import { Log } from "../../src/store/log.ts";
import { startOfLog } from "../../src/store/position.ts";
import { Script } from "../../src/store/script.ts";
import { SecretBox } from "../../src/store/secret-box.ts";
import { StoredSecrets } from "../../src/store/stored-secrets.ts";
import { invocationOf } from "../delivery/support.ts";
import { startCluster, type TestCluster } from "../support/redis-cluster.ts";
import { redisCli } from "../support/redis-nodes.ts";

function stopped(): WireEvent {
  return {
    occurred: "2026-03-01T12:00:00Z",
    event: "pump.stopped",
    resource: { "prefect.resource.id": "greenhouse.pump.1" },
    related: [],
    payload: {},
    id: randomUUID(),
    follows: null,
  };
}

let cluster: TestCluster;
let redis: RedisConnection;

beforeAll(async () => {
  cluster = await startCluster();
  redis = connect(cluster.url);
}, 120_000);

afterAll(async () => {
  redis.disconnect();
  await cluster.stop();
});

describe("a connection to a cluster", () => {
  test("knows every master", async () => {
    const masters = await mastersOf(redis);
    expect(masters).toHaveLength(3);
    const roles = await Promise.all(masters.map((master) => master.info("replication")));
    for (const role of roles) expect(role).toContain("role:master");
  });

  test("runs a script on every node, also on one that does not know it yet", async () => {
    const script = new Script(`return redis.call('SET', KEYS[1], '${randomUUID()}')`);
    for (const pump of ["pump.1", "pump.2", "pump.3", "pump.4"]) {
      expect(await script.run(redis, [`{${pump}}:state`])).toBe("OK");
    }
    for (const { port } of cluster.nodes.slice(0, 3)) await redisCli(port, "script", "flush");
    expect(await script.run(redis, ["{pump.1}:state"])).toBe("OK");
  });

  test("gives up a command at once when no node can be reached", async () => {
    const nowhere = connect("redis+cluster://127.0.0.1:1,127.0.0.1:2");
    try {
      // Not because it timed out, after five seconds.
      await expect(callRedis(() => nowhere.get("pump"))).rejects.toThrow(/not connected|ECONNREFUSED/);
    } finally {
      closeConnection(nowhere);
    }
  });

  test("rejects what waits when it is closed", async () => {
    const nowhere = connect("redis+cluster://127.0.0.1:1");
    const waiting = callRedis(() => nowhere.get("pump"));
    closeConnection(nowhere);
    await expect(waiting).rejects.toBeInstanceOf(RedisUnreachable);
  });

  // The caller learns that it failed, and may have done something else since.
  test("that breaks does not send its last command again", async () => {
    const { port } = await cluster.masterOf("starts");
    const other = connect(cluster.url, { name: "breaks" });
    try {
      expect(await other.get("starts")).toBeNull();
      await redisCli(port, "client", "pause", "30000", "write");
      const counted = callRedis(() => other.incr("starts")).catch((error: unknown) => error);
      const breaking = async () =>
        (await redisCli(port, "client", "list")).match(/.*name=breaks .*flags=b.*/);
      await expect.poll(async () => (await breaking()) !== null).toBe(true);
      const id = / ?id=(\d+)/.exec((await breaking())?.[0] ?? "")?.[1] ?? "";
      await redisCli(port, "client", "kill", "id", id);
      await redisCli(port, "client", "unpause");
      expect(await counted).toBeInstanceOf(RedisUnreachable);
      await expect.poll(() => other.ping().catch(() => null)).toBe("PONG");
      expect(await other.get("starts")).toBeNull();
    } finally {
      other.disconnect();
    }
  });

  test("waits for entries on a connection of its own, which ends when it is closed", async () => {
    const log = new Log(redis, "greenhouse");
    const reader = log.reader();
    const read = reader.readBatch(startOfLog, { count: 1, blockMs: 5_000 });
    await log.appendEvents([{ event: stopped() }]);
    expect((await read).readCount).toBe(1);
    reader.close();
    const blocking = duplicateForBlocking(redis);
    const waiting = callRedis(() => blocking.blpop("{pump}:nothing", 0));
    await expect.poll(async () => blocking.status).toBe("ready");
    closeConnection(blocking);
    await expect(waiting).rejects.toBeInstanceOf(RedisUnreachable);
  });

  test("finds the deliveries of a workspace, whichever node they are on", async () => {
    for (const workspace of ["herbs", "trees", "default"]) {
      const key = `{tripline:${workspace}}:actions:inv-1`;
      await redis.hset(
        key,
        "data",
        JSON.stringify({ invocation: { automation: { id: "a" }, secrets: { token: "x" } } }),
      );
      const stored = new StoredSecrets(redis, workspace, {
        box: SecretBox.of(),
        jobKeyPrefix: `{tripline:${workspace}}:actions:inv-`,
      });
      expect((await stored.count()).deliveries).toMatchObject({ plain: 1 });
    }
  });
});

describe("with replicas to wait for", () => {
  test("an event is acknowledged once they have it", async () => {
    const key = workspaceKeys("herbs").log;
    const log = new Log(redis, "herbs", { replicaCount: 1 });
    await log.appendEvents([{ event: stopped() }, { event: stopped() }]);
    const { port } = await cluster.masterOf(key);
    const [, , replica = ""] = /ip=(\S+),port=(\d+)/.exec(await redisCli(port, "info", "replication")) ?? [];
    const follower = new Redis(Number(replica), { readOnly: true });
    expect(await follower.xlen(key)).toBe(2);
    follower.disconnect();
  });

  test("an event is refused, and may be sent again, while too few have it", async () => {
    const log = new Log(redis, "herbs", { replicaCount: 2 });
    const refused = log.appendEvents([{ event: stopped() }]);
    await expect(refused).rejects.toThrow(RedisUnreachable);
    await expect(refused).rejects.toThrow("NOREPLICAS 1 of 2 replicas have what was written");
  });

  // A master that was replaced and does not know yet has the commit that it could not pass on.
  test("the outbox is not read while too few have what was committed", async () => {
    const storeWith = (replicaCount: number) =>
      new RedisShardStore(redis, { workspace: "sage", shard: 0, owner: "gardener", replicaCount });
    const claim = await storeWith(1).claim(60_000);
    const epoch = "epoch" in claim ? claim.epoch : 0;
    const commit = {
      ...{ epoch, changes: [], events: [] },
      invocations: [invocationOf({ type: "do-nothing" })],
      cursor: { position: startOfLog, watermark: 0, readCount: 0, commitCount: 1 },
    };
    await expect(storeWith(2).commit(commit)).rejects.toThrow("NOREPLICAS 1 of 2 replicas");
    await expect(storeWith(2).outbox(10)).rejects.toThrow("NOREPLICAS 1 of 2 replicas");
    expect(await storeWith(1).outbox(10)).toHaveLength(1);
  });

  test.each([
    [1, null],
    [2, "NOREPLICAS 1 of 2 replicas"],
  ])("a delivery leaves the engine once %i of them have it", async (replicaCount, refusal) => {
    const queue = new DeliveryQueue(cluster.url, "trees", { replicaCount });
    const invocation = invocationOf({ type: "call-webhook", url: "https://pump.example.org/" });
    try {
      const added = queue.addInvocations([invocation]);
      if (refusal === null) await added;
      else await expect(added).rejects.toThrow(refusal);
      // The queue has it either way, and ignores it when it is added again.
      expect(await queue.delivery(invocation.id)).toMatchObject({ id: invocation.id });
    } finally {
      await queue.close();
    }
  });
});
