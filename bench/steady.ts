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
import { batchesOf, createAutomations } from "./support/end-to-end.ts";
import { report } from "./support/report.ts";

const rate = Number(process.argv[2] ?? 5_000);
const seconds = Number(process.argv[3] ?? 10);
const roundCount = Number(process.argv[4] ?? 3);
const batchLength = 100;
const eventCount = rate * seconds;

const sandbox = new Sandbox();
const redis = await startRedis({ appendOnly: "always" });
const client = new Redis(redis.url);
const agent = new Agent({ connections: 4 });
try {
  const server = await sandbox.serve(redis.url, []);
  await createAutomations({ api: server.api, firingName: "prefect-cloud.automation.triggered" });
  const figures = { server: [] as number[], redis: [] as number[], sent: [] as number[] };
  for (let round = 0; round <= roundCount; round++) {
    const before = await usage(server.url);
    await postAtRate(`${server.api}/events`);
    await sleep(1_000);
    const after = await usage(server.url);
    if (round === 0) continue; // warms up
    figures.server.push(((after.serverSeconds - before.serverSeconds) / eventCount) * 1e6);
    figures.redis.push(((after.redisSeconds - before.redisSeconds) / eventCount) * 1e6);
    figures.sent.push((after.sentBytes - before.sentBytes) / eventCount);
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

/** What the server and Redis have used so far. */
async function usage(url: string) {
  const [metrics, cpu, stats] = await Promise.all([
    fetch(`${url}/metrics`).then((answer) => answer.text()),
    client.info("cpu"),
    client.info("stats"),
  ]);
  return {
    serverSeconds: numberIn(metrics, /^process_cpu_seconds_total (\S+)/m),
    redisSeconds: numberIn(cpu, /used_cpu_sys:(\S+)/) + numberIn(cpu, /used_cpu_user:(\S+)/),
    sentBytes: numberIn(stats, /total_net_output_bytes:(\d+)/),
  };
}

function numberIn(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1]);
}
