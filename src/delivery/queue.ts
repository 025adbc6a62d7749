/**
 * The queue of actions to run: one BullMQ queue per workspace.
 *
 * So the backlog of one workspace does not delay another. In Redis Cluster the keys of a queue share a hash tag and are on
 * one node, while the queues are spread over all nodes.
 */

import type { Job, JobState, JobType } from "bullmq";
import type { Redis } from "ioredis";
import type { Invocation } from "../core/model/invocation.ts";
import { callRedis, connect } from "../store/connection.ts";
import type { DeliveryState, JobData } from "./delivery-state.ts";
import { type DeliveryView, deliveryOf, dueOf, type ListedStatus } from "./delivery-view.ts";
import { ExactQueue } from "./exact-job.ts";

import { Lanes } from "./lanes.ts";
import { jobIdOf, queueName, queuePrefix } from "./queue-keys.ts";

export interface QueueSettings {
  /**
   * How long to remember finished jobs, in seconds, so that an invocation that is added again is ignored. It stays in the
   * outbox as long as no engine runs, so this should be longer than any downtime.
   */
  readonly keepFinishedSeconds: number;
  /** How long to keep dead letters, in seconds. */
  readonly keepDeadLettersSeconds: number;
}

const queueSettings: QueueSettings = { keepFinishedSeconds: 86_400, keepDeadLettersSeconds: 30 * 86_400 };

/** Where BullMQ keeps the deliveries of each state, and in which order they are listed. */
const jobSets = {
  waiting: { type: "waiting", oldestFirst: true },
  active: { type: "active", oldestFirst: true },
  retrying: { type: "delayed", oldestFirst: true },
  delivered: { type: "completed", oldestFirst: false },
  dead: { type: "failed", oldestFirst: false },
} as const satisfies Record<ListedStatus, { type: JobType; oldestFirst: boolean }>;

export class DeliveryQueue {
  readonly #redis: Redis;
  readonly #queue: ExactQueue<JobData>;
  readonly #settings: QueueSettings;
  readonly #lanes: Lanes;

  /** @param options.onLost called once each time the Redis connection is lost or cannot be established */
  constructor(
    redisUrl: string,
    workspace: string,
    options: Partial<QueueSettings> & { readonly onLost?: (error: Error) => void } = {},
  ) {
    const { onLost, ...settings } = options;
    this.#settings = { ...queueSettings, ...settings };
    this.#redis = connect(redisUrl, {
      name: "tripline-queue",
      ...(onLost === undefined ? {} : { onLost }),
    });
    this.#queue = new ExactQueue<JobData>(queueName, {
      connection: this.#redis,
      prefix: queuePrefix(workspace),
      skipWaitingForReady: true, // callers expect commands to fail fast
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
    const { keepFinishedSeconds, keepDeadLettersSeconds } = this.#settings;
    // First the places: a delivery that the queue has, but no lane, would be first in its lane.
    const places = await this.#lanes.join(invocations);
    const jobs = invocations.map((invocation, index) => ({
      name: invocation.action.type,
      data: { invocation, ...placeField(places[index]) },
      opts: {
        jobId: jobIdOf(invocation.id),
        attempts: 1, // the job's data has the real count, because a deferral does not count as an attempt
        stackTraceLimit: 0,
        removeOnComplete: { age: keepFinishedSeconds },
        removeOnFail: { age: keepDeadLettersSeconds },
      },
    }));
    await callRedis(() => this.#queue.addBulk(jobs));
  }

  /**
   * Lists deliveries in one state. Pending ones are in the order in which they are due; finished ones are newest first.
   *
   * @throws RedisUnreachable
   */
  async deliveries(
    status: ListedStatus,
    { start = 0, count = 100 }: { start?: number; count?: number } = {},
  ): Promise<DeliveryView[]> {
    if (count <= 0) return [];
    const { type, oldestFirst } = jobSets[status];
    return callRedis(async () => {
      const jobs = await this.#queue.getJobs([type], start, start + count - 1, oldestFirst);
      // A job that was removed during the read is undefined.
      const known = jobs.filter((job) => job !== undefined);
      const dueTimes = status === "retrying" ? await this.#dueTimesOf(known) : [];
      return known.flatMap((job, index) => viewOf(job, status, dueTimes[index] ?? null) ?? []);
    });
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
        return viewOf(job, status, due);
      }
      return null;
    });
  }

  /**
   * Gives a dead letter all its attempts again, with the same `webhook-id`.
   *
   * @returns false if there is no such dead letter
   * @throws RedisUnreachable
   */
  async redeliver(id: string): Promise<boolean> {
    const job = await this.#failedJob(id);
    if (job === null || "finished" in job.data) return false;
    const { invocation, attempts = [], redeliveries = 0, place } = job.data;
    await callRedis(async () => {
      const state = { invocation, attempts, redeliveries: redeliveries + 1, started: Date.now() };
      await job.updateData({ ...state, ...placeField(place) });
      await job.retry("failed");
    });
    return true;
  }

  /** Counts the jobs in each state. @throws RedisUnreachable */
  async counts(): Promise<{ waiting: number; active: number; delayed: number; deadLetters: number }> {
    const counts = await callRedis(() => this.#queue.getJobCounts("waiting", "active", "delayed", "failed"));
    const { waiting = 0, active = 0, delayed = 0, failed = 0 } = counts;
    return { waiting, active, delayed, deadLetters: failed };
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

  async #failedJob(id: string): Promise<Job<JobData> | null> {
    return callRedis(async () => {
      const job = await this.#queue.getJob(jobIdOf(id));
      return job !== undefined && (await job.isFailed()) ? job : null;
    });
  }
}

function placeField(place: number | null | undefined): Pick<DeliveryState, "place"> {
  return place == null ? {} : { place };
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
