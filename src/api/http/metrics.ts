/** The metrics of a process. Names of metrics and labels are part of the product: see docs/observability.md. */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { z } from "zod";
import type { MetricSnapshot, MetricsSource, ObservationListener } from "../../telemetry/metrics-bridge.ts";
import type { IngestMeter } from "../ingest/ingest.ts";
import { type Route, route } from "./route.ts";

/** How long actions and commits take: from a quick write to the longest timeout of a webhook. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60];

interface DurationHistogram {
  readonly name: string;
  readonly metric: Histogram;
}

export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly deadLetters: number;
}

export interface ShardStatusView {
  readonly shard: number;
  readonly owned: boolean;
  readonly entriesBehind: number;
  readonly delayMs: number;
}

export interface HistoryHealthView {
  readonly problem: string | null;
  readonly behindMs: number | null;
}

/** The metrics that the engine and the delivery worker of one workspace report. */
export type WorkspaceMeter = Pick<
  Metrics,
  | "owned"
  | "openWindows"
  | "committed"
  | "fired"
  | "malformed"
  | "actionFinished"
  | "attemptFinished"
  | "deferred"
  | "recorderFailed"
  | "eventUnrecorded"
  | "trimmed"
> & {
  /** @param counts called for each scrape */
  observeQueue(counts: () => Promise<QueueCounts>): void;
  /** @param count of disabled endpoints; called for each scrape */
  observeEndpoints(count: () => Promise<number>): void;
  /** @param health asked for each scrape */
  observeHistory(health: () => HistoryHealthView): void;
  /** @param status called for each scrape */
  observeShards(status: () => Promise<readonly ShardStatusView[]>): void;
};

export class Metrics implements IngestMeter, MetricsSource {
  readonly histogramBuckets = durationBuckets;
  #onObservation: ObservationListener = () => {};
  readonly #registry = new Registry();
  readonly #accepted = this.#counter(
    "tripline_events_accepted_total",
    "Events acknowledged and in the log.",
    [],
  );
  readonly #rejected = this.#counter("tripline_events_rejected_total", "Events refused, by reason.", [
    "reason",
  ]);
  readonly #firings = this.#counter(
    "tripline_firings_total",
    "Firings and resolutions committed, by state.",
    ["state"],
  );
  readonly #malformed = this.#counter(
    "tripline_log_malformed_entries_total",
    "Log entries that could not be read and were skipped.",
    [],
  );
  readonly #actions = this.#counter("tripline_actions_total", "Actions finished, by type and outcome.", [
    "type",
    "outcome",
  ]);
  readonly #actionDurations = this.#histogram(
    "tripline_action_duration_seconds",
    "How long actions took from dispatch to their end, with all attempts and waits, by type.",
    ["type"],
  );
  readonly #attempts = this.#counter(
    "tripline_action_attempts_total",
    "Attempts at actions, by type and outcome.",
    ["type", "outcome"],
  );
  readonly #attemptDurations = this.#histogram(
    "tripline_action_attempt_duration_seconds",
    "How long one attempt at an action took, by type.",
    ["type"],
  );
  readonly #deferrals = this.#counter(
    "tripline_action_deferrals_total",
    "Times a delivery was postponed because its endpoint was busy or its circuit open, by type.",
    ["type"],
  );
  readonly #recorderFailures = this.#counter(
    "tripline_recorder_failures_total",
    "Times the recorder failed and retried.",
    [],
  );
  readonly #unrecorded = this.#counter(
    "tripline_unrecorded_events_total",
    "Events that the database of the history refused.",
    [],
  );
  readonly #trimmed = this.#counter(
    "tripline_log_trimmed_entries_total",
    "Log entries trimmed after all readers had passed them.",
    [],
  );
  readonly #commitDurations = this.#histogram(
    "tripline_commit_duration_seconds",
    "How long committing a batch of the log took.",
    [],
  );
  readonly #owned = this.#shardGauge("tripline_shard_owned", "1 while this process owns the shard.");
  readonly #openWindows = this.#shardGauge(
    "tripline_open_windows",
    "Windows open now, by workspace and shard.",
  );

  readonly #queues = new Map<string, () => Promise<QueueCounts>>();
  readonly #endpoints = new Map<string, () => Promise<number>>();
  readonly #shards = new Map<string, () => Promise<readonly ShardStatusView[]>>();
  readonly #histories = new Map<string, () => HistoryHealthView>();

  constructor() {
    this.#observeQueues();
    this.#observeEndpoints();
    this.#observeShards();
    this.#observeHistories();
    collectDefaultMetrics({ register: this.#registry });
    // Series start at 0, so that a rate over them sees the first increase.
    for (const reason of ["invalid", "too_large", "unsupported_type", "unreachable"]) {
      this.#rejected.inc({ reason }, 0);
    }
    for (const state of ["Triggered", "Resolved"]) this.#firings.inc({ state }, 0);
  }

  eventsAccepted(count: number): void {
    this.#accepted.inc(count);
  }

  eventsRejected(count: number, reason: string): void {
    this.#rejected.inc({ reason }, count);
  }

  /** The same metrics for one workspace: those about a shard or a queue carry its name, the others are summed. */
  inWorkspace(workspace: string): WorkspaceMeter {
    return {
      owned: (shard, owned) => this.owned(shard, owned, workspace),
      observeShards: (status) => void this.#shards.set(workspace, status),
      openWindows: (shard, count) => this.openWindows(shard, count, workspace),
      committed: (shard, commit) => this.committed(shard, commit),
      fired: (shard, firing) => this.fired(shard, firing),
      malformed: () => this.malformed(),
      actionFinished: (type, outcome, seconds) => this.actionFinished(type, outcome, seconds),
      attemptFinished: (type, outcome, seconds) => this.attemptFinished(type, outcome, seconds),
      deferred: (type) => this.deferred(type),
      recorderFailed: () => this.recorderFailed(),
      eventUnrecorded: () => this.eventUnrecorded(),
      trimmed: (entryCount) => this.trimmed(entryCount),
      observeHistory: (health) => void this.#histories.set(workspace, health),
      observeEndpoints: (count) => void this.#endpoints.set(workspace, count),
      observeQueue: (counts) => void this.#queues.set(workspace, counts),
    };
  }

  owned(shard: number, owned: boolean, workspace?: string): void {
    const place = placeOf(shard, workspace);
    this.#owned.set(place, owned ? 1 : 0);
    if (owned) return;
    // The new owner reports them now.
    this.#openWindows.remove(place);
  }

  openWindows(shard: number, count: number, workspace?: string): void {
    this.#openWindows.set(placeOf(shard, workspace), count);
  }

  committed(_shard: number, { ms }: { readonly ms: number }): void {
    this.#observe(this.#commitDurations, {}, ms / 1_000);
  }

  fired(_shard: number, { state }: { readonly state: string }): void {
    this.#firings.inc({ state });
  }

  malformed(): void {
    this.#malformed.inc();
  }

  /** @param seconds from dispatch to end */
  actionFinished(type: string, outcome: string, seconds: number): void {
    this.#actions.inc({ type, outcome });
    this.#observe(this.#actionDurations, { type }, seconds);
  }

  /** @param seconds how long this attempt took */
  attemptFinished(type: string, outcome: string, seconds: number): void {
    this.#attempts.inc({ type, outcome });
    this.#observe(this.#attemptDurations, { type }, seconds);
  }

  deferred(type: string): void {
    this.#deferrals.inc({ type });
  }

  recorderFailed(): void {
    this.#recorderFailures.inc();
  }

  eventUnrecorded(): void {
    this.#unrecorded.inc();
  }

  trimmed(entryCount: number): void {
    this.#trimmed.inc(entryCount);
  }

  /** Every metric and its values now. */
  async snapshot(): Promise<MetricSnapshot[]> {
    // prom-client declares the type of a metric as an enum, but gives its name.
    return (await this.#registry.getMetricsAsJSON()) as unknown as MetricSnapshot[];
  }

  onObservation(listener: ObservationListener): void {
    this.#onObservation = listener;
  }

  /** Everything, in Prometheus's text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  #observe(histogram: DurationHistogram, labels: Readonly<Record<string, string>>, seconds: number): void {
    histogram.metric.observe(labels, seconds);
    this.#onObservation(histogram.name, labels, seconds);
  }

  #counter<Label extends string>(name: string, help: string, labelNames: readonly Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames: [...labelNames], registers: [this.#registry] });
  }

  #histogram(name: string, help: string, labelNames: readonly string[]): DurationHistogram {
    const registers = [this.#registry];
    const options = { name, help, labelNames: [...labelNames], buckets: durationBuckets, registers };
    return { name, metric: new Histogram(options) };
  }

  #observeQueues(): void {
    const queues = this.#queues;
    new Gauge({
      name: "tripline_action_queue",
      help: "Actions in the queue, by workspace and state. A dead letter is a delivery that failed for good.",
      labelNames: ["workspace", "state"],
      registers: [this.#registry],
      async collect() {
        this.reset();
        const asked = [...queues].map(async ([workspace, counts]) => {
          // During a Redis outage nothing is known, and an old number would mislead.
          const { waiting, active, delayed, deadLetters } = await counts().catch(
            () => ({}) as Partial<QueueCounts>,
          );
          for (const [state, count] of Object.entries({
            waiting,
            active,
            delayed,
            dead_letter: deadLetters,
          })) {
            if (count !== undefined) this.set({ workspace, state }, count);
          }
        });
        await Promise.all(asked);
      },
    });
  }

  #observeEndpoints(): void {
    const endpoints = this.#endpoints;
    new Gauge({
      name: "tripline_disabled_endpoints",
      help: "Endpoints that responded 410 Gone and are sent nothing, by workspace.",
      labelNames: ["workspace"],
      registers: [this.#registry],
      async collect() {
        this.reset();
        const asked = [...endpoints].map(async ([workspace, count]) => {
          // During a Redis outage nothing is known, and an old number would mislead.
          const disabled = await count().catch(() => null);
          if (disabled !== null) this.set({ workspace }, disabled);
        });
        await Promise.all(asked);
      },
    });
  }

  /** Read from Redis, so that they exist while no engine runs, which is when they matter most. */
  #observeShards(): void {
    const shards = this.#shards;
    const status = shared(async () =>
      Promise.all(
        // During a Redis outage nothing is known, and an old number would mislead.
        [...shards].map(async ([workspace, read]) => [workspace, await read().catch(() => [])] as const),
      ),
    );
    const gauge = (name: string, help: string, measure: (shard: ShardStatusView) => number) =>
      new Gauge({
        name,
        help,
        labelNames: ["workspace", "shard"] as const,
        registers: [this.#registry],
        async collect() {
          const workspaces = await status();
          this.reset();
          for (const [workspace, found] of workspaces) {
            for (const each of found) this.set({ workspace, shard: each.shard }, measure(each));
          }
        },
      });
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
    gauge("tripline_shard_has_owner", "1 while an engine owns the shard, in any process.", ({ owned }) =>
      owned ? 1 : 0,
    );
  }

  #observeHistories(): void {
    const histories = this.#histories;
    const registers = [this.#registry];
    const labelNames = ["workspace"] as const;
    new Gauge({
      name: "tripline_history_up",
      help: "1 while the history is up to date; 0 while it is unavailable, cannot be written, or is behind.",
      labelNames,
      registers,
      collect() {
        for (const [workspace, health] of histories) {
          this.set({ workspace }, health().problem === null ? 1 : 0);
        }
      },
    });
    new Gauge({
      name: "tripline_history_lag_seconds",
      help: "How long the oldest event that is not recorded has been in the log.",
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [workspace, health] of histories) {
          const { behindMs } = health();
          if (behindMs !== null) this.set({ workspace }, behindMs / 1_000);
        }
      },
    });
  }

  #shardGauge(name: string, help: string): Gauge<"workspace" | "shard"> {
    return new Gauge({ name, help, labelNames: ["workspace", "shard"], registers: [this.#registry] });
  }
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

function placeOf(shard: number, workspace: string | undefined) {
  return workspace === undefined ? { shard } : { workspace, shard };
}

/**
 * `GET /metrics`, in Prometheus's text format. Metrics cover all workspaces, so once keys exist it takes one with the
 * scope `admin` in the first workspace, wherever the request comes from: behind a proxy, every request is local.
 */
export function metricsRoute(metrics: Metrics): Route {
  return route(
    {
      method: "get",
      path: "/metrics",
      outside: true,
      id: "metrics",
      summary: "Read metrics, for Prometheus",
      description: "They cover all workspaces, so the key must belong to the first workspace of the server.",
      tag: "server",
      scope: "admin",
      workspace: "first",
      answers: {
        200: { description: "Prometheus's text format.", schema: z.string(), type: "text/plain" },
      },
    },
    async (_input, context) =>
      context.body(await metrics.text(), 200, { "Content-Type": metrics.contentType }),
  );
}
