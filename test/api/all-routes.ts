/** Every route of the API, for tests that go through all of them. None can be called, because they have no store. */

import { type AppOptions, createApp, routesOf } from "../../src/api/http/app.ts";
import { Metrics } from "../../src/api/http/metrics.ts";
import { openApiDocument, pathOf } from "../../src/api/openapi/document.ts";
import { createRuleReader } from "../../src/cli/rule-reader.ts";

const options: AppOptions = {
  tenants: {} as never,
  apiKeys: {} as never,
  server: {} as never,
  deliveriesOf: () => null,
  messagesOf: () => Promise.reject(new Error("there are none")),
  explain: { latenessDefault: 0 },
  ruleReader: createRuleReader(0, console),
  metrics: new Metrics(),
  metricsText: new Metrics(),
  readiness: async () => ({ unready: null }),
  logger: console,
};

export const allRoutes = routesOf(options);

export const wholeApp = createApp(options);

/** What the routes declare, with paths as OpenAPI writes them. */
export const allOperations = allRoutes.map(({ operation }) => ({ ...operation, path: pathOf(operation) }));

export const document = openApiDocument(allRoutes);
