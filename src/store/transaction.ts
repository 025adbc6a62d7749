/** Several commands as one step on one server: nothing happens between them, and TIME is that of the server with the keys. */

import type { ChainableCommander } from "ioredis";
import { callRedis, type RedisConnection } from "./connection.ts";

/**
 * @param add adds the commands; those with keys must use keys of one workspace
 * @returns their replies, in order
 * @throws RedisUnreachable, and whatever Redis says of a command that is wrong
 */
export function transact<Replies extends readonly unknown[]>(
  redis: RedisConnection,
  add: (commands: ChainableCommander) => ChainableCommander,
): Promise<Replies> {
  return callRedis(async () => {
    const results = await add(redis.multi()).exec();
    if (results === null) throw new Error("connection lost");
    const replies = results.map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    });
    return replies as unknown as Replies;
  });
}
