/** The jobs of the queue in BullMQ and Redis, for a worker that has taken some. */

import { Job, type MinimalQueue } from "bullmq";
import { callRedis, type RedisConnection } from "../store/connection.ts";
import { Script } from "../store/script.ts";
import * as scripts from "../store/scripts/generated.ts";
import type { JobData } from "./delivery-state.ts";
import type { JobStore } from "./ports.ts";
import { promote, promoteById } from "./promote.ts";
import { jobIdOf, type QueueKeys, queueKeys } from "./queue-keys.ts";

const writeJob = new Script(scripts.writeJob);

export class RedisJobs implements JobStore {
  readonly #redis: RedisConnection;
  readonly #keys: QueueKeys;
  readonly #queue: () => MinimalQueue;

  /** @param queue BullMQ's queue, or a worker of it */
  constructor(redis: RedisConnection, workspace: string, queue: () => MinimalQueue) {
    this.#redis = redis;
    this.#keys = queueKeys(workspace);
    this.#queue = queue;
  }

  async write(id: string, token: string, data: JobData): Promise<boolean> {
    const keys = [this.#keys.job(id), this.#keys.lock(id)];
    const parameters = [token, JSON.stringify(data)];
    return (await callRedis(() => writeJob.run(this.#redis, keys, parameters))) === 1;
  }

  async holder(id: string): Promise<string | null> {
    return callRedis(() => this.#redis.get(this.#keys.lock(id)));
  }

  promote(id: string): Promise<boolean> {
    return promoteById(this.#queue(), jobIdOf(id));
  }

  async wake(id: string): Promise<boolean> {
    const job = await Job.fromId<JobData>(this.#queue(), jobIdOf(id));
    return job !== undefined && "deferred" in job.data && (await promote(job));
  }
}
