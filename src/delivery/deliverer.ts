/**
 * The steps of one delivery: announce it, make an attempt, store the outcome, report it in the log.
 *
 * A delivery happens at least once, always under the same id. The process may die between any two steps; BullMQ then
 * gives the job to another worker:
 *
 * - before the outcome is stored in the job, the action runs again;
 * - after that, only its event is appended again, with the same id, which counts once.
 *
 * A Redis outage ends no delivery: the worker keeps the outcome and waits.
 */

import { DelayedError, type Job, UnrecoverableError } from "bullmq";
import type { Invocation } from "../core/model/invocation.ts";
import type { Retry } from "../core/model/retry.ts";
import { formatDuration, millisecond, second } from "../core/model/time.ts";
import { type TraceContext, traceIdOf } from "../core/model/trace-context.ts";
import { keepTrying } from "../retry/keep-trying.ts";
import { callRedis } from "../store/connection.ts";
import type { Log } from "../store/log.ts";
import { passOnTracer, type Tracer, type TraceSpan } from "../telemetry/tracer.ts";
import { redactionOf } from "../templates/references.ts";
import { Renderer } from "../templates/renderer.ts";
import type { AttemptOutcome } from "./attempt.ts";
import {
  type DeliveryOutcome,
  type DeliveryState,
  deliveryEvent,
  type JobData,
  withAttempt,
} from "./delivery-state.ts";
import { summaryOf } from "./delivery-view.ts";
import type { WebhookClient } from "./http/webhook-client.ts";
import { deferralMs, retryDelayMs, triedMs } from "./retry-delay.ts";
import { runAction } from "./run-action.ts";
import type { ActionLogger, ActionMetrics, WorkerSettings } from "./worker-settings.ts";

/** The time for which a delivery has been tried is stored this often while nothing is sent. */
const triedKeptMs = 300_000;

/**
 * After more worker crashes than this in a row, a delivery waits for its next attempt: it may be what causes them. This
 * never ends a delivery by itself, because a worker that is paused or starved looks like one that crashed.
 */
const crashCountMax = 10;

export interface DelivererOptions {
  readonly log: Log;
  readonly logger: ActionLogger;
  readonly metrics?: ActionMetrics;
  /** Records a span for each attempt. Without one, an attempt passes on the trace of its firing. */
  readonly tracer?: Tracer;
  readonly settings: WorkerSettings;
  readonly webhooks: WebhookClient;
  /** Aborted when the worker must stop at once. */
  readonly stop: AbortSignal;
}

export class Deliverer {
  readonly #log: Log;
  readonly #logger: ActionLogger;
  readonly #metrics: ActionMetrics;
  readonly #tracer: Tracer;
  readonly #settings: WorkerSettings;
  readonly #webhooks: WebhookClient;
  readonly #stop: AbortSignal;

  constructor(options: DelivererOptions) {
    const { log, logger, metrics = {}, tracer = passOnTracer, settings, webhooks, stop } = options;
    this.#log = log;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#tracer = tracer;
    this.#settings = settings;
    this.#webhooks = webhooks;
    this.#stop = stop;
  }

  /**
   * Takes a delivery as far as possible now.
   *
   * @throws UnrecoverableError if it failed for good; DelayedError if it comes back later
   */
  async deliver(job: Job<JobData>, token: string): Promise<void> {
    if ("finished" in job.data) return;
    let outcome = job.data.outcome;
    try {
      outcome ??= (await this.#attempt(job as Job<DeliveryState>, token)) ?? undefined;
      if (outcome === undefined) throw new DelayedError();
      await this.#report(job as Job<DeliveryState>, outcome);
    } catch (error) {
      if (error instanceof DelayedError) throw error;
      // The job's lock is no longer renewed, so BullMQ gives the job to another worker once the lock expires.
      if (!this.#stop.aborted) {
        this.#logger.error({ err: error, job: job.id }, "Delivery interrupted; another worker will retry it");
      }
      throw new DelayedError();
    }
    if (outcome.kind === "failed") throw new UnrecoverableError(String(outcome.result["reason"]));
  }

  /** Makes one attempt, if the endpoint allows it. @returns the outcome; null if the job was delayed */
  async #attempt(job: Job<DeliveryState>, token: string): Promise<DeliveryOutcome | null> {
    const { invocation } = job.data;
    const { type } = invocation.action;
    await this.#announce(job);
    const attemptCount = (job.data.attemptCount ?? 0) + 1;
    const span = this.#startSpan(invocation, attemptCount);
    const started = performance.now();
    const attempt = await this.#run(job, span.trace);
    const durationMs = Math.round(performance.now() - started);
    // Nothing was sent, so the span does not end and is not exported.
    if (attempt.kind === "deferred") return this.#defer(job, token, attempt);
    const status = attempt.result?.["status_code"];
    if (typeof status === "number") span.set({ "http.response.status_code": status });
    span.end(attempt.kind === "executed" ? undefined : attempt.reason);
    this.#metrics.attemptFinished?.(type, attempt.kind, durationMs / 1_000);
    const result = { ...attempt.result, attempts: attemptCount, duration_ms: durationMs };
    if (attempt.kind === "executed") return this.#keepOutcome(job, job.data, "executed", result);
    const tried = this.#tried(job);
    const state = {
      ...withAttempt(job.data, {
        at: new Date().toISOString(),
        reason: attempt.reason,
        duration_ms: durationMs,
        ...(typeof status === "number" ? { status_code: status } : {}),
      }),
      tried,
      crashesSeen: job.stalledCounter,
    };
    const leftMs = attempt.kind === "failed" ? 0 : this.#forMs(attempt.retry) - tried.ms;
    const attemptsLeft = attempt.kind === "failed" ? 0 : (attempt.retry?.attempts ?? Infinity) - attemptCount;
    if (attempt.kind === "failed" || leftMs <= 0 || attemptsLeft <= 0) {
      return this.#keepOutcome(job, state, "failed", { ...result, reason: attempt.reason });
    }
    const delayMs = retryDelayMs(this.#settings, attemptCount, attempt.afterMs, Math.random());
    const waitMs = Math.min(delayMs, leftMs); // the last attempt is made when the time is up
    const fields = {
      automation: invocation.automation.name,
      invocation: invocation.id,
      reason: attempt.reason,
      attempt: attemptCount,
      waitMs,
    };
    this.#logger.warn({ ...fields, ...traceFields(invocation) }, "Delivery failed; retrying");
    await this.#write(job, state);
    await job.moveToDelayed(Date.now() + waitMs, token);
    return null;
  }

  /** Appends the event that says the delivery has started, before the first attempt. */
  async #announce({ data }: Job<DeliveryState>): Promise<void> {
    if (data.announced === true) return;
    const event = deliveryEvent(data, "triggered", Date.now() * millisecond);
    const { lineage, trace } = data.invocation;
    await this.#untilReached(() => this.#log.appendEvents([{ event, lineage, trace }]));
  }

  #startSpan({ id, action, automation, trace }: Invocation, attempt: number): TraceSpan {
    const isRequest = action.type === "call-webhook" || action.type === "send-notification";
    return this.#tracer.start(action.type, {
      kind: isRequest ? "client" : "internal",
      parent: trace ?? null,
      attributes: {
        "tripline.automation.id": automation.id,
        "tripline.automation.name": automation.name,
        "tripline.delivery.id": id,
        "tripline.delivery.attempt": attempt,
      },
    });
  }

  /** @param trace what the attempt passes on */
  async #run(
    { data, stalledCounter }: Job<DeliveryState>,
    trace: TraceContext | null,
  ): Promise<AttemptOutcome> {
    const invocation = trace === null ? data.invocation : { ...data.invocation, trace };
    const crashCount = stalledCounter - (data.crashesSeen ?? 0);
    if (crashCount > crashCountMax) {
      const reason = `workers crashed, or were paused, ${crashCount} times during this delivery`;
      return { kind: "retry", reason, afterMs: null };
    }
    const redact = redactionOf(invocation.secrets);
    return this.#untilReached(() => {
      const renderer = new Renderer(invocation);
      const tools = { log: this.#log, webhooks: this.#webhooks, renderer, redact, signal: this.#stop };
      return runAction(invocation, tools);
    });
  }

  async #defer(
    job: Job<DeliveryState>,
    token: string,
    { reason, waitMs, retry }: Extract<AttemptOutcome, { kind: "deferred" }>,
  ): Promise<DeliveryOutcome | null> {
    const tried = this.#tried(job);
    if (tried.ms > this.#forMs(retry)) {
      const latest = job.data.attempts?.at(-1)?.reason ?? reason;
      const length = formatDuration(Math.round(tried.ms / 1_000) * second);
      const result = { attempts: job.data.attemptCount ?? 0, reason: `gave up after ${length}: ${latest}` };
      return this.#keepOutcome(job, job.data, "failed", result);
    }
    this.#metrics.deferred?.(job.data.invocation.action.type);
    const isKept =
      job.data.announced === true &&
      job.data.deferred?.reason === reason &&
      Date.now() - (job.data.tried?.at ?? 0) < triedKeptMs;
    if (!isKept) await this.#write(job, { ...job.data, announced: true, deferred: { reason }, tried });
    await job.moveToDelayed(Date.now() + deferralMs(waitMs, Math.random()), token);
    return null;
  }

  /** How long the delivery has been tried until now. */
  #tried({ data, timestamp }: Job<DeliveryState>): { readonly ms: number; readonly at: number } {
    const now = Date.now();
    const before = data.tried ?? { ms: 0, at: data.started ?? timestamp };
    return { ms: triedMs(before, now, 2 * Math.max(this.#settings.retryMsMax, triedKeptMs)), at: now };
  }

  #forMs(retry: Retry | undefined): number {
    return retry?.for === undefined ? this.#settings.giveUpAfterMs : retry.for * 1_000;
  }

  /** Stores how the delivery ended, so that reporting it can be repeated without delivering again. */
  async #keepOutcome(
    job: Job<DeliveryState>,
    state: DeliveryState,
    kind: DeliveryOutcome["kind"],
    result: Readonly<Record<string, unknown>>,
  ): Promise<DeliveryOutcome> {
    const outcome: DeliveryOutcome = { kind, at: Date.now() * millisecond, result };
    await this.#write(job, { ...state, announced: true, outcome });
    return outcome;
  }

  /** Appends the event that says how the delivery ended. */
  async #report(job: Job<DeliveryState>, { kind, at, result }: DeliveryOutcome): Promise<void> {
    const { id, automation, action, lineage, trace } = job.data.invocation;
    const event = deliveryEvent(job.data, kind, at, result);
    await this.#untilReached(() => this.#log.appendEvents([{ event, lineage, trace }]));
    const fields = {
      automation: automation.name,
      action: action.type,
      ...result,
      invocation: id,
      ...traceFields(job.data.invocation),
    };
    const isPlain = result["template_failures"] !== undefined;
    if (isPlain) this.#logger.warn(fields, "A template failed; the message is plain");
    if (kind === "executed") this.#logger.info(fields, "Action executed");
    else this.#logger.error(fields, "Action failed; no retries left");
    const seconds = (Date.now() - (job.data.started ?? job.timestamp)) / 1_000;
    this.#metrics.actionFinished?.(action.type, kind, seconds);
    // From now on people may look the job up, but its secrets are not needed.
    if (kind === "executed") await this.#write(job, { finished: true, delivery: summaryOf(job.data) });
  }

  async #write(job: Job<DeliveryState> | Job<JobData>, state: JobData): Promise<void> {
    await this.#untilReached(() => callRedis(() => (job as Job<JobData>).updateData(state)));
  }

  /** Repeats a step until Redis accepts it or the worker is stopped. */
  #untilReached<T>(step: () => Promise<T>): Promise<T> {
    return keepTrying(step, { signal: this.#stop });
  }
}

/** Connects a log line with its trace. */
function traceFields({ trace }: Invocation): { trace_id?: string } {
  return trace === undefined ? {} : { trace_id: traceIdOf(trace) };
}
