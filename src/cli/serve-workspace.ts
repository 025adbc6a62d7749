/** Runs one workspace of a server. Each has its own log, shards, queue and action worker. */

import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { Metrics } from "../api/http/metrics.ts";
import type { Workspace } from "../api/http/tenant.ts";
import { millisecond } from "../core/model/time.ts";
import { DeliveryQueue } from "../delivery/queue.ts";
import { startActionWorker } from "../delivery/worker.ts";
import type { WorkerSettings } from "../delivery/worker-settings.ts";
import { type Engine, startEngine } from "../engine/engine.ts";
import type { HistoryHealth } from "../history/health.ts";
import type { History } from "../history/history.ts";
import { Log } from "../store/log.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import type { Running } from "./running.ts";
import { startRecording, watchHistory } from "./serve-history.ts";
import type { Settings } from "./settings.ts";

export interface ServedWorkspace extends Workspace {
  readonly queue: DeliveryQueue;
  /** Null if this process does not use the history. */
  readonly historyHealth: HistoryHealth | null;
  /** Null if this process does not have the role `engine`. */
  readonly engine: Engine | null;
}

export interface ServeWorkspaceOptions {
  readonly settings: Settings;
  readonly redis: Redis;
  /** The history of any workspace; null if there is none. */
  readonly history: History | null;
  readonly metrics: Metrics;
  /** Null if traces are not exported. */
  readonly tracer: Tracer | null;
  readonly logger: Logger;
  /** Every started part is added to it. */
  readonly running: Running;
}

/**
 * Starts the roles that the settings name, for one workspace.
 *
 * @throws RedisUnreachable, ShardCountChanged
 */
export async function serveWorkspace(
  workspace: string,
  { settings, redis, history: shared, metrics: all, tracer, logger: parent, running }: ServeWorkspaceOptions,
): Promise<ServedWorkspace> {
  const { roles, redis: redisUrl } = settings;
  // With a single workspace, its name in each line would be noise.
  const logger = settings.workspace.length > 1 ? parent.child({ workspace }) : parent;
  const metrics = all.inWorkspace(workspace);
  const log = new Log(redis, workspace, {
    onMalformed: (position, reason) =>
      logger.error({ position, reason }, "Skipped a log entry that cannot be read"),
  });
  running.add(async () => log.close());
  const history = shared === null ? null : await shared.inWorkspace(workspace);
  const recording = { settings, logger, meter: metrics, running };
  const recorder = roles.includes("recorder") ? startRecording(log, history, recording) : null;
  const historyHealth = history === null ? null : watchHistory(log, history, recorder, recording);
  const queue = new DeliveryQueue(redisUrl, workspace);
  running.add(() => queue.close());
  metrics.observeShards(() => log.shardStatus());
  metrics.observeQueue(() => queue.counts());
  metrics.observeEndpoints(async () => (await log.endpoints.list()).length);

  if (roles.includes("actions")) {
    const worker = startActionWorker({
      redisUrl,
      workspace,
      log,
      logger,
      metrics,
      ...(tracer === null ? {} : { tracer }),
      settings: workerSettingsOf(settings),
    });
    running.add(() => worker.close());
  }
  if (!roles.includes("engine")) return { workspace, log, history, historyHealth, queue, engine: null };
  const engine = await startEngine({
    redisUrl,
    workspace,
    queue,
    logger,
    metrics,
    ...(tracer === null ? {} : { tracer }),
    shards: settings.shards,
    leaseMs: settings.lease / millisecond,
    latenessDefault: settings.lateness,
    seenCountMax: settings.seenMax,
  });
  running.add(() => engine.stop());
  return { workspace, log, history, historyHealth, queue, engine };
}

function workerSettingsOf(settings: Settings): Partial<WorkerSettings> {
  return {
    concurrency: settings.concurrency,
    retryMs: settings.retry / millisecond,
    retryMsMax: settings.retryMax / millisecond,
    giveUpAfterMs: settings.giveUpAfter / millisecond,
    deadAfterMs: settings.workerDeadAfter / millisecond,
    dangerouslyAllowPrivateAddresses: settings.allowPrivateAddresses,
  };
}
