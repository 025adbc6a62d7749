/** What an operator can do about a Redis that a process cannot use. */

import type { Redis } from "ioredis";
import { type RedisUnreachable, withLoss } from "../store/connection.ts";
import { CommandFailure } from "./failure.ts";

/** By what Redis answers. */
const remedies: readonly (readonly [pattern: RegExp, remedy: string])[] = [
  [
    /\b(?:NOAUTH|WRONGPASS)\b/,
    "Put the user and the password into the URL: redis://user:password@host:6379, or redis://:password@host:6379 without a user.",
  ],
  [/\bNOPERM\b/, "Allow that user everything: redis-cli acl setuser <user> '~*' '&*' +@all"],
  [/\bREADONLY\b/, "That is a replica. Name the primary, or an address that follows it after a failover."],
  [
    /\bOOM\b/,
    "That Redis is full. Give it more memory (redis-cli config set maxmemory <bytes>), or name another.",
  ],
  [/\bMISCONF\b/, "That Redis cannot save to its disk. Make space there; the log of Redis says more."],
  [/\bLOADING\b/, "That Redis is loading its data. Start again once it has."],
  [
    /\bDB index\b/,
    "That Redis has fewer databases (its setting `databases`). Name another one: redis://host:6379/0",
  ],
  [/\bSELECT is not allowed\b/, "A cluster has the database 0 only. Leave the number out of the URL."],
  [/\bmax number of clients\b/, "Close connections to that Redis, or raise its setting maxclients."],
];

/**
 * @param start what to say after the reason
 * @param otherwise the remedy for a Redis that does not answer
 */
export function redisFailure(
  error: RedisUnreachable,
  redis: Redis | null,
  { start, otherwise }: { readonly start: string; readonly otherwise: string },
): CommandFailure {
  const { message } = redis === null ? error : withLoss(error, redis);
  const remedy = remedies.find(([pattern]) => pattern.test(message))?.[1] ?? otherwise;
  return new CommandFailure(`${message}\n${start}\n${remedy}`, 1, { cause: error });
}
