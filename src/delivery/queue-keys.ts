/** The names of BullMQ's queue, and the keys that Tripline keeps beside it. */

import type { Ordering } from "../core/model/invocation.ts";

export const queueName = "actions";

/** The queue has its own hash tag, so it may be on a different node than the workspace's other keys. */
export function queuePrefix(workspace: string): string {
  return `{tripline:${workspace}}`;
}

/** What the keys of the queue's jobs begin with. */
export function jobKeyPrefix(workspace: string): string {
  return `${queuePrefix(workspace)}:${queueName}:inv-`;
}

/** BullMQ forbids `:` and ids of digits only. */
export function jobIdOf(invocationId: string): string {
  return `inv-${invocationId}`;
}

export interface QueueKeys {
  /** String: the last place that was given to a delivery. */
  readonly clock: string;
  /** Never there: it is deleted to see whether its server accepts writes. */
  readonly ready: string;
  /** Hash: delivery id to what a person asked for, as JSON. */
  readonly requests: string;
  /** BullMQ's sorted sets of jobs that have ended. */
  readonly completed: string;
  readonly failed: string;
  /** Set: the endpoints that deliveries wait for. */
  readonly endpoints: string;
  /** BullMQ's hash of a job. */
  job(id: string): string;
  /** BullMQ's lock of a job: the token of the worker that has it. */
  lock(id: string): string;
  /** Sorted set: the deliveries that are about one thing and go to one target, by their places. */
  lane(ordering: Ordering): string;
  /** Hash: how many deliveries about a thing wait or are dead letters, and the place last accepted by each target. */
  thing(ordering: Ordering): string;
  /** Sorted set: the deliveries that will try an endpoint again, by their places. */
  endpoint(name: string): string;
  /** String with a time to live: a process has sent a probe to an endpoint. */
  probe(name: string): string;
}

/** All of them share the queue's hash tag, so that one script can use several. */
export function queueKeys(workspace: string): QueueKeys {
  const prefix = queuePrefix(workspace);
  const job = (id: string) => `${prefix}:${queueName}:${jobIdOf(id)}`;
  return {
    clock: `${prefix}:clock`,
    ready: `${prefix}:ready`,
    requests: `${prefix}:requests`,
    endpoints: `${prefix}:endpoints`,
    completed: `${prefix}:${queueName}:completed`,
    failed: `${prefix}:${queueName}:failed`,
    job,
    lock: (id) => `${job(id)}:lock`,
    lane: ({ thing, target }) => `${prefix}:lane:${thing}:${target}`,
    thing: ({ thing }) => `${prefix}:thing:${thing}`,
    endpoint: (name) => `${prefix}:endpoint:${name}`,
    probe: (name) => `${prefix}:probe:${name}`,
  };
}
