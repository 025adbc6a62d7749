/** One span for each request, which the trace of everything that it causes begins with or continues. */

import type { MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import type { Tracer } from "../../telemetry/tracer.ts";
import type { ApiEnv } from "./tenant.ts";
import { sentTrace } from "./trace.ts";

/** Asked every few seconds by orchestrators. */
const probePattern = /\/(?:health|ready)\/?$/;

export function tracing(tracer: Tracer): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const { method, path } = context.req;
    if (probePattern.test(path)) return next();
    const span = tracer.start(method, {
      kind: "server",
      parent: sentTrace(context.req.raw.headers),
      attributes: { "http.request.method": method, "url.path": path },
    });
    if (span.trace !== null) context.set("trace", span.trace);
    await next();
    const { status } = context.res;
    // Middleware and the answer to unknown paths match with a star.
    const route = matchedRoutes(context).find(({ path: pattern }) => !pattern.endsWith("*"))?.path;
    if (route !== undefined) {
      span.rename(`${method} ${route}`);
      span.set({ "http.route": route });
    }
    span.set({ "http.response.status_code": status });
    span.end(status >= 500 ? `responded ${status}` : undefined);
  };
}
