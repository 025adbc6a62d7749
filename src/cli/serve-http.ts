/** Answers requests in one thread of a server. */

import { fileURLToPath } from "node:url";
import type { Logger } from "pino";
import { createApp } from "../api/http/app.ts";
import { KeyRing } from "../api/http/key-ring.ts";
import type { MetricsText } from "../api/http/metrics.ts";
import { isLoopbackName } from "../api/http/origin.ts";
import { keyOf } from "../api/http/page-token.ts";
import type { Readiness } from "../api/http/probes.ts";
import { type RunningServer, startServer } from "../api/http/server.ts";
import { tenantsOf } from "../api/http/tenant.ts";
import { createWebSockets } from "../api/sockets/websockets.ts";
import { ApiKeyChanges } from "../store/api-key-changes.ts";
import { createRuleReader } from "./rule-reader.ts";
import type { Running } from "./running.ts";
import { doctorInside, serverFacts } from "./serve-facts.ts";
import type { ServedPart } from "./serve-part.ts";
import type { Settings } from "./settings.ts";

export interface ServeHttpOptions {
  readonly settings: Settings;
  readonly host: string;
  readonly port: number;
  /** Whether other threads listen on the same port. */
  readonly reusePort: boolean;
  /** The metrics of the whole process. */
  readonly metricsText: MetricsText;
  readonly readiness: Readiness;
  readonly logger: Logger;
  /** The server is added to it. */
  readonly running: Running;
}

/** @throws the system's error if the port cannot be used (`EADDRINUSE`, `EACCES`) */
export async function listenForRequests(
  { redis, served, metrics, tracer }: ServedPart,
  { settings, host, port, reusePort, metricsText, readiness, logger, running }: ServeHttpOptions,
): Promise<RunningServer> {
  const { trustProxy, corsOrigin } = settings;
  const servesApi = settings.roles.includes("api");
  const tenants = tenantsOf(served, new KeyRing(redis), {
    open: isLoopbackName(host),
    origins: corsOrigin,
    keyOf,
  });
  const ruleReader = createRuleReader(settings.lateness, logger);
  running.add(() => ruleReader.stop());
  const app = createApp({
    tenants,
    servesApi,
    explain: { latenessDefault: settings.lateness },
    ruleReader,
    apiKeys: new ApiKeyChanges(redis),
    server: { facts: serverFacts(settings, redis), examine: doctorInside(settings, redis) },
    deliveriesOf: (name) => served.find(({ workspace }) => workspace === name)?.queue ?? null,
    messagesOf: async (name) => {
      const messages = await served.find(({ workspace }) => workspace === name)?.messages?.();
      if (messages === undefined) throw new Error(`this thread serves no API in the workspace ${name}`);
      return messages;
    },
    metrics,
    metricsText,
    tracer,
    readiness,
    trustProxy,
    corsOrigins: corsOrigin,
    dashboard: dashboardFolder(),
    logger,
  });
  const webSockets = servesApi
    ? createWebSockets({ tenants, meter: metrics, logger, trustProxy })
    : undefined;
  const server = await startServer(app, host, port, { webSockets, reusePort });
  running.add(() => server.stop());
  return server;
}

/** Where the dashboard is built: in the package, beside this program's compiled folders; in a clone, where the package gets it from. */
function dashboardFolder(): string {
  const isCompiled = import.meta.url.endsWith(".js");
  return fileURLToPath(new URL(isCompiled ? "../dashboard" : "../../dist/dashboard", import.meta.url));
}
