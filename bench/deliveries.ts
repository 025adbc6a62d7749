/**
 * How many deliveries per second does one worker make, how much more does a webhook cost than an action that does nothing,
 * and how much more does it cost if all of them are about one thing, so that they are made one after the other?
 *
 * It uses a private Redis (append-only file, fsync always), the real queue and worker, and an endpoint on this machine
 * that answers at once. The kinds alternate in one process, so that their ratio is meaningful even on a noisy
 * machine.
 *
 * Run: npx node bench/deliveries.ts [deliveries per run, default 1000] [runs of each, default 3]
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { invocationsOf } from "../src/core/machine/consequence.ts";
import type { ActionDefinition } from "../src/core/model/action.ts";
import { AutomationSchema } from "../src/core/model/automation.ts";
import { eventOf } from "../src/core/model/event.ts";
import { millisecond } from "../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../src/core/model/uuid.ts";
import { DeliveryQueue } from "../src/delivery/queue.ts";
import { startActionWorker } from "../src/delivery/worker.ts";
import { connect } from "../src/store/connection.ts";
import { Log } from "../src/store/log.ts";
import { startRedis } from "../test/support/redis.ts";

const deliveryCount = Number(process.argv[2] ?? 1_000);
const runCount = Number(process.argv[3] ?? 3);
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
  await worker.close();
  await queue.close();
  log.close();
  redis.disconnect();
  return rate;
}

const redis = await startRedis({ appendOnly: "always" });
const endpoint = createServer((request, response) => {
  request.resume().on("end", () => response.end());
});
await new Promise<void>((resolve) => endpoint.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/`;
const idle: number[] = [];
const webhook: number[] = [];
const ordered: number[] = [];
for (let run = 0; run < runCount; run++) {
  const call = { type: "call-webhook", url };
  idle.push(await deliveriesPerSecond(redis.url, `idle-${run}`, { type: "do-nothing" }, deliveryCount));
  webhook.push(await deliveriesPerSecond(redis.url, `webhook-${run}`, call, deliveryCount));
  ordered.push(await deliveriesPerSecond(redis.url, `ordered-${run}`, call, 1));
}
endpoint.close();
endpoint.closeAllConnections();
await redis.stop();
const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const formatRate = (value: number): string => Math.round(value).toLocaleString("en");
console.log(`do-nothing:    ${formatRate(median(idle))} per second (${idle.map(formatRate).join(", ")})`);
console.log(
  `call-webhook:  ${formatRate(median(webhook))} per second (${webhook.map(formatRate).join(", ")})`,
);
console.log(
  `about 1 thing: ${formatRate(median(ordered))} per second (${ordered.map(formatRate).join(", ")})`,
);
console.log(`ratios:        ${(median(idle) / median(webhook)).toFixed(2)} times slower with a webhook`);
console.log(`               ${(median(webhook) / median(ordered)).toFixed(2)} times slower about one thing`);
