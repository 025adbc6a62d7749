/** `tripline serve`: the parts put together into a server. */

import { Command } from "commander";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { createApp } from "../api/http/app.ts";
import { KeyRing } from "../api/http/key-ring.ts";
import { Metrics } from "../api/http/metrics.ts";
import { isLoopbackName } from "../api/http/origin.ts";
import { type RunningServer, startServer } from "../api/http/server.ts";
import { tenantsOf } from "../api/http/tenant.ts";
import { createWebSockets } from "../api/sockets/websockets.ts";
import { ShardCountChanged } from "../engine/engine.ts";
import { HistoryMisconfigured, HistoryUnavailable } from "../history/errors.ts";
import { callRedis, connect, RedisUnreachable } from "../store/connection.ts";
import { startTelemetry, TelemetryUnavailable } from "../telemetry/telemetry.ts";
import { version } from "../version.ts";
import { serveApiKeys } from "./api-keys-file.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { createLogger } from "./logger.ts";
import { Running } from "./running.ts";
import { openSharedHistory } from "./serve-history.ts";
import { serveRules } from "./serve-rules.ts";
import { type ServedWorkspace, serveWorkspace } from "./serve-workspace.ts";
import {
  addSettings,
  isRedisUrl,
  type Role,
  redisUrlExample,
  type Settings,
  withoutPassword,
} from "./settings.ts";
import { untilStopped } from "./stop.ts";

export function serveCommand(): Command {
  const command = addSettings(new Command("serve")).description(
    "Run the server. Every option can also be set in the environment; see docs/settings.md.",
  );
  addExamples(command, [
    ["tripline serve --rules rules", "everything in one process"],
    ["tripline serve --roles api,recorder", "the other roles run elsewhere"],
    ["tripline serve --port 0 --log-format text", "on a free port, with a log for people"],
  ]);
  return command.action(async (settings: Settings, command: Command) => {
    const stopped = untilStopped();
    const logger = createLogger(settings.logLevel, settings.logFormat);
    // Beside an API on the same machine, a process without that role would want the same port.
    const listens = settings.roles.includes("api") || command.getOptionValueSource("port") !== "default";
    const serving = await startServing(settings, logger, { listens });
    const signal = await stopped;
    logger.info({ signal }, "Stopping");
    await serving.stop();
    logger.info({}, "Stopped");
  });
}

export interface Serving {
  /** Where the API can be reached; null when this process does not listen. */
  readonly url: string | null;
  /** Whether there are API keys, at the start; without them only this machine is answered. */
  readonly needsKey: boolean;
  /** The automations of all workspaces, at the start. */
  readonly automationCount: number;
  /** In this order: no more requests, no more rules, no more firings, no more actions; then Redis is left. */
  stop(): Promise<void>;
}

/**
 * Starts the roles that the settings name.
 *
 * @param options.listens whether to listen at all, which the API needs
 * @throws CommandFailure when something is missing that a person can put right
 */
export async function startServing(
  settings: Settings,
  logger: Logger,
  { listens = true }: { listens?: boolean } = {},
): Promise<Serving> {
  const running = new Running();
  try {
    return await startParts(settings, logger, listens, running);
  } catch (error) {
    await running.stop();
    throw asFailure(error, settings);
  }
}

async function startParts(
  settings: Settings,
  logger: Logger,
  listens: boolean,
  running: Running,
): Promise<Serving> {
  const { roles, redis: redisUrl } = settings;
  const has = (role: Role): boolean => roles.includes(role);
  // An option has been checked where it was read.
  if (!isRedisUrl(redisUrl)) throw new CommandFailure(`REDIS_URL should be ${redisUrlExample}.`);
  const redis = connect(redisUrl, {
    onLost: (error) => logger.warn({ err: error }, "Redis connection lost; reconnecting"),
  });
  running.add(async () => redis.disconnect());
  await requireRedisVersion(redis);
  await warnOfForgetfulRedis(redis, logger);
  if (settings.apiKeysFile !== null) {
    await serveApiKeys(settings.apiKeysFile, { redis, workspaces: settings.workspace, logger });
  }
  const metrics = new Metrics();
  const telemetry = await startTelemetry({ env: process.env, metrics, logger, version });
  running.add(() => telemetry.stop());
  const { tracer } = telemetry;
  const history = await openSharedHistory(settings, running);
  const served: ServedWorkspace[] = [];
  for (const workspace of settings.workspace) {
    served.push(
      await serveWorkspace(workspace, { settings, redis, history, metrics, tracer, logger, running }),
    );
  }
  const [first, ...others] = served;
  if (first === undefined) throw new CommandFailure("Name a workspace to serve: --workspace default");
  if (settings.rules.length > 0) {
    const { log, workspace } = first;
    const rules = await serveRules(settings.rules, { log, workspace, logger });
    running.add(() => rules.close());
  }
  const automationCount = (await Promise.all(served.map(({ log }) => log.automations()))).flat().length;

  // Last, so that no event comes before the rules that are to see it.
  let server: RunningServer | null = null;
  const keys = new KeyRing(redis);
  const needsKey = await keys.exist();
  if (listens) {
    const readiness = readinessOf(redis, served);
    const host = addressToListenOn(settings.host, needsKey, logger);
    const tenants = tenantsOf([first, ...others], keys, {
      open: isLoopbackName(host),
      origins: settings.corsOrigin,
    });
    const explain = { latenessDefault: settings.lateness };
    const app = createApp({
      tenants,
      servesApi: has("api"),
      explain,
      deliveriesOf: (name) => served.find(({ workspace }) => workspace === name)?.queue ?? null,
      metrics,
      tracer,
      readiness,
      trustProxy: settings.trustProxy,
      corsOrigins: settings.corsOrigin,
      logger,
    });
    const webSockets = has("api") ? createWebSockets({ tenants, meter: metrics, logger }) : undefined;
    const started = await startServer(app, host, settings.port, webSockets);
    running.add(() => started.stop());
    server = started;
  }
  const url = server?.url ?? null;
  const workspaces = settings.workspace;
  const shown = {
    url,
    roles,
    workspaces,
    redis: withoutPassword(redisUrl),
    automations: automationCount,
    access: needsKey ? "with an API key" : "this machine alone, without a key",
  };
  logger.info(shown, "Tripline is running");
  return { url, needsKey, automationCount, stop: () => running.stop() };
}

/** Without keys everyone may do everything, so the server then listens on this machine only, whatever the settings say. */
function addressToListenOn(host: string, needsKey: boolean, logger: Logger): string {
  if (needsKey || isLoopbackName(host)) return host;
  const remedy = `set TRIPLINE_API_KEYS_FILE (docs/security.md), or run tripline keys create --name admin --scope admin; then start again to listen on ${host}`;
  logger.warn(
    { host, remedy },
    "There are no API keys, so only this machine can reach the server: 127.0.0.1",
  );
  return "127.0.0.1";
}

function readinessOf(redis: Redis, served: readonly ServedWorkspace[]): () => Promise<string | null> {
  let settled = false;
  void Promise.all(served.map(({ engine }) => engine?.ready)).then(() => {
    settled = true;
  });
  return async () => {
    try {
      // In a transaction, which a Redis that is full refuses like anything that would be stored.
      await callRedis(() => redis.multi().ping().exec());
    } catch (error) {
      return error instanceof Error ? error.message : "Redis cannot be reached";
    }
    return settled ? null : "The engine is waiting for a shard that has no owner yet";
  };
}

const redisVersionMin = [6, 2] as const;

async function requireRedisVersion(redis: Redis): Promise<void> {
  const info = await callRedis(() => redis.info("server"));
  const [, version = "", major = "", minor = ""] = /^redis_version:((\d+)\.(\d+)\S*)/m.exec(info) ?? [];
  const [majorMin, minorMin] = redisVersionMin;
  const isOld = Number(major) < majorMin || (Number(major) === majorMin && Number(minor) < minorMin);
  if (version === "" || !isOld) return;
  throw new CommandFailure(
    `This Redis is version ${version}; Tripline needs ${redisVersionMin.join(".")} or newer.\n` +
      "Newer packages for Debian and Ubuntu are at https://redis.io/docs/latest/operate/oss_and_stack/install/",
  );
}

/** Without an append-only file a restart of Redis would take every event and window with it. */
async function warnOfForgetfulRedis(redis: Redis, logger: Logger): Promise<void> {
  const answer = await redis.config("GET", "appendonly").catch(() => null); // some services hide CONFIG
  if (Array.isArray(answer) && answer[1] === "no") {
    const remedy = "redis-cli config set appendonly yes";
    logger.warn({ remedy }, "Redis has no append-only file: if it restarts, events and windows are lost");
  }
}

/** What a person can put right, in words that say how. */
function asFailure(error: unknown, settings: Settings): unknown {
  if (error instanceof TelemetryUnavailable) return new CommandFailure(error.message, 1, { cause: error });
  if (error instanceof RedisUnreachable) {
    return new CommandFailure(
      `${error.message}\n` +
        `Tripline keeps its log in Redis, and looked for one at ${withoutPassword(settings.redis)}.\n` +
        "Start one there (redis-server --appendonly yes), or name another with --redis or REDIS_URL.\n" +
        "`npm start` brings its own.",
      1,
      { cause: error },
    );
  }
  if (error instanceof HistoryMisconfigured || error instanceof HistoryUnavailable) {
    const remedy =
      "Name another with --history-url (TRIPLINE_HISTORY_URL), or keep none with --history-url off.";
    return new CommandFailure(`${error.message}\n${remedy}`, 1, { cause: error });
  }
  if (error instanceof ShardCountChanged) return new CommandFailure(error.message, 1, { cause: error });
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE" || code === "EACCES" || code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    const place = `${settings.host}:${settings.port}`;
    const reason = code === "EADDRINUSE" ? "another program listens there" : (error as Error).message;
    return new CommandFailure(
      `Cannot listen on ${place}: ${reason}. Choose another with --port (npm start -- --port 4201), TRIPLINE_PORT or --host.`,
      1,
      { cause: error },
    );
  }
  return error;
}
