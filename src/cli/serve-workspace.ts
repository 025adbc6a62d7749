/** Runs one workspace in a thread of a server. Each has its own log, shards, queue and action worker. */

import type { Logger } from "pino";
import type { Metrics } from "../api/http/metrics.ts";
import type { Workspace } from "../api/http/tenant.ts";
import { Beats } from "../api/ingest/beats.ts";
import { millisecond } from "../core/model/time.ts";
import type { Messages } from "../delivery/messages.ts";
import { DeliveryQueue } from "../delivery/queue.ts";
import type { WorkerSettings } from "../delivery/worker-settings.ts";
import type { Engine } from "../engine/engine.ts";
import { EngineHealth } from "../engine/engine-health.ts";
import type { HistoryHealth } from "../history/health.ts";
import type { History } from "../history/history.ts";
import type { Recorder } from "../history/recorder.ts";
import type { RedisConnection } from "../store/connection.ts";
import { Log } from "../store/log.ts";
import type { EntrySink, EntrySource } from "../store/passed-entries.ts";
import type { SecretBox } from "../store/secret-box.ts";
import { StoredSecrets } from "../store/stored-secrets.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import type { Running } from "./running.ts";
import { startRecording, watchHistory } from "./serve-history.ts";
import type { Role, Settings } from "./settings.ts";

export interface ServedWorkspace extends Workspace {
  readonly queue: DeliveryQueue;
  /** Shows and sends messages for people; null if this thread does not have the role `api`. */
  readonly messages: (() => Promise<Messages>) | null;
  /** Null if this process does not use the history. */
  readonly historyHealth: HistoryHealth | null;
  /** Null if this thread does not have the role `engine`. */
  readonly engine: Engine | null;
  /** Of the engines of this workspace, in all processes; null where the main thread of this process watches them. */
  readonly engineHealth: EngineHealth | null;
  /** Null if this thread does not have the role `recorder`, or there is no history. */
  readonly recorder: Recorder | null;
}

export interface ServeWorkspaceOptions {
  readonly settings: Settings;
  /** What this thread does. */
  readonly roles: readonly Role[];
  /** What the main thread needs to know of the other threads; null in those. */
  readonly main: MainThreadOptions | null;
  /** Gets what this thread reads of the log; null if no other thread wants it. */
  readonly passOn: EntrySink | null;
  /** Has what another thread has read of the log; null if none passes it on. */
  readonly passed: EntrySource | null;
  readonly redis: RedisConnection;
  /** Seals and opens stored secrets. */
  readonly secretBox: SecretBox;
  /** The history of any workspace; null if there is none. */
  readonly history: History | null;
  readonly metrics: Metrics;
  /** Null if traces are not exported. */
  readonly tracer: Tracer | null;
  readonly logger: Logger;
  /** Every started part is added to it. */
  readonly running: Running;
}

export interface MainThreadOptions {
  /** Why the recorder of another thread cannot write the history of a workspace now; null if it can. */
  readonly recorderFailure: (workspace: string) => Promise<string | null>;
}

/**
 * Starts the roles of this thread, for one workspace. The main thread also watches what the whole process depends on.
 *
 * @throws RedisUnreachable
 */
export async function serveWorkspace(
  workspace: string,
  options: ServeWorkspaceOptions,
): Promise<ServedWorkspace> {
  const {
    settings,
    roles,
    main,
    passOn,
    passed,
    redis,
    secretBox,
    history: shared,
    metrics: all,
    tracer,
    logger: parent,
    running,
  } = options;
  const { redis: redisUrl } = settings;
  // With a single workspace, its name in each line would be noise.
  const logger = settings.workspace.length > 1 ? parent.child({ workspace }) : parent;
  const metrics = all.inWorkspace(workspace);
  const log = new Log(redis, workspace, {
    secretBox,
    replicaCount: settings.redisReplicas,
    onMalformed: (position, reason) =>
      logger.error({ position, reason }, "Skipped a log entry that cannot be read"),
  });
  running.add(async () => log.close());
  if (main !== null) {
    await warnOfSecrets(new StoredSecrets(redis, workspace, { box: secretBox }), secretBox, logger);
  }
  const history = shared === null ? null : await shared.inWorkspace(workspace);
  const recording = { workspace, settings, logger, meter: metrics, running, passed };
  const recorder = roles.includes("recorder") ? startRecording(log, history, recording) : null;
  const queue = new DeliveryQueue(redisUrl, workspace, { replicaCount: settings.redisReplicas });
  running.add(() => queue.close());
  let historyHealth: HistoryHealth | null = null;
  if (main !== null) {
    const recorderFailure = () => recorder?.failure ?? main.recorderFailure(workspace);
    if (history !== null) historyHealth = watchHistory(log, history, recorderFailure, recording);
    metrics.observeShards(() => log.shards.read());
    metrics.observeQueue(async () => {
      const [counts, oldestMs] = await Promise.all([queue.counts(), queue.oldestMs()]);
      return { ...counts, oldestMs };
    });
    metrics.observeCanary(() => log.canary.status());
    metrics.observeEndpoints(async () => (await log.endpoints.list()).length);
  }

  // Each thread loads only what its roles need: modules are loaded once per thread, and the memory adds up.
  if (roles.includes("actions")) {
    const { startActionWorker } = await import("../delivery/worker.ts");
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
  if (main !== null && settings.roles.includes("api")) {
    const beats = new Beats(log);
    await beats.begin();
    running.add(() => beats.stop());
  }
  const engineHealth = main === null ? null : watchEngines(log, settings, logger, running);
  const messages = roles.includes("api") ? messagesIn({ log, queue }, settings, running) : null;
  const served = { workspace, log, history, historyHealth, queue, messages, recorder, engineHealth };
  if (!roles.includes("engine")) return { ...served, engine: null };
  const { startEngine } = await import("../engine/engine.ts");
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
    replicaCount: settings.redisReplicas,
    passOn,
    passed,
  });
  running.add(() => engine.stop());
  return { ...served, engine };
}

/** Not started yet: those of this process need time for their first claim. */
function watchEngines(log: Log, settings: Settings, logger: Logger, running: Running): EngineHealth {
  const health = new EngineHealth(log, {
    leaseMs: settings.lease / millisecond,
    stalledAfterMs: settings.stalledAfter / millisecond,
    onChange: (problem) => {
      if (problem === null) logger.info({}, "Events are evaluated again");
      else logger.error({ problem }, "Alarms are not raised; events are still accepted");
    },
  });
  running.add(() => health.stop());
  return health;
}

/** The server runs on: events are counted, and deliveries wait until the key is back. */
async function warnOfSecrets(stored: StoredSecrets, { keyIds }: SecretBox, logger: Logger): Promise<void> {
  const counts = Object.values(await stored.count());
  const unreadable = counts.reduce((sum, count) => sum + count.unreadable, 0);
  const plain = counts.reduce((sum, count) => sum + count.plain, 0);
  if (unreadable > 0) {
    const remedy = "add the key they were encrypted with to TRIPLINE_SECRET_KEY";
    const fields = { unreadable, keys: keyIds, remedy };
    logger.error(fields, "Stored secrets cannot be read; deliveries that need them are retried");
  }
  if (plain > 0 && keyIds.length > 0) {
    logger.warn({ plain, remedy: "tripline secrets reseal" }, "Some stored secrets are not encrypted yet");
  }
}

/** Loaded when someone first asks for a message: most threads with the role `api` need nothing of it. */
function messagesIn(
  parts: { readonly log: Log; readonly queue: DeliveryQueue },
  settings: Settings,
  running: Running,
): () => Promise<Messages> {
  let loaded: Promise<Messages> | null = null;
  return () => {
    loaded ??= import("../delivery/messages.ts").then((module) => {
      const messages = new module.Messages({ ...parts, settings: workerSettingsOf(settings) });
      running.add(() => messages.close());
      return messages;
    });
    return loaded;
  };
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
