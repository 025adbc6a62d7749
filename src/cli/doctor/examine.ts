/** The checks that `tripline doctor` makes from outside, and a server from inside. They change nothing. */

import { setTimeout as pause } from "node:timers/promises";
import { callRedis, type RedisConnection, RedisUnreachable } from "../../store/connection.ts";
import { type CheckedHistory, checkHistory } from "./check-history.ts";
import { checkRedis, roundTripFinding } from "./check-redis.ts";
import { type CheckResult, problem } from "./check-result.ts";
import { type CheckedWorkspace, checkKeys, checkWorkspace } from "./check-workspace.ts";

/** Checks a Redis, and the API keys in it. */
export async function examineRedis(redis: RedisConnection): Promise<CheckResult[]> {
  const roundTrip = async () => {
    const started = performance.now();
    await callRedis(() => redis.time());
    return [roundTripFinding(performance.now() - started)];
  };
  return [
    ...(await guarded("redis", () => callRedis(() => checkRedis(redis)))),
    ...(await guarded("round trip", roundTrip)),
    ...(await guarded("api keys", async () => [await checkKeys(redis)])),
  ];
}

/** Checks what a workspace has in Redis; what is wrong there, twice. */
export function examineWorkspace(checked: CheckedWorkspace): Promise<CheckResult[]> {
  return lookTwice(() => guarded("workspace", () => checkWorkspace(checked)));
}

/** Checks the history of a workspace. */
export function examineHistory(checked: CheckedHistory): Promise<CheckResult[]> {
  return guarded("history", () => checkHistory(checked));
}

/** A Redis that is full, or does not allow a command, must not keep the other checks from being made. */
async function guarded(check: string, look: () => Promise<CheckResult[]>): Promise<CheckResult[]> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof RedisUnreachable) && (error as Error).name !== "ReplyError") throw error;
    const remedy = "Cure what else is found first; see docs/troubleshooting.md.";
    return [problem(check, `This cannot be checked: ${(error as Error).message}`, remedy)];
  }
}

/** How long a hand-over of a shard, or a burst, may take before it is worth a line. */
const secondLookMs = 2_000;

/** What is wrong for a moment is not wrong: a shard that changes its owner, a burst of events. */
async function lookTwice(look: () => Promise<CheckResult[]>): Promise<CheckResult[]> {
  const first = await look();
  if (first.every(({ status }) => status !== "problem")) return first;
  await pause(secondLookMs);
  return look();
}
