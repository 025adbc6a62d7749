/** Exports Prometheus metrics through OpenTelemetry instruments, under the same names. */

import type { api } from "@opentelemetry/sdk-node";

/** One metric, as prom-client describes it. */
export interface MetricSnapshot {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly {
    readonly value: number;
    readonly labels: Readonly<Record<string, string | number | undefined>>;
  }[];
}

export type ObservationListener = (
  histogram: string,
  labels: Readonly<Record<string, string>>,
  value: number,
) => void;

export interface MetricsSource {
  /** Every metric and its values now. */
  snapshot(): Promise<readonly MetricSnapshot[]>;
  /** The upper bounds of the histograms' buckets. */
  readonly histogramBuckets: readonly number[];
  /** Calls the listener for each observation of a histogram from now on. */
  onObservation(listener: ObservationListener): void;
}

/**
 * Makes an instrument for every metric. Counters and gauges are read when they are exported. Histograms are recorded twice,
 * because no instrument can export a histogram that was counted elsewhere.
 */
export async function bridgeMetrics(source: MetricsSource, meter: api.Meter): Promise<void> {
  const observables = new Map<string, api.Observable>();
  const histograms = new Map<string, api.Histogram>();
  for (const { name, help, type } of await source.snapshot()) {
    const options = { description: help, ...(name.endsWith("_seconds") ? { unit: "s" } : {}) };
    if (type === "counter") observables.set(name, meter.createObservableCounter(name, options));
    if (type === "gauge") observables.set(name, meter.createObservableGauge(name, options));
    if (type === "histogram") {
      const advice = { explicitBucketBoundaries: [...source.histogramBuckets] };
      histograms.set(name, meter.createHistogram(name, { ...options, advice }));
    }
  }
  meter.addBatchObservableCallback(
    async (result) => {
      for (const { name, values } of await source.snapshot()) {
        const observable = observables.get(name);
        if (observable === undefined) continue;
        for (const { value, labels } of values) result.observe(observable, value, labels);
      }
    },
    [...observables.values()],
  );
  source.onObservation((name, labels, value) => histograms.get(name)?.record(value, labels));
}
