/** Decides whether traces and metrics are exported: only if the environment names a collector or an exporter. */

import type { MetricsSource } from "./metrics-bridge.ts";
import type { Tracer } from "./tracer.ts";

export interface Telemetry {
  /** Null if traces are not exported. */
  readonly tracer: Tracer | null;
  /** Exports what is still pending, and stops. */
  stop(): Promise<void>;
}

export interface TelemetryLogger {
  warn(fields: object, message: string): void;
}

export interface TelemetryOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Null in a thread whose metrics another thread exports. */
  readonly metrics: MetricsSource | null;
  readonly logger: TelemetryLogger;
  readonly version: string;
}

/** The SDK reports each failed export, which may be every few seconds, and each thread has an SDK of its own. */
const reportEveryMs = 60_000;

/** Passes on a message only if it passed on none for a minute. */
export function quietLogger(logger: TelemetryLogger): TelemetryLogger {
  let quietUntil = 0;
  return {
    warn(fields, message) {
      const now = Date.now();
      if (now < quietUntil) return;
      quietUntil = now + reportEveryMs;
      logger.warn(fields, message);
    },
  };
}

/** What is exported. */
export interface Signals {
  readonly traces: boolean;
  readonly metrics: boolean;
}

/** `OTEL_*` asks for an export, but the SDK is not installed. */
export class TelemetryUnavailable extends Error {
  override readonly name = "TelemetryUnavailable";
}

/**
 * Starts the export if `OTEL_*` asks for one. Otherwise the SDK is not even loaded.
 *
 * @throws TelemetryUnavailable if the SDK is not installed
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const wanted = signalsIn(options.env);
  const signals = { ...wanted, metrics: wanted.metrics && options.metrics !== null };
  if (!signals.traces && !signals.metrics) return { tracer: null, stop: async () => {} };
  try {
    const { startOpenTelemetry } = await import("./opentelemetry.ts");
    return await startOpenTelemetry(signals, options);
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw error;
    throw new TelemetryUnavailable(
      "OTEL_* variables turn on traces or metrics, but the package that exports them is not installed.\n" +
        "Install it next to Tripline (npm install @opentelemetry/sdk-node), or set OTEL_SDK_DISABLED=true.",
      { cause: error },
    );
  }
}

/** Which signals the standard variables turn on. */
export function signalsIn(env: TelemetryOptions["env"]): Signals {
  const value = (name: string): string => env[name]?.trim() ?? "";
  if (value("OTEL_SDK_DISABLED").toLowerCase() === "true") return { traces: false, metrics: false };
  const isWanted = (signal: "TRACES" | "METRICS"): boolean => {
    const exporter = value(`OTEL_${signal}_EXPORTER`);
    if (exporter !== "") return exporter !== "none";
    return (
      value("OTEL_EXPORTER_OTLP_ENDPOINT") !== "" || value(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`) !== ""
    );
  };
  return { traces: isWanted("TRACES"), metrics: isWanted("METRICS") };
}
