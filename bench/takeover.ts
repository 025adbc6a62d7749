/**
 * How long does the next owner of a shard take to restore the windows of many keys? Fills a private Redis with the state of a
 * shard, as fast as the core goes, and restores it as an engine does. Prints space in Redis, the time and CPU time of the
 * restoring, and the longest turn of the event loop meanwhile, in CPU time.
 *
 * Run: npx node --expose-gc bench/takeover.ts [keys, default 100000]
 */

import { Core } from "../src/core/machine/core.ts";
import { type Automation, AutomationSchema } from "../src/core/model/automation.ts";
import { eventOf } from "../src/core/model/event.ts";
import { millisecond } from "../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../src/core/model/uuid.ts";
import { RedisShardStore } from "../src/engine/redis-shard-store.ts";
import { restore } from "../src/engine/restore.ts";
import { connect } from "../src/store/connection.ts";
import { shardKeys } from "../src/store/keys.ts";
import { startRedis } from "../test/support/redis.ts";

const keyCount = Number(process.argv[2] ?? 100_000);
const perCommit = 2_000;
const workspace = "bench";

const server = await startRedis();
const redis = connect(server.url);
const store = new RedisShardStore(redis, { workspace, shard: 0, owner: "bench" });
const claim = await store.claim(3_600_000);
if ("heldMs" in claim) throw new Error("the shard is held");
const { epoch } = claim;

const start = Date.now() * millisecond;
const definition = AutomationSchema.parse({
  name: "heartbeats",
  trigger: {
    ...{ posture: "Proactive", after: ["heartbeat"], expect: ["heartbeat"] },
    ...{ for_each: ["prefect.resource.id"], within: 3_600 },
  },
});
const id = uuid5(triplineNamespace, "heartbeats");
const automation: Automation = {
  ...{ ...definition, id, source: { kind: "api" }, secrets: {} },
  ...{ created: start, updated: start },
};

let core: Core | null = new Core();
core.apply({ kind: "automation-put", position: "0-0", received: start, automation });
let position = "0-0";
let commitCount = 0;
async function commit(filled: Core): Promise<void> {
  const { watermark } = filled;
  commitCount++;
  const cursor = { position, watermark, readCount: commitCount, commitCount };
  const { dirty: changes } = filled.drain();
  await store.commit({ epoch, changes, events: [], invocations: [], cursor });
}
for (let key = 0; key < keyCount; key++) {
  const received = start + Math.floor(key / 10) * millisecond;
  position = `${received / millisecond}-${key % 10}`;
  const wire = {
    occurred: new Date(received / millisecond).toISOString(),
    event: "heartbeat",
    resource: { "prefect.resource.id": `device.${String(key).padStart(7, "0")}` },
    ...{ related: [], payload: {}, follows: null, id: uuid5(triplineNamespace, `beat ${key}`) },
  };
  core.apply({ kind: "event", position, received, event: eventOf(wire, received) });
  if (key % perCommit === perCommit - 1) await commit(core);
}
core.advance(core.watermark + 10_000 * millisecond);
await commit(core);
core = null;
globalThis.gc?.();
const before = process.memoryUsage();

const key = shardKeys(workspace, 0).state;
const stateBytes = Number(await redis.call("MEMORY", "USAGE", key, "SAMPLES", "5000"));
let longestTurn = 0;
let last = cpuMs();
const turns = setInterval(() => {
  const now = cpuMs();
  longestTurn = Math.max(longestTurn, now - last);
  last = now;
}, 1);
const logger = { info() {}, warn: console.warn, error: () => {} };
const [startedAt, cpuBefore] = [performance.now(), cpuMs()];
await readAll();
const loadedAt = performance.now();
const loadCpu = cpuMs() - cpuBefore;
const [restoreStartedAt, restoreCpuBefore] = [performance.now(), cpuMs()];
const restored = await restore(store, { shard: 0, shardCount: 1 }, logger);
const [elapsed, cpu] = [performance.now() - restoreStartedAt, cpuMs() - restoreCpuBefore];
clearInterval(turns);
globalThis.gc?.();
const after = process.memoryUsage();
const heap = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
const openCount = [...restored.core.takeOpenCounts()].reduce((sum, [, { open }]) => sum + open, 0);
console.log(`${keyCount.toLocaleString("en")} keys, ${openCount.toLocaleString("en")} open`);
console.log(`Redis state a key   ${Math.round(stateBytes / keyCount)} bytes`);
console.log(`heap a key          ${Math.round(heap / keyCount)} bytes`);
console.log(`reading it alone    ${ms(loadedAt - startedAt)}, ${ms(loadCpu)} of CPU`);
console.log(`reading, restoring  ${ms(elapsed)}, ${ms(cpu)} of CPU`);
console.log(`longest turn        ${ms(longestTurn)} of CPU`);
store.interrupt();
redis.disconnect();
await server.stop();

/** Reads the state, and lets go of it. */
async function readAll(): Promise<void> {
  let length = 0;
  for (const [field] of (await store.load()).state) length += field.length;
  if (length === 0) throw new Error("the state is empty");
}

/** Of this thread. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

function ms(duration: number): string {
  return `${Math.round(duration).toLocaleString("en")} ms`;
}
