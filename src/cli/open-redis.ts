/** Connects to the Redis that a person named, and checks once that it is one that can be used. */

import type { Logger } from "pino";
import {
  type ConnectOptions,
  callRedis,
  connect,
  mastersOf,
  type RedisConnection,
  RedisUnreachable,
  withLoss,
} from "../store/connection.ts";
import { apiKeysKey, workspaceKeys } from "../store/keys.ts";
import { readRedisInfo, versionProblem } from "../store/redis-info.ts";
import {
  clusterUrlOf,
  nodeUrlOf,
  parseRedisUrl,
  type RedisTarget,
  RedisUrlInvalid,
} from "../store/redis-url.ts";
import { CommandFailure } from "./failure.ts";
import { redisFailure } from "./redis-remedy.ts";

export interface OpenRedis {
  readonly redis: RedisConnection;
  /** How to connect again: the URL that was given, as that of a cluster if its server is a node of one. */
  readonly url: string;
}

/** What to say of a Redis that cannot be used. */
export interface RedisPurpose {
  /** What to say after the reason. */
  readonly start: string;
  /** The remedy for a Redis that does not answer. */
  readonly otherwise: string;
}

/**
 * Connects to a server, to a cluster even if the URL has only the address of a node, or by Sentinels.
 *
 * @throws CommandFailure, with a remedy, if it cannot be reached or is not a Redis to work with
 */
export async function openRedis(
  url: string,
  purpose: RedisPurpose,
  options: ConnectOptions = {},
): Promise<OpenRedis> {
  const { kind } = parsed(url);
  const redis = connect(url, options);
  try {
    if (kind !== "single") {
      await callRedis(() => redis.info("server"));
      return { redis, url };
    }
    const info = readRedisInfo(await callRedis(() => redis.info()));
    const mode = info.get("redis_mode");
    if (mode === "sentinel") throw new CommandFailure(await sentinelFailure(redis, url));
    if (info.get("role") === "slave") await callRedis(() => redis.del("tl:ready")); // a replica may accept writes
    if (mode !== "cluster" || !(await namesNodes(redis))) return { redis, url };
  } catch (error) {
    redis.disconnect();
    throw asRedisFailure(kind === "cluster" ? await reasonOfNode(url, error) : error, redis, url, purpose);
  }
  redis.disconnect();
  return openRedis(clusterUrlOf(url), purpose, options);
}

/** ioredis does not say why it reaches no node of a cluster; a connection to one alone does. */
async function reasonOfNode(url: string, error: unknown): Promise<unknown> {
  const node = connect(nodeUrlOf(url));
  try {
    await callRedis(() => node.ping());
    return error;
  } catch (ofNode) {
    return ofNode instanceof RedisUnreachable ? withLoss(ofNode, node) : error;
  } finally {
    node.disconnect();
  }
}

/** An option was checked when it was read; the environment variable was not. */
function parsed(url: string): RedisTarget {
  try {
    return parseRedisUrl(url);
  } catch (error) {
    if (error instanceof RedisUrlInvalid) throw new CommandFailure(`REDIS_URL is invalid. ${error.message}`);
    throw error;
  }
}

/** A failure of Redis as a message with a remedy; any other error as it is. */
export function asRedisFailure(
  error: unknown,
  redis: RedisConnection | null,
  url: string,
  purpose: RedisPurpose,
): unknown {
  const isOfRedis =
    error instanceof RedisUnreachable || (error instanceof Error && error.name === "ReplyError");
  return isOfRedis ? redisFailure(error, redis, { ...purpose, url }) : error;
}

/** A proxy in front of a cluster, and a node that has never met another, know no addresses; they serve every key. */
async function namesNodes(redis: RedisConnection): Promise<boolean> {
  const ranges = (await redis.cluster("SLOTS").catch(() => [])) as [number, number, ...[string | null][]][];
  return ranges.some(([, , master]) => Boolean((master as [string | null] | undefined)?.[0]));
}

async function sentinelFailure(redis: RedisConnection, url: string): Promise<string> {
  const masters = await callRedis(() => redis.call("SENTINEL", "MASTERS"));
  const [, first = "mymaster"] = (masters as readonly (readonly string[])[])[0] ?? [];
  const { host, port } = parseRedisUrl(url).addresses[0] ?? { host: "host", port: 26_379 };
  const scheme = url.startsWith("rediss") ? "rediss" : "redis";
  return `That is a Sentinel, not a Redis. Use ${scheme}+sentinel://${host}:${port}/${first}, with the addresses of the others after a comma.`;
}

/**
 * Requires a version with all commands that are used, on every master.
 *
 * @throws RedisUnreachable
 * @throws CommandFailure if one is older
 */
export async function requireRedisVersion(redis: RedisConnection): Promise<void> {
  for (const server of await mastersOf(redis)) {
    const info = readRedisInfo(await callRedis(() => server.info("server")));
    const reason = versionProblem(info);
    if (reason === null) continue;
    throw new CommandFailure(
      `This Redis is version ${info.get("redis_version")}; ${reason}\n` +
        "Newer packages for Debian and Ubuntu are at https://redis.io/docs/latest/operate/oss_and_stack/install/",
    );
  }
}

/**
 * Reads a little of everything that a workspace keeps.
 *
 * @throws ReplyError if another program keeps something else there
 */
export async function requireOwnKeys(redis: RedisConnection, workspace: string): Promise<void> {
  const keys = workspaceKeys(workspace);
  await callRedis(() =>
    Promise.all([
      redis.hlen(apiKeysKey),
      redis.xlen(keys.log),
      ...[keys.automations, keys.destinations, keys.disabledEndpoints, keys.hooks, keys.secrets].map((key) =>
        redis.hlen(key),
      ),
      ...[keys.trimmed, keys.shardCount].map((key) => redis.get(key)),
    ]),
  );
}

/** Warns of settings by which a master may lose events. @throws RedisUnreachable */
export async function warnOfRedisSettings(
  redis: RedisConnection,
  logger: Logger,
  replicaCount: number,
): Promise<void> {
  const masters = await mastersOf(redis);
  for (const check of [warnIfNotDurable, warnIfEvicting]) {
    for (const server of masters) if (await check(server, logger)) break; // all have the same settings, or should
  }
  if (replicaCount > 0) await Promise.all(masters.map((server) => warnIfAlone(server, logger, replicaCount)));
}

type Master = Awaited<ReturnType<typeof mastersOf>>[number];

/** Without an append-only file, a restart of Redis loses every event and window since the last snapshot. */
async function warnIfNotDurable(redis: Master, logger: Logger): Promise<boolean> {
  const answer = await redis.config("GET", "appendonly").catch(() => null); // some services do not allow CONFIG
  if (!Array.isArray(answer) || answer[1] !== "no") return false;
  const remedy = "redis-cli config set appendonly yes";
  logger.warn({ remedy }, "Redis has no append-only file: if it restarts, events and windows are lost");
  return true;
}

/** With too few replicas, no event is acknowledged. */
async function warnIfAlone(redis: Master, logger: Logger, replicaCount: number): Promise<void> {
  const info = readRedisInfo(await redis.info("replication").catch(() => ""));
  const replicas = Number(info.get("connected_slaves") ?? replicaCount);
  if (replicas >= replicaCount) return;
  const remedy = "start the replicas, or lower --redis-replicas";
  logger.warn({ replicas, wanted: replicaCount, remedy }, "Redis has too few replicas: no event is accepted");
}

/** Unless it is told not to, a Redis that is full deletes keys to make room: windows, deliveries, the log itself. */
async function warnIfEvicting(redis: Master, logger: Logger): Promise<boolean> {
  const info = readRedisInfo(await redis.info("memory").catch(() => "")); // some services do not allow INFO
  const policy = info.get("maxmemory_policy") ?? "noeviction";
  if (policy === "noeviction") return false;
  const remedy = "redis-cli config set maxmemory-policy noeviction";
  logger.warn({ policy, remedy }, "Redis deletes keys when it is full: windows and alarms would be lost");
  return true;
}
