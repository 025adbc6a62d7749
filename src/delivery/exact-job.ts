/** BullMQ, as Tripline uses it: jobs whose data keeps every number. BullMQ reads the data of a job with `JSON.parse`, which changes large ones. */

import {
  Job,
  type JobProgress,
  type Processor,
  Queue,
  type QueueOptions,
  RedisConnection,
  Worker,
  type WorkerOptions,
} from "bullmq";
import { parseExactJson } from "../core/json/exact-json.ts";
import { redisVersionMin } from "../store/redis-info.ts";

class ExactJob<Data, Result, Name extends string, Progress extends JobProgress> extends Job<
  Data,
  Result,
  Name,
  Progress
> {
  static override fromJSON<Data, Result, Name extends string>(
    ...[queue, json, id]: Parameters<typeof Job.fromJSON>
  ): Job<Data, Result, Name> {
    const job = Job.fromJSON<Data, Result, Name>(queue, json, id);
    job.data = parseExactJson(json.data || "{}") as Data;
    return job;
  }
}

// `tripline serve` checks Redis once, and says what is wrong with a remedy. BullMQ would print the same as plain text for each
// of its connections. Without its check it assumes the oldest version that it knows; ours is newer.
RedisConnection.minimumVersion = redisVersionMin;
const unchecked = { skipVersionCheck: true };

export class ExactQueue<Data> extends Queue<Data> {
  constructor(name: string, options: QueueOptions) {
    super(name, { ...options, ...unchecked });
  }

  protected override get Job(): typeof Job {
    return ExactJob;
  }
}

export class ExactWorker<Data> extends Worker<Data> {
  constructor(name: string, processor: Processor<Data>, options: WorkerOptions) {
    super(name, processor, { ...options, ...unchecked });
  }

  protected override get Job(): typeof Job {
    return ExactJob;
  }
}
