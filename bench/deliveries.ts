/**
 * How many deliveries per second does one worker make, beside what its parts allow in the same run?
 *
 * - `nothing`: actions that do nothing; `bare nothing`: a BullMQ worker whose jobs do nothing.
 * - `webhook`: webhooks about different things; `bare webhook`: a BullMQ worker that makes the same HTTP calls with the
 *   same client, and nothing else: neither events nor order nor limits.
 * - `one thing`: webhooks about one thing, which are made one after the other; `bare one thing`: the bare worker with a
 *   concurrency of 1.
 *
 * It uses a private Redis (append-only file, fsync always), the real queue and worker, and a receiver in a process of its
 * own that answers at once. The kinds alternate, so that their ratios are meaningful even on a noisy machine.
 *
 * Run: npx node bench/deliveries.ts [deliveries per run, default 2000] [rounds, default 5]
 *   [kinds, such as webhook,bare webhook; default all]
 */

import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import { Agent } from "undici";
import { invocationsOf } from "../src/core/machine/consequence.ts";
import type { ActionDefinition } from "../src/core/model/action.ts";
import { AutomationSchema } from "../src/core/model/automation.ts";
import { eventOf } from "../src/core/model/event.ts";
import { millisecond } from "../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../src/core/model/uuid.ts";
import { endpointLimits } from "../src/delivery/http/endpoints.ts";
import { DeliveryQueue } from "../src/delivery/queue.ts";
import { startActionWorker } from "../src/delivery/worker.ts";
import { workerSettings } from "../src/delivery/worker-settings.ts";
import { connect } from "../src/store/connection.ts";
import { Log } from "../src/store/log.ts";
import { startRedis } from "../test/support/redis.ts";
import { median, rounded, spread } from "./support/figures.ts";
import { startReceiver } from "./support/receiver.ts";
import { report } from "./support/report.ts";
import { redisUsage } from "./support/usage.ts";

const deliveryCount = Number(process.argv[2] ?? 2_000);
const roundCount = Number(process.argv[3] ?? 5);
const concurrency = workerSettings.concurrency;
/** The processor time that this process took for the latest run. */
let ownMicros = 0;
const silent = { info() {}, warn() {}, error: console.error };

/** @param thingCount how many resources the deliveries are about */
async function deliveriesPerSecond(
  redisUrl: string,
  workspace: string,
  action: object,
  thingCount: number,
): Promise<number> {
  const redis = connect(redisUrl);
  const log = new Log(redis, workspace);
  const queue = new DeliveryQueue(redisUrl, workspace);
  let finishedCount = 0;
  let finish = (): void => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const definition = AutomationSchema.parse({
    name: "bench",
    trigger: {},
    actions: [action as ActionDefinition],
  });
  const now = Date.now() * millisecond;
  const automation = {
    ...definition,
    id: uuid5(triplineNamespace, workspace),
    source: { kind: "api" as const },
  };
  const stored = { ...automation, secrets: {}, created: now, updated: now };
  const wire = (index: number) => ({
    id: uuid5(triplineNamespace, `${workspace} event ${index}`),
    occurred: new Date().toISOString(),
    event: "job.failed",
    resource: { "prefect.resource.id": `job.${index % thingCount}` },
    related: [],
    payload: {},
    follows: null,
  });
  const invocations = Array.from({ length: deliveryCount }, (_, index) =>
    invocationsOf({
      id: uuid5(triplineNamespace, `${workspace} firing ${index}`),
      triggerId: "",
      state: "Triggered",
      triggered: now,
      happened: now,
      labels: {},
      event: eventOf(wire(index), now),
      window: null,
      late: false,
      firings: [],
      automation: stored,
      lineage: [stored.id],
    }),
  ).flat();
  await queue.addInvocations(invocations);
  const cpu = process.cpuUsage();
  const began = performance.now();
  const worker = startActionWorker({
    redisUrl,
    workspace,
    log,
    logger: silent,
    settings: { dangerouslyAllowPrivateAddresses: true },
    metrics: {
      actionFinished: () => {
        finishedCount++;
        if (finishedCount === deliveryCount) finish();
      },
    },
  });
  await finished;
  const rate = deliveryCount / ((performance.now() - began) / 1_000);
  ownMicros = process.cpuUsage(cpu).user + process.cpuUsage(cpu).system;
  await worker.close();
  await queue.close();
  log.close();
  redis.disconnect();
  return rate;
}

/** The same with BullMQ alone. @param url what each job calls; null for jobs that do nothing */
async function barePerSecond(
  redisUrl: string,
  name: string,
  url: string | null,
  atOnce: number,
): Promise<number> {
  const prefix = `{${name}}`;
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue("bare", { connection: redis, prefix });
  const agent = new Agent({ connections: endpointLimits.concurrencyMax });
  const target = new URL(url ?? "http://127.0.0.1/");
  const body = JSON.stringify({ message: "a body of about the size of a webhook ".repeat(25) });
  for (let added = 0; added < deliveryCount; added += 500) {
    const count = Math.min(500, deliveryCount - added);
    const job = { name: "call-webhook", data: { body }, opts: { removeOnComplete: { age: 86_400 } } };
    await queue.addBulk(
      Array.from({ length: count }, (_, index) => ({
        ...job,
        opts: { ...job.opts, jobId: `inv-${added + index}` },
      })),
    );
  }
  const cpu = process.cpuUsage();
  const began = performance.now();
  let finishedCount = 0;
  const finished = Promise.withResolvers<void>();
  const worker = new Worker<{ body: string }>(
    "bare",
    async ({ data }) => {
      if (url === null) return;
      const response = await agent.request({
        origin: target.origin,
        path: target.pathname,
        method: "POST",
        headers: { "content-type": "application/json" },
        body: data.body,
      });
      await response.body.dump();
    },
    { connection: redis, prefix, concurrency: atOnce },
  );
  worker.on("completed", () => {
    finishedCount += 1;
    if (finishedCount === deliveryCount) finished.resolve();
  });
  await finished.promise;
  const rate = deliveryCount / ((performance.now() - began) / 1_000);
  ownMicros = process.cpuUsage(cpu).user + process.cpuUsage(cpu).system;
  await worker.close();
  await queue.close();
  await agent.close();
  redis.disconnect();
  return rate;
}

const redis = await startRedis({ appendOnly: "always" });
const receiver = await startReceiver();
const { url } = receiver;
const call = { type: "call-webhook", url };
const kinds: Record<string, (name: string) => Promise<number>> = {
  "bare nothing": (name) => barePerSecond(redis.url, name, null, concurrency),
  nothing: (name) => deliveriesPerSecond(redis.url, name, { type: "do-nothing" }, deliveryCount),
  "bare webhook": (name) => barePerSecond(redis.url, name, url, concurrency),
  webhook: (name) => deliveriesPerSecond(redis.url, name, call, deliveryCount),
  "bare one thing": (name) => barePerSecond(redis.url, name, url, 1),
  "one thing": (name) => deliveriesPerSecond(redis.url, name, call, 1),
};
const only = process.argv[4]?.split(",") ?? Object.keys(kinds);
const measured = new Map(
  only.map((kind) => [kind, { rates: [] as number[], own: [] as number[], redis: [] as number[] }]),
);
const admin = connect(redis.url);
for (let round = 0; round < roundCount; round++) {
  for (const [kind, { rates, own, redis }] of measured) {
    const redisBefore = await redisMicros();
    rates.push((await kinds[kind]?.(`${kind.replaceAll(" ", "-")}-${round}`)) ?? 0);
    own.push(ownMicros / deliveryCount);
    redis.push(((await redisMicros()) - redisBefore) / deliveryCount);
  }
}
admin.disconnect();
receiver.stop();
await redis.stop();

/** The processor time that Redis has used so far. */
async function redisMicros(): Promise<number> {
  return (await redisUsage(admin)).cpuSeconds * 1_000_000;
}

console.log("                  per second   of bare   spread   worker   redis (µs of processor time each)");
for (const [kind, { rates, own, redis }] of measured) {
  const bare = measured.get(`bare ${kind}`);
  const ratio = bare === undefined ? "" : (median(rates) / median(bare.rates)).toFixed(2);
  const columns = [
    kind.padEnd(18),
    rounded(median(rates)).padStart(10),
    ratio.padStart(10),
    spread(rates).padStart(9),
    rounded(median(own)).padStart(9),
    rounded(median(redis)).padStart(8),
  ];
  console.log(`${columns.join("")}   (${rates.map(rounded).join(", ")} per second)`);
}
const questions: Readonly<Record<string, string>> = {
  nothing: "actions that do nothing",
  webhook: "webhooks",
  "one thing": "webhooks about one thing",
};
for (const [kind, question] of Object.entries(questions)) {
  const [ours, bare] = [measured.get(kind), measured.get(`bare ${kind}`)];
  if (ours === undefined || bare === undefined) continue;
  const limit = { name: "bare BullMQ", values: bare.rates };
  report({ question, unit: "a second", values: ours.rates, limit });
}
process.exit(); // a worker that was closed at once leaves timers behind
