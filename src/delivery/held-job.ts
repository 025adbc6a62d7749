/** A job that this worker has taken from the queue. Nothing is stored once another worker has taken it over. */

import type { WallClock } from "../retry/clock.ts";
import { type DeliveryState, deliveryIn, type JobData } from "./delivery-state.ts";
import type { Wakeable } from "./http/endpoints.ts";
import type { JobStore, TakenJob } from "./ports.ts";

/** Another worker has the job, because this one was silent for too long. */
export class JobLost extends Error {
  override readonly name = "JobLost";

  constructor() {
    super("another worker has taken this delivery over, because this one was silent for too long");
  }
}

export class HeldJob {
  readonly token: string;
  /** Why it was woken up before its time. */
  wokenFor: Wakeable["mode"] | null = null;
  readonly #job: TakenJob;
  readonly #jobs: JobStore;
  readonly #clock: WallClock;
  readonly #lockMs: number;
  /** The latest time at which it is known to have been this worker's. */
  #heldAt = Number.NEGATIVE_INFINITY;

  /** @param lockMs how long a lock lives; BullMQ renews it at half of that */
  constructor(job: TakenJob, token: string, jobs: JobStore, clock: WallClock, lockMs: number) {
    this.#job = job;
    this.token = token;
    this.#jobs = jobs;
    this.#clock = clock;
    this.#lockMs = lockMs;
  }

  get id(): string {
    return this.#job.id ?? "";
  }

  /** What the job is about, as last stored. */
  get state(): DeliveryState {
    return this.#job.data as DeliveryState;
  }

  /** The delivery, even if it has been finished and remains to be reported. */
  get delivery(): DeliveryState {
    return deliveryIn(this.#job.data) as DeliveryState;
  }

  /** Whether the job holds what is kept of a delivery that was delivered. */
  get isFinished(): boolean {
    return "finished" in this.#job.data;
  }

  /** When it was added to the queue, in milliseconds since the epoch. */
  get added(): number {
    return this.#job.timestamp;
  }

  /** How often a worker was lost in the middle of it. */
  get crashCount(): number {
    return this.#job.stalledCounter;
  }

  /** @throws RedisUnreachable, JobLost */
  async write(data: JobData): Promise<void> {
    if (!(await this.#jobs.write(this.state.invocation.id, this.token, data))) throw new JobLost();
    this.markWritten(data);
  }

  /** The data was stored in another way. */
  markWritten(data: JobData): void {
    this.#job.data = data;
  }

  /** Gives the job back, to come again later. */
  async delay(ms: number): Promise<void> {
    await this.#job.moveToDelayed(this.#clock.timeOfDay() + ms, this.token);
  }

  /**
   * The job was seen to be this worker's.
   *
   * @param asked when Redis was asked. Not when it answered: a worker that was paused reads old answers
   */
  markHeld(asked: number): void {
    this.#heldAt = asked;
  }

  /**
   * Makes sure, before something is sent, that a worker that was paused does not send it after another one has taken over
   * and gone on.
   *
   * @throws RedisUnreachable, JobLost
   */
  async check(): Promise<void> {
    while (this.#clock.now() - this.#heldAt >= this.#lockMs / 4) {
      const asked = this.#clock.now();
      if ((await this.#jobs.holder(this.state.invocation.id)) !== this.token) throw new JobLost();
      this.markHeld(asked);
    }
  }
}
