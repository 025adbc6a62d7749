/** Fewer, larger writes to a connection: commands that are sent in the same turn leave in one piece. */

import type { Redis } from "ioredis";
import { isCluster, type RedisConnection } from "./connection.ts";

/**
 * Holds commands back until everything that runs now has sent its own, a fraction of a millisecond. A busy connection then
 * makes one system call for many commands. Their order stays.
 *
 * Not for a connection that sends one command at a time: it would gain nothing.
 */
export function corkWrites(redis: RedisConnection): void {
  if (!isCluster(redis)) corkNode(redis);
  else {
    for (const node of redis.nodes()) corkNode(node);
    redis.on("+node", corkNode);
  }
}

function corkNode(redis: Redis): void {
  const send = redis.sendCommand.bind(redis);
  let corked: CorkedStream | null = null;
  const uncork = () => {
    corked?.uncork();
    corked = null;
  };
  redis.sendCommand = (command, stream) => {
    const { stream: socket } = redis as unknown as { readonly stream?: CorkedStream };
    if (corked === null && socket !== undefined) {
      corked = socket;
      socket.cork();
      process.nextTick(uncork); // after all microtasks, in which replies are taken up
    }
    return send(command, stream);
  };
}

interface CorkedStream {
  cork(): void;
  uncork(): void;
}
