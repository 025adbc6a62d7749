/** The metrics of a process. Names of metrics and labels are part of the product: see docs/observability.md. */

import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { z } from "zod";
import { isCanary } from "../../core/model/canary.ts";
import { type Micros, second } from "../../core/model/time.ts";
import type { MetricSnapshot, MetricsSource, ObservationListener } from "../../telemetry/metrics-bridge.ts";
import type { IngestMeter } from "../ingest/ingest.ts";
import { type Route, route } from "./route.ts";
import { WorkspaceGauges, type WorkspaceObserver } from "./workspace-gauges.ts";

/** How long actions and commits take: from a quick write to the longest timeout of a webhook. */
const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60];

interface DurationHistogram {
  readonly name: string;
  readonly metric: Histogram;
}

export interface FiringView {
  readonly state: string;
  readonly triggered: Micros;
  readonly automation: { readonly id: string };
}

/** The metrics that the engine and the delivery worker of one workspace report. */
export type WorkspaceMeter = Pick<
  Metrics,
  | "owned"
  | "takenOver"
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
> &
  WorkspaceObserver;

/** The metrics of the whole process, for whoever asks. */
export type MetricsText = Pick<Metrics, "text" | "contentType">;

/** What one thread has counted. Can be sent from thread to thread. */
export type CountedMetrics = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>;

/**
 * The metrics of a thread, and in the main thread those of the process: what all threads have counted is added up there,
 * and whatever is not counted (the process itself, what Redis holds) is measured there alone.
 */
export class Metrics implements IngestMeter, MetricsSource {
  readonly histogramBuckets = durationBuckets;
  #onObservation: ObservationListener = () => {};
  /** What each thread counts. */
  readonly #registry = new Registry();
  /** What is measured once in a process. */
  readonly #measured = new Registry();
  #otherThreads: () => Promise<readonly CountedMetrics[]> = async () => [];
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
  readonly #heartbeats = this.#counter(
    "tripline_heartbeat_pings_total",
    "Requests to the heartbeat URL, by outcome.",
    ["outcome"],
  );
  readonly #firingDelays = this.#histogram(
    "tripline_firing_delay_seconds",
    "From when a firing or resolution was due until it was committed, by state.",
    ["state"],
  );
  readonly #takeOvers = this.#counter(
    "tripline_shard_takeovers_total",
    "Times this process took a shard over.",
    [],
  );
  readonly #owned = this.#shardGauge("tripline_shard_owned", "1 while this process owns the shard.");
  readonly #openWindows = this.#shardGauge(
    "tripline_open_windows",
    "Windows open now, by workspace and shard.",
  );

  readonly #gauges = new WorkspaceGauges(this.#measured);

  constructor() {
    collectDefaultMetrics({ register: this.#measured });
    // Series start at 0, so that a rate over them sees the first increase.
    for (const reason of ["invalid", "too_large", "unsupported_type", "unreachable"]) {
      this.#rejected.inc({ reason }, 0);
    }
    for (const state of ["Triggered", "Resolved"]) this.#firings.inc({ state }, 0);
    for (const outcome of ["succeeded", "failed"]) this.#heartbeats.inc({ outcome }, 0);
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
      takenOver: () => this.takenOver(),
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
      ...this.#gauges.inWorkspace(workspace),
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

  /** @param firing.triggered the log time at which it was due */
  fired(_shard: number, { state, triggered, automation }: FiringView): void {
    if (!isCanary(automation.id)) this.#firings.inc({ state });
    const delay = Date.now() / 1_000 - triggered / second;
    this.#observe(this.#firingDelays, { state }, Math.max(0, delay)); // the clock of Redis may be ahead
  }

  takenOver(): void {
    this.#takeOvers.inc();
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

  heartbeatPinged(outcome: "succeeded" | "failed"): void {
    this.#heartbeats.inc({ outcome });
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
    const counted = await this.#countedByAll();
    const metrics = [...(await this.#measured.getMetricsAsJSON()), ...(await counted.getMetricsAsJSON())];
    // prom-client declares the type of a metric as an enum, but gives its name.
    return metrics as unknown as MetricSnapshot[];
  }

  onObservation(listener: ObservationListener): void {
    this.#onObservation = listener;
  }

  /** Passes on what another thread has observed in a histogram. */
  observedElsewhere(...observation: Parameters<ObservationListener>): void {
    this.#onObservation(...observation);
  }

  /** What this thread has counted. */
  counted(): Promise<CountedMetrics> {
    return this.#registry.getMetricsAsJSON();
  }

  /** @param counted what the other threads of the process have counted; called for each scrape */
  addThreads(counted: () => Promise<readonly CountedMetrics[]>): void {
    this.#otherThreads = counted;
  }

  /** @param busy for how many seconds each thread has been busy; called for each scrape */
  observeThreads(busy: () => ReadonlyMap<string, number>): void {
    new Counter({
      name: "tripline_thread_busy_seconds_total",
      help: "How long the thread was busy, by thread. Its rate is the share of a core that the thread uses.",
      labelNames: ["thread"],
      registers: [this.#measured],
      collect() {
        this.reset();
        for (const [thread, seconds] of busy()) this.inc({ thread }, seconds);
      },
    });
  }

  /** Everything, in Prometheus's text format. */
  async text(): Promise<string> {
    const counted = await this.#countedByAll();
    return (await this.#measured.metrics()) + (await counted.metrics());
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  async #countedByAll(): Promise<Registry> {
    const others = await this.#otherThreads();
    if (others.length === 0) return this.#registry;
    return AggregatorRegistry.aggregate([await this.counted(), ...others]);
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

  #shardGauge(name: string, help: string): Gauge<"workspace" | "shard"> {
    return new Gauge({ name, help, labelNames: ["workspace", "shard"], registers: [this.#registry] });
  }
}

function placeOf(shard: number, workspace: string | undefined) {
  return workspace === undefined ? { shard } : { workspace, shard };
}

/**
 * `GET /metrics`, in Prometheus's text format. Metrics cover all workspaces, so once keys exist it takes one with the
 * scope `admin` in the first workspace, wherever the request comes from: behind a proxy, every request is local.
 */
export function metricsRoute(metrics: MetricsText): Route {
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
