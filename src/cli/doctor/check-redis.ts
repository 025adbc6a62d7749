/** Checks a Redis, or each master of a cluster: whether it can lose events, and whether it soon refuses them. */

import { millisecond } from "../../core/model/time.ts";
import { isCluster, mastersOf, type RedisConnection } from "../../store/connection.ts";
import { type RedisInfo, readRedisInfo, versionProblem } from "../../store/redis-info.ts";
import { microsOf, type RedisTime } from "../../store/redis-time.ts";
import {
  bytesText,
  type CheckResult,
  clockFinding,
  judged,
  ok,
  problem,
  skipped,
  warning,
} from "./check-result.ts";

type CheckedMaster = Awaited<ReturnType<typeof mastersOf>>[number];

/** @throws RedisUnreachable, and what Redis says if it does not allow INFO */
export async function checkRedis(redis: RedisConnection): Promise<CheckResult[]> {
  const masters = await mastersOf(redis);
  const found = await Promise.all(masters.map((master) => checkMaster(master, masters.length > 1)));
  return [...(isCluster(redis) ? [await checkCluster(redis, masters.length)] : []), ...found.flat()];
}

async function checkCluster(redis: RedisConnection, masterCount: number): Promise<CheckResult> {
  const info = readRedisInfo(String(await redis.cluster("INFO")));
  const state = info.get("cluster_state");
  const message = `The cluster of ${masterCount} masters says that its state is ${state ?? "unknown"}.`;
  return state === "ok"
    ? ok("cluster", message)
    : problem("cluster", message, "Some slots have no master: see redis-cli cluster nodes.");
}

async function checkMaster(redis: CheckedMaster, isOneOfMany: boolean): Promise<CheckResult[]> {
  const started = Date.now();
  const time = (await redis.time()) as unknown as RedisTime; // its types say numbers
  const ended = Date.now();
  const info = readRedisInfo(await redis.info());
  const settings = await settingsOf(redis);
  const aheadMs = microsOf(time) / millisecond - (started + ended) / 2;
  const findings = [
    checkVersion(info),
    clockFinding("Redis", aheadMs),
    checkAppendOnly(info, settings),
    checkSaving(info),
    checkEviction(info),
    checkMemory(info),
    checkReplicas(info, settings),
    await checkClients(redis),
  ];
  if (!isOneOfMany) return findings;
  const { host, port } = redis.options;
  return findings.map((finding) => ({ ...finding, message: `${host}:${port}: ${finding.message}` }));
}

/** Null if the service does not allow CONFIG, as many that are managed do not. */
async function settingsOf(redis: CheckedMaster): Promise<ReadonlyMap<string, string> | null> {
  const names = ["appendfsync", "min-replicas-to-write"];
  try {
    const answers = await Promise.all(names.map((name) => redis.config("GET", name)));
    return new Map(answers.map((answer) => (answer as string[]).slice(0, 2) as [string, string]));
  } catch {
    return null;
  }
}

function checkVersion(info: RedisInfo): CheckResult {
  const version = info.get("redis_version");
  if (version === undefined) return skipped("redis", "Redis answers, and does not say its version.");
  const message = `Redis ${version} answers.`;
  const remedy = versionProblem(info);
  return remedy === null ? ok("redis", message) : problem("redis", message, remedy);
}

function checkAppendOnly(info: RedisInfo, settings: ReadonlyMap<string, string> | null): CheckResult {
  const check = "persistence";
  const enabled = info.get("aof_enabled");
  if (enabled === undefined) return skipped(check, "Redis does not say whether it has an append-only file.");
  if (enabled !== "1") {
    return problem(
      check,
      "There is no append-only file: if Redis restarts, events and windows since its last snapshot are lost.",
      "redis-cli config set appendonly yes, and appendonly yes in redis.conf.",
    );
  }
  const fsync = settings?.get("appendfsync");
  if (fsync === undefined) return ok(check, "There is an append-only file.");
  if (fsync === "no") {
    return warning(
      check,
      "The append-only file is written when the system likes (appendfsync no): a power cut may lose half a minute.",
      "redis-cli config set appendfsync everysec, or always.",
    );
  }
  const loss = fsync === "always" ? "loses nothing that was acknowledged" : "may lose the last second";
  return ok(check, `There is an append-only file (appendfsync ${fsync}): a power cut ${loss}.`);
}

/** A Redis that cannot write to its disk refuses events, at once or after its next attempt. */
function checkSaving(info: RedisInfo): CheckResult {
  const failed = ["rdb_last_bgsave_status", "aof_last_write_status", "aof_last_bgrewrite_status"].filter(
    (name) => (info.get(name) ?? "ok") !== "ok",
  );
  return failed.length === 0
    ? ok("saving", "Redis can write to its disk.")
    : problem(
        "saving",
        `Redis could not write to its disk (${failed.join(", ")}).`,
        "Make space there, or repair the permissions of its folder; its log says more.",
      );
}

function checkEviction(info: RedisInfo): CheckResult {
  const policy = info.get("maxmemory_policy") ?? "noeviction";
  return policy === "noeviction"
    ? ok("eviction", "A full Redis refuses events and deletes nothing (noeviction).")
    : problem(
        "eviction",
        `A full Redis deletes keys (maxmemory-policy ${policy}): windows, deliveries and the log would be lost.`,
        "redis-cli config set maxmemory-policy noeviction, and in redis.conf.",
      );
}

function checkMemory(info: RedisInfo): CheckResult {
  const number = (name: string) => Number(info.get(name) ?? 0);
  const used = number("used_memory");
  const limit = number("maxmemory");
  const system = number("total_system_memory");
  const share = limit > 0 ? used / limit : system > 0 ? used / system : 0;
  const ofWhat = limit > 0 ? `its limit of ${bytesText(limit)}` : `the machine's ${bytesText(system)}`;
  const message = `Redis uses ${bytesText(used)}, ${Math.round(share * 100)} % of ${ofWhat}.`;
  // To rewrite its files, Redis needs up to as much again. A limit does not count that.
  const bounds = limit > 0 ? { warning: 0.75, problem: 0.9 } : { warning: 0.5, problem: 0.75 };
  const remedy =
    limit > 0
      ? "Raise maxmemory, or see why the log grows: docs/troubleshooting.md."
      : "Give the machine more memory, or see why the log grows: docs/troubleshooting.md.";
  return judged("memory", share, bounds, { message, remedy });
}

function checkReplicas(info: RedisInfo, settings: ReadonlyMap<string, string> | null): CheckResult {
  const check = "replicas";
  const count = Number(info.get("connected_slaves") ?? 0);
  if (info.get("role") === "slave") {
    return problem(check, "That is a replica, which accepts no writes.", "Name the primary with --redis.");
  }
  if (count === 0) return ok(check, "There is no replica: if the machine dies with its disk, the data does.");
  const replicas = [...info].filter(([name]) => /^slave\d+$/.test(name)).map(([, text]) => text);
  const away = replicas.filter((text) => !text.includes("state=online")).length;
  const required = Number(settings?.get("min-replicas-to-write") ?? 0);
  if (away > 0) {
    return warning(check, `${away} of ${count} replicas are not online.`, "See the log of the replica.");
  }
  if (settings !== null && required === 0) {
    return warning(
      check,
      `There are ${count} replicas, and Redis does not wait for any: a failover may lose acknowledged events.`,
      "redis-cli config set min-replicas-to-write 1; see docs/failure.md.",
    );
  }
  return ok(check, `There are ${count} replicas, all online.`);
}

/** Every process of Tripline names its connections after its version. */
async function checkClients(redis: CheckedMaster): Promise<CheckResult> {
  const check = "processes";
  let clients: string;
  try {
    clients = String(await redis.client("LIST"));
  } catch {
    return skipped(check, "Redis does not allow CLIENT LIST.");
  }
  const versions = new Map<string, number>();
  for (const [, role = "", version = ""] of clients.matchAll(/ name=tripline-(engine|actions)\/(\S+)/g)) {
    const key = `${role} ${version}`;
    versions.set(key, (versions.get(key) ?? 0) + 1);
  }
  const listed = [...versions].map(([key, count]) => `${count} × ${key}`).join(", ");
  if (listed === "") return ok(check, "No engine or action worker is connected to this Redis.");
  const distinct = new Set([...versions.keys()].map((key) => key.split(" ")[1]));
  const message = `Connections: ${listed}.`;
  return distinct.size === 1
    ? ok(check, message)
    : warning(check, message, "Different versions run side by side. After an upgrade, restart the old ones.");
}

/** How long an answer took, for a finding about a slow connection. */
export function roundTripFinding(ms: number): CheckResult {
  const message = `An answer of Redis takes ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms.`;
  const remedy = "Each batch of events waits for several answers. Run Tripline closer to Redis.";
  return judged("round trip", ms, { warning: 50, problem: 1_000 }, { message, remedy });
}
