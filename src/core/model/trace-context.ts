/**
 * W3C trace contexts as one text: the `traceparent` and, after a space, the `tracestate` if there is one.
 *
 * The core passes this text along with events and firings and never looks into it, so a trace changes no outcome.
 */

export type TraceContext = string;

const traceparentPattern =
  /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[\x20-\x7e]*)?$/;

/** The specification requires that at least this much is passed on. A longer one may be dropped. */
const tracestateLengthMax = 512;

/**
 * Reads the two headers of a request.
 *
 * @returns null when there is no valid `traceparent`; an invalid or overlong `tracestate` is left out
 */
export function readTraceContext(
  traceparent: string | null | undefined,
  tracestate?: string | null,
): TraceContext | null {
  const match = traceparentPattern.exec(traceparent?.trim() ?? "");
  if (match === null) return null;
  const [, version, traceId, spanId, flags, rest] = match;
  if (version === "00" && rest !== undefined) return null;
  // A later version begins with the fields of version 00, so it is passed on as that.
  const parent = `00-${traceId}-${spanId}-${flags}`;
  const state = tracestate?.trim() ?? "";
  const isStateValid = state !== "" && state.length <= tracestateLengthMax && /^[\x20-\x7e]+$/.test(state);
  return isStateValid ? `${parent} ${state}` : parent;
}

/** Reads a stored trace. It is checked again, because anyone with access to the store can write one. */
export function readStoredTrace(text: string | undefined): TraceContext | null {
  if (text === undefined) return null;
  const end = text.indexOf(" ");
  return end < 0 ? readTraceContext(text) : readTraceContext(text.slice(0, end), text.slice(end + 1));
}

/** The headers that pass a trace on. */
export function traceHeaders(trace: TraceContext | null): {
  readonly traceparent?: string;
  readonly tracestate?: string;
} {
  if (trace === null) return {};
  const end = trace.indexOf(" ");
  return end < 0
    ? { traceparent: trace }
    : { traceparent: trace.slice(0, end), tracestate: trace.slice(end + 1) };
}

/** The trace's id, for log lines. */
export function traceIdOf(trace: TraceContext): string {
  return trace.slice(3, 35);
}
