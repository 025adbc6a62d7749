/**
 * How much faster than Prefect's own server is Tripline, at the same question in the same run?
 *
 * The question is that of bench/end-to-end.ts: 1,000 automations, batches of 100 events, one event in a hundred fires,
 * until the firings can be read in the history. Prefect runs with SQLite, and with PostgreSQL and Redis where a server of
 * PostgreSQL is installed (on Debian: apt-get install postgresql).
 *
 * Run: npm run bench:prefect -- [events for Tripline, default 40000] [events for Prefect, default 2000] [rounds, default 3]
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Sandbox } from "../test/cli/support.ts";
import { databaseKinds } from "../test/history/databases.ts";
import { freePort } from "../test/support/free-port.ts";
import { startRedis } from "../test/support/redis.ts";
import { createAutomations, type EndToEndTarget, measureEndToEnd } from "./support/end-to-end.ts";
import { median, rounded, spread } from "./support/figures.ts";

const [triplineCount = 40_000, prefectCount = 2_000, roundCount = 3] = process.argv.slice(2).map(Number);
const root = resolve(import.meta.dirname, "..");
const environment = resolve(
  root,
  process.env["TRIPLINE_PREFECT_BENCH_VENV"] ?? ".tripline/prefect-bench-venv",
);
const program = join(environment, "bin", "prefect");
/** What the figures in docs/performance.md were measured against. */
const packages = ["prefect==3.9.1", "prefect-redis==0.3.0"];

interface RunningTarget extends EndToEndTarget {
  readonly name: string;
  readonly eventCount: number;
  stop(): Promise<void>;
}

function install(): void {
  if (existsSync(program)) return;
  console.log(`Installing ${packages.join(" and ")} into ${environment}. This takes a few minutes.`);
  run("python3", "-m", "venv", "--clear", environment);
  run(join(environment, "bin", "pip"), "install", "--disable-pip-version-check", "--quiet", ...packages);
}

function run(command: string, ...words: string[]): void {
  const { status } = spawnSync(command, words, { cwd: root, stdio: "inherit" });
  if (status !== 0) throw new Error(`${command} failed. It needs Python 3.10 or newer with venv.`);
}

async function startTripline(): Promise<RunningTarget> {
  const sandbox = new Sandbox();
  const redis = await startRedis({ appendOnly: "always" });
  const server = await sandbox.serve(redis.url);
  return {
    name: "Tripline (SQLite, Redis with fsync always)",
    api: server.api,
    firingName: "prefect-cloud.automation.action.triggered",
    eventCount: triplineCount,
    async stop() {
      await server.process.end();
      await sandbox.close();
      await redis.stop();
    },
  };
}

/** @param settings environment variables that choose the database and the broker */
async function startPrefect(
  name: string,
  settings: Readonly<Record<string, string>>,
  release: () => Promise<void>,
): Promise<RunningTarget> {
  const home = mkdtempSync(join(tmpdir(), "tripline-bench-prefect-"));
  const port = await freePort();
  const server = spawn(program, ["server", "start", "--host", "127.0.0.1", "--port", String(port)], {
    cwd: home,
    stdio: ["ignore", "ignore", "ignore"],
    env: {
      ...process.env,
      PREFECT_HOME: home,
      PREFECT_UI_ENABLED: "false",
      PREFECT_SERVER_ANALYTICS_ENABLED: "false",
      PREFECT_LOGGING_SERVER_LEVEL: "ERROR",
      ...settings,
    },
  });
  const api = `http://127.0.0.1:${port}/api`;
  await untilHealthy(api, server);
  return {
    name,
    api,
    // Its server reports the actions of a firing, not the firing itself. Both are asked for the same.
    firingName: "prefect.automation.action.triggered",
    eventCount: prefectCount,
    async stop() {
      const ended = new Promise((done) => server.once("exit", done));
      server.kill("SIGTERM");
      await Promise.race([ended, pause(10_000)]);
      server.kill("SIGKILL");
      await release();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function untilHealthy(api: string, server: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (server.exitCode !== null) throw new Error(`Prefect's server ended with code ${server.exitCode}`);
    const isHealthy = await fetch(`${api}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isHealthy) return;
    await pause(500);
  }
  throw new Error("Prefect's server did not start within five minutes");
}

const startPrefectWithSqlite = () => startPrefect("Prefect (SQLite)", {}, async () => {});

async function startPrefectWithPostgres(): Promise<RunningTarget> {
  const kind = databaseKinds.find(({ name }) => name === "PostgreSQL");
  if (kind === undefined || kind.missing !== null) throw new Error(kind?.missing ?? "no PostgreSQL");
  const [database, redis] = [await kind.start(), await startRedis()];
  const options = database.options("bench");
  const url = "url" in options ? options.url : "";
  return startPrefect(
    "Prefect (PostgreSQL, Redis)",
    {
      PREFECT_API_DATABASE_CONNECTION_URL: url.replace("postgres://", "postgresql+asyncpg://"),
      PREFECT_MESSAGING_BROKER: "prefect_redis.messaging",
      PREFECT_MESSAGING_CACHE: "prefect_redis.messaging",
      PREFECT_SERVER_EVENTS_CAUSAL_ORDERING: "prefect_redis.ordering",
      PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE: "prefect_redis.lease_storage",
      PREFECT_REDIS_MESSAGING_HOST: "127.0.0.1",
      PREFECT_REDIS_MESSAGING_PORT: String(redis.port),
      PREFECT_REDIS_MESSAGING_DB: "0",
    },
    async () => {
      await redis.stop();
      await database.remove();
    },
  );
}

install();
const hasPostgres = databaseKinds.some(({ name, missing }) => name === "PostgreSQL" && missing === null);
const starts = [startTripline, startPrefectWithSqlite, ...(hasPostgres ? [startPrefectWithPostgres] : [])];
const rates = new Map<string, number[]>();
// One server at a time, in turns: they would take the cores from each other.
for (let round = 0; round < roundCount; round++) {
  for (const start of starts) {
    const target = await start();
    await createAutomations(target);
    await measureEndToEnd(target, Math.max(500, target.eventCount / 10)); // warms up
    const { accepted, fired } = await measureEndToEnd(target, target.eventCount);
    console.log(
      `${target.name}: accepted ${rounded(accepted)}/s, firings readable ${rounded(fired)} events/s`,
    );
    rates.set(target.name, [...(rates.get(target.name) ?? []), fired]);
    await target.stop();
  }
}
const [[, ours = []] = [], ...others] = rates;
console.log("\nevents per second until the firings can be read, median of the rounds:");
for (const [name, values] of rates) console.log(`  ${name}: ${rounded(median(values))} (${spread(values)})`);
for (const [name, values] of others) {
  console.log(`  times ${name}: ${Math.round(median(ours) / median(values))}`);
}
