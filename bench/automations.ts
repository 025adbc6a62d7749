/**
 * How long does it take to create many automations: one by one over the API, by `apply`, and from files at start? And
 * how long until the engine evaluates events against all of them?
 *
 * Run: npx node bench/automations.ts [automations, default 10000] [connections, default 8]
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { connect } from "../src/store/connection.ts";
import { freePort } from "../test/support/free-port.ts";
import { startRedis } from "../test/support/redis.ts";
import { cpuSecondsIn } from "./support/usage.ts";

const count = Number(process.argv[2] ?? 10_000);
const connections = Number(process.argv[3] ?? 8);
const bin = join(dirname(import.meta.dirname), "src/cli/bin.ts");
const agent = new Agent({ keepAlive: true, maxSockets: connections });

/** A rule for each of many pumps, with a message that says which. */
function ruleOf(index: number): object {
  return {
    name: `pump ${index} failed`,
    description: "Three failures of a pump within ten minutes.",
    tags: ["greenhouse"],
    trigger: {
      type: "event",
      posture: "Reactive",
      expect: ["pump.failed"],
      match: { "prefect.resource.id": `pump.${index}` },
      for_each: ["prefect.resource.id"],
      threshold: 3,
      within: 600,
    },
    actions: [
      {
        type: "call-webhook",
        url: "https://hooks.example.com/pumps",
        payload: { text: "{{ event.resource['prefect.resource.id'] }} failed: {{ event.payload.reason }}" },
      },
    ],
  };
}

function post(port: number, path: string, body: unknown): Promise<number> {
  const text = JSON.stringify(body);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, host: "127.0.0.1", path: `/api${path}`, method: "POST", agent, headers },
      (answer) => {
        answer.resume().on("end", () => resolve(answer.statusCode ?? 0));
      },
    );
    sent.on("error", reject).end(text);
  });
}

interface Server {
  readonly port: number;
  readonly startSeconds: number;
  stop(): Promise<void>;
}

async function serve(redisUrl: string, args: readonly string[]): Promise<Server> {
  const port = await freePort();
  const began = performance.now();
  const settings = [
    "--redis",
    redisUrl,
    "--history-url",
    "off",
    "--port",
    String(port),
    "--log-level",
    "error",
  ];
  const server: ChildProcess = spawn(
    process.execPath,
    [...process.execArgv, bin, "serve", ...args, ...settings],
    {
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  const isUp = () =>
    fetch(`http://127.0.0.1:${port}/api/health`).then(
      () => true,
      () => false,
    );
  while (!(await isUp())) await new Promise((resolve) => setTimeout(resolve, 20));
  return {
    port,
    startSeconds: (performance.now() - began) / 1_000,
    stop: async () => {
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill();
      await ended;
    },
  };
}

async function cpuSeconds(port: number): Promise<number> {
  const metrics = await fetch(`http://127.0.0.1:${port}/metrics`).then((answer) => answer.text());
  return cpuSecondsIn(metrics);
}

async function seconds(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return (performance.now() - began) / 1_000;
}

async function expectStatus(wanted: number, status: Promise<number>): Promise<void> {
  const found = await status;
  if (found !== wanted) throw new Error(`answered ${found} instead of ${wanted}`);
}

const redis = await startRedis({ appendOnly: "everysec" });
const client = connect(redis.url);
const print = (what: string, time: number) =>
  console.log(`${what.padEnd(52)}${time.toFixed(2).padStart(8)} s`);
console.log(`${count} automations`);

let api = await serve(redis.url, ["--roles", "api"]);
let next = 0;
const cpuBefore = await cpuSeconds(api.port);
const created = await seconds(() =>
  Promise.all(
    Array.from({ length: connections }, async () => {
      while (next < count) await expectStatus(201, post(api.port, "/automations", ruleOf(next++)));
    }),
  ),
);
print(`POST /automations, ${connections} at a time`, created);
print("  of which CPU of the server", (await cpuSeconds(api.port)) - cpuBefore);

const engine = await serve(redis.url, ["--roles", "engine"]);
const last = (await client.xrevrange("tl:{default}:log", "+", "-", "COUNT", 1))[0]?.[0] ?? "";
const restored = await seconds(async () => {
  const key = "tl:{default}:shard:0:cursor";
  while ((await client.hget(key, "position")) !== last)
    await new Promise((resolve) => setTimeout(resolve, 10));
});
print("until an engine that starts has them all", engine.startSeconds + restored);
await engine.stop();
await api.stop();
await client.flushall();

api = await serve(redis.url, ["--roles", "api"]);
const rules = Array.from({ length: count }, (_, index) => ({
  definition: ruleOf(index),
  file: "pumps.yaml",
}));
const apply = () => expectStatus(200, post(api.port, "/automations/apply", { automations: rules }));
print("POST /automations/apply, all at once", await seconds(apply));
print("the same again, which changes nothing", await seconds(apply));
await api.stop();
await client.flushall();

const folder = await mkdtemp(join(tmpdir(), "tripline-rules-"));
const filesCount = 100;
for (let file = 0; file < filesCount; file++) {
  const own = rules.filter((_, index) => index % filesCount === file).map(({ definition }) => definition);
  // JSON is YAML; but people write it in lines.
  const { stringify } = await import("yaml");
  await writeFile(join(folder, `pumps-${file}.yaml`), stringify({ automations: own }));
}
const empty = await serve(redis.url, ["--roles", "api"]);
await empty.stop();
for (const what of ["serve --rules, first start", "serve --rules, second start"]) {
  const server = await serve(redis.url, ["--roles", "api", "--rules", folder]);
  print(`${what} (an empty one: ${empty.startSeconds.toFixed(2)} s)`, server.startSeconds);
  await server.stop();
}
await rm(folder, { recursive: true });
client.disconnect();
await redis.stop();
