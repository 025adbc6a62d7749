/**
 * The gauges of a workspace that are read for each scrape: its shards, queue, endpoints and history.
 *
 * Most are read from Redis, so that they exist while no engine runs, which is when they matter most. During an outage
 * nothing is known, and an old number would mislead: then there is none.
 */

import { Gauge, type Registry } from "prom-client";

export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly deadLetters: number;
  readonly oldestMs: OldestDeliveries;
}

/** Null where there is none. */
export interface OldestDeliveries {
  /** Since the delivery was added that has been waiting for a worker the longest. */
  readonly waiting: number | null;
  /** Since the delivery was added that a worker has had the longest. */
  readonly active: number | null;
  /** For how long the next attempt is overdue that is due first; 0 if it is not. */
  readonly delayed: number | null;
}

export interface ShardStatusView {
  readonly shard: number;
  readonly owner: string | null;
  readonly entriesBehind: number;
  readonly delayMs: number;
  readonly watermarkAgeMs: number | null;
  readonly outboxAgeMs: number;
}

export interface ShardsView {
  /** Those that are alive. */
  readonly engines: readonly unknown[];
  readonly shards: readonly ShardStatusView[];
}

export interface HistoryHealthView {
  readonly problem: string | null;
  readonly behindMs: number | null;
}

/** By the clock of Redis, in milliseconds since the epoch; null if it has not happened. */
export interface CanaryStatusView {
  readonly now: number;
  readonly waitingSince: number | null;
  readonly returned: number | null;
  readonly latencyMs: number | null;
}

/** Where the parts of a workspace say how their state is read. Each function is called for each scrape. */
export interface WorkspaceObserver {
  observeQueue(counts: () => Promise<QueueCounts>): void;
  /** @param count of disabled endpoints */
  observeEndpoints(count: () => Promise<number>): void;
  observeHistory(health: () => HistoryHealthView): void;
  /** @param read null if no engine has ever run */
  observeShards(read: () => Promise<ShardsView | null>): void;
  observeCanary(status: () => Promise<CanaryStatusView>): void;
}

/** A read of something of every workspace; those that fail are left out. */
type ReadAll<T> = () => Promise<readonly (readonly [workspace: string, value: T])[]>;

export class WorkspaceGauges {
  readonly #registry: Registry;
  readonly #queues = new Map<string, () => Promise<QueueCounts>>();
  readonly #endpoints = new Map<string, () => Promise<number>>();
  readonly #shards = new Map<string, () => Promise<ShardsView | null>>();
  readonly #canaries = new Map<string, () => Promise<CanaryStatusView>>();
  readonly #histories = new Map<string, () => HistoryHealthView>();

  constructor(registry: Registry) {
    this.#registry = registry;
    this.#observeQueues();
    this.#observeShards();
    this.#observeCanaries();
    this.#gauge(
      "tripline_disabled_endpoints",
      "Endpoints that responded 410 Gone and are sent nothing, by workspace.",
      readAll(this.#endpoints),
      (disabled) => [[{}, disabled]],
    );
    const histories: ReadAll<HistoryHealthView> = async () =>
      [...this.#histories].map(([workspace, health]) => [workspace, health()] as const);
    this.#gauge(
      "tripline_history_up",
      "1 while the history is up to date; 0 while it is unavailable, cannot be written, or is behind.",
      histories,
      ({ problem }) => [[{}, problem === null ? 1 : 0]],
    );
    this.#gauge(
      "tripline_history_lag_seconds",
      "How long the oldest event that is not recorded has been in the log.",
      histories,
      ({ behindMs }) => [[{}, secondsOf(behindMs)]],
    );
  }

  inWorkspace(workspace: string): WorkspaceObserver {
    return {
      observeCanary: (status) => void this.#canaries.set(workspace, status),
      observeShards: (status) => void this.#shards.set(workspace, status),
      observeHistory: (health) => void this.#histories.set(workspace, health),
      observeEndpoints: (count) => void this.#endpoints.set(workspace, count),
      observeQueue: (counts) => void this.#queues.set(workspace, counts),
    };
  }

  #observeQueues(): void {
    const queues = shared(readAll(this.#queues));
    this.#gauge(
      "tripline_action_queue",
      "Actions in the queue, by workspace and state. A dead letter is a delivery that failed for good.",
      queues,
      ({ waiting, active, delayed, deadLetters }) => [
        [{ state: "waiting" }, waiting],
        [{ state: "active" }, active],
        [{ state: "delayed" }, delayed],
        [{ state: "dead_letter" }, deadLetters],
      ],
      ["state"],
    );
    this.#gauge(
      "tripline_action_oldest_seconds",
      "Age of the oldest action that waits for a worker or is under way; for delayed ones, how overdue the next is.",
      queues,
      ({ oldestMs: { waiting, active, delayed } }) => [
        [{ state: "waiting" }, secondsOf(waiting)],
        [{ state: "active" }, secondsOf(active)],
        [{ state: "delayed" }, secondsOf(delayed)],
      ],
      ["state"],
    );
  }

  #observeCanaries(): void {
    const canaries = shared(readAll(this.#canaries));
    this.#gauge(
      "tripline_canary_latency_seconds",
      "How long the latest canary took that came back: from its ingest to its webhook.",
      canaries,
      ({ latencyMs }) => [[{}, secondsOf(latencyMs)]],
    );
    this.#gauge(
      "tripline_canary_age_seconds",
      "How long ago a canary last came back, or, if none ever did, was first sent.",
      canaries,
      ({ now, returned, waitingSince }) => {
        const since = returned ?? waitingSince;
        return [[{}, since === null ? null : Math.max(0, now - since) / 1_000]];
      },
    );
  }

  #observeShards(): void {
    const status = shared(readAll<ShardsView>(this.#shards));
    const gauge = (name: string, help: string, measure: (shard: ShardStatusView) => number | null) =>
      this.#gauge(
        name,
        help,
        status,
        ({ shards }) => shards.map((each) => [{ shard: each.shard }, measure(each)]),
        ["shard"],
      );
    gauge(
      "tripline_log_lag_entries",
      "Log entries not yet consumed, by workspace and shard.",
      ({ entriesBehind }) => entriesBehind,
    );
    gauge(
      "tripline_detection_delay_seconds",
      "How long the oldest event that is not evaluated, or the earliest window that is overdue, has been waiting.",
      ({ delayMs }) => delayMs / 1_000,
    );
    gauge("tripline_shard_has_owner", "1 while an engine owns the shard, in any process.", ({ owner }) =>
      owner === null ? 0 : 1,
    );
    this.#gauge(
      "tripline_shard_owner",
      "1 for the engine that owns the shard: its host, process and thread.",
      status,
      ({ shards }) => shards.flatMap(({ shard, owner }) => (owner === null ? [] : [[{ shard, owner }, 1]])),
      ["shard", "owner"],
    );
    this.#gauge("tripline_engines", "Engines that are alive, in any process.", status, ({ engines }) => [
      [{}, engines.length],
    ]);
    gauge(
      "tripline_watermark_age_seconds",
      "How long ago log time was last committed. It also grows while there is nothing to do.",
      ({ watermarkAgeMs }) => secondsOf(watermarkAgeMs),
    );
    gauge(
      "tripline_outbox_age_seconds",
      "How long ago the oldest firing was committed whose actions are not in the queue yet; 0 if there is none.",
      ({ outboxAgeMs }) => outboxAgeMs / 1_000,
    );
  }

  /** @param samplesOf one value; null values are left out */
  #gauge<T>(
    name: string,
    help: string,
    read: ReadAll<T>,
    samplesOf: (
      value: T,
    ) => readonly (readonly [labels: Record<string, string | number>, value: number | null])[],
    labelNames: readonly string[] = [],
  ): void {
    new Gauge({
      name,
      help,
      labelNames: ["workspace", ...labelNames],
      registers: [this.#registry],
      async collect() {
        const found = await read();
        this.reset();
        for (const [workspace, value] of found) {
          for (const [labels, number] of samplesOf(value)) {
            if (number !== null) this.set({ workspace, ...labels }, number);
          }
        }
      },
    });
  }
}

function readAll<T>(reads: ReadonlyMap<string, () => Promise<T | null>>): ReadAll<T> {
  return async () => {
    const found = await Promise.all(
      [...reads].map(async ([workspace, read]) => {
        const value = await read().catch(() => null);
        return value === null ? [] : [[workspace, value] as const];
      }),
    );
    return found.flat();
  };
}

/** Calls that come while one is under way share its result. */
function shared<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | null = null;
  return () => {
    reading ??= read().finally(() => {
      reading = null;
    });
    return reading;
  };
}

function secondsOf(ms: number | null): number | null {
  return ms === null ? null : ms / 1_000;
}
