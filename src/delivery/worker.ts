/**
 * The worker: takes jobs from the queue, runs their actions, and tells of the outcome in the log.
 *
 * A delivery is at least once, always under the same id. Between its steps the process may die at any point; BullMQ
 * then hands the job to another worker:
 *
 * - before the outcome is kept in the job, the action is run again;
 * - after that, only its event is appended again, with the same id, which counts once.
 *
 * While Redis is away nothing is given up: a worker waits for it with the outcome in hand.
 */

import { DelayedError, isNotConnectionError, type Job, type Span, UnrecoverableError, Worker } from "bullmq";
import { Redis } from "ioredis";
import { millisecond } from "../core/model/time.ts";
import { RedisUnreachable, reaching } from "../store/connection.ts";
import type { Log } from "../store/log.ts";
import { redactionOf } from "../templates/references.ts";
import { Renderer } from "../templates/renderer.ts";
import type { AllowedPrivateAddresses } from "./address.ts";
import type { AttemptOutcome } from "./attempt.ts";
import {
  type DeliveryState,
  deliveryEvent,
  type FinishedState,
  type Outcome,
  withAttempt,
} from "./delivery-state.ts";
import type { EndpointLimits } from "./endpoints.ts";
import { WebhookClient } from "./http-client.ts";
import { queueName, queuePrefix } from "./queue.ts";
import { runAction } from "./run-action.ts";

export interface WorkerSettings {
  /** Attempts at a delivery before it becomes a dead letter. */
  readonly attemptsMax: number;
  /** The longest wait before the second attempt; doubles with each further one. The wait is drawn below it. */
  readonly retryMs: number;
  readonly retryMsMax: number;
  /** A delivery that is waiting for its endpoint is given up after this long, whatever attempts it has left. */
  readonly giveUpAfterMs: number;
  /** Deliveries under way at once, in this process. */
  readonly concurrency: number;
  readonly endpoints: Partial<EndpointLimits>;
  /** Loopback, private and other addresses that are not public are refused unless they are named here. */
  readonly dangerouslyAllowPrivateAddresses: AllowedPrivateAddresses;
  /** A worker that has not been heard of for this long is taken for dead, and its jobs are handed to another. */
  readonly deadAfterMs: number;
}

export const workerSettings: WorkerSettings = {
  attemptsMax: 8,
  retryMs: 5_000,
  retryMsMax: 300_000,
  giveUpAfterMs: 86_400_000,
  concurrency: 100,
  endpoints: {},
  dangerouslyAllowPrivateAddresses: false,
  deadAfterMs: 30_000,
};

export interface ActionLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Told as things happen; each may be left out. */
export interface ActionMetrics {
  /** A delivery has ended. @param seconds since the job was added */
  actionFinished?(type: string, outcome: "executed" | "failed", seconds: number): void;
  /** One attempt has ended. */
  attemptFinished?(type: string, outcome: "executed" | "failed" | "retry", seconds: number): void;
  /** A delivery waits for its endpoint. */
  deferred?(type: string): void;
}

export interface ActionWorkerOptions {
  readonly redisUrl: string;
  readonly workspace: string;
  readonly log: Log;
  readonly logger: ActionLogger;
  readonly settings?: Partial<WorkerSettings>;
  readonly metrics?: ActionMetrics;
}

export interface ActionWorker {
  /**
   * Takes no more jobs, lets those under way finish, and ends.
   *
   * @param graceMs after this long, what is still under way is broken off: another worker will take it up
   */
  close(graceMs?: number): Promise<void>;
}

type JobState = DeliveryState | FinishedState;

/** Dying in the middle of the same delivery this often is the delivery's fault. */
const stalledCountMax = 10;
const redisRetryMs = 250;

/** @throws Error when a setting is not valid */
export function startActionWorker(options: ActionWorkerOptions): ActionWorker {
  const settings = { ...workerSettings, ...options.settings };
  const webhooks = new WebhookClient({
    dangerouslyAllowPrivateAddresses: settings.dangerouslyAllowPrivateAddresses,
    limits: settings.endpoints,
  });
  const stop = new AbortController();
  const deliverer = new Deliverer(options, settings, webhooks, stop.signal);
  const { logger } = options;
  // Commands wait for Redis to come back, as BullMQ wants it.
  const redis = new Redis(options.redisUrl, {
    connectionName: "tripline-actions",
    maxRetriesPerRequest: null,
    retryStrategy: (attempt) => Math.min(50 * attempt, 1_000),
  });
  let troubled = false;
  const tellTrouble = (error: Error) => {
    if (!troubled && !stop.signal.aborted) logger.warn({ err: error }, "The action worker lost Redis");
    troubled = true;
  };
  redis.on("error", tellTrouble);
  redis.on("ready", () => {
    troubled = false;
  });
  const worker = new ActionsWorker(queueName, (job, token) => deliverer.deliver(job, token ?? ""), {
    connection: redis,
    prefix: queuePrefix(options.workspace),
    concurrency: settings.concurrency,
    lockDuration: settings.deadAfterMs,
    stalledInterval: settings.deadAfterMs,
    maxStalledCount: Number.MAX_SAFE_INTEGER, // counted by us, so that giving up is told of
  });
  worker.on("error", (error) => {
    if (redis.status !== "ready") tellTrouble(error);
    else if (!stop.signal.aborted) logger.warn({ err: error }, "BullMQ reports trouble");
  });
  worker.on("completed", (job) => deliverer.settled(job.id));
  worker.on("failed", (job) => deliverer.settled(job?.id));
  worker.onRefused = (job) => deliverer.settled(job.id);
  return {
    async close(graceMs = 20_000) {
      // Without waiting, which would connect anew what is closed below.
      await worker.pause(true);
      const idle = new AbortController();
      await Promise.race([deliverer.close(), sleep(graceMs, idle.signal)]);
      idle.abort();
      stop.abort();
      await worker.close(true);
      redis.disconnect();
      await webhooks.close();
    },
  };
}

/** BullMQ's worker, which otherwise says nothing when it cannot note that a job is finished. */
class ActionsWorker extends Worker<JobState> {
  /** Called when Redis refuses to note it: we were silent for so long that another worker was given the job. */
  onRefused: (job: Job<JobState>) => void = () => {};

  // Comes last: also what could not be noted as completed ends here.
  protected override async handleFailed(
    failure: Error,
    job: Job<JobState>,
    token: string,
    fetchNext?: () => boolean,
    span?: Span,
  ): Promise<Job<JobState>> {
    try {
      return await super.handleFailed(failure, job, token, fetchNext, span);
    } catch (error) {
      // Of a lost connection BullMQ tries it again.
      if (isNotConnectionError(error as Error)) this.onRefused(job);
      throw error;
    }
  }
}

class Deliverer {
  readonly #log: Log;
  readonly #logger: ActionLogger;
  readonly #metrics: ActionMetrics;
  readonly #settings: WorkerSettings;
  readonly #webhooks: WebhookClient;
  readonly #stop: AbortSignal;
  readonly #underway = new Set<string | undefined>();
  #tellIdle: () => void = () => {};
  #closing = false;

  constructor(
    { log, logger, metrics = {} }: ActionWorkerOptions,
    settings: WorkerSettings,
    webhooks: WebhookClient,
    stop: AbortSignal,
  ) {
    this.#log = log;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#settings = settings;
    this.#webhooks = webhooks;
    this.#stop = stop;
  }

  /** @throws UnrecoverableError: a dead letter; DelayedError: not finished, and not failed either */
  async deliver(job: Job<JobState>, token: string): Promise<void> {
    if (this.#closing) {
      await job.moveToDelayed(Date.now(), token); // another worker will take it
      throw new DelayedError();
    }
    this.#underway.add(job.id);
    try {
      await this.#deliver(job, token);
    } catch (error) {
      if (error instanceof DelayedError) this.settled(job.id);
      throw error;
    }
  }

  /** BullMQ has noted that a job is finished, or there is nothing for it to note. */
  settled(jobId: string | undefined): void {
    this.#underway.delete(jobId);
    if (this.#underway.size === 0) this.#tellIdle();
  }

  /** Begins no more deliveries. Resolves once those under way are settled. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#underway.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#tellIdle = resolve;
    });
  }

  async #deliver(job: Job<JobState>, token: string): Promise<void> {
    if ("finished" in job.data) return;
    let outcome = job.data.outcome;
    try {
      outcome ??= (await this.#attempt(job as Job<DeliveryState>, token)) ?? undefined;
      if (outcome === undefined) throw new DelayedError();
      await this.#tell(job as Job<DeliveryState>, outcome);
    } catch (error) {
      if (error instanceof DelayedError) throw error;
      // The job stays with this worker, which no longer keeps it: it is handed out again.
      if (!this.#stop.aborted) this.#logger.error({ err: error, job: job.id }, "A delivery was broken off");
      throw new DelayedError();
    }
    if (outcome.kind === "failed") throw new UnrecoverableError(String(outcome.result["reason"]));
  }

  /** One attempt, if it may be made now. @returns the outcome, or null when the job has been put off */
  async #attempt(job: Job<DeliveryState>, token: string): Promise<Outcome | null> {
    const { invocation } = job.data;
    const { type } = invocation.action;
    const redact = redactionOf(invocation.secrets);
    if (job.data.announced !== true) {
      const event = deliveryEvent(job.data, "triggered", Date.now() * millisecond);
      await this.#reaching(() => this.#log.appendEvents([{ event, lineage: invocation.lineage }]));
    }
    const started = performance.now();
    const found =
      job.stalledCounter > stalledCountMax
        ? ({
            kind: "failed",
            reason: `the worker died ${job.stalledCounter} times in the middle of it`,
          } as const)
        : await this.#reaching(() => {
            const renderer = new Renderer(invocation);
            const tools = { log: this.#log, webhooks: this.#webhooks, renderer, redact, signal: this.#stop };
            return runAction(invocation, tools);
          });
    const durationMs = Math.round(performance.now() - started);
    if (found.kind === "deferred") return this.#defer(job, token, found);

    const attemptCount = (job.data.attemptCount ?? 0) + 1;
    this.#metrics.attemptFinished?.(type, found.kind, durationMs / 1_000);
    const common = { ...found.result, attempts: attemptCount, duration_ms: durationMs };
    if (found.kind === "executed") return this.#keep(job, job.data, "executed", common);
    const status = found.result?.["status_code"];
    const failed = withAttempt(job.data, {
      at: new Date().toISOString(),
      reason: found.reason,
      duration_ms: durationMs,
      ...(typeof status === "number" ? { status_code: status } : {}),
    });
    if (found.kind === "failed" || attemptCount >= this.#settings.attemptsMax) {
      return this.#keep(job, failed, "failed", { ...common, reason: found.reason });
    }
    const waitMs = this.#waitMs(attemptCount, found.afterMs);
    const fields = {
      automation: invocation.automation.name,
      invocation: invocation.id,
      reason: found.reason,
    };
    this.#logger.warn({ ...fields, attempt: attemptCount, waitMs }, "A delivery will be tried again");
    await this.#write(job, failed);
    await job.moveToDelayed(Date.now() + waitMs, token);
    return null;
  }

  /** Exponential backoff with full jitter (M. Brooker), but never sooner than the endpoint asked for. */
  #waitMs(attemptCount: number, afterMs: number | null): number {
    const { retryMs, retryMsMax } = this.#settings;
    const drawn = Math.random() * Math.min(retryMs * 2 ** (attemptCount - 1), retryMsMax);
    // What was asked for is kept to, and spread a little beyond it.
    return Math.ceil(afterMs === null ? drawn : afterMs + Math.min(drawn, afterMs / 10));
  }

  async #defer(
    job: Job<DeliveryState>,
    token: string,
    { reason, waitMs }: Extract<AttemptOutcome, { kind: "deferred" }>,
  ): Promise<Outcome | null> {
    const { giveUpAfterMs } = this.#settings;
    const ageMs = Date.now() - (job.data.started ?? job.timestamp);
    if (ageMs > giveUpAfterMs) {
      const last = job.data.attempts?.at(-1)?.reason ?? reason;
      const result = { attempts: job.data.attemptCount ?? 0, reason: `given up after ${ageMs} ms: ${last}` };
      return this.#keep(job, job.data, "failed", result);
    }
    this.#metrics.deferred?.(job.data.invocation.action.type);
    if (job.data.announced !== true) await this.#write(job, { ...job.data, announced: true });
    // Spread, so that those that were put off together do not come back together.
    await job.moveToDelayed(Date.now() + Math.ceil(waitMs * (1 + Math.random() / 4)), token);
    return null;
  }

  async #keep(
    job: Job<DeliveryState>,
    state: DeliveryState,
    kind: Outcome["kind"],
    result: Readonly<Record<string, unknown>>,
  ): Promise<Outcome> {
    const outcome: Outcome = { kind, at: Date.now() * millisecond, result };
    await this.#write(job, { ...state, announced: true, outcome });
    return outcome;
  }

  async #tell(job: Job<DeliveryState>, { kind, at, result }: Outcome): Promise<void> {
    const { invocation } = job.data;
    const event = deliveryEvent(job.data, kind, at, result);
    await this.#reaching(() => this.#log.appendEvents([{ event, lineage: invocation.lineage }]));
    const fields = { automation: invocation.automation.name, action: invocation.action.type, ...result };
    if (kind === "executed")
      this.#logger.info({ ...fields, invocation: invocation.id }, "An action was executed");
    else this.#logger.error({ ...fields, invocation: invocation.id }, "An action failed for good");
    const seconds = (Date.now() - (job.data.started ?? job.timestamp)) / 1_000;
    this.#metrics.actionFinished?.(invocation.action.type, kind, seconds);
    // Only its id is needed from now on; the secrets least of all.
    if (kind === "executed") await this.#write(job, { finished: true });
  }

  async #write(job: Job<DeliveryState> | Job<JobState>, state: JobState): Promise<void> {
    await this.#reaching(() => reaching(() => (job as Job<JobState>).updateData(state)));
  }

  /** Repeats what Redis did not take until it does, or the worker is stopped. */
  async #reaching<T>(step: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await step();
      } catch (error) {
        if (!(error instanceof RedisUnreachable) || this.#stop.aborted) throw error;
        await sleep(redisRetryMs, this.#stop);
      }
    }
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
