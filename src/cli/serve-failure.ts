/** What a server says when it cannot start. */

import type { Redis } from "ioredis";
import { ShardCountChanged } from "../engine/engine.ts";
import { HistoryMisconfigured, HistoryUnavailable } from "../history/errors.ts";
import { RedisUnreachable } from "../store/connection.ts";
import { TelemetryUnavailable } from "../telemetry/telemetry.ts";
import { CommandFailure } from "./failure.ts";
import { redisFailure } from "./redis-remedy.ts";
import { type Settings, withoutPassword } from "./settings.ts";

/** Turns an error that an operator can fix into a message that says how; returns any other as it is. */
export function asFailure(error: unknown, settings: Settings, redis: Redis | null = null): unknown {
  if (error instanceof TelemetryUnavailable) return new CommandFailure(error.message, 1, { cause: error });
  if (error instanceof RedisUnreachable) {
    return redisFailure(error, redis, {
      start: `Tripline needs Redis, but cannot use one at ${withoutPassword(settings.redis)}.`,
      otherwise:
        "Start it there (redis-server --appendonly yes), or choose another with --redis or REDIS_URL.\n" +
        "In a clone of Tripline, `npm start` starts a private one.",
    });
  }
  if (error instanceof HistoryMisconfigured || error instanceof HistoryUnavailable) {
    const remedy =
      "Choose another with --history-url (TRIPLINE_HISTORY_URL), or turn the history off with --history-url off.";
    return new CommandFailure(`${error.message}\n${remedy}`, 1, { cause: error });
  }
  if (error instanceof ShardCountChanged) return new CommandFailure(error.message, 1, { cause: error });
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
  return error;
}
