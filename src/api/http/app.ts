/** The HTTP application: which routes there are, and how whatever goes wrong is answered. */

import { Hono } from "hono";
import type { Logger } from "pino";
import type { Tracer } from "../../telemetry/tracer.ts";
import { applyRoutes } from "../automations/apply.ts";
import { automationRoutes } from "../automations/automations.ts";
import { type DeadLetters, deliveryRoutes } from "../automations/deliveries.ts";
import { destinationRoutes } from "../automations/destinations.ts";
import { type ExplainSettings, explainRoutes } from "../automations/explain.ts";
import { eventRoutes, isHistoryUnavailable } from "../events/events.ts";
import { cloudEventRoutes } from "../ingest/cloudevents.ts";
import { hookRoutes } from "../ingest/hooks.ts";
import { ingestRoutes } from "../ingest/ingest.ts";
import { docsRoutes } from "../openapi/docs.ts";
import { openApiRoutes } from "../openapi/openapi.ts";
import { checkApiVersion, probes, type Readiness, smallEndpoints } from "../prefect/small-endpoints.ts";
import { answerErrors } from "./answer-errors.ts";
import { type Metrics, metricsRoute } from "./metrics.ts";
import { type ApiEnv, type Tenants, tenancy } from "./tenant.ts";
import { tracing } from "./tracing.ts";

export interface AppOptions {
  readonly tenants: Tenants;
  /** False: the process answers for itself only: health, readiness, metrics. */
  readonly servesApi?: boolean;
  readonly explain: ExplainSettings;
  /** The deliveries of a workspace that were given up; null when this server does not know it. */
  readonly deadLettersOf: (workspace: string) => DeadLetters | null;
  readonly metrics: Metrics;
  /** Records a span for each request; left out, no spans are recorded. */
  readonly tracer?: Tracer | null;
  readonly readiness: Readiness;
  /** Whether a proxy is in front whose word on host and protocol counts. */
  readonly trustProxy?: boolean;
  readonly logger: Pick<Logger, "error" | "warn">;
}

export function createApp({
  tenants,
  servesApi = true,
  explain,
  deadLettersOf,
  metrics,
  tracer = null,
  readiness,
  trustProxy = false,
  logger,
}: AppOptions): Hono {
  // Not strict: Prefect's server sends clients on from one spelling of a path, with or without a last slash, to the
  // other; here both are served.
  const app = new Hono({ strict: false });
  answerErrors(app, logger, isHistoryUnavailable);

  if (tracer !== null) app.use("/api/*", tracing(tracer));
  app.route("/", metricsRoute(metrics, tenants));
  if (servesApi) app.route("/", docsRoutes());
  // Prefect Cloud's paths name a workspace; the client takes them as part of its base URL. They come first, because
  // the other base holds them too.
  for (const base of ["/api/accounts/:account/workspaces/:workspace", "/api"]) {
    app.route(base, probes(readiness));
    if (!servesApi) continue;
    app.route(base, openApiRoutes());
    app.route(base, hookRoutes(tenants, metrics));
    const api = new Hono<ApiEnv>();
    api.use(tenancy(tenants));
    api.route("/", smallEndpoints());
    api.use(async (context, next) => {
      checkApiVersion(context.req.header("x-prefect-api-version"));
      await next();
    });
    api.route("/", ingestRoutes(metrics));
    api.route("/", cloudEventRoutes(metrics));
    api.route("/", eventRoutes({ trustProxy }));
    api.route("/", automationRoutes());
    api.route("/", destinationRoutes());
    api.route("/", applyRoutes(explain));
    api.route("/", explainRoutes(explain));
    api.route("/", deliveryRoutes(deadLettersOf));
    app.route(base, api);
  }
  return app;
}
