/** What an operator can do about a Redis that a process cannot use. */

import { type RedisConnection, RedisUnreachable, withLoss } from "../store/connection.ts";
import { clusterUrlOf, nodeUrlOf, withoutPassword } from "../store/redis-url.ts";
import { CommandFailure } from "./failure.ts";

/** Whether a message is meant: one that has this, or all of these. */
type MessagePattern = RegExp | readonly RegExp[];

/** By what Redis answers, or what the connection says. The first that matches counts. */
const remedies: readonly (readonly [MessagePattern, remedy: string | ((url: string) => string)])[] = [
  [
    [/\bSentinel/, /\b(?:NOAUTH|WRONGPASS)\b/],
    "Put the password of the Sentinels into the URL: redis+sentinel://…/mymaster?sentinel_password=…",
  ],
  [
    [/\bSentinel/, /\bunknown command\b/i],
    "Those are no Sentinels. For a single server use redis://host:6379, for a cluster redis+cluster://host:6379.",
  ],
  [
    /\bSentinels know no master\b/,
    "Name a master that they know: redis-cli -h <sentinel> -p 26379 sentinel masters",
  ],
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
  [
    /\bNOREPLICAS\b/,
    "Start its replicas: it accepts no writes with fewer than its setting min-replicas-to-write.",
  ],
  [/\bLOADING\b/, "That Redis is loading its data. Start again once it has."],
  [
    /\bDB index\b/,
    "That Redis has fewer databases (its setting `databases`). Name another one: redis://host:6379/0",
  ],
  [/\bSELECT is not allowed\b/, "A cluster has the database 0 only. Leave the number out of the URL."],
  [/\bmax number of clients\b/, "Close connections to that Redis, or raise its setting maxclients."],
  [/\bcluster support disabled\b/i, notACluster],
  [[/\bunknown (?:sub)?command\b/i, /\bcluster\b/i], notACluster],
  [
    /\b(?:MOVED|ASK) \d/,
    (url) => `That Redis is a node of a cluster. Use ${withoutPassword(clusterUrlOf(url))}`,
  ],
  [
    /\bNo node of the cluster\b/,
    "Start the cluster, or see what it lacks: redis-cli --cluster check <host:port>",
  ],
  [
    /\bCLUSTERDOWN\b/,
    "The cluster does not serve every key. What is missing: redis-cli --cluster check <host:port>",
  ],
  [
    /\bTRYAGAIN\b/,
    "The cluster is moving that key to another node. Start again once it has (redis-cli --cluster check <host:port>).",
  ],
  [
    /\bCROSSSLOT\b/,
    "That Redis divides keys in its own way. Name its cluster endpoint: redis+cluster://host:6379",
  ],
  [
    /\bWRONGTYPE\b/,
    "Another program uses that key. Give Tripline a database of its own, such as redis://host:6379/1, or remove the key.",
  ],
  [/\bunknown command\b/i, "That server lacks a command. Tripline needs Redis 6.2 or newer, or Valkey."],
  [
    /Unknown RESP type 21\b/, // the alert of TLS
    (url) => `That port expects TLS. Use ${withoutPassword(url).replace(/^redis\b/, "rediss")}`,
  ],
  [
    /Unknown RESP type|Protocol error/,
    "That port does not speak the protocol of Redis. Name the port of Redis; its default is 6379.",
  ],
  [
    /wrong version number|packet length too long|\bEPROTO\b|record layer/i,
    (url) => `That port does not speak TLS. Use ${withoutPassword(url).replace(/^rediss/, "redis")}`,
  ],
  [
    /self.signed certificate|unable to (?:verify|get)|certificate has expired/i,
    "Trust the authority that signed its certificate: NODE_EXTRA_CA_CERTS=/path/to/ca.pem",
  ],
  [
    /does not match certificate/,
    "Name the host as its certificate does, or say which name that is: rediss://host:6379?servername=redis.example.org",
  ],
];

/**
 * @param start what to say after the reason
 * @param otherwise the remedy for a Redis that does not answer
 */
export function redisFailure(
  error: Error,
  redis: RedisConnection | null,
  { start, otherwise, url }: { readonly start: string; readonly otherwise: string; readonly url: string },
): CommandFailure {
  const message = messageOf(error, redis);
  const remedy =
    remedies.find(([pattern]) => matches(message, pattern))?.[1] ?? tlsHint(message) ?? otherwise;
  const text = typeof remedy === "string" ? remedy : remedy(url);
  return new CommandFailure(`${message}\n${start}\n${text}`, 1, { cause: error });
}

function matches(message: string, pattern: MessagePattern): boolean {
  return pattern instanceof RegExp ? pattern.test(message) : pattern.every((each) => each.test(message));
}

function notACluster(url: string): string {
  return `That Redis is not a cluster. Use ${withoutPassword(nodeUrlOf(url))}`;
}

/** A server without TLS waits for the end of what it takes for a command; one with TLS hangs up. */
function tlsHint(message: string): ((url: string) => string) | null {
  if (!/ETIMEDOUT|ECONNRESET|EPIPE/.test(message)) return null;
  return (url) => {
    const shown = withoutPassword(url);
    return shown.startsWith("rediss")
      ? `If that port does not speak TLS, use ${shown.replace(/^rediss/, "redis")}`
      : `If that port expects TLS, use ${shown.replace(/^redis/, "rediss")} Otherwise, name the port of Redis.`;
  };
}

function messageOf(error: Error, redis: RedisConnection | null): string {
  if (error instanceof RedisUnreachable) return (redis === null ? error : withLoss(error, redis)).message;
  if (!error.message.startsWith("WRONGTYPE")) return `Redis refuses: ${error.message}`;
  const { name = "", args = [] } =
    (error as { command?: { name?: string; args?: readonly unknown[] } }).command ?? {};
  return `The key ${name.startsWith("eval") ? args[2] : args[0]} is not Tripline's: ${error.message}`;
}
