/** What the main thread of a server and its other threads ask of each other. */

import { createBirpc } from "birpc";
import type { CountedMetrics } from "../../api/http/metrics.ts";
import type { ReadinessReport } from "../../api/http/probes.ts";
import type { Settings } from "../settings.ts";
import type { ThreadPassing } from "./passing.ts";
import type { PlannedThread } from "./plan.ts";

/** Given to a thread when it is created. */
export interface ThreadData {
  readonly planned: PlannedThread;
  /** Those of the whole process. */
  readonly settings: Settings;
  /** Where the thread answers requests; null if it does not. */
  readonly address: { readonly host: string; readonly port: number } | null;
  /** Between this thread and others that read the same logs; null if there are none. */
  readonly passing: ThreadPassing | null;
  /** Whether observations of histograms are exported one by one. */
  readonly exportsMetrics: boolean;
}

/** Why a thread did not start, if an operator can do something about it; null once it has started. */
export type StartFailure = { readonly message: string; readonly exitCode: number } | null;

/** What a thread does when the main one asks. */
export interface ThreadFunctions {
  start(): Promise<StartFailure>;
  /** Resolves once each shard has an owner. */
  enginesReady(): Promise<void>;
  counted(): Promise<CountedMetrics>;
  /** Why the recorder of a workspace cannot record now; null if it can, or is not here. */
  recorderFailure(workspace: string): string | null;
  stop(): Promise<void>;
}

/** What the main thread does when another one asks. */
export interface MainFunctions {
  /** Writes a line of the log. */
  log(line: string): void;
  observed(histogram: string, labels: Readonly<Record<string, string>>, value: number): void;
  telemetryWarned(fields: object, message: string): void;
  /** The metrics of the whole process, in Prometheus's text format. */
  metricsText(): Promise<string>;
  readiness(): Promise<ReadinessReport>;
}

/** One end of the channel between two threads. */
interface ChannelEnd {
  postMessage(message: unknown): void;
  on(event: "message", listener: (message: unknown) => void): unknown;
}

/** Lets this thread and another call each other's functions. Calls never time out; they fail when the link is closed. */
export function linkTo<Remote extends object, Local extends object>(
  other: ChannelEnd,
  local: Local,
  eventNames: (keyof Remote)[] = [],
) {
  return createBirpc<Remote, Local>(local, {
    post: (message) => other.postMessage(message),
    on: (listener) => void other.on("message", listener),
    eventNames, // need no answer
    timeout: -1,
  });
}
