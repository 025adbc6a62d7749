/**
 * Connections to Redis that fail fast.
 *
 * A command waits for the current attempt to connect and no longer. If the attempt fails or the connection is lost, the
 * command is rejected. It is not resent, because only the caller knows whether that is safe. The connection itself is
 * retried forever.
 */

import { Redis } from "ioredis";
import { Outage } from "../retry/outage.ts";

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
  const [first = cause] = (cause as { previousErrors?: readonly Error[] }).previousErrors ?? [];
  return first.name === "MaxRetriesPerRequestError" ? "not connected" : first.message;
}

/** Why each connection is lost. A command that finds no connection is rejected without the reason. */
const losses = new WeakMap<Redis, Error>();

/** An outage as this connection knows it: with the reason why there is no connection. */
export function withLoss(error: RedisUnreachable, redis: Redis): RedisUnreachable {
  const loss = losses.get(redis);
  return loss === undefined ? error : new RedisUnreachable(loss);
}

export interface ConnectOptions {
  /** Shown by Redis's CLIENT LIST. */
  readonly name?: string;
  /** Called once each time the connection is lost or cannot be established. */
  readonly onLost?: (error: Error) => void;
}

/** The oldest Redis that has all commands that are used. */
export const redisVersionMin = "6.2.0";

/** The longest time a command may block: half the time after which a silent connection is considered dead. */
export const blockMsMax = 5_000;

const commandTimeoutMs = 5_000;
const connectTimeoutMs = 2_000; // shorter than the command timeout, so that no command is sent after it was rejected
const reconnectDelayMsMax = 1_000;

/** Connects in the background. Commands may be sent at once. */
export function connect(url: string, options: ConnectOptions = {}): Redis {
  const redis = new Redis(url, {
    connectionName: options.name ?? "tripline",
    connectTimeout: connectTimeoutMs,
    retryStrategy: (attempt) => Math.min(50 * attempt, reconnectDelayMsMax),
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    commandTimeout: commandTimeoutMs,
  });
  redis.on("ready", () => losses.delete(redis));
  let isRefused = false;
  // Without a listener, ioredis prints each failed attempt.
  redis.on("error", (error: Error) => {
    if (isRefused) return; // recoverFromFatalError emits the error again
    if (!losses.has(redis)) options.onLost?.(error);
    losses.set(redis, error);
    if (!isFailedSelect(error)) return;
    // ioredis would go on with the database 0, which may hold another installation.
    isRefused = true;
    redis.recoverFromFatalError(error, error, {});
    isRefused = false;
  });
  return redis;
}

function isFailedSelect(error: Error): boolean {
  return (error as { command?: { name?: string } }).command?.name === "select";
}

// Errors of a server that is running but does not serve these commands, or not now: it may after its operator has acted.
const refusals =
  /^(OOM|LOADING|READONLY|MISCONF|BUSY|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|EXECABORT|UNBLOCKED|NOAUTH|WRONGPASS|NOPERM|DENIED)\b/;
const unnamedRefusals = /^ERR (max number of clients|(invalid )?DB index|SELECT is not allowed)\b/;

function isRefusal({ message }: Error): boolean {
  return refusals.test(message) || unnamedRefusals.test(message);
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
