/** A webhook receiver in a process of its own, so that it takes no time from what is measured. */

import { fork } from "node:child_process";
import { once } from "node:events";

export interface ReceiverOrder {
  /** Answer 503 from now on, or 200 again. */
  readonly failing?: boolean;
  /** Forget what was counted. */
  readonly reset?: boolean;
  /** Report the latency of each request. */
  readonly latencies?: boolean;
}

export interface ReceiverReport {
  readonly acceptedCount: number;
  readonly failedCount: number;
  /** Milliseconds since the epoch; 0 before the first. */
  readonly firstAccepted: number;
  readonly lastAccepted: number;
  /** For each accepted request with a time `sent` in its body: that time, and how many milliseconds later it arrived. */
  readonly latencies: readonly (readonly [sent: number, ms: number])[];
}

export interface Receiver {
  readonly url: string;
  tell(order: ReceiverOrder): Promise<ReceiverReport>;
  stop(): void;
}

/** @param answerMs how long it takes to answer */
export async function startReceiver(answerMs = 0): Promise<Receiver> {
  const child = fork(new URL("../webhook-receiver.ts", import.meta.url), [String(answerMs)]);
  const [{ port }] = (await once(child, "message")) as [{ port: number }];
  return {
    url: `http://127.0.0.1:${port}/`,
    async tell(order) {
      child.send(order);
      const [report] = (await once(child, "message")) as [ReceiverReport];
      return report;
    },
    stop: () => child.disconnect(),
  };
}
