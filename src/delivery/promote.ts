/** Waking up jobs that are to come back later. */

import { Job, type MinimalQueue } from "bullmq";

/** BullMQ's code for a job that is not delayed. */
const notDelayed = -3;

/** Lets a worker take a job now. @returns false if it is not one that comes back later, so that a worker looks at it anyway */
export async function promote(job: Job): Promise<boolean> {
  try {
    await job.promote();
    return true;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== notDelayed) throw error;
    return false;
  }
}

/** The same, by the job's id, without reading it first. It need not exist. */
export async function promoteById(queue: MinimalQueue, jobId: string): Promise<boolean> {
  return promote(new Job(queue, "", null, {}, jobId));
}
