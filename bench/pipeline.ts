/**
 * How many events per second pass through the whole pipeline, and does that drop with more rules?
 *
 * It uses a private Redis (append-only file, fsync always, like `npm start`), and the real engine with its dispatcher and
 * queue. Each run appends events in batches and waits until the engine has committed all of them. One in a thousand
 * fires. The runs alternate in one process, so that their ratio is meaningful even on a noisy machine.
 *
 * Run: npx node bench/pipeline.ts [events per run, default 50000] [runs of each, default 3]
 */

import { type Automation, AutomationSchema } from "../src/core/model/automation.ts";
import { millisecond } from "../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../src/core/model/uuid.ts";
import { DeliveryQueue } from "../src/delivery/queue.ts";
import { startEngine } from "../src/engine/engine.ts";
import { connect } from "../src/store/connection.ts";
import { Log } from "../src/store/log.ts";
import { startRedis } from "../test/support/redis.ts";

const eventCount = Number(process.argv[2] ?? 50_000);
const runCount = Number(process.argv[3] ?? 3);
const batchLength = 1_000;
const silent = { info() {}, warn: console.error, error: console.error };

function rules(count: number, workspace: string): Automation[] {
  const now = Date.now() * millisecond;
  return Array.from({ length: count }, (_, index) => {
    const definition = AutomationSchema.parse({
      name: `rule ${index}`,
      trigger:
        index % 2 === 0
          ? { expect: ["job.failed"], match: { "prefect.resource.id": `job.${index}` } }
          : {
              expect: ["job.ended"],
              after: ["job.started"],
              match: { "prefect.resource.id": `job.${index}` },
              within: 60,
            },
      actions: [{ type: "do-nothing" }],
    });
    const id = uuid5(triplineNamespace, `${workspace} ${index}`);
    return { ...definition, id, source: { kind: "api" }, secrets: {}, created: now, updated: now };
  });
}

async function eventsPerSecond(redisUrl: string, ruleCount: number, run: number): Promise<number> {
  const workspace = `bench-${ruleCount}-${run}`;
  const redis = connect(redisUrl);
  const log = new Log(redis, workspace);
  await log.putAutomations(rules(ruleCount, workspace));
  const queue = new DeliveryQueue(redisUrl, workspace);
  const engine = await startEngine({ redisUrl, workspace, queue, logger: silent });
  await engine.ready;
  const names = ["job.started", "job.ended", "disk.full", "user.seen"];
  const began = performance.now();
  for (let sent = 0; sent < eventCount; sent += batchLength) {
    await log.appendEvents(
      Array.from({ length: batchLength }, (_, offset) => {
        const index = sent + offset;
        const fires = index % 1_000 === 0;
        return {
          event: {
            id: uuid5(triplineNamespace, `${workspace} event ${index}`),
            occurred: new Date().toISOString(),
            event: fires ? "job.failed" : (names[index % names.length] ?? ""),
            resource: { "prefect.resource.id": fires ? "job.0" : `job.${index % 10_000}` },
            related: [],
            payload: { attempt: index },
            follows: null,
          },
        };
      }),
    );
  }
  const last = await log.lastPosition();
  for (;;) {
    const position = await redis.hget(`tl:{${workspace}}:shard:0:cursor`, "position");
    if (position !== null && comparable(position) >= comparable(last)) break;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const rate = eventCount / ((performance.now() - began) / 1_000);
  await engine.stop();
  await queue.close();
  log.close();
  redis.disconnect();
  return rate;
}

function comparable(position: string): number {
  const [ms = 0, sequence = 0] = position.split("-").map(Number);
  return ms * 1_000_000 + sequence;
}

const redis = await startRedis({ appendOnly: "always" });
const few: number[] = [];
const many: number[] = [];
for (let run = 0; run < runCount; run++) {
  few.push(await eventsPerSecond(redis.url, 10, run));
  many.push(await eventsPerSecond(redis.url, 10_000, run));
}
await redis.stop();
const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const formatRate = (value: number): string => Math.round(value).toLocaleString("en");
console.log(
  `10 rules:      ${formatRate(median(few))} events per second (${few.map(formatRate).join(", ")})`,
);
console.log(
  `10,000 rules:  ${formatRate(median(many))} events per second (${many.map(formatRate).join(", ")})`,
);
console.log(
  `ratio:         ${(median(few) / median(many)).toFixed(2)} times slower with 1,000 times the rules`,
);
