/** A thread of a server beside the main one: it starts its roles when it is asked to, and stops them the same way. */

import { parentPort, workerData } from "node:worker_threads";
import { Metrics } from "../../api/http/metrics.ts";
import { assert } from "../../core/model/assert.ts";
import { CommandFailure } from "../failure.ts";
import { createThreadLogger } from "../logger.ts";
import { dropExperimentalWarnings } from "../quiet-warnings.ts";
import { Running } from "../running.ts";
import { type ServedPart, startPart } from "../serve-part.ts";
import { linkTo, type MainFunctions, type ThreadData, type ThreadFunctions } from "./link.ts";

dropExperimentalWarnings();
const { planned, settings, address, passing, exportsMetrics } = workerData as ThreadData;
const { roles } = planned;
const running = new Running();
const metrics = new Metrics();
let part: ServedPart | null = null;

const functions: ThreadFunctions = {
  async start() {
    try {
      part = await startPart({
        ...{ settings, roles, main: null, passing, logger, metrics, telemetryLogger, running },
      });
      if (address !== null) {
        const { listenForRequests } = await import("../serve-http.ts"); // only the threads that need it load it
        await listenForRequests(part, {
          ...address,
          settings,
          reusePort: true,
          metricsText: { text: () => main.metricsText(), contentType: metrics.contentType },
          readiness: () => main.readiness(),
          logger,
          running,
        });
      }
      return null;
    } catch (error) {
      await running.stop();
      const { asFailure } = await import("../serve-failure.ts");
      const failure = asFailure(error, settings);
      if (!(failure instanceof CommandFailure)) throw failure;
      return { message: failure.message, exitCode: failure.exitCode };
    }
  },
  async enginesReady() {
    await part?.enginesReady;
  },
  counted: () => metrics.counted(),
  recorderFailure(workspace) {
    const failure = part?.served.find((each) => each.workspace === workspace)?.recorder?.failure ?? null;
    return failure === null ? null : failure instanceof Error ? failure.message : String(failure);
  },
  stop: () => running.stop(),
};

assert(parentPort !== null, "this file runs in a thread of its own");
const main = linkTo<MainFunctions, ThreadFunctions>(parentPort, functions, [
  "log",
  "observed",
  "telemetryWarned",
]);
const logger = createThreadLogger(settings.logLevel, (line) => void main.log(line));
const telemetryLogger = {
  warn: (fields: object, message: string) => void main.telemetryWarned(fields, message),
};
if (exportsMetrics) metrics.onObservation((...observation) => void main.observed(...observation));
