/**
 * What does an event cost while the server keeps up? As in end-to-end.ts, but batches come at a fixed rate. Prints the processor
 * time of the server and of Redis, and how much Redis sends, for each event.
 *
 * Run: npx node bench/steady.ts [events per second, default 5000] [seconds, default 10] [rounds, default 3]
 */

import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { Agent, request } from "undici";
import { Sandbox } from "../test/cli/support.ts";
import { startRedis } from "../test/support/redis.ts";
import { batchesOf, batchLength, createAutomations } from "./support/end-to-end.ts";
import { report } from "./support/report.ts";
import { cpuSecondsIn, redisUsage } from "./support/usage.ts";

const rate = Number(process.argv[2] ?? 5_000);
const seconds = Number(process.argv[3] ?? 10);
const roundCount = Number(process.argv[4] ?? 3);
const eventCount = rate * seconds;

const sandbox = new Sandbox();
const redis = await startRedis({ appendOnly: "always" });
const client = new Redis(redis.url);
const agent = new Agent({ connections: 4 });
try {
  const server = await sandbox.serve(redis.url, []);
  await createAutomations({ api: server.api, firingName: "prefect-cloud.automation.triggered" });
  const usage = async () => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    return { serverSeconds: cpuSecondsIn(metrics), redis: await redisUsage(client) };
  };
  const figures = { server: [] as number[], redis: [] as number[], sent: [] as number[] };
  for (let round = 0; round <= roundCount; round++) {
    const before = await usage();
    await postAtRate(`${server.api}/events`);
    await sleep(1_000);
    const after = await usage();
    if (round === 0) continue; // warms up
    figures.server.push(((after.serverSeconds - before.serverSeconds) / eventCount) * 1e6);
    figures.redis.push(((after.redis.cpuSeconds - before.redis.cpuSeconds) / eventCount) * 1e6);
    figures.sent.push((after.redis.sentBytes - before.redis.sentBytes) / eventCount);
  }
  const at = `at ${rate} events a second`;
  const [unit, lowerIsBetter] = ["µs an event", true];
  report({ question: `processor time of a server ${at}`, unit, values: figures.server, lowerIsBetter });
  report({ question: `processor time of Redis ${at}`, unit, values: figures.redis, lowerIsBetter });
  report({ question: `what Redis sends ${at}`, unit: "bytes an event", values: figures.sent, lowerIsBetter });
  await server.process.end();
} finally {
  client.disconnect();
  await agent.close();
  await sandbox.close();
  await redis.stop();
}

/** Posts batches on a fixed schedule, whatever the answers. */
async function postAtRate(url: string): Promise<void> {
  const began = performance.now();
  const posts: Promise<unknown>[] = [];
  for (const [index, body] of batchesOf(eventCount).bodies.entries()) {
    const waitMs = began + (index * batchLength * 1_000) / rate - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    const headers = { "content-type": "application/json" };
    posts.push(
      request(url, { method: "POST", headers, body, dispatcher: agent }).then((answer) => answer.body.dump()),
    );
  }
  await Promise.all(posts);
}
