/** What a server answers when it is asked whether it can do its work. */

import type { Redis } from "ioredis";
import type { PartProblem, Readiness } from "../api/http/probes.ts";
import { callRedis, RedisUnreachable, withLoss } from "../store/connection.ts";
import type { ServedWorkspace } from "./serve-workspace.ts";

/**
 * A server without Redis, or whose own engine has not started, is not ready. If the history cannot be used, or no engine
 * runs anywhere, it is: it accepts events, and the log keeps them. Taken out of a load balancer, it would refuse the
 * events that it can still save.
 */
export function readinessOf(redis: Redis, served: readonly ServedWorkspace[]): Readiness {
  let settled = false;
  void Promise.all(served.map(({ engine }) => engine?.ready)).then(() => {
    settled = true;
  });
  return async () => {
    try {
      await callRedis(() => canWrite(redis));
    } catch (error) {
      if (error instanceof RedisUnreachable) return { unready: withLoss(error, redis).message };
      return { unready: error instanceof Error ? error.message : "Redis is unavailable" };
    }
    if (!settled) return { unready: "The engine is waiting for a shard that has no owner yet" };
    try {
      const problems = (await Promise.all(served.map(engineProblems))).flat();
      return { unready: null, problems: distinct([...problems, ...served.flatMap(historyProblems)]) };
    } catch (error) {
      if (error instanceof RedisUnreachable) return { unready: withLoss(error, redis).message };
      throw error;
    }
  };
}

/**
 * Redis may answer and yet refuse events. One that is full rejects transactions; one that became a replica, cannot save to
 * its disk or has too few replicas rejects commands that write, also this one, which changes nothing.
 */
async function canWrite(redis: Redis): Promise<void> {
  await redis.multi().ping().del("tl:ready").exec();
}

/** An engine that is this far behind is not just busy with a burst. */
const delayMsMax = 60_000;

async function engineProblems({ log }: ServedWorkspace): Promise<PartProblem[]> {
  const shards = await log.shardStatus();
  const problem = (message: string): PartProblem[] => [{ part: "engine", message }];
  const remedy =
    "Events are accepted, but no automation sees them before a process with the role engine is started.";
  if (shards.length === 0) return problem(`No engine has ever run here. ${remedy}`);
  const unowned = shards.filter(({ owned }) => !owned);
  if (unowned.length === shards.length) return problem(`No engine is running. ${remedy}`);
  if (unowned.length > 0)
    return problem(`No engine runs ${unowned.length} of ${shards.length} shards. ${remedy}`);
  const delayMs = Math.max(...shards.map((shard) => shard.delayMs));
  if (delayMs <= delayMsMax) return [];
  return problem(`The engine is ${Math.round(delayMs / 1_000)} s behind, so alarms are late.`);
}

function historyProblems({ historyHealth }: ServedWorkspace): PartProblem[] {
  const message = historyHealth?.problem ?? null;
  return message === null ? [] : [{ part: "history", message }];
}

/** Workspaces have most problems in common. Their names stay out of an answer that needs no key. */
function distinct(problems: readonly PartProblem[]): PartProblem[] {
  return [...new Map(problems.map((problem) => [problem.message, problem])).values()];
}
