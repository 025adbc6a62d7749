/** BullMQ's jobs, read directly from Redis. */

import type { Invocation } from "../../src/core/model/invocation.ts";
import { mastersOf, type RedisConnection } from "../../src/store/connection.ts";

/** The invocations of all jobs, whatever their state. */
export async function queuedInvocations(redis: RedisConnection): Promise<Invocation[]> {
  const found = new Map<string, Invocation>(); // a scan may return a key twice
  for (const server of await mastersOf(redis)) {
    for await (const keys of server.scanStream({ match: "*:inv-*", count: 1_000 })) {
      for (const key of keys as string[]) {
        const job = await redis.hget(key, "data");
        if (job !== null) found.set(key, (JSON.parse(job) as { invocation: Invocation }).invocation);
      }
    }
  }
  return [...found.values()];
}
