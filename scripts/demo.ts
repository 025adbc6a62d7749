/**
 * A server with a small shop on it, whose services fall silent and whose jobs fail: `npm run demo`. It has a private Redis
 * and keeps nothing.
 *
 * Options are those of `tripline serve`, and `DEMO_EVENTS_PER_SECOND` adds that many events.
 */

import { untilStopped } from "../src/cli/stop.ts";
import { startDemo } from "./demo/start-demo.ts";

const stopped = untilStopped();
const demo = await startDemo(process.argv.slice(2), Number(process.env["DEMO_EVENTS_PER_SECOND"] ?? 0));
console.log(`\n  The demo is running at ${demo.url}\n\n  stop         Ctrl-C\n`);
await stopped;
await demo.stop();
