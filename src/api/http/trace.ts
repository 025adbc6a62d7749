/** The trace that a request belongs to. Runs in Node and in a Worker. */

import type { Context } from "hono";
import { readTraceContext, type TraceContext } from "../../core/model/trace-context.ts";
import type { ApiEnv } from "./tenant.ts";

/** The trace that the client sent; null if it sent none. */
export function sentTrace(headers: Headers): TraceContext | null {
  return readTraceContext(headers.get("traceparent"), headers.get("tracestate"));
}

/** The trace of this server's own span, if it records one; otherwise the one that the client sent. */
export function traceOf(context: Context<ApiEnv>): TraceContext | null {
  return context.get("trace") ?? sentTrace(context.req.raw.headers);
}
