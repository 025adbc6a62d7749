/** An engine in its own process, so that a test can kill it. Arguments: Redis's URL, the workspace. Prints `ready`. */

import { DeliveryQueue } from "../../src/delivery/queue.ts";
import { startEngine } from "../../src/engine/engine.ts";

const [redisUrl = "", workspace = ""] = process.argv.slice(2);
const silent = { info() {}, warn() {}, error: console.error };
const queue = new DeliveryQueue(redisUrl, workspace);
const owned = () => void console.log("ready");
await startEngine({
  redisUrl,
  workspace,
  queue,
  logger: silent,
  leaseMs: 400,
  latenessDefault: 0,
  metrics: { owned },
});
