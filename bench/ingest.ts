/**
 * How fast are events taken in, against the two limits of that: a bare HTTP server that parses the same bodies, and a
 * bare client that appends the same events to the same Redis?
 *
 * The server is a process of its own with the role `api` and no history; this process produces the load. Each
 * connection waits for the answer to its request before it sends the next one. The rounds alternate in one run, so that
 * the ratios are meaningful even on a noisy machine.
 *
 * Run: npx node bench/ingest.ts [--rounds 3] [--seconds 2] [--fsync everysec|always]
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { WebSocket } from "ws";
import { connect } from "../src/store/connection.ts";
import { workspaceKeys } from "../src/store/keys.ts";
import { Script } from "../src/store/script.ts";
import { appendEvents } from "../src/store/scripts/generated.ts";
import { freePort } from "../test/support/free-port.ts";
import { startRedis } from "../test/support/redis.ts";
import { median as medianOf } from "./support/figures.ts";
import { report } from "./support/report.ts";
import { cpuSecondsIn, redisUsage } from "./support/usage.ts";

const { values: settings } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    fsync: { type: "string", default: "everysec" },
    bare: { type: "string" }, // the port of the bare server, which runs in a process of its own
  },
});
const roundCount = Number(settings.rounds);
const seconds = Number(settings.seconds);
const batchLength = 100;
const batchConnections = 8;
const singleConnections = 64;

/** The bare server: it parses a body, and does nothing with it. */
function serveBare(port: number): void {
  const app = new Hono();
  app.post("/api/events", async (context) => {
    const events: unknown = await context.req.json();
    return context.body(null, Array.isArray(events) ? 204 : 422);
  });
  app.get("/metrics", (context) => {
    const { user, system } = process.cpuUsage();
    return context.text(`process_cpu_seconds_total ${(user + system) / 1e6}\n`);
  });
  serve({ fetch: app.fetch, hostname: "127.0.0.1", port });
}

/** Events as an orchestrator sends them: four labels, one related resource, about 200 bytes of payload. */
function eventText(index: number): string {
  const run = randomUUID();
  return JSON.stringify({
    occurred: new Date(Date.UTC(2026, 2, 1) + index * 37).toISOString(),
    event: ["prefect.flow-run.Running", "prefect.flow-run.Completed", "disk.usage"][index % 3],
    resource: {
      "prefect.resource.id": `prefect.flow-run.${run}`,
      "prefect.resource.name": `able-otter-${index}`,
      "prefect.state-type": "RUNNING",
      region: "eu-west-1",
    },
    related: [{ "prefect.resource.id": `prefect.flow.${index % 50}`, "prefect.resource.role": "flow" }],
    payload: {
      intended: { from: "PENDING", to: "RUNNING" },
      validated_state: { type: "RUNNING", name: "Running", timestamp: "2026-03-01T09:30:00.123456Z" },
      attempt: index,
      elapsed: 12.25,
      worker: "process-pool-3.internal",
    },
    id: randomUUID(),
    follows: null,
  });
}

const events = Array.from({ length: 100 * batchLength }, (_, index) => eventText(index));
const batches = Array.from({ length: 100 }, (_, index) =>
  events.slice(index * batchLength, (index + 1) * batchLength),
);

const lines = batches.map((batch) => Buffer.from(batch.map((event) => `${event}\n`).join("")));

function requestOf(body: string): Buffer {
  const head = [
    "POST /api/events HTTP/1.1",
    "Host: 127.0.0.1:4200",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  return Buffer.from(`${head.join("\r\n")}\r\n\r\n${body}`);
}

/** Sends requests for a while. @returns the number of answers */
async function post(port: number, requests: readonly Buffer[], connections: number): Promise<number> {
  const until = performance.now() + seconds * 1_000;
  let answered = 0;
  const one = async (first: number): Promise<void> => {
    const socket = connectSocket({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    let next = first;
    const send = (): void => void socket.write(requests[next++ % requests.length] as Buffer);
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("data", (answer) => {
        // An answer without a body is one small packet.
        if (!answer.toString("latin1").startsWith("HTTP/1.1 204")) reject(new Error(answer.toString()));
        answered += 1;
        if (performance.now() < until) send();
        else resolve();
      });
      send();
    });
    socket.destroy();
  };
  const share = Math.ceil(requests.length / connections);
  await Promise.all(Array.from({ length: connections }, (_, index) => one(index * share)));
  return answered;
}

/** Sends events through WebSockets, as Prefect's client does, with a ping after each so many. @returns the number confirmed */
async function sendFrames(port: number, connections: number): Promise<number> {
  const until = performance.now() + seconds * 1_000;
  let confirmed = 0;
  const one = async (first: number): Promise<void> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/api/events/in`, { perMessageDeflate: false });
    await once(socket, "open");
    let next = first;
    while (performance.now() < until) {
      for (const event of batches[next++ % batches.length] as string[]) socket.send(event);
      socket.ping();
      await once(socket, "pong");
      confirmed += batchLength;
    }
    socket.terminate();
  };
  await Promise.all(Array.from({ length: connections }, (_, index) => one(index * 11)));
  return confirmed;
}

/** Appends events with the script that the server uses, several batches at a time. @returns the number appended */
async function append(url: string): Promise<number> {
  const redis = connect(url);
  const script = new Script(appendEvents);
  const { log } = workspaceKeys("bare");
  const until = performance.now() + seconds * 1_000;
  let appended = 0;
  const one = async (first: number): Promise<void> => {
    for (let next = first; performance.now() < until; next++) {
      await script.run(redis, [log], [lines[next % lines.length] as Buffer, "", ""]);
      appended += batchLength;
    }
  };
  await Promise.all(Array.from({ length: batchConnections }, (_, index) => one(index * 11)));
  redis.disconnect();
  return appended;
}

interface Round {
  readonly rate: number;
  /** Of the process that answers, per event. */
  readonly cpuMicros: number;
  readonly redisMicros: number;
}

interface Server {
  readonly port: number;
  readonly process: ChildProcess;
  cpuSeconds(): Promise<number>;
}

async function startProcess(args: readonly string[], port: number): Promise<Server> {
  const started = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  const metrics = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  for (let attempt = 0; ; attempt++) {
    const isUp = await metrics().then(
      () => true,
      () => false,
    );
    if (isUp) break;
    if (attempt === 200) throw new Error(`${args.join(" ")} does not start`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const cpuSeconds = async () => cpuSecondsIn(await metrics());
  return { port, process: started, cpuSeconds };
}

async function main(): Promise<void> {
  const redis = await startRedis({ appendOnly: settings.fsync === "always" ? "always" : "everysec" });
  const client = connect(redis.url);
  const redisCpuSeconds = async () => (await redisUsage(client)).cpuSeconds;
  const barePort = await freePort();
  const hono = await startProcess([import.meta.filename, "--bare", String(barePort)], barePort);
  const port = await freePort();
  const bin = join(dirname(import.meta.dirname), "src/cli/bin.ts");
  const args = ["serve", "--roles", "api", "--history-url", "off", "--redis", redis.url];
  const api = await startProcess(
    [...process.execArgv, bin, ...args, "--port", String(port), "--log-level", "error"],
    port,
  );

  const measure = async (server: Server | null, run: () => Promise<number>): Promise<Round> => {
    await client.flushall();
    const cpu = (await server?.cpuSeconds()) ?? 0;
    const redisCpu = await redisCpuSeconds();
    const began = performance.now();
    const count = await run();
    const rate = count / ((performance.now() - began) / 1_000);
    const cpuMicros = ((((await server?.cpuSeconds()) ?? 0) - cpu) / count) * 1e6;
    return { rate, cpuMicros, redisMicros: (((await redisCpuSeconds()) - redisCpu) / count) * 1e6 };
  };
  const batchRequests = batches.map((batch) => requestOf(`[${batch.join(",")}]`));
  const singleRequests = events.map((event) => requestOf(`[${event}]`));
  const posting = async (server: Server, requests: Buffer[], connections: number, each: number) =>
    (await post(server.port, requests, connections)) * each;

  const rows: readonly (readonly [name: string, server: Server | null, run: () => Promise<number>])[] = [
    ["batches: XADD by script", null, () => append(redis.url)],
    ["batches: bare Hono", hono, () => posting(hono, batchRequests, batchConnections, batchLength)],
    ["batches: Tripline", api, () => posting(api, batchRequests, batchConnections, batchLength)],
    ["singles: bare Hono", hono, () => posting(hono, singleRequests, singleConnections, 1)],
    ["singles: Tripline", api, () => posting(api, singleRequests, singleConnections, 1)],
    ["WebSocket: Tripline", api, () => sendFrames(api.port, batchConnections)],
  ];
  const results = new Map<string, Round[]>(rows.map(([name]) => [name, []]));
  for (let round = -1; round < roundCount; round++) {
    for (const [name, server, run] of rows) {
      const result = await measure(server, run);
      if (round >= 0) results.get(name)?.push(result); // the first round warms up
    }
  }
  const memory = await fetch(`http://127.0.0.1:${port}/metrics`).then((answer) => answer.text());
  const rss = Number(/^process_resident_memory_bytes (\S+)/m.exec(memory)?.[1]) / 1e6;
  api.process.kill();
  hono.process.kill();
  client.disconnect();
  await redis.stop();

  console.log(`fsync ${settings.fsync}, ${roundCount} rounds of ${seconds} s`);
  for (const [name, rounds] of results) {
    const rates = rounds.map(({ rate }) => rate);
    const cpu = medianOf(rounds.map(({ cpuMicros }) => cpuMicros));
    const redisCpu = medianOf(rounds.map(({ redisMicros }) => redisMicros));
    console.log(
      `${name.padEnd(26)}${format(medianOf(rates)).padStart(9)} events/s (${rates.map(format).join(", ")})` +
        `  server ${cpu.toFixed(1)} µs, Redis ${redisCpu.toFixed(1)} µs of CPU per event`,
    );
  }
  const ratesOf = (name: string) => (results.get(name) ?? []).map(({ rate }) => rate);
  const compare = (question: string, ours: string, bare: string) =>
    report({
      question,
      unit: "events/s",
      values: ratesOf(ours),
      limit: { name: bare.replace(/^.*: /, ""), values: ratesOf(bare) },
    });
  compare("batches taken in", "batches: Tripline", "batches: XADD by script");
  compare("batches taken in, beside HTTP alone", "batches: Tripline", "batches: bare Hono");
  compare("single events taken in", "singles: Tripline", "singles: bare Hono");
  report({ question: "memory of the API", unit: "MB", values: [rss], lowerIsBetter: true });
}

function format(value: number): string {
  return Math.round(value).toLocaleString("en");
}

if (settings.bare === undefined) await main();
else serveBare(Number(settings.bare));
