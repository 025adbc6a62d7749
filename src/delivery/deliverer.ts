/**
 * The steps of one delivery: wait for its turn, announce it and make an attempt, store the outcome and let the next one in
 * its lane go on, and report it in the log.
 *
 * A delivery happens at least once, always under the same id. The process may die between any two steps; BullMQ then
 * gives the job to another worker:
 *
 * - before the outcome is stored in the job, the action runs again;
 * - after that, only its event is appended again, with the same id, which counts once.
 *
 * A Redis outage ends no delivery: the worker keeps the outcome and waits.
 */

import { parseExactJson } from "../core/json/exact-json.ts";
import { underPresentRule } from "../core/machine/present-rule.ts";
import type { Invocation } from "../core/model/invocation.ts";
import type { Retry } from "../core/model/retry.ts";
import { formatDuration, millisecond, second } from "../core/model/time.ts";
import type { TraceContext } from "../core/model/trace-context.ts";
import type { WallClock } from "../retry/clock.ts";
import { keepTrying } from "../retry/keep-trying.ts";
import { SecretUnreadable } from "../store/secret-box.ts";
import { passOnTracer, type Tracer, type TraceSpan } from "../telemetry/tracer.ts";
import { redactionOf } from "../templates/references.ts";
import { Renderer } from "../templates/renderer.ts";
import type { AttemptOutcome } from "./attempt.ts";
import {
  type Attempt,
  type DeliveryOutcome,
  type DeliveryRequest,
  type DeliveryState,
  finishedState,
  hasWaited,
  type JobData,
  withAttempt,
} from "./delivery-state.ts";
import { summaryOf } from "./delivery-view.ts";
import { HeldJob, JobLost } from "./held-job.ts";
import { parkedReason, placeOf } from "./lanes.ts";
import type { DeliveryLog, HttpSender, JobStore, LanePlace, LaneStore, Leave, TakenJob } from "./ports.ts";
import { isMoved } from "./redelivery.ts";
import { DeliveryReporter, traceFields } from "./reporter.ts";
import { deferralMs, earlyRetryMs, parkMs, retryDelayMs, triedMs } from "./retry-delay.ts";
import { runAction } from "./run-action.ts";
import type { ActionLogger, ActionMetrics, WorkerSettings } from "./worker-settings.ts";

/** The time for which a delivery has been tried is stored this often while nothing is sent. */
const triedKeptMs = 300_000;

/**
 * After more worker crashes than this in a row, a delivery waits for its next attempt: it may be what causes them. This
 * ends no delivery and uses up no attempt, because a worker that is paused or starved looks like one that crashed.
 */
const crashCountMax = 10;

/**
 * When an endpoint accepts a delivery, so many of those that wait for it are woken up if there is room. Each that is accepted
 * wakes up as many again: what waits goes out at a growing speed, up to that of the endpoint.
 */
const wokenCountMax = 2;

/** What an attempt is called that is made before its time, by what woke the delivery up. */
const earlyReasons = { probe: "probe", drain: "recovered", other: "other" } as const;

/** Why a delivery is not sent that is older than what its target has accepted. Shown to people. */
export const outdatedReason = "not sent: the target has accepted a later delivery about the same thing";

export interface DelivererOptions {
  readonly jobs: JobStore;
  readonly lanes: LaneStore;
  readonly log: DeliveryLog;
  readonly clock: WallClock;
  readonly logger: ActionLogger;
  readonly metrics?: ActionMetrics;
  /** Records a span for each attempt. Without one, an attempt passes on the trace of its firing. */
  readonly tracer?: Tracer;
  readonly settings: WorkerSettings;
  /** What sends the webhooks of an automation. */
  readonly webhooksOf: (automationId: string) => HttpSender;
  /** Aborted when the worker must stop at once. */
  readonly stop: AbortSignal;
}

/**
 * What the queue is to do with a job: `delivered` ends it, `failed` makes it a dead letter, and `later` leaves it alone: it
 * was given back already, or is another worker's.
 */
export type DeliveryEnd =
  | { readonly kind: "delivered" | "later" }
  | { readonly kind: "failed"; readonly reason: string };

const interrupted = "Delivery interrupted; another worker will retry it";

export class Deliverer {
  readonly #jobs: JobStore;
  readonly #lanes: LaneStore;
  readonly #log: DeliveryLog;
  readonly #clock: WallClock;
  readonly #logger: ActionLogger;
  readonly #metrics: ActionMetrics;
  readonly #reporter: DeliveryReporter;
  readonly #tracer: Tracer;
  readonly #settings: WorkerSettings;
  readonly #webhooksOf: DelivererOptions["webhooksOf"];
  readonly #stop: AbortSignal;

  constructor(options: DelivererOptions) {
    const { jobs, lanes, log, clock, logger, metrics = {}, tracer = passOnTracer } = options;
    const { settings, webhooksOf, stop } = options;
    this.#jobs = jobs;
    this.#lanes = lanes;
    this.#log = log;
    this.#clock = clock;
    this.#logger = logger;
    this.#metrics = metrics;
    this.#reporter = new DeliveryReporter({ log, clock, logger, metrics, stop });
    this.#tracer = tracer;
    this.#settings = settings;
    this.#webhooksOf = webhooksOf;
    this.#stop = stop;
  }

  /** Takes a delivery as far as possible now. */
  async deliver(job: TakenJob, token: string): Promise<DeliveryEnd> {
    if ("finished" in job.data && job.data.outcome === undefined) return { kind: "delivered" };
    const held = new HeldJob(job, token, this.#jobs, this.#clock, this.#settings.deadAfterMs);
    const before = job.data.outcome;
    try {
      const outcome = before ?? (await this.#takeTurn(held));
      if (outcome === null) return { kind: "later" };
      await this.#report(held, outcome, before !== undefined);
      if (outcome.kind === "executed") return { kind: "delivered" };
      return { kind: "failed", reason: String(outcome.result["reason"]) };
    } catch (error) {
      // The job's lock is no longer renewed, so BullMQ gives the job to another worker once the lock expires.
      if (error instanceof JobLost) this.#logger.warn({ job: held.id, reason: error.message }, interrupted);
      else if (!this.#stop.aborted) this.#logger.error({ err: error, job: held.id }, interrupted);
      return { kind: "later" };
    }
  }

  /** Makes an attempt if it is the delivery's turn in its lane. @returns the outcome; null if the job was delayed */
  async #takeTurn(held: HeldJob): Promise<DeliveryOutcome | null> {
    const place = placeOf(held.state);
    if (place === null) return this.#attempt(held);
    const insists = held.state.insists === true;
    let asked = 0;
    const claim = () => {
      asked = this.#clock.now();
      return this.#lanes.claim(place, held.token, insists);
    };
    const [turn, present] = await Promise.all([
      this.#untilReached(claim),
      hasWaited(held.state, this.#clock.timeOfDay()) ? this.#underPresentRule(held.state) : null,
    ]);
    if (turn.state === "lost") throw new JobLost();
    held.markHeld(asked);
    held.wokenFor ??= turn.wokenFor;
    const { request } = turn;
    if (request !== null) {
      const ended = await this.#followRequest(held, parseExactJson(request) as DeliveryRequest);
      if (ended !== null) return ended;
      await this.#untilReached(() => this.#lanes.forgetRequest(place.id, request));
      return this.#takeTurn(held);
    }
    if (turn.state === "outdated") return this.#fail(held, outdatedReason);
    // What fires now is in the lane of the new target, and would overtake it.
    if (present !== null && isMoved(held.state.invocation, present)) {
      return (await this.#change(held, { invocation: present })) ?? this.#takeTurn(held);
    }
    return turn.state === "wait" ? this.#park(held, place, turn.other) : this.#attempt(held);
  }

  /** Does what a person asked for while the delivery was waiting. @returns the outcome, if that ends it */
  async #followRequest(held: HeldJob, request: DeliveryRequest): Promise<DeliveryOutcome | null> {
    if (request.kind === "cancel") {
      return this.#fail(held, `cancelled by ${request.by}`, { cancelled: true });
    }
    const insists = request.insists ? { insists: true as const } : {};
    if (request.kind === "as sent") return this.#change(held, { asSent: true, ...insists });
    const invocation = await this.#underPresentRule(held.state);
    // It was possible when the person asked; now it goes on as it was.
    return invocation === null ? null : this.#change(held, { invocation, ...insists });
  }

  /** @returns the invocation as the present rule has it; null if that does not say */
  async #underPresentRule({ invocation }: DeliveryState): Promise<Invocation | null> {
    const { id } = invocation.automation;
    const automation = await this.#untilReached(() => this.#log.sealedAutomation(id));
    const present = automation === null ? null : underPresentRule(invocation, automation);
    return typeof present === "string" ? null : present;
  }

  /** Changes what is sent, and moves the delivery to the lane of its new target. @returns the outcome, if that ends it */
  async #change(
    held: HeldJob,
    changes: Pick<DeliveryState, "insists" | "asSent"> & { readonly invocation?: Invocation },
  ): Promise<DeliveryOutcome | null> {
    const changed = { ...held.state, ...changes };
    const before = placeOf(held.state);
    const after = placeOf(changed);
    if (before !== null && after !== null && before.ordering.target !== after.ordering.target) {
      const { insists = false, endpoint = null } = changed;
      const move = { insists, endpoint, token: held.token, data: JSON.stringify(changed) };
      const { state, next } = await this.#untilReached(() => this.#lanes.move(before, after, move));
      if (state === "lost") throw new JobLost();
      if (state === "outdated") return this.#fail(held, outdatedReason);
      held.markWritten(changed);
      if (next !== null) await this.#jobs.promote(next);
    } else {
      await this.#untilReached(() => held.write(changed));
    }
    return null;
  }

  /** Ends the delivery without another attempt. */
  #fail(
    held: HeldJob,
    reason: string,
    fields: Pick<DeliveryOutcome, "cancelled"> = {},
  ): Promise<DeliveryOutcome> {
    const result = { attempts: held.state.attemptCount ?? 0, reason, ...fields };
    return this.#keepOutcome(held, held.state, "failed", result, fields);
  }

  /** Lets the delivery wait for an earlier one, which wakes it up at its end. */
  async #park(held: HeldJob, { id, ordering }: LanePlace, other: string): Promise<null> {
    const now = this.#clock.timeOfDay();
    // Not since the latest change of those in front: a long lane would be looked at all the time.
    const since = held.state.deferred?.since ?? now;
    const data = this.#waiting(held, { deferred: { reason: parkedReason, since } });
    if (data !== null) await this.#untilReached(() => held.write(data));
    const waitedMs = now - since;
    // The end of the other one may have been lost with Redis's last second.
    if (waitedMs > 0) await this.#untilReached(() => this.#lanes.evict(ordering, other));
    await this.#delay(held, parkMs(waitedMs), null);
    const first = await this.#untilReached(() => this.#lanes.first(ordering));
    // The other one may have ended before this one could be woken up.
    if (first === id) await this.#jobs.promote(id);
    return null;
  }

  /** Makes one attempt, if the endpoint allows it. @returns the outcome; null if the job was delayed */
  async #attempt(held: HeldJob): Promise<DeliveryOutcome | null> {
    const { invocation } = held.state;
    const { type } = invocation.action;
    const isAnnounced = held.state.announced === true;
    const announcing = isAnnounced ? null : this.#reporter.started(held.state);
    announcing?.catch(() => {}); // it is awaited once the attempt has ended
    const attemptCount = (held.state.attemptCount ?? 0) + 1;
    const span = this.#startSpan(invocation, attemptCount);
    const started = this.#clock.now();
    const outcome = await this.#run(held, span.trace);
    const durationMs = Math.round(this.#clock.now() - started);
    await announcing;
    // Nothing was sent, so the span does not end and is not exported.
    if (outcome.kind === "deferred") return this.#defer(held, outcome);
    const status = outcome.result?.["status_code"];
    if (typeof status === "number") span.set({ "http.response.status_code": status });
    span.end(outcome.kind === "executed" ? undefined : outcome.reason);
    this.#metrics.attemptFinished?.(type, outcome.kind, durationMs / 1_000);
    const tried = this.#tried(held);
    const earlyMs = Math.max((held.state.due ?? 0) - this.#clock.timeOfDay(), 0);
    const early = earlyMs > 0 ? earlyReasons[held.wokenFor ?? "other"] : null;
    const attempt: Attempt = {
      at: new Date(this.#clock.timeOfDay()).toISOString(),
      ...(outcome.kind === "executed" ? {} : { reason: outcome.reason }),
      duration_ms: durationMs,
      ...(typeof status === "number" ? { status_code: status } : {}),
      ...(outcome.kind === "executed" && outcome.answer !== undefined ? { answer: outcome.answer } : {}),
      ...(early === null ? {} : { early }),
    };
    const state = {
      ...withAttempt(held.state, attempt),
      tried,
      crashesSeen: held.crashCount,
      ...(outcome.endpoint === undefined ? {} : { endpoint: outcome.endpoint }),
    };
    const result = { ...outcome.result, attempts: attemptCount, duration_ms: durationMs };
    if (outcome.kind === "executed") return this.#keepOutcome(held, state, "executed", result);
    const leftMs = outcome.kind === "failed" ? 0 : this.#forMs(outcome.retry) - tried.ms;
    const earlyCount = (held.state.earlyCount ?? 0) + (earlyMs > 0 ? 1 : 0);
    const countedCount = attemptCount - earlyCount;
    const attemptsLeft = outcome.kind === "failed" ? 0 : (outcome.retry?.attempts ?? Infinity) - countedCount;
    if (outcome.kind === "failed" || leftMs <= 0 || attemptsLeft <= 0) {
      const gone = outcome.kind === "failed" && outcome.gone !== undefined ? { gone: outcome.gone } : {};
      return this.#keepOutcome(held, state, "failed", { ...result, reason: outcome.reason }, gone);
    }
    const { afterMs, addressees } = outcome;
    const isVain = earlyMs > 0 && held.wokenFor !== "probe";
    const vainCount = (held.state.vainCount ?? 0) + (isVain ? 1 : 0);
    const delayMs =
      earlyMs > 0
        ? earlyRetryMs(this.#settings, { earlyMs, afterMs, vainCount: isVain ? vainCount : null })
        : retryDelayMs(this.#settings, countedCount, afterMs, this.#clock.random());
    const waitMs = Math.min(delayMs, leftMs); // the last attempt is made when the time is up
    const fields = {
      automation: invocation.automation.name,
      invocation: invocation.id,
      reason: outcome.reason,
      attempt: attemptCount,
      ...(early === null ? {} : { early }),
      waitMs,
    };
    this.#logger.warn({ ...fields, ...traceFields(invocation) }, "Delivery failed; retrying");
    // What fails although others are accepted is not woken up again by those.
    const isAlone = isVain || (afterMs !== null && afterMs > 0);
    const data = {
      ...state,
      due: this.#clock.timeOfDay() + Math.max(waitMs, earlyMs),
      ...(earlyCount > 0 ? { earlyCount } : {}),
      ...(vainCount > 0 ? { vainCount } : {}),
      ...(addressees === undefined ? {} : { addressees }),
    };
    await this.#endTurn(held, data, isAlone ? "postponed" : "later");
    await this.#delay(held, waitMs, isAlone ? null : (outcome.endpoint ?? null));
    return null;
  }

  /** Gives the job back for a while. @param endpoint whose recovery wakes it up before that */
  async #delay(held: HeldJob, waitMs: number, endpoint: string | null): Promise<void> {
    await held.delay(waitMs);
    const { id } = held.state.invocation;
    const waitsFor = placeOf(held.state) === null ? null : endpoint;
    // Whoever asked for something, or woke it up, before that could not reach it.
    if (await this.#untilReached(() => this.#lanes.isWanted(id, waitsFor))) await this.#jobs.promote(id);
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
  async #run(held: HeldJob, trace: TraceContext | null): Promise<AttemptOutcome> {
    const { state } = held;
    const invocation = trace === null ? state.invocation : { ...state.invocation, trace };
    const crashCount = held.crashCount - (state.crashesSeen ?? 0);
    if (crashCount > crashCountMax) {
      const reason = `workers crashed, or were paused, ${crashCount} times during this delivery`;
      return { kind: "deferred", reason, waitMs: this.#settings.retryMsMax, isTurn: false };
    }
    let secrets: Invocation["secrets"];
    try {
      secrets = this.#log.openSecrets(invocation.automation.id, invocation.secrets);
    } catch (error) {
      if (!(error instanceof SecretUnreadable)) throw error;
      return { kind: "retry", reason: error.message, afterMs: null }; // it is sent once the key is back
    }
    const opened = { ...invocation, secrets };
    const redact = redactionOf(secrets);
    const checkHeld = () => held.check();
    return this.#untilReached(() => {
      const renderer = new Renderer(opened);
      const tools = {
        log: this.#log,
        webhooks: this.#webhooksOf(invocation.automation.id),
        renderer,
        redact,
        clock: this.#clock,
        wake: (id: string) => this.#jobs.wake(id),
        isWoken: held.wokenFor !== null,
        checkHeld,
        addressees: state.addressees,
        signal: this.#stop,
      };
      return runAction(opened, tools);
    });
  }

  async #defer(
    held: HeldJob,
    { reason, waitMs, isTurn, retry, endpoint }: Extract<AttemptOutcome, { kind: "deferred" }>,
  ): Promise<DeliveryOutcome | null> {
    const { state } = held;
    const tried = this.#tried(held);
    // A rule that allows a short time, or none, still wants one attempt.
    const isTried = (state.attemptCount ?? 0) > 0;
    const forMs = Math.max(this.#forMs(retry), isTried ? 0 : this.#settings.giveUpAfterMs);
    if (tried.ms > forMs) {
      const latest = state.attempts?.at(-1)?.reason ?? reason;
      const length = formatDuration(Math.round(tried.ms / 1_000) * second);
      return this.#fail(held, `gave up after ${length}: ${latest}`);
    }
    this.#metrics.deferred?.(state.invocation.action.type);
    const data = this.#waiting(held, {
      deferred: { reason },
      announced: true,
      crashesSeen: held.crashCount,
      ...(endpoint === undefined ? {} : { endpoint }),
    });
    // The recovery of an endpoint wakes up nothing that waits for a limit.
    await this.#endTurn(held, data, endpoint === undefined ? "postponed" : "later");
    await this.#delay(held, deferralMs(waitMs, isTurn ? 0 : this.#clock.random()), endpoint ?? null);
    return null;
  }

  /** What to store of a delivery of which nothing is sent; null if that is stored already. */
  #waiting(
    held: HeldJob,
    changes: Pick<DeliveryState, "deferred" | "announced" | "endpoint" | "crashesSeen">,
  ): DeliveryState | null {
    const { state } = held;
    const changed = { ...state, ...changes };
    const isKept =
      state.deferred?.reason === changed.deferred?.reason &&
      state.announced === changed.announced &&
      state.endpoint === changed.endpoint &&
      state.crashesSeen === changed.crashesSeen &&
      this.#clock.timeOfDay() - (state.tried?.at ?? 0) < triedKeptMs;
    return isKept ? null : { ...changed, tried: this.#tried(held) };
  }

  /** How long the delivery has been tried until now. */
  #tried({ state, added }: HeldJob): { readonly ms: number; readonly at: number } {
    const now = this.#clock.timeOfDay();
    const before = state.tried ?? { ms: 0, at: state.started ?? added };
    return { ms: triedMs(before, now, 2 * Math.max(this.#settings.retryMsMax, triedKeptMs)), at: now };
  }

  #forMs(retry: Retry | undefined): number {
    return retry?.for === undefined ? this.#settings.giveUpAfterMs : retry.for * 1_000;
  }

  /**
   * Stores how the delivery ended, so that reporting it can be repeated without delivering again. The next one in its lane
   * goes on, unless its endpoint is to be disabled before that.
   */
  async #keepOutcome(
    held: HeldJob,
    state: DeliveryState,
    kind: DeliveryOutcome["kind"],
    result: Readonly<Record<string, unknown>>,
    fields: Pick<DeliveryOutcome, "cancelled" | "gone"> = {},
  ): Promise<DeliveryOutcome> {
    const outcome: DeliveryOutcome = { kind, at: this.#clock.timeOfDay() * millisecond, result, ...fields };
    const ended = { ...state, outcome };
    const finished = kind === "executed" ? finishedState(ended, summaryOf(ended), outcome) : null;
    // Whatever is needed to report it, so that nothing has to be stored after that.
    const data = finished?.invocation === undefined ? ended : finished;
    if (outcome.gone === undefined) await this.#endTurn(held, data, leaveOf(outcome));
    else await this.#untilReached(() => held.write(data));
    return outcome;
  }

  /** Reports how the delivery ended. @param isRepeated whether another worker died in the middle of that */
  async #report(held: HeldJob, outcome: DeliveryOutcome, isRepeated: boolean): Promise<void> {
    const state = held.delivery;
    await this.#reporter.ended(state, outcome, held.added);
    if (outcome.gone !== undefined || isRepeated) await this.#endTurn(held, null, leaveOf(outcome));
    if (outcome.kind !== "executed" || held.isFinished) return;
    // From now on people may look the job up, but its secrets are not needed.
    await this.#untilReached(() => held.write(finishedState(state, summaryOf(state))));
  }

  /**
   * Stores what has become of the delivery, ends its turn in its lane, and wakes up those that waited for that.
   *
   * @param data null to store nothing
   */
  async #endTurn(held: HeldJob, data: JobData | null, outcome: Leave["outcome"]): Promise<void> {
    const place = placeOf(held.delivery);
    if (place === null) {
      if (data !== null) await this.#untilReached(() => held.write(data));
      return;
    }
    const endpoint = (data ?? held.delivery).endpoint ?? null;
    const { endpoints } = this.#webhooksOf(held.delivery.invocation.automation.id);
    const wakeable = endpoint === null ? null : endpoints.wakeable(endpoint);
    const left = {
      ...{ outcome, endpoint, token: held.token },
      wokenCount: Math.min(wakeable?.mode === "drain" ? wakeable.count : 0, wokenCountMax),
      data: data === null ? null : JSON.stringify(data),
    };
    const woken = await this.#untilReached(() => this.#lanes.leave(place, left));
    if (woken === null) throw new JobLost();
    if (data !== null) held.markWritten(data);
    await Promise.all(woken.map((id) => this.#jobs.promote(id)));
  }

  /** Repeats a step until Redis accepts it or the worker is stopped. */
  #untilReached<T>(step: () => Promise<T>): Promise<T> {
    return keepTrying(step, { signal: this.#stop, clock: this.#clock });
  }
}

function leaveOf({ kind }: DeliveryOutcome): Leave["outcome"] {
  return kind === "executed" ? "accepted" : "dead";
}
