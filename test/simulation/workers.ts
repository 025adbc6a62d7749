/** Delivery workers of the simulation: BullMQ's part in memory, and around the production code. */

import { Deliverer } from "../../src/delivery/deliverer.ts";
import { keepWaking } from "../../src/delivery/endpoint-waker.ts";
import { endpointLimits } from "../../src/delivery/http/endpoints.ts";
import type { LaneStore } from "../../src/delivery/ports.ts";
import { type ActionLogger, workerSettings } from "../../src/delivery/worker-settings.ts";
import type { MemoryJobs } from "../support/memory-jobs.ts";
import { type MemoryEndpoints, MemoryLog } from "../support/memory-log.ts";
import type { MemoryWorld } from "../support/memory-store.ts";
import type { SimulatedProcess } from "./process.ts";
import type { Receivers } from "./receivers.ts";

export const lockMs = 8_000;

/** Quicker than in production, so that much happens in a short time. */
const settings = {
  ...workerSettings,
  retryMs: 1_000,
  retryMsMax: 60_000,
  concurrency: 4,
  deadAfterMs: lockMs,
  endpoints: { ...endpointLimits, concurrencyMax: 3, restMs: 2_000, restMsMax: 20_000 },
};

/** How long a worker lets what is in flight go on when it is stopped. */
const graceMs = 10_000;
/** As in production: how long to wait before a Redis is asked again that refuses. */
const refusedDelayMs = 1_000;

export interface WorkerPorts {
  readonly world: MemoryWorld;
  readonly jobs: MemoryJobs;
  readonly lanes: LaneStore;
  readonly endpoints: MemoryEndpoints;
  readonly receivers: Receivers;
  readonly logger: ActionLogger;
}

export interface SimulatedWorker {
  readonly process: SimulatedProcess;
  /** Takes no more jobs, waits a while for those in flight, and ends the process. */
  close(): Promise<void>;
}

export function startWorker(process: SimulatedProcess, ports: WorkerPorts): SimulatedWorker {
  const { clock } = process;
  const { world, jobs, receivers, logger } = ports;
  const closing = new AbortController();
  const stop = new AbortController();
  // BullMQ's connection sends again what an outage has interrupted; the log's does not.
  const queue = process.port(jobs.seenBy(clock), { isPatient: true });
  const lanes = process.port(ports.lanes, { isPatient: true });
  const log = process.port(new MemoryLog(world, process.port(ports.endpoints)), {
    local: ["openSecrets"],
  });
  const sender = receivers.seenBy(process, settings.endpoints);
  const deliverer = new Deliverer({
    ...{ jobs: queue, lanes, log, clock, logger, settings, stop: stop.signal },
    webhooksOf: () => sender,
  });
  /** The tokens of the locks to renew, by delivery. */
  const tokens = new Map<string, string>();

  const runSlot = async (token: string) => {
    while (!closing.signal.aborted) {
      const job = await queue.take(token).catch(async () => {
        await clock.sleep(refusedDelayMs, closing.signal);
        return null;
      });
      if (job === null) {
        await jobs.untilOneWaits(clock, 5_000, closing.signal);
        continue;
      }
      const id = job.id ?? "";
      tokens.set(id, token);
      const moveToDelayed = (due: number, own: string) =>
        process.call(() => job.moveToDelayed(due, own), true);
      const end = await deliverer.deliver({ ...job, moveToDelayed }, token);
      tokens.delete(id);
      if (end.kind === "later") continue;
      // BullMQ reports an end that could not be recorded; the job stalls, and comes to another worker.
      await queue.finish(id, token, end.kind === "failed" ? end.reason : null).catch(() => {});
    }
  };
  const repeat = async (everyMs: number, step: () => Promise<unknown>) => {
    while (!stop.signal.aborted) {
      await step().catch(() => {}); // BullMQ reports it, and goes on
      await clock.sleep(everyMs, stop.signal);
    }
  };
  const slots = Array.from({ length: settings.concurrency }, (_, slot) => runSlot(`${process.name} ${slot}`));
  void repeat(lockMs / 4, async () => (tokens.size > 0 ? queue.renew(new Map(tokens)) : undefined));
  void repeat(lockMs, () => queue.recoverStalled());
  void keepWaking({
    ...{ lanes, endpoints: sender.endpoints, clock, logger, everyMs: 1_000, stop: stop.signal },
    promote: (id) => queue.promote(id),
  });

  return {
    process,
    async close() {
      closing.abort();
      const idle = new AbortController();
      await Promise.race([Promise.all(slots), clock.sleep(graceMs, idle.signal), process.death]);
      idle.abort();
      stop.abort();
      process.die();
    },
  };
}
