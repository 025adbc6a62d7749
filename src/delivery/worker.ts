/** The worker: takes jobs from the queue, runs their actions, and lets them finish before it stops. */

import { DelayedError, isNotConnectionError, type Job, type Span, UnrecoverableError } from "bullmq";
import { isCanary } from "../core/model/canary.ts";
import { systemClock } from "../retry/clock.ts";
import { connectPatiently } from "../store/connection.ts";
import { corkWrites } from "../store/corked-writes.ts";
import type { Log } from "../store/log.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import { version } from "../version.ts";
import { Deliverer } from "./deliverer.ts";
import type { JobData } from "./delivery-state.ts";
import { keepWaking } from "./endpoint-waker.ts";
import { ExactWorker } from "./exact-job.ts";
import { WebhookClient } from "./http/webhook-client.ts";
import { Lanes } from "./lanes.ts";
import { queueName, queuePrefix } from "./queue-keys.ts";
import { RedisJobs } from "./redis-jobs.ts";
import {
  type ActionLogger,
  type ActionMetrics,
  type WorkerSettings,
  workerSettings,
} from "./worker-settings.ts";

export interface ActionWorkerOptions {
  readonly redisUrl: string;
  readonly workspace: string;
  readonly log: Log;
  readonly logger: ActionLogger;
  readonly settings?: Partial<WorkerSettings>;
  readonly metrics?: ActionMetrics;
  readonly tracer?: Tracer;
}

export interface ActionWorker {
  /**
   * Takes no more jobs, waits for those in flight, and stops.
   *
   * @param graceMs how long to wait; a job that is still in flight then is interrupted, and another worker will retry it
   */
  close(graceMs?: number): Promise<void>;
}

/** Starts taking jobs. @throws Error if a setting is invalid */
export function startActionWorker(options: ActionWorkerOptions): ActionWorker {
  const settings = { ...workerSettings, ...options.settings };
  const webhooks = new WebhookClient({
    dangerouslyAllowPrivateAddresses: settings.dangerouslyAllowPrivateAddresses,
    limits: settings.endpoints,
  });
  // The server itself may have a private address. No one but the server says where its canary goes.
  const canaryWebhooks = new WebhookClient({ dangerouslyAllowPrivateAddresses: true });
  const stop = new AbortController();
  let isLost = false;
  const reportLoss = (error: Error) => {
    if (!isLost && !stop.signal.aborted)
      options.logger.warn({ err: error }, "Redis connection lost; reconnecting");
    isLost = true;
  };
  const redis = connectPatiently(options.redisUrl, {
    name: `tripline-actions/${version}`,
    onLost: reportLoss,
    onReady: () => {
      isLost = false;
    },
  });
  corkWrites(redis);
  const lanes = new Lanes(redis, options.workspace);
  const jobs = new RedisJobs(redis, options.workspace, () => worker);
  const deliverer = new Deliverer({
    ...options,
    jobs,
    lanes,
    clock: systemClock,
    settings,
    webhooksOf: (automationId) => (isCanary(automationId) ? canaryWebhooks : webhooks),
    stop: stop.signal,
  });
  const inFlight = new JobsInFlight(deliverer);
  const worker = new DeliveryWorker(queueName, (job, token) => inFlight.run(job, token ?? ""), {
    connection: redis,
    prefix: queuePrefix(options.workspace),
    concurrency: settings.concurrency,
    lockDuration: settings.deadAfterMs,
    stalledInterval: settings.deadAfterMs,
    maxStalledCount: Number.MAX_SAFE_INTEGER, // the deliverer lets a delivery wait after many crashes; they end none
  });
  void keepWaking({
    lanes,
    endpoints: webhooks.endpoints,
    promote: (deliveryId) => jobs.promote(deliveryId),
    clock: systemClock,
    logger: options.logger,
    everyMs: Math.min(wakeEveryMs, settings.endpoints.restMs ?? wakeEveryMs),
    stop: stop.signal,
  });
  const isNews = newsFilter();
  worker.on("error", (error) => {
    if (redis.status !== "ready") reportLoss(error);
    else if (!stop.signal.aborted && isNews(error)) options.logger.warn({ err: error }, "BullMQ error");
  });
  worker.on("completed", (job) => inFlight.settle(job.id));
  worker.on("failed", (job) => inFlight.settle(job?.id));
  worker.onRefused = (job) => inFlight.settle(job.id);
  return {
    async close(graceMs = 20_000) {
      await worker.pause(true); // does not wait: waiting would reopen a connection that is closed below
      const idle = new AbortController();
      await Promise.race([inFlight.close(), systemClock.sleep(graceMs, idle.signal)]);
      idle.abort();
      stop.abort();
      await worker.close(true);
      redis.disconnect();
      await Promise.all([webhooks.close(), canaryWebhooks.close()]);
    },
  };
}

/** How often to look for deliveries whose endpoint may work again. */
const wakeEveryMs = 1_000;

/** How long the same error is not reported again. BullMQ emits one for each of its attempts. */
const sameErrorQuietMs = 60_000;

/**
 * Errors are the same if they begin with the same word of Redis, such as OOM: the rest names a script, or a command. Others
 * are if only the job that they name differs: a starved worker loses all of its jobs at once.
 */
function newsFilter(): (error: Error) => boolean {
  const reported = new Map<string, number>();
  return ({ message }) => {
    const kind = /^[A-Z]{2,}\b/.exec(message)?.[0] ?? message.replaceAll(/[0-9a-f-]{36}/g, "");
    const last = reported.get(kind);
    const now = Date.now();
    if (last !== undefined && now - last < sameErrorQuietMs) return false;
    if (reported.size >= 100) reported.clear();
    reported.set(kind, now);
    return true;
  };
}

/** How long to wait before a Redis is asked again that runs but refuses, as when it is full. BullMQ would ask at once. */
const refusedDelayMs = 1_000;

/** A BullMQ worker that is patient with a Redis that refuses, and reports jobs whose end could not be recorded. */
class DeliveryWorker extends ExactWorker<JobData> {
  /** Called if Redis rejects a job's end, because this worker was silent for too long and another one has the job. */
  onRefused: (job: Job<JobData>) => void = () => {};

  protected override async moveToActive(token: string, name?: string): Promise<Job<JobData>> {
    try {
      return await super.moveToActive(token, name);
    } catch (error) {
      if (isNotConnectionError(error as Error)) await this.delay(refusedDelayMs);
      throw error;
    }
  }

  // BullMQ gives no time where it waits after an error of Redis.
  override async delay(milliseconds = refusedDelayMs, abortController?: AbortController): Promise<void> {
    await super.delay(milliseconds, abortController);
  }

  // The last step of every job, including one whose completion could not be recorded.
  protected override async handleFailed(
    failure: Error,
    job: Job<JobData>,
    token: string,
    fetchNext?: () => boolean,
    span?: Span,
  ): Promise<Job<JobData>> {
    try {
      return await super.handleFailed(failure, job, token, fetchNext, span);
    } catch (error) {
      // After a lost connection, BullMQ tries again.
      if (isNotConnectionError(error as Error)) this.onRefused(job);
      throw error;
    }
  }
}

/** Keeps track of the jobs in flight, so that a stop can wait for them. */
class JobsInFlight {
  readonly #deliverer: Deliverer;
  readonly #jobIds = new Set<string | undefined>();
  #onIdle: () => void = () => {};
  #isClosing = false;

  constructor(deliverer: Deliverer) {
    this.#deliverer = deliverer;
  }

  /** @throws UnrecoverableError if the delivery failed for good; DelayedError if BullMQ must leave the job alone */
  async run(job: Job<JobData>, token: string): Promise<void> {
    if (this.#isClosing) {
      await job.moveToDelayed(Date.now(), token); // another worker will take it
      throw new DelayedError();
    }
    this.#jobIds.add(job.id);
    const end = await this.#deliverer.deliver(job, token);
    if (end.kind === "failed") throw new UnrecoverableError(end.reason);
    if (end.kind === "delivered") return;
    this.settle(job.id);
    throw new DelayedError();
  }

  /** Call this when BullMQ has recorded a job's end, or has nothing to record. */
  settle(jobId: string | undefined): void {
    this.#jobIds.delete(jobId);
    if (this.#jobIds.size === 0) this.#onIdle();
  }

  /** Starts no more jobs. Resolves once those in flight are settled. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#jobIds.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }
}
