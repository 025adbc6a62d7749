/** What a server answers when it is asked whether it can do its work. */

import type { Canary } from "../api/canary/canary.ts";
import type { PartProblem, Readiness } from "../api/http/probes.ts";
import { queueKeys } from "../delivery/queue-keys.ts";
import { isCluster, type RedisConnection, RedisUnreachable, withLoss } from "../store/connection.ts";
import { workspaceKeys } from "../store/keys.ts";
import { transact } from "../store/transaction.ts";
import type { ServedWorkspace } from "./serve-workspace.ts";

/**
 * A server without Redis, or whose own engine has not started, is not ready. One that accepts events is stalled if no
 * engine evaluates them, and degraded if the history cannot be used. A load balancer keeps both of these: the log keeps the
 * events, and without this server senders would have to.
 *
 * @param enginesReady resolves once each shard has an owner; see `Engine.ready`
 */
export function readinessOf(
  redis: RedisConnection,
  served: readonly ServedWorkspace[],
  enginesReady: Promise<unknown>,
  canaryOf: (workspace: string) => Canary | null,
): Readiness {
  let settled = false;
  void enginesReady.then(() => {
    settled = true;
  });
  return async () => {
    try {
      await canWrite(redis, served);
    } catch (error) {
      if (error instanceof RedisUnreachable) return { unready: withLoss(error, redis).message };
      return { unready: error instanceof Error ? error.message : "Redis is unavailable" };
    }
    if (!settled) return { unready: "The engine is waiting for a shard that has no owner yet" };
    try {
      const problems = await Promise.all([
        ...served.map(engineProblems),
        ...served.map(({ workspace }) => canaryProblems(canaryOf(workspace))),
      ]);
      return { unready: null, problems: distinct([...problems.flat(), ...served.flatMap(historyProblems)]) };
    } catch (error) {
      if (error instanceof RedisUnreachable) return { unready: withLoss(error, redis).message };
      throw error;
    }
  };
}

/**
 * Redis may answer and yet refuse events. One that is full rejects transactions; one that became a replica, cannot save to
 * its disk or has too few replicas rejects commands that write, also this one, which changes nothing. In a cluster, the
 * log of each workspace and its queue may be on nodes of their own.
 */
async function canWrite(redis: RedisConnection, served: readonly ServedWorkspace[]): Promise<void> {
  const keys = isCluster(redis)
    ? served.flatMap(({ workspace }) => [workspaceKeys(workspace).ready, queueKeys(workspace).ready])
    : ["tl:ready"];
  await Promise.all(keys.map((key) => transact(redis, (step) => step.ping().del(key))));
}

async function engineProblems({ engineHealth }: ServedWorkspace): Promise<PartProblem[]> {
  return ((await engineHealth?.check()) ?? []).map((problem) => ({ part: "engine", ...problem }));
}

async function canaryProblems(canary: Canary | null): Promise<PartProblem[]> {
  const message = (await canary?.problem()) ?? null;
  return message === null ? [] : [{ part: "canary", message }];
}

function historyProblems({ historyHealth }: ServedWorkspace): PartProblem[] {
  const message = historyHealth?.problem ?? null;
  return message === null ? [] : [{ part: "history", message }];
}

/** Workspaces have most problems in common. Their names stay out of an answer that needs no key. */
function distinct(problems: readonly PartProblem[]): PartProblem[] {
  return [...new Map(problems.map((problem) => [problem.message, problem])).values()];
}
