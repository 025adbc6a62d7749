/** The HTTP application: which routes it has, and where they are mounted. */

import { Hono } from "hono";
import type { Logger } from "pino";
import type { ApiKeyChanges } from "../../store/api-key-changes.ts";
import type { Tracer } from "../../telemetry/tracer.ts";
import { activityRoutes } from "../automations/activity.ts";
import { applyRoutes } from "../automations/apply.ts";
import { automationRoutes } from "../automations/automations.ts";
import { changeRoutes } from "../automations/changes.ts";
import { type RuleReader, ruleRoutes } from "../automations/rules.ts";
import { summaryRoutes } from "../automations/summaries.ts";
import { canaryRoutes } from "../canary/canary-route.ts";
import {
  type DeliveryLookup,
  type DeliveryMessages,
  deliveryRoutes,
  queuesOf,
} from "../deliveries/deliveries.ts";
import { deliveryChangeRoutes } from "../deliveries/delivery-changes.ts";
import { destinationHealthRoutes } from "../destinations/destination-health.ts";
import { destinationTestRoutes } from "../destinations/destination-test.ts";
import { destinationRoutes } from "../destinations/destinations.ts";
import { endpointRoutes } from "../endpoints/endpoints.ts";
import { eventChainRoutes } from "../events/event-chain.ts";
import { eventRoutes, isHistoryUnavailable } from "../events/events.ts";
import { explainRoutes } from "../explain/explain.ts";
import { lookupRoutes } from "../explain/lookup.ts";
import type { ExplainSettings } from "../explain/replay.ts";
import { timelineRoutes } from "../explain/timeline.ts";
import { traceRoutes } from "../explain/trace.ts";
import { windowRoutes } from "../explain/windows.ts";
import { cloudEventRoutes } from "../ingest/cloudevents.ts";
import { hookRoutes } from "../ingest/hooks.ts";
import { type IngestMeter, ingestRoutes } from "../ingest/ingest.ts";
import { keyRoutes } from "../keys/keys.ts";
import { mapRoutes } from "../map/map.ts";
import { documentOf, documentRoute } from "../openapi/document.ts";
import { referencePageRoute } from "../openapi/reference-page.ts";
import { overviewRoutes } from "../overview/overview.ts";
import { mountPages } from "../pages/pages.ts";
import { checkApiVersion } from "../prefect/api-version.ts";
import { smallEndpoints } from "../prefect/small-endpoints.ts";
import { doctorRoutes, type Examine } from "../server/doctor.ts";
import { type ServerFacts, settingsRoutes } from "../server/settings.ts";
import { sessionRoutes } from "../session/session.ts";
import { shardRoutes } from "../shards/shards.ts";
import { socketRoutes } from "../sockets/socket-routes.ts";
import { answerErrors } from "./answer-errors.ts";
import { allowOrigins } from "./cors.ts";
import { type MetricsText, metricsRoute } from "./metrics.ts";
import { probes, type Readiness } from "./probes.ts";
import { mountAll, type Route } from "./route.ts";
import { type ApiEnv, enter, type Tenants } from "./tenant.ts";
import { tracing } from "./tracing.ts";

export interface AppOptions {
  readonly tenants: Tenants;
  /** False: the process answers only for itself: health, readiness, metrics. */
  readonly servesApi?: boolean;
  readonly explain: ExplainSettings;
  /** Knows how rules are written. */
  readonly ruleReader: RuleReader;
  /** The keys of all workspaces. */
  readonly apiKeys: ApiKeyChanges;
  /** What the process knows about itself and its deployment. */
  readonly server: { readonly facts: ServerFacts; readonly examine: Examine };
  /** The action queue of a workspace; null when this server does not serve it. */
  readonly deliveriesOf: (workspace: string) => DeliveryLookup | null;
  /** What shows and sends messages in a workspace. */
  readonly messagesOf: (workspace: string) => Promise<DeliveryMessages>;
  /** Counts what is done here. */
  readonly metrics: IngestMeter;
  /** The metrics of the process. */
  readonly metricsText: MetricsText;
  /** Records a span for each request; left out, no spans are recorded. */
  readonly tracer?: Tracer | null;
  readonly readiness: Readiness;
  /** Whether a proxy is in front whose X-Forwarded-Host and -Proto count. */
  readonly trustProxy?: boolean;
  /** Origins whose pages may use the API from browsers. The tenants must know them, too. */
  readonly corsOrigins?: readonly string[];
  /** The folder of the built dashboard; left out, there are no pages. */
  readonly dashboard?: string;
  readonly logger: Pick<Logger, "error" | "warn">;
}

/**
 * Below these bases the API lies. Prefect Cloud's paths name a workspace, and its clients take them as part of their
 * base URL. They come first, because the other base is a prefix of them.
 */
const bases = ["/api/accounts/:account/workspaces/:workspace", "/api"];

export function createApp(options: AppOptions): Hono {
  // Not strict: a path with a trailing slash is the same as without. Prefect's clients write both.
  const app = new Hono({ strict: false });
  answerErrors(app, options.logger, isHistoryUnavailable);
  allowOrigins(app, options.corsOrigins ?? []);
  const routes = routesOf(options);
  const { tenants, tracer = null } = options;
  if (tracer !== null) app.use("/api/*", tracing(tracer));
  mountAll(
    app,
    "",
    routes.filter(({ operation }) => operation.outside),
    { tenants },
  );
  if (options.dashboard !== undefined && options.servesApi !== false) mountPages(app, options.dashboard);
  const inApi = routes.filter(({ operation }) => !operation.outside);
  for (const base of bases) {
    mountAll(app, base, inApi, { tenants, check: checkApiVersion });
    if (options.servesApi === false) continue;
    // Without a key no one learns which paths exist.
    (app as unknown as Hono<ApiEnv>).all(`${base}/*`, async (context) => {
      await enter(context, tenants, context.req.param("workspace") ?? null);
      return context.notFound();
    });
  }
  return app;
}

/** Every route of the application. The OpenAPI document is made from the same list. */
export function routesOf(options: Omit<AppOptions, "logger">): readonly Route[] {
  const { tenants, servesApi = true, explain, ruleReader, deliveriesOf, messagesOf } = options;
  const { metrics, metricsText, apiKeys, server } = options;
  const queueOf = queuesOf(deliveriesOf);
  const always = [...probes(options.readiness), metricsRoute(metricsText)];
  if (!servesApi) return always;
  const routes: Route[] = [
    ...ingestRoutes(metrics),
    ...eventRoutes({ trustProxy: options.trustProxy ?? false }),
    ...socketRoutes(),
    ...eventChainRoutes(),
    ...hookRoutes(tenants, metrics),
    ...canaryRoutes(tenants),
    ...cloudEventRoutes(metrics),
    // Before those with an id in the same place of the path.
    ...applyRoutes(explain),
    ...activityRoutes(),
    ...summaryRoutes(),
    ...automationRoutes(),
    ...windowRoutes(explain),
    ...ruleRoutes({ reader: ruleReader, ...explain }),
    ...changeRoutes(),
    ...explainRoutes(explain),
    ...timelineRoutes(explain),
    ...lookupRoutes(deliveriesOf),
    ...traceRoutes(deliveriesOf),
    ...mapRoutes(explain),
    ...deliveryRoutes(queueOf, messagesOf),
    ...deliveryChangeRoutes(queueOf),
    ...destinationHealthRoutes(queueOf),
    ...destinationTestRoutes(messagesOf),
    ...destinationRoutes(),
    ...endpointRoutes(),
    ...shardRoutes(),
    ...sessionRoutes(tenants),
    ...overviewRoutes(queueOf),
    ...keyRoutes(apiKeys, tenants),
    ...settingsRoutes(server.facts, tenants),
    ...doctorRoutes(server.examine),
    ...always,
    ...smallEndpoints(),
  ];
  const document = documentOf(routes);
  routes.push(documentRoute(document), referencePageRoute(document));
  return routes;
}
