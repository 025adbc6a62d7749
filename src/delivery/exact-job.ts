/** Jobs whose data keeps every number. BullMQ reads the data of a job with `JSON.parse`, which changes large ones. */

import { Job, type JobProgress, Queue, Worker } from "bullmq";
import { parseExactJson } from "../core/json/exact-json.ts";

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

export class ExactQueue<Data> extends Queue<Data> {
  protected override get Job(): typeof Job {
    return ExactJob;
  }
}

export class ExactWorker<Data> extends Worker<Data> {
  protected override get Job(): typeof Job {
    return ExactJob;
  }
}
