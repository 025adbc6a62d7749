/** An engine as a process of its own, to be killed. Arguments: Redis's URL, the workspace. Prints `ready`. */

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
