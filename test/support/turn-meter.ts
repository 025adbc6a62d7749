/**
 * Loaded into a server (`NODE_OPTIONS=--import`), measures how long the turns of its event loop take, in CPU time of the
 * main thread. Wall time would also count what other processes take from a busy machine.
 *
 * SIGUSR2 starts over. The longest turn since then, in milliseconds, is in the file that TRIPLINE_TEST_TURNS names.
 */

import { writeFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

const path = process.env["TRIPLINE_TEST_TURNS"];

if (isMainThread && path !== undefined) {
  const now = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1_000;
  };
  let longest = 0;
  let last = now();
  setInterval(() => {
    const time = now();
    const spent = time - last;
    last = time;
    if (spent <= longest) return;
    longest = spent;
    writeFileSync(path, String(longest));
    last = now();
  }, 1).unref();
  process.on("SIGUSR2", () => {
    longest = 0;
    writeFileSync(path, "0");
    last = now();
  });
}
