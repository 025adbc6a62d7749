/**
 * How soon is everything out that waits for an endpoint, once that works again?
 *
 * Two workers with their own connections share a private Redis (append-only file, fsync always). The receiver, in a process of
 * its own, answers 503 for a while; the deliveries, each about another thing, fail or wait, with minutes until their next
 * attempts. Then it accepts again, at its own speed. The floor is what that speed allows for 10 requests at a time from each
 * worker.
 *
 * Run: npx node bench/recovery.ts [deliveries, default 1000] [ms the receiver takes to answer, default 5]
 *   [seconds of outage, default 20]
 */

import { setTimeout as sleep } from "node:timers/promises";
import { invocationsOf } from "../src/core/machine/consequence.ts";
import { AutomationSchema } from "../src/core/model/automation.ts";
import { eventOf } from "../src/core/model/event.ts";
import { millisecond } from "../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../src/core/model/uuid.ts";
import { endpointLimits } from "../src/delivery/http/endpoints.ts";
import { DeliveryQueue } from "../src/delivery/queue.ts";
import { startActionWorker } from "../src/delivery/worker.ts";
import { connect } from "../src/store/connection.ts";
import { Log } from "../src/store/log.ts";
import { startRedis } from "../test/support/redis.ts";
import { rounded } from "./support/figures.ts";
import { startReceiver } from "./support/receiver.ts";
import { report } from "./support/report.ts";

const deliveryCount = Number(process.argv[2] ?? 1_000);
const answerMs = Number(process.argv[3] ?? 5);
const outageMs = Number(process.argv[4] ?? 20) * 1_000;
const workerCount = 2;
const silent = { info() {}, warn() {}, error: console.error };

const redis = await startRedis({ appendOnly: "always" });
const receiver = await startReceiver(answerMs);
const workspace = "recovery";
const connection = connect(redis.url);
const queue = new DeliveryQueue(redis.url, workspace);
const now = Date.now() * millisecond;
const definition = AutomationSchema.parse({
  name: "bench",
  trigger: {},
  actions: [{ type: "call-webhook", url: receiver.url }],
});
const id = uuid5(triplineNamespace, workspace);
const automation = {
  ...definition,
  ...{ id, secrets: {}, created: now, updated: now },
  source: { kind: "api" as const },
};
const invocations = Array.from({ length: deliveryCount }, (_, index) => {
  const wire = {
    id: uuid5(triplineNamespace, `recovery event ${index}`),
    occurred: new Date().toISOString(),
    event: "job.failed",
    resource: { "prefect.resource.id": `job.${index}` },
    related: [],
    payload: {},
    follows: null,
  };
  return invocationsOf({
    id: uuid5(triplineNamespace, `recovery firing ${index}`),
    triggerId: "",
    state: "Triggered",
    triggered: now,
    happened: now,
    labels: {},
    event: eventOf(wire, now),
    window: null,
    late: false,
    firings: [],
    automation,
    lineage: [id],
  });
}).flat();

await receiver.tell({ failing: true });
const logs = Array.from({ length: workerCount }, () => new Log(connection, workspace));
const workers = logs.map((log) =>
  startActionWorker({
    ...{ redisUrl: redis.url, workspace, log, logger: silent },
    // As late in a long outage: the next attempts are up to ten minutes away.
    settings: { dangerouslyAllowPrivateAddresses: true, retryMs: 600_000 },
  }),
);
for (let added = 0; added < deliveryCount; added += 100) {
  await queue.addInvocations(invocations.slice(added, added + 100));
}
const until = Date.now() + outageMs;
while ((await queue.counts()).delayed < deliveryCount) await sleep(100);
await sleep(Math.max(until - Date.now(), 0));
const { failedCount } = await receiver.tell({ failing: false, reset: false });
const began = Date.now();
for (;;) {
  const { acceptedCount, firstAccepted, lastAccepted } = await receiver.tell({});
  const isLate = Date.now() - began > 300_000;
  if (acceptedCount >= deliveryCount || isLate) {
    const floorMs = (deliveryCount * answerMs) / (workerCount * endpointLimits.concurrencyMax);
    console.log(
      `${rounded(deliveryCount)} deliveries, ${failedCount} requests during the outage of ${outageMs / 1_000} s`,
    );
    console.log(
      `first accepted:  ${((firstAccepted - began) / 1_000).toFixed(1)} s after the end of the outage`,
    );
    console.log(
      `last accepted:   ${((lastAccepted - began) / 1_000).toFixed(1)} s after it (${acceptedCount} accepted)`,
    );
    console.log(
      `drained within:  ${((lastAccepted - firstAccepted) / 1_000).toFixed(1)} s; the receiver's floor is ${(floorMs / 1_000).toFixed(1)} s`,
    );
    report({
      question: "backlog delivered after the end of an outage",
      unit: "s",
      values: [(lastAccepted - began) / 1_000],
      lowerIsBetter: true,
      limit: { name: "receiver", values: [floorMs / 1_000] },
    });
    break;
  }
  await sleep(200);
}
await Promise.all(workers.map((worker) => worker.close(0)));
receiver.stop();
await queue.close();
for (const log of logs) log.close();
connection.disconnect();
await redis.stop();
process.exit();
