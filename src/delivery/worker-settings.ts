/** The settings of a worker, and what it reports to. */

import type { AllowedPrivateAddresses } from "./http/address-policy.ts";
import type { EndpointLimits } from "./http/endpoints.ts";

export interface WorkerSettings {
  /** The longest wait before the second attempt; doubles with each further one. The actual wait is random, below it. */
  readonly retryMs: number;
  readonly retryMsMax: number;
  /** How long to try a delivery before it becomes a dead letter. Time in which no worker ran does not count. */
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
  retryMs: 5_000,
  retryMsMax: 600_000,
  giveUpAfterMs: 28 * 3_600_000, // as long as Svix: a receiver that broke in the evening is mended on the next day
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
