import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { formatTime, millisecond } from "../../src/core/model/time.ts";
import { DeliveryQueue } from "../../src/delivery/queue.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { shardKeys } from "../../src/store/keys.ts";
import { Log } from "../../src/store/log.ts";
import { greenhouseAutomation } from "../support/greenhouse.ts";
import { queuedInvocations } from "../support/queued.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const workspace = "greenhouse";
const waiting = { timeout: 20_000, interval: 20 };
const program = new URL("../support/engine-process.ts", import.meta.url).pathname;

let server: TestRedis;
let redis: RedisConnection;
let queue: DeliveryQueue;
let running: ChildProcess | null = null;

beforeAll(async () => {
  server = await startRedis();
  redis = connect(server.url);
  queue = new DeliveryQueue(server.url, workspace);
});
afterAll(async () => {
  await kill();
  await queue.close();
  redis.disconnect();
  await server.stop();
});

test("an engine that is killed again and again (SIGKILL) misses no firing and repeats none", async () => {
  const log = new Log(redis, workspace);
  const everyThird = { expect: ["pump.failed"], threshold: 3 };
  await log.putAutomations([
    greenhouseAutomation("each"),
    greenhouseAutomation("every third", { trigger: everyThird }),
  ]);
  const sent: string[] = [];
  let stopped = false;
  const sending = (async () => {
    while (!stopped) {
      const id = randomUUID();
      const resource = { "prefect.resource.id": "pump.1" };
      const occurred = formatTime(Date.now() * millisecond);
      const event = { id, occurred, event: "pump.failed", resource, related: [], payload: {}, follows: null };
      await log.appendEvents([{ event }]);
      sent.push(id);
      await new Promise((resolve) => setTimeout(resolve, 1)); // leaves the engine some CPU time on a small machine
    }
  })();
  for (let round = 0; round < 4; round += 1) {
    await run();
    const { waiting: countBefore } = await queue.counts();
    await vi.waitFor(async () => {
      expect((await queue.counts()).waiting).toBeGreaterThan(countBefore + 30);
    }, waiting);
    await kill();
  }
  stopped = true;
  await sending;
  await run();

  const { cursor, outbox } = shardKeys(workspace, 0);
  await vi.waitFor(async () => {
    expect(await redis.hget(cursor, "position")).toBe(await log.lastPosition());
    expect(await redis.xlen(outbox)).toBe(0);
  }, waiting);
  const invocations = await queuedInvocations(redis);
  const each = invocations.filter(({ automation }) => automation.name === "each");
  expect(each.map(({ firing }) => firing.triggering_event?.id).sort()).toEqual(sent.toSorted());
  expect(invocations.length).toBe(sent.length + Math.floor(sent.length / 3));
  const firingEvents = (await log.read("0-0", { count: 100_000 })).filter(
    (entry) => entry.kind === "event" && entry.event.name === "prefect-cloud.automation.triggered",
  );
  expect(firingEvents).toHaveLength(invocations.length);
});

/** Starts an engine and waits until it owns the shard. */
async function run(): Promise<void> {
  const stdio = ["ignore", "pipe", "inherit"] as const;
  const child = spawn(process.execPath, [program, server.url, workspace], { stdio: [...stdio] });
  running = child;
  await once(child.stdout!, "data");
}

async function kill(): Promise<void> {
  if (running === null) return;
  const exited = once(running, "exit");
  running.kill("SIGKILL");
  await exited;
  running = null;
}
