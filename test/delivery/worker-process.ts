/** A worker in its own process, so that a test can kill it. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { startActionWorker } from "../../src/delivery/worker.ts";
import { connect } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { quick, recordingLogger } from "./support-settings.ts";

const ownPath = fileURLToPath(import.meta.url);

if (process.argv[1] === ownPath) {
  const [redisUrl = "", workspace = ""] = process.argv.slice(2);
  const log = new Log(connect(redisUrl), workspace);
  const settings = { ...quick, deadAfterMs: 500 };
  startActionWorker({ redisUrl, workspace, log, logger: recordingLogger(), settings });
  console.log("started");
}

export async function startWorkerProcess(
  redisUrl: string,
  workspace: string,
): Promise<{
  kill9(): Promise<void>;
  /** Lets it do nothing for a while, as on a machine without memory. */
  pause(ms: number): Promise<void>;
}> {
  const worker: ChildProcess = spawn(process.execPath, [ownPath, redisUrl, workspace], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(worker.stdout!, "data");
  return {
    async pause(ms) {
      worker.kill("SIGSTOP");
      await sleep(ms);
      worker.kill("SIGCONT");
    },
    async kill9() {
      const exited = once(worker, "exit");
      worker.kill("SIGKILL");
      await exited;
    },
  };
}
