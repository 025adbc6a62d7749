/**
 * The jobs of the queue, in memory: what BullMQ does with them in Redis, in virtual time.
 *
 * The suite in test/contract/ checks that it behaves like BullMQ. Not modeled: finished jobs are kept forever.
 */

import type { JobData } from "../../src/delivery/delivery-state.ts";
import type { JobStore, NewJob, NewJobs, TakenJob } from "../../src/delivery/ports.ts";
import type { WallClock } from "../../src/retry/clock.ts";
import type { MemoryWorld } from "./memory-store.ts";

export type JobPlace = "waiting" | "active" | "delayed" | "completed" | "failed";

export interface JobCells {
  /** Its data as JSON. */
  data: string;
  place: JobPlace;
  /** When it was added, by the clock of who added it. */
  readonly added: number;
  /** When a delayed job comes back, by the clocks of the workers. */
  due: number;
  stalledCount: number;
  lock: { readonly token: string; readonly expires: number } | null;
  /** Why it was woken up before its time. */
  woken: "probe" | "drain" | null;
  failedReason: string | null;
}

/** What BullMQ does with the queue for a worker. Every method may throw `RedisUnreachable`. */
export interface WorkerQueue {
  /** Takes the next job, and locks it for a while with a token; due ones come back first. @returns null if none waits */
  take(token: string): Promise<TakenJob | null>;
  /** Ends a job. @throws Error if the lock has another token or is gone */
  finish(id: string, token: string, failedReason: string | null): Promise<void>;
  /** Renews the locks of jobs. @param tokens by delivery id. @returns those that could not be renewed */
  renew(tokens: ReadonlyMap<string, string>): Promise<string[]>;
  /** Lets other workers take the jobs whose lock was gone at this call, and that were active at the one before. */
  recoverStalled(): Promise<void>;
}

/** The jobs of one workspace, as all its processes see them. */
export class MemoryJobs {
  readonly cells = new Map<string, JobCells>();
  readonly #world: MemoryWorld;
  readonly #lockMs: number;
  readonly #stalledEveryMs: number;
  /** Delivery ids, the next one first. */
  readonly #waiting: string[] = [];
  readonly #active = new Set<string>();
  readonly #delayed = new Set<string>();
  readonly #stalled = new Set<string>();
  #nextStalledCheck = Number.NEGATIVE_INFINITY;
  readonly #sleepers = new Set<() => void>();

  constructor(world: MemoryWorld, lockMs: number, stalledEveryMs = lockMs) {
    this.#world = world;
    this.#lockMs = lockMs;
    this.#stalledEveryMs = stalledEveryMs;
  }

  /** @param clock of the process; delayed jobs are due by it */
  seenBy(clock: WallClock): JobStore & NewJobs & WorkerQueue {
    return {
      add: async (jobs) => this.#add(jobs, clock.timeOfDay()),
      promote: async (id) => this.#promote(id),
      wake: async (id) => {
        const cells = this.cells.get(id);
        return cells !== undefined && "deferred" in JSON.parse(cells.data) && this.#promote(id);
      },
      write: async (id, token, data) => {
        if (this.holder(id) !== token) return false;
        this.#world.refuseIfFull();
        (this.cells.get(id) as JobCells).data = JSON.stringify(data);
        return true;
      },
      holder: async (id) => this.holder(id),
      take: async (token) => this.#take(token, clock.timeOfDay()),
      finish: async (id, token, failedReason) => this.#finish(id, token, failedReason),
      renew: async (tokens) => this.#renew(tokens),
      recoverStalled: async () => this.#recoverStalled(),
    };
  }

  /** Whether no job waits, is being worked on, or comes back later. */
  get isIdle(): boolean {
    return this.#waiting.length + this.#active.size + this.#delayed.size === 0;
  }

  /** The lane of a delivery, as its job says; null if it has none. */
  laneOf(id: string): string | null {
    const cells = this.cells.get(id);
    const { invocation } = JSON.parse(cells?.data ?? "{}") as Partial<JobData>;
    const { ordering } = invocation ?? {};
    return ordering === undefined ? null : `${ordering.thing}:${ordering.target}`;
  }

  /** The token of an active job's lock; null if it has expired or never was. */
  holder(id: string): string | null {
    const lock = this.cells.get(id)?.lock ?? null;
    return lock !== null && lock.expires > this.#world.now() ? lock.token : null;
  }

  /** Resolves once a job waits or is due, after `ms`, or when aborted. */
  async untilOneWaits(clock: WallClock, ms: number, signal: AbortSignal): Promise<void> {
    const now = clock.timeOfDay();
    let waitMs = this.#waiting.length > 0 ? 0 : ms;
    for (const id of this.#delayed) waitMs = Math.min(waitMs, Math.max(0, this.cells.get(id)!.due - now));
    if (waitMs === 0) return;
    const woken = new AbortController();
    const wake = () => woken.abort();
    this.#sleepers.add(wake);
    signal.addEventListener("abort", wake);
    await clock.sleep(waitMs, woken.signal);
    this.#sleepers.delete(wake);
    signal.removeEventListener("abort", wake);
  }

  #add(jobs: readonly NewJob[], now: number): void {
    this.#world.refuseIfFull();
    for (const { invocation, data, delayMs } of jobs) {
      const { id } = invocation;
      if (this.cells.has(id)) continue;
      const cells: JobCells = {
        ...{ data: JSON.stringify(data), place: "waiting", added: now, due: now + delayMs },
        ...{ stalledCount: 0, lock: null, woken: null, failedReason: null },
      };
      this.cells.set(id, cells);
      if (delayMs > 0) this.#delay(id, cells);
      else this.#wait(id, cells);
    }
  }

  #wait(id: string, cells: JobCells, isNext = false): void {
    cells.place = "waiting";
    if (isNext) this.#waiting.unshift(id);
    else this.#waiting.push(id);
    this.#wake();
  }

  #delay(id: string, cells: JobCells): void {
    cells.place = "delayed";
    this.#delayed.add(id);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#sleepers) wake();
  }

  #promote(id: string): boolean {
    if (!this.#delayed.delete(id)) return false;
    this.#wait(id, this.cells.get(id)!);
    return true;
  }

  #take(token: string, now: number): TakenJob | null {
    this.#world.refuseIfFull();
    const due = [...this.#delayed].filter((id) => this.cells.get(id)!.due <= now);
    for (const id of due.sort((a, b) => this.cells.get(a)!.due - this.cells.get(b)!.due)) this.#promote(id);
    const id = this.#waiting.shift();
    if (id === undefined) return null;
    const cells = this.cells.get(id)!;
    cells.place = "active";
    this.#active.add(id);
    cells.lock = { token, expires: this.#world.now() + this.#lockMs };
    return {
      id,
      data: JSON.parse(cells.data) as JobData,
      timestamp: cells.added,
      stalledCounter: cells.stalledCount,
      moveToDelayed: async (due, ownToken) => {
        this.#letGo(id, ownToken);
        cells.due = due;
        this.#delay(id, cells);
      },
    };
  }

  #finish(id: string, token: string, failedReason: string | null): void {
    const cells = this.#letGo(id, token);
    cells.place = failedReason === null ? "completed" : "failed";
    cells.failedReason = failedReason;
  }

  #letGo(id: string, token: string): JobCells {
    const holder = this.holder(id);
    if (holder !== token) throw new Error(`${holder === null ? "Missing" : "Mismatched"} lock for job ${id}`);
    const cells = this.cells.get(id)!;
    cells.lock = null;
    this.#stalled.delete(id);
    if (!this.#active.delete(id)) throw new Error(`Job ${id} is not active`);
    return cells;
  }

  #renew(tokens: ReadonlyMap<string, string>): string[] {
    this.#world.refuseIfFull();
    return [...tokens].flatMap(([id, token]) => {
      if (this.holder(id) !== token) return [id];
      this.cells.get(id)!.lock = { token, expires: this.#world.now() + this.#lockMs };
      this.#stalled.delete(id);
      return [];
    });
  }

  #recoverStalled(): void {
    const now = this.#world.now();
    if (now < this.#nextStalledCheck) return;
    this.#world.refuseIfFull();
    this.#nextStalledCheck = now + this.#stalledEveryMs;
    for (const id of this.#stalled) {
      if (this.holder(id) !== null || !this.#active.delete(id)) continue;
      const cells = this.cells.get(id)!;
      cells.stalledCount += 1;
      this.#wait(id, cells, true);
    }
    this.#stalled.clear();
    for (const id of this.#active) this.#stalled.add(id);
  }
}
