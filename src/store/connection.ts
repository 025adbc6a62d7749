/**
 * Connections to Redis that fail fast.
 *
 * A command waits for the current attempt to connect and no longer. If the attempt fails or the connection is lost, the
 * command is rejected. It is not resent, because only the caller knows whether that is safe. The connection itself is
 * retried forever.
 */

import { isIP } from "node:net";
import { type Cluster, type NatMap, Redis, type RedisOptions } from "ioredis";
import { Outage } from "../retry/outage.ts";
import { FailFastCluster, type FailFastClusterOptions } from "./redis-cluster.ts";
import { parseRedisUrl, type RedisTarget } from "./redis-url.ts";
import { MasterFinder } from "./sentinel-connector.ts";

/** Redis cannot be reached, or cannot accept writes at the moment. The command may or may not have taken effect. */
export class RedisUnreachable extends Outage {
  override readonly name = "RedisUnreachable";

  constructor(cause: unknown) {
    super(`Redis is unavailable: ${reasonOf(cause)}`, { cause });
  }
}

/** The reason in terms of Redis, for operators; some messages of ioredis are about its own options. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // A failed transaction carries the error of the command that made it fail.
  const { previousErrors, lastNodeError } = cause as Partial<CausedError>;
  const first = previousErrors?.[0] ?? lastNodeError ?? cause;
  const isLost = first.name === "MaxRetriesPerRequestError" || first.message === "Connection is closed.";
  return isLost ? "not connected" : first.message;
}

interface CausedError {
  readonly previousErrors: readonly Error[];
  /** Why the last node of a cluster could not be asked for the others. */
  readonly lastNodeError: Error | null;
}

/** Why each connection is lost. A command that finds no connection is rejected without the reason. */
const losses = new WeakMap<RedisConnection, Error>();

/** An outage as this connection knows it: with the reason why there is no connection. */
export function withLoss(error: RedisUnreachable, redis: RedisConnection): RedisUnreachable {
  const loss = losses.get(redis);
  if (loss === undefined || (isCluster(redis) && !isWithoutReason(error))) return error;
  return new RedisUnreachable(loss);
}

/** One node of a cluster may be lost while another is what fails. */
function isWithoutReason({ message }: RedisUnreachable): boolean {
  return /not connected|No node of the cluster|None of startup nodes|timed out/.test(message);
}

/** A connection to one server, directly or by its Sentinels, or to a cluster. */
export type RedisConnection = Redis | Cluster;

export function isCluster(redis: RedisConnection): redis is Cluster {
  return redis.isCluster;
}

/**
 * The server, or each master of the cluster.
 *
 * @throws RedisUnreachable if the cluster cannot be reached
 */
export async function mastersOf(redis: RedisConnection): Promise<readonly Redis[]> {
  if (!isCluster(redis)) return [redis];
  await callRedis(() => redis.time()); // once any command was answered, the nodes are known
  return redis.nodes("master");
}

export interface ConnectOptions {
  /** Shown by Redis's CLIENT LIST; default: `tripline`. */
  readonly name?: string;
  /** Called once each time the connection is lost or cannot be established. */
  readonly onLost?: (error: Error) => void;
  /** Called each time the connection is there. */
  readonly onReady?: () => void;
}

const nameDefault = "tripline";

/** The longest time a command may block: half the time after which a silent connection is considered dead. */
export const blockMsMax = 5_000;

const commandTimeoutMs = 5_000;
const connectTimeoutMs = 2_000; // shorter than the command timeout, so that no command is sent after it was rejected
const reconnectDelayMsMax = 1_000;
const redirectDelayMs = 100;

/**
 * A cluster that is down or loses a node fails commands, so that an engine learns of it: what it holds in memory may be
 * ahead of what the next master has.
 */
const noPatience = { retryDelayOnFailover: 0, retryDelayOnClusterDown: 0 };

/** How long a server may be silent while an answer is due. After that it is looked for again: it may have a successor. */
const socketTimeoutMs = 2 * blockMsMax;

function retryDelayMs(attempt: number): number {
  return Math.min(50 * attempt, reconnectDelayMsMax);
}

/**
 * Connects in the background. Commands may be sent at once.
 *
 * @throws RedisUrlInvalid
 */
export function connect(url: string, options: ConnectOptions = {}): RedisConnection {
  const redis = open(
    parseRedisUrl(url),
    {
      connectionName: options.name ?? nameDefault,
      connectTimeout: connectTimeoutMs,
      commandTimeout: commandTimeoutMs,
      socketTimeout: socketTimeoutMs,
      retryStrategy: retryDelayMs,
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
    },
    { patienceMs: commandTimeoutMs, ...noPatience },
  );
  reportLosses(redis, options);
  return redis;
}

/**
 * Connects for BullMQ, whose commands wait for Redis to come back and are sent again.
 *
 * @throws RedisUrlInvalid
 */
export function connectPatiently(url: string, options: ConnectOptions): RedisConnection {
  const redis = open(
    parseRedisUrl(url),
    {
      connectionName: options.name ?? nameDefault,
      maxRetriesPerRequest: null,
      retryStrategy: retryDelayMs,
      socketTimeout: 1.5 * socketTimeoutMs, // a worker of BullMQ waits for ten seconds at a time
    },
    {
      maxRedirections: Number.POSITIVE_INFINITY,
      retryDelayOnMoved: redirectDelayMs,
      retryDelayOnFailover: redirectDelayMs,
    },
  );
  reportLosses(redis, options);
  return redis;
}

/**
 * Connects for one request, with the first command and only once.
 *
 * @throws RedisUrlInvalid
 */
export function connectOnce(url: string, name: string): RedisConnection {
  const redis = open(
    parseRedisUrl(url),
    {
      connectionName: name,
      lazyConnect: true,
      connectTimeout: commandTimeoutMs,
      commandTimeout: commandTimeoutMs,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      // Each of these costs a round trip.
      enableReadyCheck: false,
      disableClientInfo: true,
    },
    {
      lazyConnect: true,
      patienceMs: commandTimeoutMs,
      ...noPatience,
      clusterRetryStrategy: () => null,
    },
  );
  redis.on("error", () => {}); // the failing command reports it
  return redis;
}

function open(
  target: RedisTarget,
  options: Omit<RedisOptions, "replyMapping">,
  clusterOptions: FailFastClusterOptions,
): RedisConnection {
  const { kind, addresses, username, password, database, family, servername, sentinel } = target;
  const login = {
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(family === null ? {} : { family }),
  };
  const tls = servername === null ? {} : { servername };
  const common = { ...options, ...login, ...(target.tls ? { tls } : {}) };
  if (kind === "cluster") {
    return new FailFastCluster([...addresses], {
      clusterRetryStrategy: retryDelayMs,
      enableReadyCheck: false, // a cluster that is down says so to each command
      slotsRefreshTimeout: connectTimeoutMs,
      dnsLookup: (host, done) => done(null, host), // a certificate names the host, not its address
      ...(target.tls ? { natMap: certified(target) } : {}),
      ...clusterOptions,
      redisOptions: common,
    });
  }
  if (sentinel === null) return new Redis({ ...common, ...addresses[0], db: database, reconnectOnError });
  return new Redis({
    ...common,
    Connector: MasterFinder,
    sentinels: [...addresses],
    name: sentinel.master,
    db: database,
    reconnectOnError,
    ...(sentinel.username === null ? {} : { sentinelUsername: sentinel.username }),
    ...(sentinel.password === null ? {} : { sentinelPassword: sentinel.password }),
    ...(sentinel.tls ? { sentinelTLS: tls } : {}),
    enableTLSForSentinelMode: target.tls,
  });
}

/** A server that became a replica keeps its connections. Its address, or its Sentinels, may name the new master by now. */
function reconnectOnError({ message }: Error): boolean {
  return refusalIn(message)?.startsWith("READONLY") ?? false;
}

/**
 * Nodes of a managed cluster may announce their addresses, while their certificates are for the name in the URL.
 *
 * @returns what ioredis asks for each node; its types do not say that the answer may have more than an address
 */
function certified({ addresses, servername }: RedisTarget): NatMap {
  const name = servername ?? addresses.map(({ host }) => host).find((host) => isIP(host) === 0);
  return (key) => {
    const colon = key.lastIndexOf(":");
    const [host, port] = [key.slice(0, colon), Number(key.slice(colon + 1))];
    if (name === undefined || isIP(host) === 0) return { host, port };
    return { host, port, tls: { servername: name } };
  };
}

/** Without a listener, ioredis prints each failed attempt. */
function reportLosses(redis: RedisConnection, { onLost, onReady }: ConnectOptions): void {
  const lose = (error: Error) => {
    if (!losses.has(redis)) onLost?.(error);
    losses.set(redis, error);
  };
  const recover = () => {
    losses.delete(redis);
    onReady?.();
  };
  redis.on("ready", recover);
  if (isCluster(redis)) {
    redis.on("error", lose);
    const lost = new Set<string>();
    redis.on("node error", (error: Error, key: string) => {
      lost.add(key);
      lose(error);
    });
    redis.on("+node", (node: Redis) => {
      node.on("ready", () => {
        lost.delete(`${node.options.host}:${node.options.port}`);
        if (lost.size === 0) recover();
      });
    });
    return;
  }
  let isRefused = false;
  redis.on("error", (error: Error) => {
    if (isRefused) return; // recoverFromFatalError emits the error again
    lose(error);
    if (!isFailedSelect(error)) return;
    // ioredis would go on with the database 0, which may hold another installation.
    isRefused = true;
    redis.recoverFromFatalError(error, error, {});
    isRefused = false;
  });
}

function isFailedSelect(error: Error): boolean {
  return (error as { command?: { name?: string } }).command?.name === "select";
}

/** Another connection to the same Redis, for reads that block: they delay every other command on their connection. */
export function duplicateForBlocking(redis: RedisConnection): RedisConnection {
  const options = { commandTimeout: undefined, socketTimeout: 2 * blockMsMax };
  const duplicate = isCluster(redis)
    ? (redis as FailFastCluster).duplicate([], { redisOptions: options, patienceMs: undefined })
    : redis.duplicate(options);
  duplicate.on("error", () => {}); // each read reports its own failure
  return duplicate;
}

/** Closes a connection. Commands that wait for it are rejected. */
export function closeConnection(redis: RedisConnection): void {
  // Between two attempts to connect, ioredis would never reject the commands that wait for the next one.
  if (redis.status === "reconnecting") redis.status = "wait";
  redis.disconnect();
}

// Errors of a server that is running but does not serve these commands, or not now: it may after its operator has acted,
// or after a failover, or once a slot has moved.
const refusals =
  /^(OOM|LOADING|READONLY|MISCONF|BUSY|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|EXECABORT|UNBLOCKED|NOAUTH|WRONGPASS|NOPERM|DENIED)\b/;
const unnamedRefusals = /^ERR (max number of clients|(invalid )?DB index|SELECT is not allowed)\b/;

/** Redis 6 wraps the error of a command in that of the script that called it. */
const scriptError = /^ERR Error running script .*?: -(?=[A-Z]+ )/;

/** What Redis refuses to do at the moment; null if the message is about something else. */
function refusalIn(message: string): string | null {
  const own = message.replace(scriptError, "");
  return refusals.test(own) || unnamedRefusals.test(own) ? own : null;
}

function isRefusal({ message }: Error): boolean {
  return refusalIn(message) !== null;
}

/**
 * Runs Redis commands. Outages are thrown as `RedisUnreachable`, any other error as it is.
 *
 * @example
 * const newest = await callRedis(() => redis.get("newest"));
 */
export async function callRedis<T>(commands: () => Promise<T>): Promise<T> {
  try {
    return await commands();
  } catch (error) {
    const isReply = error instanceof Error && error.name === "ReplyError";
    if (error instanceof RedisUnreachable || (isReply && !isRefusal(error))) throw error;
    // A program error, such as a call with too many arguments. As an outage it would be retried forever.
    if (error instanceof RangeError || error instanceof TypeError) throw error;
    throw new RedisUnreachable(error);
  }
}
