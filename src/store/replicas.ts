/**
 * Waiting until replicas have what was written, so that it survives a failover to one of them.
 *
 * WAIT is about what its own connection has written before, so it goes into one pipeline with the write: after a
 * reconnection it would be about nothing.
 */

import type { ChainableCommander } from "ioredis";
import type { RedisConnection } from "./connection.ts";

/** Replicas answer within one round trip. Longer than that, and they are gone or far behind. */
const replicaTimeoutMs = 1_000;

/** Fewer replicas than wanted have what was written. It may survive or not; writing it again is harmless. */
class NotReplicated extends Error {
  override readonly name = "NotReplicated";
}

/**
 * Runs one command, and waits until that many replicas have what this connection has written.
 *
 * @param add adds the command, whose keys are on the server that has written
 * @returns its reply
 * @throws NotReplicated, and whatever Redis says of the command
 */
export async function withReplicas(
  redis: RedisConnection,
  replicaCount: number,
  add: (commands: ChainableCommander) => ChainableCommander,
): Promise<unknown> {
  const results = await add(redis.pipeline()).wait(replicaCount, replicaTimeoutMs).exec();
  const [[error, reply] = [new Error("connection lost")], [waitError, count] = [null, 0]] = results ?? [];
  if (error !== null) throw error;
  if (waitError !== null) throw waitError;
  if (Number(count) >= replicaCount) return reply;
  throw new NotReplicated(`NOREPLICAS ${count} of ${replicaCount} replicas have what was written`);
}
