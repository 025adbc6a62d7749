/** Checks the database of the history, from the machine of the command. */

import { inspectHistory } from "../../history/inspect.ts";
import type { RedisConnection } from "../../store/connection.ts";
import { Log } from "../../store/log.ts";
import { withoutPassword } from "../../store/redis-url.ts";
import { bytesText, type CheckResult, judged, ok, problem, secondsText, skipped } from "./check-result.ts";

export interface CheckedHistory {
  readonly url: string;
  readonly workspace: string;
  /** Where the log is; null if it cannot be reached. */
  readonly redis: RedisConnection | null;
  readonly isNamed: boolean;
}

/** From then on a recorder is not just busy with a burst. */
const lagMsBounds = { warning: 30_000, problem: 600_000 };

const gigabyte = 1_000_000_000;

export async function checkHistory({
  url,
  workspace,
  redis,
  isNamed,
}: CheckedHistory): Promise<CheckResult[]> {
  const shown = withoutPassword(url);
  if (url === "off") return [ok("history", "No history is kept (off).")];
  let found: Awaited<ReturnType<typeof inspectHistory>>;
  try {
    found = await inspectHistory(url, workspace);
  } catch (error) {
    const message = `The history at ${shown} cannot be read: ${(error as Error).message}.`;
    if (!isNamed) return [skipped("history", `${message} Name it with --history-url.`)];
    return [problem("history", message, "Correct --history-url, or start its database.")];
  }
  const { position, eventCount, bytes, freeBytes } = found;
  const findings = [ok("history", `${eventCount} events at ${shown}, ${bytesText(bytes)} in all.`)];
  if (freeBytes !== null) {
    const text = { message: `${bytesText(freeBytes)} are free on its disk.` };
    const remedy = "Make space, or lower --history-max-size.";
    // The less is free, the worse.
    const bounds = { warning: -gigabyte, problem: -gigabyte / 5 };
    findings.push(judged("history disk", -freeBytes, bounds, { ...text, remedy }));
  }
  if (redis === null) return findings;
  if (position === null) {
    const remedy = "Start a process with the role recorder, with this --history-url.";
    return [...findings, problem("recorder", "Nothing of this workspace is recorded there.", remedy)];
  }
  const lagMs = await new Log(redis, workspace).waitingMs(position);
  const message =
    lagMs === 0 ? "Everything is recorded." : `The recorder is ${secondsText(lagMs)} behind the log.`;
  const remedy = "Start a process with the role recorder, or look for errors in its log.";
  return [...findings, judged("recorder", lagMs, lagMsBounds, { message, remedy })];
}
