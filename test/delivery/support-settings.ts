/** Settings for a worker under test, in their own file because a process without a test runner needs them too. */

import type { WorkerSettings } from "../../src/delivery/worker-settings.ts";

/** A logger that records its lines as they would be written. */
export function recordingLogger() {
  const lines: string[] = [];
  const write = (fields: object, message: string) => {
    const { err, ...rest } = fields as { err?: Error };
    lines.push(JSON.stringify({ ...rest, message, err: err === undefined ? undefined : String(err.stack) }));
  };
  return { lines, info: write, warn: write, error: write };
}

/** Quick enough for tests: retries follow at once. */
export const quick: Partial<WorkerSettings> = {
  retryMs: 20,
  retryMsMax: 40,
  dangerouslyAllowPrivateAddresses: ["loopback"],
};
