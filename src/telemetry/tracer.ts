/** How the parts of a server record spans, whether or not anyone collects them. */

import type { TraceContext } from "../core/model/trace-context.ts";

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanOptions {
  readonly kind: "server" | "client" | "internal";
  /** The trace that the span continues; null starts a new one. */
  readonly parent: TraceContext | null;
  /** Other traces that led here. */
  readonly links?: readonly TraceContext[];
  readonly attributes?: SpanAttributes;
}

/** A span in progress. One that never ends is never exported. */
export interface TraceSpan {
  /** The trace that everything caused by this span continues; null when there is none. */
  readonly trace: TraceContext | null;
  rename(name: string): void;
  set(attributes: SpanAttributes): void;
  /** @param error what went wrong, if anything did */
  end(error?: string): void;
}

export interface Tracer {
  start(name: string, options: SpanOptions): TraceSpan;
}

/** Records nothing, and passes on the trace that it is given. */
export const passOnTracer: Tracer = {
  start: (_, { parent }) => ({ trace: parent, rename() {}, set() {}, end() {} }),
};
