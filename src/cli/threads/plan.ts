/**
 * Which thread of a server does what.
 *
 * The main thread answers requests, so nothing that may take long runs there: a long evaluation, a large transaction of
 * the history or a slow template delays no answer.
 */

import type { Role, Settings } from "../settings.ts";

/** A thread beside the main one. */
export interface PlannedThread {
  /** Shown in log lines and metrics. */
  readonly name: string;
  readonly roles: readonly Role[];
}

export interface ThreadPlan {
  /** The roles of the main thread. */
  readonly main: readonly Role[];
  /** The other threads, in the order in which they start. Those that answer requests come last. */
  readonly others: readonly PlannedThread[];
}

/** How many threads a server has by default, on a machine with this many cores. */
export function threadsByCores(coreCount: number): { readonly api: number; readonly engine: number } {
  // The recorder, the actions and Redis need their share, too.
  return { api: Math.max(1, Math.floor(coreCount / 2) - 1), engine: Math.max(1, Math.floor(coreCount / 4)) };
}

/** Where several threads may listen on one port, and the system divides the connections among them. */
export const canSharePorts = ["linux", "freebsd", "sunos", "aix"].includes(process.platform);

/**
 * Divides the roles of a process among threads.
 *
 * @param shardCount of all workspaces together
 * @param listens whether the process answers requests, if only for its health
 */
export function planThreads(
  { roles, apiThreads, engineThreads }: Pick<Settings, "roles" | "apiThreads" | "engineThreads">,
  shardCount: number,
  listens: boolean,
): ThreadPlan {
  const engineCount = Math.min(engineThreads, shardCount); // another engine would have nothing to do
  const others = [
    ...(roles.includes("recorder") ? threadsOf("recorder", 1) : []),
    ...(roles.includes("actions") ? threadsOf("actions", 1) : []),
    ...(roles.includes("engine") ? threadsOf("engine", engineCount) : []),
  ];
  const [only, ...more] = others;
  if (!listens && only !== undefined && more.length === 0) return { main: only.roles, others: [] };
  if (!roles.includes("api")) return { main: [], others };
  // The main thread is the first that answers requests.
  return { main: ["api"], others: [...others, ...threadsOf("api", apiThreads).slice(1)] };
}

function threadsOf(role: Role, count: number): PlannedThread[] {
  return Array.from({ length: count }, (_, index) => ({
    name: count === 1 ? role : `${role}-${index + 1}`,
    roles: [role],
  }));
}
