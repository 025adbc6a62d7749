/** The interface through which a server records spans, whether or not they are exported. */

import type { TraceContext } from "../core/model/trace-context.ts";

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanOptions {
  readonly kind: "server" | "client" | "internal";
  /** The trace that the span continues; null starts a new trace. */
  readonly parent: TraceContext | null;
  /** Other traces that contributed. */
  readonly links?: readonly TraceContext[];
  readonly attributes?: SpanAttributes;
}

/** A span in progress. It is exported when it ends, and never otherwise. */
export interface TraceSpan {
  /** The trace that everything caused by this span continues, if there is one. */
  readonly trace: TraceContext | null;
  rename(name: string): void;
  set(attributes: SpanAttributes): void;
  /** @param error what went wrong, if the span failed */
  end(error?: string): void;
}

export interface Tracer {
  start(name: string, options: SpanOptions): TraceSpan;
}

/** Records nothing, but passes on the trace that it is given. */
export const passOnTracer: Tracer = {
  start: (_, { parent }) => ({ trace: parent, rename() {}, set() {}, end() {} }),
};
