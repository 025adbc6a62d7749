/**
 * How long does it take from the request that posts an event to the webhook that it causes?
 *
 * The real server runs in a process of its own with a private Redis, and so do a receiver and a generator, which posts
 * single events on a fixed schedule, whatever the answers. Each webhook says when its event was to be sent; the time from then
 * until it arrives is measured. The floor does the same with nothing but Redis and HTTP: XADD, a blocking XREAD, a POST.
 *
 * Run: npx node bench/latency.ts [events per second, default 1000] [seconds, default 10]
 *   [percent that fire, default 1,10,50] [appendfsync, default everysec,always]
 */

import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../test/support/free-port.ts";
import { startRedis } from "../test/support/redis.ts";
import { type Receiver, startReceiver } from "./support/receiver.ts";
import { report } from "./support/report.ts";

const rate = Number(process.argv[2] ?? 1_000);
const seconds = Number(process.argv[3] ?? 10);
const percents = (process.argv[4] ?? "1,10,50").split(",").map(Number);
const policies = (process.argv[5] ?? "everysec,always").split(",") as ("everysec" | "always")[];
const root = resolve(import.meta.dirname, "..");

async function startServer(redisUrl: string, receiverUrl: string) {
  const directory = await mkdtemp(join(tmpdir(), "tripline-latency-"));
  const rule = {
    name: "latency",
    trigger: { expect: ["latency.fires"] },
    actions: [{ type: "call-webhook", url: receiverUrl, payload: { sent: "{{ event.payload.sent }}" } }],
  };
  await writeFile(join(directory, "latency.json"), JSON.stringify(rule));
  const port = await freePort();
  const words = [
    ...["serve", "--redis", redisUrl, "--port", String(port), "--rules", directory],
    ...["--history-url", `sqlite:${join(directory, "history.sqlite")}`, "--log-level", "error"],
    ...["--allow-private-addresses", "loopback"],
  ];
  const server = spawn(process.execPath, [join(root, "src/cli/bin.ts"), ...words], { stdio: "inherit" });
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    const response = await fetch(`${url}/api/ready`).catch(() => null);
    if (response?.ok) break;
    await sleep(100);
  }
  return { url, server, directory };
}

/** Posts events on schedule from another process. Resolves once all were answered. */
async function generate(url: string, percent: number): Promise<void> {
  const generator = fork(new URL("event-generator.ts", import.meta.url), [
    url,
    ...[rate, seconds, percent].map(String),
  ]);
  await once(generator, "exit");
}

/** Waits until the receiver has heard of all that fired. @returns how long each took, in milliseconds */
async function arrived(receiver: Receiver, percent: number): Promise<number[]> {
  const wanted = Math.floor((rate * seconds * percent) / 100);
  const until = Date.now() + 60_000;
  for (;;) {
    const { latencies } = await receiver.tell({ latencies: true });
    if (latencies.length >= wanted || Date.now() > until) return latencies.map(([, ms]) => ms);
    await sleep(200);
  }
}

/** @param values how long each webhook took, and as long a list of the floor */
function reportLatency(name: string, values: readonly number[], floor: readonly number[]): void {
  for (const [label, share] of [["p50", 0.5] as const, ["p99", 0.99] as const]) {
    report({
      question: `request to webhook, ${name}, ${label}`,
      unit: "ms",
      values: [percentile(values, share)],
      lowerIsBetter: true,
      limit: { name: "floor", values: [percentile(floor, share)] },
    });
  }
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
}

function line(name: string, values: number[]): string {
  const at = (share: number) => percentile(values, share).toFixed(1).padStart(9);
  return `${name.padEnd(26)}${at(0.5)}${at(0.9)}${at(0.99)}${at(1)}   (${values.length} webhooks)`;
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}

console.log(`${rate} single events per second, ${seconds} s each; milliseconds until the webhook arrives`);
console.log(`${"".padEnd(26)}${["p50", "p90", "p99", "max"].map((text) => text.padStart(9)).join("")}`);
for (const policy of policies) {
  const redis = await startRedis({ appendOnly: policy });
  const receiver = await startReceiver();
  const { url, server, directory } = await startServer(redis.url, receiver.url);
  const latencies = new Map<number, readonly number[]>();
  await generate(url, 5); // warms up
  await arrived(receiver, 5);
  for (const percent of percents) {
    await receiver.tell({ reset: true });
    await generate(url, percent);
    const took = await arrived(receiver, percent);
    latencies.set(percent, took);
    console.log(line(`${policy}, ${percent} % fire`, took));
  }
  await stop(server);
  const floor = fork(new URL("latency-floor.ts", import.meta.url), [redis.url, receiver.url]);
  const [{ port }] = (await once(floor, "message")) as [{ port: number }];
  for (const percent of percents) {
    await receiver.tell({ reset: true });
    await generate(`http://127.0.0.1:${port}`, percent);
    const took = await arrived(receiver, percent);
    console.log(line(`${policy}, ${percent} %, floor`, took));
    reportLatency(`${percent} % fire, fsync ${policy}`, latencies.get(percent) ?? [], took);
  }
  await stop(floor);
  receiver.stop();
  await redis.stop();
  await rm(directory, { recursive: true, force: true });
}
process.exit();
