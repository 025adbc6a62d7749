/** What a server says when it cannot start. */

import { HistoryMisconfigured, HistoryUnavailable } from "../history/errors.ts";
import type { RedisConnection } from "../store/connection.ts";
import { withoutPassword } from "../store/redis-url.ts";
import { TelemetryUnavailable } from "../telemetry/telemetry.ts";
import { CommandFailure } from "./failure.ts";
import { asRedisFailure, type RedisPurpose } from "./open-redis.ts";
import type { Settings } from "./settings.ts";

/** Turns an error that an operator can fix into a message that says how; returns any other as it is. */
export function asFailure(error: unknown, settings: Settings, redis: RedisConnection | null = null): unknown {
  if (error instanceof TelemetryUnavailable) return new CommandFailure(error.message, 1, { cause: error });
  if (error instanceof HistoryMisconfigured || error instanceof HistoryUnavailable) {
    const remedy =
      "Choose another with --history-url (TRIPLINE_HISTORY_URL), or turn the history off with --history-url off.";
    return new CommandFailure(`${error.message}\n${remedy}`, 1, { cause: error });
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE" || code === "EACCES" || code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    const place = `${settings.host}:${settings.port}`;
    const reason = code === "EADDRINUSE" ? "the address is already in use" : (error as Error).message;
    return new CommandFailure(
      `Cannot listen on ${place}: ${reason}. Choose another with --port (npm start -- --port 4201), TRIPLINE_PORT or --host.`,
      1,
      { cause: error },
    );
  }
  return asRedisFailure(error, redis, settings.redis, redisPurpose(settings.redis));
}

/** What a server says of a Redis that it cannot use. */
export function redisPurpose(url: string): RedisPurpose {
  return {
    start: `Tripline needs Redis, but cannot use one at ${withoutPassword(url)}.`,
    otherwise:
      "Start it there (redis-server --appendonly yes), or choose another with --redis or REDIS_URL.\n" +
      "In a clone of Tripline, `npm start` starts a private one.",
  };
}
