/** What a server answers when it is asked whether it can do its work. */

import type { Redis } from "ioredis";
import type { PartProblem, Readiness } from "../api/http/probes.ts";
import { callRedis } from "../store/connection.ts";
import type { ServedWorkspace } from "./serve-workspace.ts";

/**
 * A server without Redis, or whose engine has not started, is not ready. Without the history it is: it accepts events, and
 * the log keeps them. Taken out of a load balancer, it would refuse the events that it can still save.
 */
export function readinessOf(redis: Redis, served: readonly ServedWorkspace[]): Readiness {
  let settled = false;
  void Promise.all(served.map(({ engine }) => engine?.ready)).then(() => {
    settled = true;
  });
  return async () => {
    try {
      // In a transaction, because a Redis that is full rejects those, but not a plain PING.
      await callRedis(() => redis.multi().ping().exec());
    } catch (error) {
      return { unready: error instanceof Error ? error.message : "Redis is unavailable" };
    }
    if (!settled) return { unready: "The engine is waiting for a shard that has no owner yet" };
    return { unready: null, problems: distinct(served.flatMap(historyProblems)) };
  };
}

function historyProblems({ historyHealth }: ServedWorkspace): PartProblem[] {
  const message = historyHealth?.problem ?? null;
  return message === null ? [] : [{ part: "history", message }];
}

/** Workspaces have most problems in common. Their names stay out of an answer that needs no key. */
function distinct(problems: readonly PartProblem[]): PartProblem[] {
  return [...new Map(problems.map((problem) => [problem.message, problem])).values()];
}
