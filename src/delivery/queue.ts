/**
 * The queue of actions to run: one BullMQ queue per workspace.
 *
 * So the backlog of one workspace does not delay another. In Redis Cluster the keys of a queue share a hash tag and are on
 * one node, while the queues are spread over all nodes.
 */

import type { Job, JobState, JobType } from "bullmq";
import { isCanary } from "../core/model/canary.ts";
import type { Invocation } from "../core/model/invocation.ts";
import type { RedeliveryOptions, RedeliveryRefusal } from "../core/model/redelivery.ts";
import { systemClock } from "../retry/clock.ts";
import { breathe, chunksOf } from "../retry/slices.ts";
import { callRedis, connect, type RedisConnection, RedisUnreachable } from "../store/connection.ts";
import { withReplicas } from "../store/replicas.ts";
import { addInvocations } from "./add-invocations.ts";
import { type DeliveryState, deliveryIn, type JobData } from "./delivery-state.ts";
import {
  type DeliveryFilter,
  type DeliveryView,
  deliveryOf,
  dueOf,
  type ListedStatus,
  matches,
} from "./delivery-view.ts";
import { ExactQueue } from "./exact-job.ts";
import { type EndpointRest, Lanes, placeField } from "./lanes.ts";
import type { NewJob } from "./ports.ts";
import { promote, promoteById } from "./promote.ts";
import { jobIdOf, queueKeys, queueName, queuePrefix } from "./queue-keys.ts";
import { invocationToRedeliver } from "./redelivery.ts";

export interface QueueSettings {
  /**
   * How long to remember finished jobs, in seconds, so that an invocation that is added again is ignored. It stays in the
   * outbox as long as no engine runs, so this should be longer than any downtime.
   */
  readonly keepFinishedSeconds: number;
  /** How long to keep dead letters, in seconds. */
  readonly keepDeadLettersSeconds: number;
}

export const queueSettings: QueueSettings = {
  keepFinishedSeconds: 86_400,
  keepDeadLettersSeconds: 30 * 86_400,
};

/** Where BullMQ keeps the deliveries of each state, and in which order they are listed. */
const jobSets = {
  waiting: { type: "waiting", oldestFirst: true },
  active: { type: "active", oldestFirst: true },
  retrying: { type: "delayed", oldestFirst: true },
  delivered: { type: "completed", oldestFirst: false },
  dead: { type: "failed", oldestFirst: false },
} as const satisfies Record<ListedStatus, { type: JobType; oldestFirst: boolean }>;

export interface DeliveryListOptions {
  /** A position in the list of that state. */
  readonly start?: number;
  readonly count?: number;
  readonly filter?: DeliveryFilter;
}

/** What the queue holds of a delivery. */
export interface StoredDelivery {
  /** Null if what it sent is not kept. */
  readonly state: DeliveryState | null;
  /** Then the state has no secrets any more. */
  readonly isDelivered: boolean;
  /** When it ended, in milliseconds since the epoch; null if it has not. */
  readonly ended: number | null;
}

export interface ListedDeliveries {
  readonly deliveries: readonly DeliveryView[];
  /** Where to go on; null at the end of the list. */
  readonly next: number | null;
}

/** How many jobs are read in one step, so that no step takes long. */
const pageCount = 100;
/** A glance at many jobs leaves out those whose data is longer, in bytes. Most take a twentieth of it. */
const glancedBytesMax = 65_536;
/** How many jobs a filter reads at most before it answers with what it has found. */
const readCountMax = 5_000;

export class DeliveryQueue {
  readonly #redis: RedisConnection;
  readonly #queue: ExactQueue<JobData>;
  readonly #settings: QueueSettings;
  readonly #lanes: Lanes;
  readonly #replicaCount: number;
  readonly #workspace: string;

  /**
   * @param options.onLost called once each time the Redis connection is lost or cannot be established
   * @param options.replicaCount how many replicas must have an invocation before it counts as added
   * @param options.readOnly whether nothing must be written, not even that the queue exists
   */
  constructor(
    redisUrl: string,
    workspace: string,
    options: Partial<QueueSettings> & {
      readonly onLost?: (error: Error) => void;
      readonly replicaCount?: number;
      readonly readOnly?: boolean;
    } = {},
  ) {
    const { onLost, replicaCount = 0, readOnly = false, ...settings } = options;
    this.#replicaCount = replicaCount;
    this.#workspace = workspace;
    this.#settings = { ...queueSettings, ...settings };
    this.#redis = connect(redisUrl, {
      name: "tripline-queue",
      ...(onLost === undefined ? {} : { onLost }),
    });
    this.#queue = new ExactQueue<JobData>(queueName, {
      connection: this.#redis,
      prefix: queuePrefix(workspace),
      skipWaitingForReady: true, // callers expect commands to fail fast
      skipMetasUpdate: readOnly,
    });
    this.#queue.on("error", () => {}); // the connection reports it
    this.#lanes = new Lanes(this.#redis, workspace);
  }

  /**
   * Adds invocations. One that was added before is ignored, as long as finished jobs are remembered.
   *
   * @throws RedisUnreachable; some may have been added, and adding all of them again is harmless
   */
  async addInvocations(invocations: readonly Invocation[]): Promise<void> {
    if (invocations.length === 0) return;
    const jobs = {
      add: (added: readonly NewJob[]) => this.#addJobs(added),
      promote: (id: string) => callRedis(() => promoteById(this.#queue, jobIdOf(id))),
    };
    await addInvocations({ jobs, lanes: this.#lanes, clock: systemClock }, invocations);
    if (this.#replicaCount > 0) await this.#untilReplicated(invocations.at(-1) as Invocation);
  }

  /**
   * In a cluster, the queue may be on another node than the outbox, and fail over alone. That a server has the last job
   * says that it has all of them.
   */
  async #untilReplicated({ id }: Invocation): Promise<void> {
    const key = queueKeys(this.#workspace).job(id);
    const isThere = await callRedis(() =>
      withReplicas(this.#redis, this.#replicaCount, (commands) => commands.exists(key)),
    );
    if (isThere !== 1) throw new RedisUnreachable(new Error("the queue lost a delivery in a failover"));
  }

  async #addJobs(added: readonly NewJob[]): Promise<void> {
    const { keepFinishedSeconds, keepDeadLettersSeconds } = this.#settings;
    const jobs = added.map(({ invocation, data, delayMs }) => ({
      name: invocation.action.type,
      data,
      opts: {
        jobId: jobIdOf(invocation.id),
        attempts: 1, // the job's data has the real count, because a deferral does not count as an attempt
        stackTraceLimit: 0,
        ...(delayMs > 0 ? { delay: delayMs } : {}),
        // One canary says nothing after the next, and must not count as a dead letter.
        removeOnComplete: isCanary(invocation.automation.id) || { age: keepFinishedSeconds },
        removeOnFail: isCanary(invocation.automation.id) || { age: keepDeadLettersSeconds },
      },
    }));
    await callRedis(() => this.#queue.addBulk(jobs));
  }

  /**
   * Lists deliveries in one state. Pending ones are in the order in which they are due; finished ones are newest first.
   *
   * A filter reads the list from `start` on until `count` are found or many have been read. Deliveries change their state
   * during the reads, which moves the others along the list: one may be read twice, and is returned once.
   *
   * @throws RedisUnreachable
   */
  async deliveries(
    status: ListedStatus,
    { start = 0, count = 100, filter = {} }: DeliveryListOptions = {},
  ): Promise<ListedDeliveries> {
    const { type, oldestFirst } = jobSets[status];
    const found = new Map<string, DeliveryView>();
    const isFiltered = Object.keys(filter).length > 0;
    const last = start + (isFiltered ? readCountMax : count);
    let next = start;
    while (next < last) {
      const wantedCount = Math.min(pageCount, last - next);
      const page = await callRedis(async () => {
        const jobs = await this.#queue.getJobs([type], next, next + wantedCount - 1, oldestFirst);
        // A job that was removed during the read is undefined.
        const known = jobs.filter((job) => job !== undefined);
        const dueTimes = status === "retrying" ? await this.#dueTimesOf(known) : [];
        return { jobs, views: known.map((job, index) => viewOf(job, status, dueTimes[index] ?? null)) };
      });
      for (const view of page.views) {
        next += 1;
        if (view !== null && matches(view, filter)) found.set(view.id, view);
        if (found.size === count) return { deliveries: [...found.values()], next };
      }
      next += page.jobs.length - page.views.length;
      if (page.jobs.length < wantedCount) return { deliveries: [...found.values()], next: null };
    }
    return { deliveries: [...found.values()], next };
  }

  /**
   * Reads the first deliveries of a state, in the order of `deliveries`, but no large ones: for a picture that costs little.
   *
   * @returns whether all of that state were read
   * @throws RedisUnreachable
   */
  async glance(
    status: ListedStatus,
    countMax: number,
  ): Promise<{ readonly deliveries: readonly DeliveryView[]; readonly isAll: boolean }> {
    const { type, oldestFirst } = jobSets[status];
    const ids = await callRedis(() => this.#queue.getRanges([type], 0, countMax, oldestFirst));
    const deliveries: DeliveryView[] = [];
    let isAll = ids.length <= countMax;
    for (const some of chunksOf(ids.slice(0, countMax), pageCount)) {
      const small = await this.#smallOf(some);
      isAll &&= small.length === some.length;
      const jobs = await callRedis(() => Promise.all(small.map((id) => this.#queue.getJob(id))));
      for (const job of jobs) {
        const view = job === undefined ? null : viewOf(job, status, null);
        if (view !== null) deliveries.push(view);
        await breathe();
      }
    }
    return { deliveries, isAll };
  }

  /** Those jobs whose data is not large. */
  async #smallOf(ids: readonly string[]): Promise<string[]> {
    const steps = this.#redis.pipeline();
    for (const id of ids) steps.hstrlen(this.#queue.toKey(id), "data");
    const answers = await callRedis(async () => (await steps.exec()) ?? []);
    return ids.filter((_, index) => Number(answers[index]?.[1] ?? 0) <= glancedBytesMax);
  }

  /**
   * Finds a delivery in any state.
   *
   * @returns null if the queue does not have it: it was never added, or is no longer kept
   * @throws RedisUnreachable
   */
  async delivery(id: string): Promise<DeliveryView | null> {
    return callRedis(async () => {
      for (let tries = 0; tries < triesMax; tries++) {
        const job = await this.#queue.getJob(jobIdOf(id));
        if (job === undefined) return null;
        const status = statusOf(await job.getState());
        if (status === null) continue; // the job is moving between two states
        const [due = null] = status === "retrying" ? await this.#dueTimesOf([job]) : [];
        const view = viewOf(job, status, due);
        return view?.state === "deferred" ? await this.#withFirst(view, job.data) : view;
      }
      return null;
    });
  }

  /**
   * What the queue holds of a delivery, with its secrets as they are stored.
   *
   * @returns null if the queue does not have it
   * @throws RedisUnreachable
   */
  async stored(id: string): Promise<StoredDelivery | null> {
    const job = await callRedis(() => this.#queue.getJob(jobIdOf(id)));
    if (job === undefined) return null;
    const { data, finishedOn } = job;
    return { state: deliveryIn(data), isDelivered: "finished" in data, ended: finishedOn ?? null };
  }

  /** What waits for each of these endpoints, in their order. @throws RedisUnreachable */
  rests(origins: readonly string[]): Promise<EndpointRest[]> {
    return this.#lanes.rests(origins);
  }

  /** Names the delivery that one in a lane waits for. */
  async #withFirst(view: DeliveryView, data: JobData): Promise<DeliveryView> {
    const { ordering } = data.invocation ?? {};
    const isParked = "deferred" in data && data.deferred?.since !== undefined;
    const first = ordering === undefined || !isParked ? null : await this.#lanes.first(ordering);
    return first === null || first === view.id ? view : { ...view, reason: `${view.reason} (${first})` };
  }

  /**
   * Gives a delivery all its attempts again, with the same `webhook-id`: one that has ended, or one that waits, which is
   * then tried at once.
   *
   * @returns why it cannot be redelivered; null if it is
   * @throws RedisUnreachable
   */
  async redeliver(id: string, options: RedeliveryOptions): Promise<RedeliveryRefusal | null> {
    const job = await callRedis(() => this.#queue.getJob(jobIdOf(id)));
    if (job === undefined) return { kind: "unknown" };
    const { invocation, place } = job.data;
    const state = statusOf(await callRedis(() => job.getState()));
    if (invocation === undefined) return { kind: "not kept" };
    const changed = invocationToRedeliver(invocation, options, state === "delivered");
    if ("kind" in changed) return changed;
    if (state === "dead" || state === "delivered") {
      return this.#redeliverEnded(job, changed, options, state);
    }
    if (place !== undefined) {
      const kind = options.asSent ? "as sent" : "present rule";
      await this.#lanes.request(id, { kind, insists: options.insists });
    }
    await callRedis(() => promote(job));
    return null;
  }

  async #redeliverEnded(
    job: Job<JobData>,
    invocation: Invocation,
    { insists, asSent }: RedeliveryOptions,
    state: "dead" | "delivered",
  ): Promise<RedeliveryRefusal | null> {
    const { attempts = [], place } = job.data;
    const { id, ordering } = invocation;
    if (ordering !== undefined && place !== undefined) {
      if (!(await this.#lanes.rejoin({ id, ordering, place }, { insists, was: state }))) {
        return { kind: "outdated" };
      }
    }
    const redeliveries = redeliveriesOf(job.data) + 1;
    await callRedis(async () => {
      await job.updateData({
        ...{ invocation, attempts, redeliveries, started: Date.now() },
        ...placeField(place),
        ...(insists ? { insists } : {}),
        ...(asSent ? { asSent } : {}),
      });
      await job.retry(state === "dead" ? "failed" : "completed");
    });
    return null;
  }

  /**
   * Cancels a delivery that has not ended. If it is being attempted, nothing more is sent after that attempt.
   *
   * @param by who cancels it, for the reason
   * @returns `ended` if it has ended, `unknown` if the queue does not have it, `immediate` if its action cannot wait
   * @throws RedisUnreachable
   */
  async cancel(id: string, by: string): Promise<"cancelled" | "ended" | "unknown" | "immediate"> {
    const job = await callRedis(() => this.#queue.getJob(jobIdOf(id)));
    if (job === undefined) return "unknown";
    const state = statusOf(await callRedis(() => job.getState()));
    if (state === "dead" || state === "delivered") return "ended";
    if (job.data.place === undefined) return "immediate";
    await this.#lanes.request(id, { kind: "cancel", by });
    await callRedis(() => promote(job));
    return "cancelled";
  }

  /** Counts the jobs in each state. @throws RedisUnreachable */
  async counts(): Promise<{ waiting: number; active: number; delayed: number; deadLetters: number }> {
    const counts = await callRedis(() => this.#queue.getJobCounts("waiting", "active", "delayed", "failed"));
    const { waiting = 0, active = 0, delayed = 0, failed = 0 } = counts;
    return { waiting, active, delayed, deadLetters: failed };
  }

  /** Counts the deliveries in each state, in one step. @throws RedisUnreachable */
  async countsByState(): Promise<Record<ListedStatus, number>> {
    const states = Object.keys(jobSets) as ListedStatus[];
    const counts = await callRedis(() =>
      this.#queue.getJobCounts(...states.map((state) => jobSets[state].type)),
    );
    return Object.fromEntries(states.map((state) => [state, counts[jobSets[state].type] ?? 0])) as Record<
      ListedStatus,
      number
    >;
  }

  /**
   * How old the oldest deliveries are that have not ended, in milliseconds; null where there is none.
   *
   * @returns since when one waits for a worker, or a worker has one, since it was added; and by how much the next attempt
   *   of one that waits for it is overdue
   * @throws RedisUnreachable
   */
  async oldestMs(): Promise<{ waiting: number | null; active: number | null; delayed: number | null }> {
    const oldest = async (type: JobType) => (await this.#queue.getJobs([type], 0, 0, true))[0];
    const [waiting, active, delayed] = await callRedis(() =>
      Promise.all([oldest("waiting"), oldest("active"), oldest("delayed")]),
    );
    const now = Date.now();
    const [due = null] = delayed === undefined ? [] : await callRedis(() => this.#dueTimesOf([delayed]));
    return {
      waiting: waiting === undefined ? null : Math.max(0, now - waiting.timestamp),
      active: active === undefined ? null : Math.max(0, now - active.timestamp),
      delayed: due === null ? null : Math.max(0, now - due),
    };
  }

  /** Counts the deliveries in one state. @throws RedisUnreachable */
  async count(status: ListedStatus): Promise<number> {
    return callRedis(() => this.#queue.getJobCountByTypes(jobSets[status].type));
  }

  async close(): Promise<void> {
    await this.#queue.close().catch(() => {}); // fails only when Redis is unavailable
    this.#redis.disconnect();
  }

  /** The due times of delayed jobs, in milliseconds since the epoch. */
  async #dueTimesOf(jobs: readonly Job[]): Promise<(number | null)[]> {
    if (jobs.length === 0) return [];
    const pipeline = this.#redis.pipeline();
    for (const { id } of jobs) pipeline.zscore(this.#queue.toKey("delayed"), id ?? "");
    const scores = (await pipeline.exec()) ?? [];
    return scores.map(([error, score]) => (error === null ? dueOf(score as string | null) : null));
  }
}

function redeliveriesOf(data: JobData): number {
  return ("finished" in data ? data.delivery?.redeliveries : data.redeliveries) ?? 0;
}

/** A job is between two states only for a moment. */
const triesMax = 3;

function statusOf(state: JobState | "unknown"): ListedStatus | null {
  for (const status of Object.keys(jobSets) as ListedStatus[]) {
    if (jobSets[status].type === state) return status;
  }
  return null;
}

function viewOf(job: Job<JobData>, status: ListedStatus, due: number | null): DeliveryView | null {
  const { failedReason, finishedOn } = job;
  return deliveryOf(job.data, { status, due, failedReason, finishedOn });
}
