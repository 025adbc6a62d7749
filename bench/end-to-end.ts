/**
 * How many events per second does a whole server take, from the request until the firings can be read in the history?
 *
 * A real `tripline serve` with all roles, 1,000 automations, a private Redis (append-only file, fsync always, like
 * `npm start`) and SQLite. Batches of 100 events on four connections, one event in a hundred fires. Beside it, the limit:
 * the same batches appended to the same Redis by bare pipelined XADD. Both alternate in one run.
 *
 * Run: npx node bench/end-to-end.ts [events per round, default 40000] [rounds, default 3]
 */

import { Redis } from "ioredis";
import { Sandbox } from "../test/cli/support.ts";
import { startRedis } from "../test/support/redis.ts";
import { batchesOf, createAutomations, measureEndToEnd } from "./support/end-to-end.ts";
import { report } from "./support/report.ts";
import { cpuSecondsIn } from "./support/usage.ts";

const eventCount = Number(process.argv[2] ?? 40_000);
const roundCount = Number(process.argv[3] ?? 3);

/** Events per second that bare XADD takes in pipelines of one batch each. */
async function appendBare(url: string): Promise<number> {
  const redis = new Redis(url);
  const batches = batchesOf(eventCount).bodies.map((body) =>
    (JSON.parse(body) as unknown[]).map((event) => JSON.stringify(event)),
  );
  const began = performance.now();
  for (const batch of batches) {
    const pipeline = redis.pipeline();
    for (const event of batch) pipeline.xadd("bare", "*", "kind", "event", "body", event);
    await pipeline.exec();
  }
  const rate = (eventCount / (performance.now() - began)) * 1_000;
  await redis.del("bare");
  redis.disconnect();
  return rate;
}

const sandbox = new Sandbox();
const redis = await startRedis({ appendOnly: "always" });
try {
  const server = await sandbox.serve(redis.url, []);
  const target = { api: server.api, firingName: "prefect-cloud.automation.triggered" };
  await createAutomations(target);
  await measureEndToEnd(target, eventCount / 4); // warms up
  const accepted: number[] = [];
  const fired: number[] = [];
  const bare: number[] = [];
  const cpu: number[] = [];
  for (let round = 0; round < roundCount; round++) {
    bare.push(await appendBare(redis.url));
    const before = await metricsOf(server.url);
    const result = await measureEndToEnd(target, eventCount);
    const after = await metricsOf(server.url);
    accepted.push(result.accepted);
    fired.push(result.fired);
    cpu.push(((cpuSecondsIn(after) - cpuSecondsIn(before)) / eventCount) * 1e6);
    for (const [thread, micros] of busyPerEvent(before, after)) {
      console.log(`  ${thread}: ${micros.toFixed(1)} µs an event`);
    }
  }
  const limit = { name: "bare pipelined XADD", values: bare };
  report({ question: "events accepted by a whole server", unit: "events/s", values: accepted, limit });
  report({ question: "events until their firings are readable", unit: "events/s", values: fired, limit });
  report({
    question: "processor time of a whole server",
    unit: "µs an event",
    values: cpu,
    lowerIsBetter: true,
  });
  const rss = /^process_resident_memory_bytes (\S+)/m.exec(await metricsOf(server.url))?.[1];
  const memory = [Number(rss) / 1e6];
  report({ question: "memory of a whole server", unit: "MB", values: memory, lowerIsBetter: true });
  await server.process.end();
} finally {
  await sandbox.close();
  await redis.stop();
}

async function metricsOf(url: string): Promise<string> {
  return (await fetch(`${url}/metrics`)).text();
}

/** How long each thread was busy, in microseconds an event. */
function busyPerEvent(before: string, after: string): [thread: string, micros: number][] {
  const busy = (text: string) =>
    new Map(
      [...text.matchAll(/^tripline_thread_busy_seconds_total\{thread="([^"]+)"\} (\S+)/gm)].map(
        ([, thread = "", seconds]) => [thread, Number(seconds)] as const,
      ),
    );
  const start = busy(before);
  return [...busy(after)].map(([thread, seconds]) => [
    thread,
    ((seconds - (start.get(thread) ?? 0)) / eventCount) * 1e6,
  ]);
}
