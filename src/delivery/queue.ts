/**
 * The queue of actions to run: one BullMQ queue per workspace.
 *
 * A workspace's backlog then does not delay the others, and its keys, which share a hash tag, are on one node of a
 * Redis Cluster while workspaces spread over all nodes.
 */

import { type Job, Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { Invocation } from "../core/model/invocation.ts";
import { connect, reaching } from "../store/connection.ts";
import type { DeliveryState, FailedAttempt } from "./delivery-state.ts";

export const queueName = "actions";

/** The queue has its own hash tag, so it may be on another node than the workspace's own keys. */
export function queuePrefix(workspace: string): string {
  return `{tripline:${workspace}}`;
}

export interface QueueSettings {
  /**
   * How long finished jobs are remembered, in seconds, so that an invocation that is added again is ignored. The outbox
   * may hold one for as long as no engine runs.
   */
  readonly keepFinishedSeconds: number;
  /** How long dead letters are kept, in seconds. */
  readonly keepDeadLettersSeconds: number;
}

const queueSettings: QueueSettings = { keepFinishedSeconds: 86_400, keepDeadLettersSeconds: 30 * 86_400 };

/** A delivery that has used up its attempts or failed for good. Holds no secrets. */
export interface DeadLetter {
  /** The invocation's id, which is also the `webhook-id`. */
  readonly id: string;
  readonly automation: { readonly id: string; readonly name: string };
  readonly action_type: string;
  readonly action_index: number;
  readonly firing_id: string;
  readonly reason: string;
  /** When it failed, RFC 3339. */
  readonly failed: string;
  /** The latest attempts, oldest first, including those before a redelivery. */
  readonly attempts: readonly FailedAttempt[];
  readonly redeliveries: number;
}

export class DeliveryQueue {
  readonly #redis: Redis;
  readonly #queue: Queue<DeliveryState>;
  readonly #settings: QueueSettings;

  /** @param options.onTrouble called once each time the Redis connection is lost or cannot be made */
  constructor(
    redisUrl: string,
    workspace: string,
    options: Partial<QueueSettings> & { readonly onTrouble?: (error: Error) => void } = {},
  ) {
    const { onTrouble, ...settings } = options;
    this.#settings = { ...queueSettings, ...settings };
    this.#redis = connect(redisUrl, {
      name: "tripline-queue",
      ...(onTrouble === undefined ? {} : { onTrouble }),
    });
    this.#queue = new Queue(queueName, {
      connection: this.#redis,
      prefix: queuePrefix(workspace),
      skipWaitingForReady: true, // callers expect commands to fail fast
    });
    this.#queue.on("error", () => {}); // the connection reports it
  }

  /**
   * Adds all of them. One that was added before is ignored, as long as finished jobs are remembered.
   *
   * @throws RedisUnreachable; some may have been added by then, and adding all of them again is harmless
   */
  async addInvocations(invocations: readonly Invocation[]): Promise<void> {
    if (invocations.length === 0) return;
    const { keepFinishedSeconds, keepDeadLettersSeconds } = this.#settings;
    const jobs = invocations.map((invocation) => ({
      name: invocation.action.type,
      data: { invocation },
      opts: {
        jobId: jobIdOf(invocation.id),
        attempts: 1, // attempts are counted in the job's data, because waiting for an endpoint is not one
        stackTraceLimit: 0,
        removeOnComplete: { age: keepFinishedSeconds },
        removeOnFail: { age: keepDeadLettersSeconds },
      },
    }));
    await reaching(() => this.#queue.addBulk(jobs));
  }

  /**
   * Dead letters, newest first.
   *
   * @throws RedisUnreachable
   */
  async listDeadLetters(options: { start?: number; count?: number } = {}): Promise<DeadLetter[]> {
    const { start = 0, count = 100 } = options;
    if (count <= 0) return [];
    const jobs = await reaching(() => this.#queue.getFailed(start, start + count - 1));
    return jobs.map(deadLetterOf);
  }

  /** @throws RedisUnreachable */
  async deadLetter(id: string): Promise<DeadLetter | null> {
    const job = await this.#failedJob(id);
    return job === null ? null : deadLetterOf(job);
  }

  /**
   * Gives a dead letter all its attempts again, with the same `webhook-id`.
   *
   * @returns false when there is no such dead letter
   * @throws RedisUnreachable
   */
  async redeliver(id: string): Promise<boolean> {
    const job = await this.#failedJob(id);
    if (job === null) return false;
    const { invocation, attempts = [], redeliveries = 0 } = job.data;
    await reaching(async () => {
      await job.updateData({ invocation, attempts, redeliveries: redeliveries + 1, started: Date.now() });
      await job.retry("failed");
    });
    return true;
  }

  /** How many jobs there are in each state. @throws RedisUnreachable */
  async counts(): Promise<{ waiting: number; active: number; delayed: number; deadLetters: number }> {
    const counts = await reaching(() => this.#queue.getJobCounts("waiting", "active", "delayed", "failed"));
    const { waiting = 0, active = 0, delayed = 0, failed = 0 } = counts;
    return { waiting, active, delayed, deadLetters: failed };
  }

  async close(): Promise<void> {
    await this.#queue.close().catch(() => {}); // fails only when Redis is unavailable
    this.#redis.disconnect();
  }

  async #failedJob(id: string): Promise<Job<DeliveryState> | null> {
    return reaching(async () => {
      const job = await this.#queue.getJob(jobIdOf(id));
      return job !== undefined && (await job.isFailed()) ? job : null;
    });
  }
}

/** BullMQ forbids `:` and ids of digits only. */
export function jobIdOf(invocationId: string): string {
  return `inv-${invocationId}`;
}

function deadLetterOf(job: Job<DeliveryState>): DeadLetter {
  const { invocation, attempts = [], redeliveries = 0 } = job.data;
  return {
    id: invocation.id,
    automation: { id: invocation.automation.id, name: invocation.automation.name },
    action_type: invocation.action.type,
    action_index: invocation.actionIndex,
    firing_id: invocation.firing.id,
    reason: job.failedReason,
    failed: new Date(job.finishedOn ?? job.timestamp).toISOString(),
    attempts,
    redeliveries,
  };
}
