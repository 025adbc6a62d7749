/**
 * What do open windows of many keys cost, and how long does it take to take them over?
 *
 * A private Redis, and the real engine in processes of its own. Every key sends heartbeats; some fall silent and must fire.
 * Prints memory and Redis bytes a key, how late absences were committed, the longest turn of the event loop, and how long
 * after the end of one engine the next one commits and has caught up: once after SIGTERM, once after SIGKILL (there counted
 * from the end of the lease).
 *
 * Run: npx node bench/windows.ts [keys, default 100000] [events per second, default 5000] [seconds after all keys are known,
 *   default 30] [within in seconds, default: twice the time in which every key beats]
 */

import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { type Automation, AutomationSchema } from "../src/core/model/automation.ts";
import type { WireEvent } from "../src/core/model/event.ts";
import { millisecond } from "../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../src/core/model/uuid.ts";
import { startEngine } from "../src/engine/engine.ts";
import { connect } from "../src/store/connection.ts";
import { shardKeys } from "../src/store/keys.ts";
import { Log } from "../src/store/log.ts";
import { comparePositions } from "../src/store/position.ts";
import { startRedis } from "../test/support/redis.ts";

const workspace = "bench";
const leaseMs = 10_000;
const lateness = 5;
const silentCount = 500;
const stepMs = 50;

interface EngineReport {
  readonly heapBytes: number;
  readonly rssBytes: number;
  readonly externalBytes: number;
  /** How long after its deadline each absence was committed. */
  readonly errorsMs: readonly number[];
  readonly longestTurnMs: number;
  readonly turnP99Ms: number;
}

async function runEngine(redisUrl: string): Promise<void> {
  const errorsMs: number[] = [];
  const turns: number[] = [];
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    turns.push(now - last);
    last = now;
  }, 5);
  const queue = { addInvocations: async () => {} };
  const logger = {
    info: (_fields: object, message: string) => process.send?.({ said: message }),
    warn: console.error,
    error: console.error,
  };
  const metrics = {
    fired: (_shard: number, firing: object) => {
      errorsMs.push(Date.now() - (firing as { triggered: number }).triggered / millisecond);
    },
  };
  const engine = await startEngine({ redisUrl, workspace, queue, logger, metrics, leaseMs });
  process.on("message", (wanted) => {
    if (wanted !== "report") return;
    globalThis.gc?.();
    const { heapUsed, rss, arrayBuffers } = process.memoryUsage();
    turns.sort((a, b) => a - b);
    const longestTurnMs = turns.at(-1) ?? 0;
    const turnP99Ms = turns[Math.floor(turns.length * 0.99)] ?? 0;
    turns.length = 0;
    last = performance.now();
    process.send?.({
      ...{ heapBytes: heapUsed, rssBytes: rss, externalBytes: arrayBuffers },
      ...{ errorsMs: errorsMs.splice(0), longestTurnMs, turnP99Ms },
    });
  });
  process.on("SIGTERM", () => void engine.stop().then(() => process.exit(0)));
}

function ruleOf(within: number): Automation {
  const now = Date.now() * millisecond;
  const definition = AutomationSchema.parse({
    name: "heartbeats",
    trigger: {
      posture: "Proactive",
      after: ["heartbeat"],
      expect: ["heartbeat"],
      for_each: ["prefect.resource.id"],
      within,
    },
    actions: [{ type: "do-nothing" }],
  });
  const id = uuid5(triplineNamespace, "heartbeats");
  return { ...definition, id, source: { kind: "api" }, secrets: {}, created: now, updated: now };
}

function heartbeat(key: number): { event: WireEvent } {
  const name = `device.${String(key).padStart(7, "0")}`;
  return {
    event: {
      id: randomUUID(),
      occurred: new Date().toISOString(),
      event: "heartbeat",
      resource: { "prefect.resource.id": name },
      related: [],
      payload: {},
      follows: null,
    },
  };
}

async function measure(): Promise<void> {
  const keyCount = Number(process.argv[2] ?? 100_000);
  const rate = Number(process.argv[3] ?? 5_000);
  const seconds = Number(process.argv[4] ?? 30);
  const roundSeconds = keyCount / rate;
  const within = Number(process.argv[5] ?? Math.ceil(Math.max(30, 2 * roundSeconds)));
  const server = await startRedis({ appendOnly: "everysec" });
  const redis = connect(server.url);
  const log = new Log(redis, workspace);
  await log.putAutomations([ruleOf(within)]);
  const keys = shardKeys(workspace, 0);
  const start = (): ChildProcess => {
    const engine = fork(new URL(import.meta.url).pathname, ["engine", server.url], {
      execArgv: ["--expose-gc", ...process.execArgv],
    });
    engine.on("message", (message: { said?: string }) => {
      if (message.said !== undefined) engineSaid.push([Date.now(), message.said]);
    });
    return engine;
  };
  const engineSaid: [number, string][] = [];
  const running = new Set<ChildProcess>();
  const add = (): ChildProcess => {
    const engine = start();
    running.add(engine);
    return engine;
  };
  const first = add();
  console.log(`${keyCount} keys, ${rate} events/s, within ${within} s, lateness ${lateness} s`);

  // Beats of every key in turn, at an even rate. The last keys fall silent once all are known.
  let next = 0;
  let isBeating = true;
  let silent = 0;
  const beat = async (): Promise<void> => {
    const startedAt = Date.now();
    let sent = 0;
    while (isBeating) {
      const due = Math.floor(((Date.now() - startedAt) / 1_000) * rate);
      const count = Math.min(due - sent, 1_000);
      if (count > 0) {
        const events = Array.from({ length: count }, () => heartbeat(next++ % (keyCount - silent)));
        sent += count;
        await log.appendEvents(events);
      } else await sleep(stepMs);
    }
  };
  const beating = beat();
  while (next < keyCount) await sleep(100);
  silent = Math.min(silentCount, keyCount / 10);
  await report(first); // forgets the turns of the start
  await sleep(seconds * 1_000);
  const report1 = await report(first);
  const lag = await lagOf(redis, keys.cursor);
  const stateBytes = Number(await redis.call("MEMORY", "USAGE", keys.state, "SAMPLES", "2000"));
  const fieldCount = await redis.hlen(keys.state);
  console.log(`behind by               ${lag} entries`);
  console.log(`heap a key              ${perKey(report1.heapBytes + report1.externalBytes)} bytes`);
  console.log(`resident memory a key   ${perKey(report1.rssBytes)} bytes`);
  console.log(`Redis state a key       ${perKey(stateBytes)} bytes (${fieldCount} fields)`);
  console.log(`longest turn, p99       ${ms(report1.longestTurnMs)}, ${ms(report1.turnP99Ms)}`);

  // The silent keys end.
  await sleep(Math.max(0, within + lateness - seconds + 2) * 1_000);
  const report2 = await report(first);
  const late: number[] = [];
  for (
    let tries = 0;
    tries < 30 && report1.errorsMs.length + report2.errorsMs.length + late.length < silent;
    tries++
  ) {
    await sleep(2_000);
    late.push(...(await report(first)).errorsMs);
  }
  const errors = [...report1.errorsMs, ...report2.errorsMs, ...late].sort((a, b) => a - b);
  console.log(
    `absences                ${errors.length} of ${silent}; late by p50 ${ms(errors[errors.length >> 1])}, p99 ${ms(errors[Math.floor(errors.length * 0.99)])}`,
  );
  console.log(`longest turn, p99       ${ms(report2.longestTurnMs)}, ${ms(report2.turnP99Ms)}`);

  const second = add();
  await sleep(3_000);
  await takeOver("SIGTERM", first, second, 0);
  const third = add();
  await sleep(3_000);
  await takeOver("SIGKILL", second, third, leaseMs);
  isBeating = false;
  await beating;
  for (const engine of running) engine.kill("SIGKILL");
  log.close();
  redis.disconnect();
  await server.stop();

  function perKey(bytes: number): string {
    return Math.round(bytes / keyCount).toLocaleString("en");
  }

  async function takeOver(
    signal: "SIGTERM" | "SIGKILL",
    from: ChildProcess,
    to: ChildProcess,
    withoutMs: number,
  ): Promise<void> {
    await report(to);
    engineSaid.length = 0;
    const epoch = await redis.get(keys.epoch);
    const killedAt = Date.now();
    from.kill(signal);
    running.delete(from);
    while ((await redis.get(keys.epoch)) === epoch) await sleep(10);
    const claimedAt = Date.now();
    const commitsBefore = await redis.hget(keys.cursor, "commit-count");
    const position = await log.lastPosition();
    while ((await redis.hget(keys.cursor, "commit-count")) === commitsBefore) await sleep(10);
    const committedAt = Date.now();
    const restoredAt = engineSaid.find(([, said]) => said === "Took over the shard")?.[0] ?? claimedAt;
    while (comparePositions((await redis.hget(keys.cursor, "position")) ?? "0-0", position) < 0)
      await sleep(10);
    while ((await lagOf(redis, keys.cursor)) > rate / 2) await sleep(20);
    const caughtUpAt = Date.now();
    const { longestTurnMs } = await report(to);
    const since = (time: number): string => ms(time - killedAt - withoutMs);
    console.log(
      `${signal}: claimed ${since(claimedAt)}, restored ${ms(restoredAt - claimedAt)} later (${((1_000 * (restoredAt - claimedAt)) / keyCount).toFixed(1)} µs a key), next commit ${since(committedAt)}, caught up ${since(caughtUpAt)}; longest turn ${ms(longestTurnMs)}`,
    );
  }
}

function report(engine: ChildProcess): Promise<EngineReport> {
  return new Promise((resolve) => {
    const take = (message: EngineReport | { said: string }): void => {
      if ("said" in message) return;
      engine.off("message", take);
      resolve(message);
    };
    engine.on("message", take);
    engine.send("report");
  });
}

async function lagOf(redis: ReturnType<typeof connect>, cursor: string): Promise<number> {
  const [count, last] = await Promise.all([
    redis.hget(cursor, "read-count"),
    redis.xlen(`tl:{${workspace}}:log`),
  ]);
  return last - Number(count ?? 0);
}

function sleep(duration: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, duration));
}

function ms(duration: number | undefined): string {
  return duration === undefined ? "-" : `${Math.round(duration).toLocaleString("en")} ms`;
}

if (process.argv[2] === "engine") await runEngine(process.argv[3] ?? "");
else await measure();
