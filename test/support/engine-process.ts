/**
 * An engine in its own process, so that a test can kill it. Arguments: Redis's URL, the workspace, the number of shards, and
 * the lease in milliseconds. Prints `ready` for each shard that it takes over or gives up. Stops gracefully on SIGTERM.
 */

import { DeliveryQueue } from "../../src/delivery/queue.ts";
import { startEngine } from "../../src/engine/engine.ts";

const [redisUrl = "", workspace = "", shards = "1", leaseMs = "400"] = process.argv.slice(2);
const silent = { info() {}, warn() {}, error: console.error };
const queue = new DeliveryQueue(redisUrl, workspace);
const owned = () => void console.log("ready");
const engine = await startEngine({
  redisUrl,
  workspace,
  queue,
  logger: silent,
  shards: Number(shards),
  leaseMs: Number(leaseMs),
  latenessDefault: 0,
  metrics: { owned },
});
process.once("SIGTERM", async () => {
  await engine.stop();
  await queue.close();
  process.exit();
});
