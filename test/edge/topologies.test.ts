/** The Worker, in the real workerd, over a real cluster and real Sentinels. */

import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeKey } from "../../src/store/api-key.ts";
import { ApiKeyStore } from "../../src/store/api-key-store.ts";
import { connect } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { startCluster, type TestCluster } from "../support/redis-cluster.ts";
import { startSentinels, type TestSentinels } from "../support/redis-sentinels.ts";
import { startWorker } from "./workerd.ts";

let cluster: TestCluster;
let sentinels: TestSentinels;

beforeAll(async () => {
  [cluster, sentinels] = await Promise.all([startCluster(), startSentinels()]);
}, 120_000);

afterAll(async () => {
  await Promise.all([cluster.stop(), sentinels.stop()]);
});

test.each([
  ["a cluster", () => cluster.url],
  ["Sentinels", () => sentinels.url],
])("the Worker appends to the log over %s", async (_, url) => {
  const connection = connect(url());
  const wanted = { name: "edge", workspace: "default", scopes: ["events:write" as const], expires: null };
  const { key, token } = makeKey({ ...wanted, rate: { count: 100, seconds: 1 } }, new Date());
  await new ApiKeyStore(connection).put(key);
  const worker = await startWorker({ TRIPLINE_REDIS: url(), TRIPLINE_REDIS_REPLICAS: "1" });
  try {
    expect((await fetch(`${worker.url}/api/ready`)).status).toBe(200);
    const pump = { resource: { "prefect.resource.id": "pump.1" }, occurred: new Date().toISOString() };
    const events = Array.from({ length: 3 }, () => ({ id: randomUUID(), event: "pump.stopped", ...pump }));
    for (const event of events) {
      const answer = await fetch(`${worker.url}/api/events`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
        body: JSON.stringify([event]),
      });
      expect([answer.status, await answer.text()]).toEqual([204, ""]);
    }
    const entries = await new Log(connection, "default").read("0-0", { count: 10 });
    const ids = entries.map((entry) => (entry.kind === "event" ? entry.event.id : ""));
    expect(ids).toEqual(events.map(({ id }) => id));
  } finally {
    await worker.stop();
    connection.disconnect();
  }
});

test("the Worker says what is wrong with the URL of its Redis", async () => {
  const worker = await startWorker({ TRIPLINE_REDIS: "redis://pump,vent" });
  try {
    const answer = await fetch(`${worker.url}/api/events`, { method: "POST", body: "[]" });
    expect(answer.status).toBe(503);
    expect(await answer.text()).toContain("TRIPLINE_REDIS is invalid. redis:// names one server.");
  } finally {
    await worker.stop();
  }
});
