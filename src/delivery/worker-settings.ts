/** The settings of a worker, and what it reports to. */

import type { AllowedPrivateAddresses } from "./http/address-policy.ts";
import type { EndpointLimits } from "./http/endpoints.ts";

export interface WorkerSettings {
  /** Attempts at a delivery before it becomes a dead letter. */
  readonly attemptsMax: number;
  /** The longest wait before the second attempt; doubles with each further one. The actual wait is random, below it. */
  readonly retryMs: number;
  readonly retryMsMax: number;
  /** How long to retry a delivery while its endpoint is busy or paused, even if it has attempts left. */
  readonly giveUpAfterMs: number;
  /** The maximum number of concurrent deliveries in this process. */
  readonly concurrency: number;
  readonly endpoints: Partial<EndpointLimits>;
  /** Loopback, private and other addresses that are not public are refused unless listed here. */
  readonly dangerouslyAllowPrivateAddresses: AllowedPrivateAddresses;
  /** How long a silent worker keeps its jobs before they go to another one. */
  readonly deadAfterMs: number;
}

export const workerSettings: WorkerSettings = {
  attemptsMax: 8,
  retryMs: 5_000,
  retryMsMax: 300_000,
  giveUpAfterMs: 86_400_000,
  concurrency: 100,
  endpoints: {},
  dangerouslyAllowPrivateAddresses: false,
  deadAfterMs: 30_000,
};

export interface ActionLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Called as things happen; each method may be left out. */
export interface ActionMetrics {
  /** A delivery has ended. @param seconds since the job was added */
  actionFinished?(type: string, outcome: "executed" | "failed", seconds: number): void;
  /** One attempt has ended. */
  attemptFinished?(type: string, outcome: "executed" | "failed" | "retry", seconds: number): void;
  /** A delivery waits for its endpoint. */
  deferred?(type: string): void;
}
