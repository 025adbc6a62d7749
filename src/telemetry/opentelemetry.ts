/** Traces and metrics through the official OpenTelemetry SDK. Imported only when they are wanted. */

import * as sdk from "@opentelemetry/sdk-node";
import {
  readStoredTrace,
  readTraceContext,
  type TraceContext,
  traceHeaders,
} from "../core/model/trace-context.ts";
import { bridgeMetrics } from "./metrics-bridge.ts";
import type { Signals, Telemetry, TelemetryLogger, TelemetryOptions } from "./telemetry.ts";
import type { SpanAttributes, Tracer } from "./tracer.ts";

const { api, NodeSDK, resources } = sdk;

/** A collector that does not respond delays the end of the process by at most this long. */
const shutdownMsMax = 5_000;
const reportLengthMax = 500;

/** Starts the SDK, which reads all other settings from `OTEL_*` itself. */
export async function startOpenTelemetry(
  { traces, metrics }: Signals,
  { env, metrics: source, logger, version }: TelemetryOptions,
): Promise<Telemetry> {
  reportProblems(logger);
  const ownResource = resources.resourceFromAttributes({
    "service.name": "tripline",
    "service.version": version,
  });
  const { envDetector, hostDetector } = resources;
  const node = new NodeSDK({
    resource: resources.defaultResource().merge(ownResource),
    // Without the process detector: a command line may contain passwords.
    ...(env["OTEL_NODE_RESOURCE_DETECTORS"] === undefined
      ? { resourceDetectors: [envDetector, hostDetector] }
      : {}),
    ...(traces ? {} : { spanProcessors: [] }),
    ...(metrics ? {} : { metricReaders: [] }),
    logRecordProcessors: [], // logs go to standard output
    textMapPropagator: null,
  });
  node.start();
  if (source !== null && metrics) await bridgeMetrics(source, api.metrics.getMeter("tripline", version));
  return {
    tracer: traces ? tracerOver(api.trace.getTracer("tripline", version)) : null,
    async stop() {
      let timer: NodeJS.Timeout | undefined;
      const expired = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, shutdownMsMax);
      });
      const ended = node.shutdown().catch((error: unknown) => {
        logger.warn({ err: error }, "Could not export the last traces and metrics");
      });
      await Promise.race([ended, expired]);
      clearTimeout(timer);
    },
  };
}

const kinds = {
  server: api.SpanKind.SERVER,
  client: api.SpanKind.CLIENT,
  internal: api.SpanKind.INTERNAL,
} as const;

function tracerOver(tracer: sdk.api.Tracer): Tracer {
  return {
    start(name, { kind, parent, links = [], attributes = {} }) {
      const context = parent === null ? null : spanContextOf(parent);
      const span = tracer.startSpan(
        name,
        {
          kind: kinds[kind],
          attributes: definedOf(attributes),
          links: links.flatMap((link) => {
            const linked = spanContextOf(link);
            return linked === null ? [] : [{ context: linked }];
          }),
        },
        context === null ? api.ROOT_CONTEXT : api.trace.setSpanContext(api.ROOT_CONTEXT, context),
      );
      return {
        trace: traceOf(span.spanContext()),
        rename: (newName) => void span.updateName(newName),
        set: (newAttributes) => void span.setAttributes(definedOf(newAttributes)),
        end(error) {
          if (error !== undefined) span.setStatus({ code: api.SpanStatusCode.ERROR, message: error });
          span.end();
        },
      };
    },
  };
}

function spanContextOf(trace: TraceContext): sdk.api.SpanContext | null {
  const { traceparent, tracestate } = traceHeaders(readStoredTrace(trace));
  if (traceparent === undefined) return null;
  const [, traceId = "", spanId = "", flags = "00"] = traceparent.split("-");
  return {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(tracestate === undefined ? {} : { traceState: api.createTraceState(tracestate) }),
  };
}

function traceOf({ traceId, spanId, traceFlags, traceState }: sdk.api.SpanContext): TraceContext | null {
  const flags = traceFlags.toString(16).padStart(2, "0");
  return readTraceContext(`00-${traceId}-${spanId}-${flags}`, traceState?.serialize());
}

function definedOf(attributes: SpanAttributes): sdk.api.Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/** Logs the SDK's errors; without this it fails silently. */
function reportProblems(logger: TelemetryLogger): void {
  const report = (...parts: unknown[]) => {
    logger.warn({ reason: parts.map(String).join(" ").slice(0, reportLengthMax) }, "OpenTelemetry error");
  };
  const ignore = () => {};
  const diagnostics = { error: report, warn: report, info: ignore, debug: ignore, verbose: ignore };
  api.diag.setLogger(diagnostics, { logLevel: api.DiagLogLevel.WARN, suppressOverrideMessage: true });
}
