/** Which thread of a server reads the logs for which others. */

import { type PassingEnd, passingWay } from "../../store/passed-entries.ts";
import type { PlannedThread } from "./plan.ts";

/** The ways that begin or end in a thread. */
export interface ThreadPassing {
  /** To the threads that get what this one reads. */
  readonly to: readonly PassingEnd[];
  /** From the thread that reads for this one; null if none does. */
  readonly from: PassingEnd | null;
}

/**
 * The first engine reads for the recorder and the other engines: each of them follows the logs of all workspaces.
 *
 * @param hasHistory whether the recorder records anything
 */
export function connectThreads(
  threads: readonly PlannedThread[],
  hasHistory: boolean,
): ReadonlyMap<PlannedThread, ThreadPassing> {
  const passing = new Map<PlannedThread, ThreadPassing>();
  const first = threads.find(({ roles }) => roles.includes("engine"));
  const others = threads.filter(
    (thread) =>
      thread !== first &&
      thread.roles.some((role) => role === "engine" || (role === "recorder" && hasHistory)),
  );
  if (first === undefined || others.length === 0) return passing;
  const to: PassingEnd[] = [];
  for (const thread of others) {
    const way = passingWay();
    to.push(way.from);
    passing.set(thread, { to: [], from: way.to });
  }
  return passing.set(first, { to, from: null });
}

/** The ports that must be transferred to the thread. */
export function portsOf(passing: ThreadPassing | null): PassingEnd["port"][] {
  if (passing === null) return [];
  const { to, from } = passing;
  return [...to, ...(from === null ? [] : [from])].map(({ port }) => port);
}
