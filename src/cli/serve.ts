/** `tripline serve`: puts the parts together into a server. */

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
import { callRedis, connect, RedisUnreachable, redisVersionMin } from "../store/connection.ts";
import type { SecretBox } from "../store/secret-box.ts";
import { startTelemetry, TelemetryUnavailable } from "../telemetry/telemetry.ts";
import { version } from "../version.ts";
import { serveApiKeys } from "./api-keys-file.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { createLogger } from "./logger.ts";
import { redisFailure } from "./redis-remedy.ts";
import { Running } from "./running.ts";
import { boxHere } from "./secrets.ts";
import { openSharedHistory } from "./serve-history.ts";
import { readinessOf } from "./serve-readiness.ts";
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
  return command.action(async (settings: Settings) => {
    const stopped = untilStopped();
    const logger = createLogger(settings.logLevel, settings.logFormat);
    // A process without the role `api` listens only if asked to: the API on the same machine has the default port.
    const listens = settings.roles.includes("api") || command.getOptionValueSource("port") !== "default";
    const serving = await startServing(settings, logger, { listens });
    const signal = await stopped;
    logger.info({ signal }, "Stopping");
    await serving.stop();
    logger.info({}, "Stopped");
  });
}

export interface Serving {
  /** The URL of the API; null if this process does not listen. */
  readonly url: string | null;
  /** Whether there were API keys at the start. Without keys, only this machine can reach the server. */
  readonly needsKey: boolean;
  /** The number of automations in all workspaces at the start. */
  readonly automationCount: number;
  /** Stops, in this order: requests, rules, firings, actions, the connection to Redis. */
  stop(): Promise<void>;
}

/**
 * Starts the roles that the settings name.
 *
 * @param options.listens whether to listen on a port; the role `api` needs one
 * @throws CommandFailure if the start fails for a reason that an operator can fix
 */
export async function startServing(
  settings: Settings,
  logger: Logger,
  { listens = true }: { listens?: boolean } = {},
): Promise<Serving> {
  // The option was checked when it was parsed; the environment variable was not.
  if (!isRedisUrl(settings.redis)) throw new CommandFailure(`REDIS_URL should be ${redisUrlExample}.`);
  const secretBox = boxHere();
  const running = new Running();
  const redis = connect(settings.redis, {
    onLost: (error) => logger.warn({ err: error }, "Redis connection lost; reconnecting"),
  });
  running.add(async () => redis.disconnect());
  try {
    return await startParts(settings, logger, { listens, running, redis, secretBox });
  } catch (error) {
    await running.stop();
    throw asFailure(error, settings, redis);
  }
}

interface StartOptions {
  readonly listens: boolean;
  readonly running: Running;
  readonly redis: Redis;
  readonly secretBox: SecretBox;
}

async function startParts(
  settings: Settings,
  logger: Logger,
  { listens, running, redis, secretBox }: StartOptions,
): Promise<Serving> {
  const { roles } = settings;
  const has = (role: Role): boolean => roles.includes(role);
  await requireRedisVersion(redis);
  await warnIfNotDurable(redis, logger);
  await warnIfEvicting(redis, logger);
  if (settings.apiKeysFile !== null && settings.apiKeysFile !== "") {
    await serveApiKeys(settings.apiKeysFile, { redis, workspaces: settings.workspace, logger });
  }
  const metrics = new Metrics();
  const telemetry = await startTelemetry({ env: process.env, metrics, logger, version });
  running.add(() => telemetry.stop());
  const { tracer } = telemetry;
  const history = await openSharedHistory(settings, running, logger);
  const served: ServedWorkspace[] = [];
  for (const workspace of settings.workspace) {
    served.push(
      await serveWorkspace(workspace, {
        settings,
        redis,
        secretBox,
        history,
        metrics,
        tracer,
        logger,
        running,
      }),
    );
  }
  const [first, ...others] = served;
  if (first === undefined) throw new CommandFailure("Name a workspace to serve: --workspace default");
  if (settings.rules.length > 0) {
    const { log, workspace } = first;
    const rules = await serveRules(settings.rules, {
      log,
      workspace,
      logger,
      lateness: settings.lateness,
    });
    running.add(() => rules.close());
  }
  const automationCount = (await Promise.all(served.map(({ log }) => log.automations()))).flat().length;

  // Last, so that no event arrives before the rules that should see it.
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
    const { trustProxy } = settings;
    const webSockets = has("api")
      ? createWebSockets({ tenants, meter: metrics, logger, trustProxy })
      : undefined;
    const started = await startServer(app, host, settings.port, webSockets);
    running.add(() => started.stop());
    server = started;
  }
  const url = server?.url ?? null;
  const workspaces = settings.workspace;
  const fields = {
    url,
    roles,
    workspaces,
    redis: withoutPassword(settings.redis),
    automations: automationCount,
    access: needsKey ? "with an API key" : "only from this machine, without a key",
  };
  logger.info(fields, "Tripline is running");
  return { url, needsKey, automationCount, stop: () => running.stop() };
}

/** Without keys anyone may do anything, so the server then listens on loopback only, whatever the settings say. */
function addressToListenOn(host: string, needsKey: boolean, logger: Logger): string {
  if (needsKey || isLoopbackName(host)) return host;
  const remedy = `set TRIPLINE_API_KEYS_FILE (docs/security.md), or run tripline keys create --name admin --scope admin; then restart to listen on ${host}`;
  logger.warn({ host, remedy }, "There are no API keys; listening on 127.0.0.1 only");
  return "127.0.0.1";
}

async function requireRedisVersion(redis: Redis): Promise<void> {
  const info = await callRedis(() => redis.info("server"));
  const [, version = "", major = "", minor = ""] = /^redis_version:((\d+)\.(\d+)\S*)/m.exec(info) ?? [];
  const [majorMin = 0, minorMin = 0] = redisVersionMin.split(".").map(Number);
  const isOld = Number(major) < majorMin || (Number(major) === majorMin && Number(minor) < minorMin);
  if (version === "" || !isOld) return;
  throw new CommandFailure(
    `This Redis is version ${version}; Tripline needs ${majorMin}.${minorMin} or newer.\n` +
      "Newer packages for Debian and Ubuntu are at https://redis.io/docs/latest/operate/oss_and_stack/install/",
  );
}

/** Without an append-only file, a restart of Redis loses every event and window since the last snapshot. */
async function warnIfNotDurable(redis: Redis, logger: Logger): Promise<void> {
  const answer = await redis.config("GET", "appendonly").catch(() => null); // some services do not allow CONFIG
  if (Array.isArray(answer) && answer[1] === "no") {
    const remedy = "redis-cli config set appendonly yes";
    logger.warn({ remedy }, "Redis has no append-only file: if it restarts, events and windows are lost");
  }
}

/** Unless it is told not to, a Redis that is full deletes keys to make room: windows, deliveries, the log itself. */
async function warnIfEvicting(redis: Redis, logger: Logger): Promise<void> {
  const info = await redis.info("memory").catch(() => ""); // some services do not allow INFO
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? "noeviction";
  if (policy === "noeviction") return;
  const remedy = "redis-cli config set maxmemory-policy noeviction";
  logger.warn({ policy, remedy }, "Redis deletes keys when it is full: windows and alarms would be lost");
}

/** Turns an error that an operator can fix into a message that says how; returns any other as it is. */
function asFailure(error: unknown, settings: Settings, redis: Redis): unknown {
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
