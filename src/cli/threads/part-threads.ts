/** The other threads of a server, as its main thread sees them. */

import { Worker } from "node:worker_threads";
import type { CountedMetrics } from "../../api/http/metrics.ts";
import { CommandFailure } from "../failure.ts";
import { linkTo, type MainFunctions, type ThreadData, type ThreadFunctions } from "./link.ts";
import { portsOf } from "./passing.ts";
import type { PlannedThread } from "./plan.ts";

// The compiler does not rewrite the extension of a path in a string.
const threadFile = import.meta.url.endsWith(".ts") ? "./part-thread.ts" : "./part-thread.js";

/** By default a busy thread has 96 MB of short-lived objects, which it hardly uses: a fourth costs no measurable time. */
const maxYoungGenerationSizeMb = 24;

interface RunningThread {
  readonly name: string;
  readonly worker: Worker;
  readonly functions: Pick<
    ReturnType<typeof linkTo<ThreadFunctions, MainFunctions>>,
    keyof ThreadFunctions | "$close"
  >;
  isStopping: boolean;
}

/**
 * Starts threads and stops them. A thread that fails ends the process, as a failure in the main thread would: everything
 * that matters is in Redis, and another process, or this one when it is restarted, continues there.
 */
export class PartThreads {
  readonly #main: MainFunctions;
  readonly #data: Pick<ThreadData, "settings" | "exportsMetrics">;
  readonly #threads: RunningThread[] = [];

  constructor(main: MainFunctions, data: Pick<ThreadData, "settings" | "exportsMetrics">) {
    this.#main = main;
    this.#data = data;
  }

  /**
   * Starts a thread and its roles.
   *
   * @returns a function that stops them
   * @throws CommandFailure if an operator can do something about it
   */
  async start(
    planned: PlannedThread,
    { address = null, passing = null }: Partial<Pick<ThreadData, "address" | "passing">> = {},
  ): Promise<{ stop: () => Promise<void> }> {
    const workerData: ThreadData = { ...this.#data, planned, address, passing };
    const worker = new Worker(new URL(threadFile, import.meta.url), {
      name: planned.name,
      workerData,
      transferList: portsOf(passing),
      resourceLimits: { maxYoungGenerationSizeMb },
    });
    const thread: RunningThread = {
      name: planned.name,
      worker,
      functions: linkTo<ThreadFunctions, MainFunctions>(worker, this.#main),
      isStopping: false,
    };
    const failed = new Promise<never>((_, reject) => {
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`The thread ${planned.name} ended with code ${code}`)));
    });
    this.#threads.push(thread);
    const stop = () => this.#stop(thread);
    try {
      const failure = await Promise.race([thread.functions.start(), failed]);
      if (failure !== null) throw new CommandFailure(failure.message, failure.exitCode);
    } catch (error) {
      failed.catch(() => {});
      await stop();
      throw error;
    }
    failed.catch((error: unknown) => {
      if (!thread.isStopping) throw error;
    });
    return { stop };
  }

  /** Resolves once each shard that is evaluated here has an owner. */
  async enginesReady(): Promise<void> {
    await Promise.all(this.#threads.map(({ functions }) => functions.enginesReady()));
  }

  /** What each thread has counted. */
  counted(): Promise<CountedMetrics[]> {
    return Promise.all(this.#threads.map(({ functions }) => functions.counted()));
  }

  async recorderFailure(workspace: string): Promise<string | null> {
    const failures = await Promise.all(
      this.#threads.map(({ functions }) => functions.recorderFailure(workspace)),
    );
    return failures.find((failure) => failure !== null) ?? null;
  }

  /** For how many seconds each thread has been busy, the main one included. */
  busy(): Map<string, number> {
    const secondsOf = (each: Pick<Performance, "eventLoopUtilization">) =>
      each.eventLoopUtilization().active / 1_000;
    const others = this.#threads.map(({ name, worker }) => [name, secondsOf(worker.performance)] as const);
    return new Map([["main", secondsOf(performance)], ...others]);
  }

  async #stop(thread: RunningThread): Promise<void> {
    if (thread.isStopping) return;
    thread.isStopping = true;
    this.#threads.splice(this.#threads.indexOf(thread), 1);
    try {
      await thread.functions.stop();
    } finally {
      thread.functions.$close();
      await thread.worker.terminate();
    }
  }
}
