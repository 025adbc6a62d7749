/** `tripline serve`: puts the parts together into a server. */

import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { Command } from "commander";
import type { Logger } from "pino";
import type { Canary } from "../api/canary/canary.ts";
import { KeyRing } from "../api/http/key-ring.ts";
import { Metrics } from "../api/http/metrics.ts";
import { isLoopbackName } from "../api/http/origin.ts";
import type { Readiness } from "../api/http/probes.ts";
import type { RedisConnection } from "../store/connection.ts";
import { readLayout } from "../store/engines.ts";
import { withoutPassword } from "../store/redis-url.ts";
import { quietLogger, signalsIn } from "../telemetry/telemetry.ts";
import { serveApiKeys } from "./api-keys-file.ts";
import { addExamples } from "./help.ts";
import { createLogger, lineWriter } from "./logger.ts";
import { openRedis, requireOwnKeys, requireRedisVersion, warnOfRedisSettings } from "./open-redis.ts";
import { RuleChecks } from "./rule-checks.ts";
import { Running } from "./running.ts";
import { serveCanary } from "./serve-canary.ts";
import { asFailure, redisPurpose } from "./serve-failure.ts";
import { listenForRequests } from "./serve-http.ts";
import { type ServedPart, startPart } from "./serve-part.ts";
import { readinessOf } from "./serve-readiness.ts";
import { serveRules } from "./serve-rules.ts";
import { addSettings, type Settings } from "./settings.ts";
import { untilStopped } from "./stop.ts";
import type { ThreadData } from "./threads/link.ts";
import { PartThreads } from "./threads/part-threads.ts";
import { connectThreads } from "./threads/passing.ts";
import { canSharePorts, type PlannedThread, planThreads } from "./threads/plan.ts";

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
  const { redis, url } = await openRedis(settings.redis, redisPurpose(settings.redis), {
    onLost: (error) => logger.warn({ err: error }, "Redis connection lost; reconnecting"),
  });
  const running = new Running();
  running.add(async () => redis.disconnect());
  try {
    return await startParts({ ...settings, redis: url }, logger, { listens, running, redis });
  } catch (error) {
    await running.stop();
    throw asFailure(error, { ...settings, redis: url }, redis);
  }
}

interface StartOptions {
  readonly listens: boolean;
  readonly running: Running;
  readonly redis: RedisConnection;
}

async function startParts(
  settings: Settings,
  logger: Logger,
  { listens, running, redis }: StartOptions,
): Promise<Serving> {
  const { roles, rules, workspace: workspaces } = settings;
  await requireRedisVersion(redis);
  for (const workspace of workspaces) await requireOwnKeys(redis, workspace);
  await warnOfRedisSettings(redis, logger, settings.redisReplicas);
  if (settings.apiKeysFile !== null && settings.apiKeysFile !== "") {
    await serveApiKeys(settings.apiKeysFile, { redis, workspaces, logger });
  }
  const metrics = new Metrics();
  const telemetryLogger = quietLogger(logger);
  let readiness: Readiness = async () => ({ unready: "The server is starting" });
  const threads = new PartThreads(
    {
      log: lineWriter(settings.logFormat),
      observed: (...observation) => metrics.observedElsewhere(...observation),
      telemetryWarned: (fields, message) => telemetryLogger.warn(fields, message),
      metricsText: () => metrics.text(),
      readiness: () => readiness(),
    },
    { settings, exportsMetrics: signalsIn(process.env).metrics },
  );
  if (settings.apiThreads > 1 && !canSharePorts) {
    logger.warn({ platform: process.platform }, "Only one thread can answer requests on this platform");
  }
  const plan = planThreads(
    { ...settings, apiThreads: canSharePorts ? settings.apiThreads : 1 },
    await countShards(redis, settings),
    listens,
  );
  metrics.addThreads(() => threads.counted());
  metrics.observeThreads(() => threads.busy());
  const recorderFailure = (workspace: string) => threads.recorderFailure(workspace);
  const main = { redis, recorderFailure };
  const part = await startPart({
    settings,
    roles: plan.main,
    main,
    passing: null,
    logger,
    metrics,
    telemetryLogger,
    running,
  });
  const { served } = part;
  const ways = connectThreads(plan.others, settings.historyUrl !== "off");
  const startThreads = async (planned: readonly PlannedThread[], address: ThreadData["address"] = null) => {
    const starts = await Promise.allSettled(
      planned.map((thread) => threads.start(thread, { address, passing: ways.get(thread) ?? null })),
    );
    for (const start of starts) if (start.status === "fulfilled") running.add(start.value.stop);
    for (const start of starts) if (start.status === "rejected") throw start.reason;
  };
  const answersRequests = ({ roles: [role] }: PlannedThread) => role === "api";
  await startThreads(plan.others.filter((thread) => !answersRequests(thread)));
  const checks = rules.length > 0 ? await startRules(part, settings, logger, running) : null;
  const automationCount = (await Promise.all(served.map(({ log }) => log.automations()))).flat().length;

  for (const { engineHealth } of served) engineHealth?.start();
  // Last, so that no event arrives before the rules that should see it.
  const needsKey = await new KeyRing(redis).exist();
  let url: string | null = null;
  let canaries: ReadonlyMap<string, Canary> = new Map();
  if (listens) {
    const enginesReady = Promise.all([part.enginesReady, threads.enginesReady()]);
    readiness = readinessOf(redis, served, enginesReady, (workspace) => canaries.get(workspace) ?? null);
    const host = addressToListenOn(settings.host, needsKey, logger);
    const others = plan.others.filter(answersRequests);
    const server = await listenForRequests(part, {
      settings,
      host,
      // Other servers could listen on a shared port, too, and would get some of the requests.
      port: others.length > 0 ? await freePort(host, settings.port) : settings.port,
      reusePort: others.length > 0,
      metricsText: metrics,
      readiness,
      logger,
      running,
    });
    url = server.url;
    await startThreads(others, { host, port: server.port });
  }
  canaries = serveCanary(served, { settings, url, metrics, logger, running });
  const fields = {
    url,
    roles,
    workspaces,
    redis: withoutPassword(settings.redis),
    automations: automationCount,
    access: needsKey ? "with an API key" : "only from this machine, without a key",
    threads: ["main", ...plan.others.map(({ name }) => name)],
  };
  logger.info(fields, "Tripline is running");
  checks?.start();
  return { url, needsKey, automationCount, stop: () => running.stop() };
}

/** Applies the rules and watches them. @returns what checks them, once the server is ready */
async function startRules(
  { served: [{ log, workspace }] }: ServedPart,
  { rules, lateness }: Settings,
  logger: Logger,
  running: Running,
): Promise<RuleChecks> {
  const checks = new RuleChecks({ log, workspace, paths: rules, lateness, logger });
  const watching = await serveRules(rules, { log, workspace, logger, lateness, checks });
  running.add(() => watching.close());
  running.add(() => checks.stop());
  return checks;
}

/** How many shards the workspaces have together. One that was never started will have as many as the settings say. */
async function countShards(redis: RedisConnection, { workspace, shards }: Settings): Promise<number> {
  const layouts = await Promise.all(workspace.map((name) => readLayout(redis, name)));
  return layouts.reduce((sum, layout) => sum + (layout?.count ?? shards), 0);
}

/** Checks that no one listens on a port. @param port 0 for any @returns the port @throws the system's error */
async function freePort(host: string, port: number): Promise<number> {
  const probe = createServer().listen({ host, port });
  await once(probe, "listening");
  const address = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return address.port;
}

/** Without keys anyone may do anything, so the server then listens on loopback only, whatever the settings say. */
function addressToListenOn(host: string, needsKey: boolean, logger: Logger): string {
  if (needsKey || isLoopbackName(host)) return host;
  const remedy = `set TRIPLINE_API_KEYS_FILE (docs/security.md), or run tripline keys create --name admin --scope admin; then restart to listen on ${host}`;
  logger.warn({ host, remedy }, "There are no API keys; listening on 127.0.0.1 only");
  return "127.0.0.1";
}
