/**
 * Connections to Redis that fail fast.
 *
 * A command waits for a connection attempt under way and no longer: when that fails, or the connection is lost, it is
 * rejected and never sent again, because only its sender knows whether sending it twice is harmless. The connection
 * itself is sought again forever.
 */

import { Redis } from "ioredis";
import { Outage } from "../retry/outage.ts";

/** Redis cannot be reached, or refuses to store anything for now. Whether the command took effect is unknown. */
export class RedisUnreachable extends Outage {
  override readonly name = "RedisUnreachable";

  constructor(cause: unknown) {
    super(`Redis cannot be reached or cannot store now: ${reasonOf(cause)}`, { cause });
  }
}

/** In words for the people who run the server; ioredis's own are about its options. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // A transaction is refused because of what was refused in it.
  // When the connection is lost the two are one.
  const [refusal = cause] = (cause as { previousErrors?: readonly Error[] }).previousErrors ?? [];
  return refusal.name === "MaxRetriesPerRequestError" ? "there is no connection to it" : refusal.message;
}

export interface ConnectOptions {
  /** Shown by Redis's CLIENT LIST. */
  readonly name?: string;
  /** For a connection that waits for entries: its commands may take up to `blockMsMax`. */
  readonly blocking?: boolean;
  /** Called once each time the connection is lost or cannot be made. */
  readonly onTrouble?: (error: Error) => void;
}

/** The longest that a command may block: half the time after which a silent connection is given up. */
export const blockMsMax = 5_000;

const commandTimeoutMs = 5_000;
const connectTimeoutMs = 2_000; // shorter than a command's time, so that none is sent after it was given up
const reconnectDelayMsMax = 1_000;

export function connect(url: string, options: ConnectOptions = {}): Redis {
  const redis = new Redis(url, {
    connectionName: options.name ?? "tripline",
    connectTimeout: connectTimeoutMs,
    retryStrategy: (attempt) => Math.min(50 * attempt, reconnectDelayMsMax),
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    ...(options.blocking === true ? { socketTimeout: 2 * blockMsMax } : { commandTimeout: commandTimeoutMs }),
  });
  let troubled = false;
  redis.on("ready", () => {
    troubled = false;
  });
  // Without a listener ioredis prints each failed attempt.
  redis.on("error", (error: Error) => {
    if (!troubled) options.onTrouble?.(error);
    troubled = true;
  });
  return redis;
}

// Answers of a server that is there but cannot serve just now.
const refusals =
  /^(OOM|LOADING|READONLY|MISCONF|BUSY|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|EXECABORT|UNBLOCKED)\b/;

/**
 * Runs commands; what goes wrong between us and Redis is thrown as `RedisUnreachable`, a mistake of ours as it is.
 */
export async function reaching<T>(commands: () => Promise<T>): Promise<T> {
  try {
    return await commands();
  } catch (error) {
    const answered = error instanceof Error && error.name === "ReplyError";
    if (error instanceof RedisUnreachable || (answered && !refusals.test(error.message))) throw error;
    // Of the program, such as a call with too many arguments: as an outage it would be retried forever.
    if (error instanceof RangeError || error instanceof TypeError) throw error;
    throw new RedisUnreachable(error);
  }
}
