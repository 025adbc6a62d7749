/**
 * The settings of a server: each as an option and as an environment variable, checked, and explained in
 * docs/settings.md.
 */

import { availableParallelism } from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import { originProblem } from "../api/http/cors.ts";
import { latenessDefault, seenCountMax, seenFor } from "../core/model/limits.ts";
import {
  day,
  formatDuration,
  hour,
  type Micros,
  millisecond,
  minute,
  parseDuration,
  second,
} from "../core/model/time.ts";
import { addressPolicy } from "../delivery/http/address-policy.ts";
import { workerSettings } from "../delivery/worker-settings.ts";
import { parseRedisUrl, RedisUrlInvalid } from "../store/redis-url.ts";
import { shardCountMax } from "../store/shard-layout.ts";
import { CommandFailure } from "./failure.ts";
import type { LogFormat } from "./logger.ts";
import { readWholeNumber } from "./option-values.ts";
import { threadsByCores } from "./threads/plan.ts";

export const roles = ["api", "engine", "actions", "recorder"] as const;
export type Role = (typeof roles)[number];

export interface Settings {
  readonly roles: readonly Role[];
  /** Rule files and directories; empty: automations come from elsewhere. */
  readonly rules: readonly string[];
  readonly host: string;
  readonly port: number;
  /** The first is where the rule files go. */
  readonly workspace: readonly string[];
  readonly redis: string;
  /** How many replicas of Redis must have an event before it is acknowledged. */
  readonly redisReplicas: number;
  /** The key file; null: keys are made by command alone. */
  readonly apiKeysFile: string | null;
  /** Whether to trust the host and protocol that a proxy forwards. */
  readonly trustProxy: boolean;
  /** Origins of web pages that may use the API from browsers. */
  readonly corsOrigin: readonly string[];
  /** `off`: no history is kept. */
  readonly historyUrl: string;
  /** May be infinite. */
  readonly historyMaxAge: Micros;
  /** In bytes; may be infinite. */
  readonly historyMaxSize: number;
  /** How much of the log is kept behind its slowest reader. */
  readonly logMargin: Micros;
  readonly lateness: Micros;
  readonly shards: number;
  /** How many threads answer requests. */
  readonly apiThreads: number;
  /** How many threads evaluate events. */
  readonly engineThreads: number;
  readonly lease: Micros;
  readonly stalledAfter: Micros;
  readonly seenMax: number;
  readonly concurrency: number;
  readonly retry: Micros;
  readonly retryMax: Micros;
  readonly giveUpAfter: Micros;
  readonly workerDeadAfter: Micros;
  /** True: every address; otherwise those in these networks. */
  readonly allowPrivateAddresses: true | readonly string[];
  /** How often the canary is sent; 0: never. */
  readonly canary: Micros;
  /** Where the action workers reach the API; null: at this process. */
  readonly canaryUrl: string | null;
  readonly heartbeatUrl: string | null;
  readonly logLevel: string;
  readonly logFormat: LogFormat;
}

const logLevels = ["trace", "debug", "info", "warn", "error", "silent"];

export const workspaceDefault: readonly string[] = ["default"];

export const historyUrlDefault = "sqlite:.tripline/history.sqlite";

const gigabyte = 1_000_000_000;

/** Longer than events are known by their ids, which a shard that starts again learns from the log. */
const logMarginMin: Micros = seenFor + 5 * minute;

/** The options of `tripline serve`. */
export function settingsOptions(): Option[] {
  return [
    setting("--roles <roles>", "what this process does: api, engine, actions, recorder", "ROLES")
      .argParser(readRoles)
      .default([...roles], "all"),
    setting(
      "--rules <paths>",
      "rule files and directories, separated by commas; watched for changes",
      "RULES",
    )
      .argParser(list)
      .default([], "none"),
    setting("--port <port>", "port to listen on; 0 picks a free one", "PORT")
      .argParser(readWholeNumber(0, 65_535))
      .default(4200),
    setting("--host <host>", "address to listen on", "HOST").default("127.0.0.1"),
    setting(
      "--workspace <names>",
      "workspaces to serve, separated by commas or repeated; rule files apply to the first",
      "WORKSPACE",
    )
      .argParser(readWorkspaces)
      .default(workspaceDefault, "default"),
    setting("--redis <url>", "the Redis that holds the log (also REDIS_URL)", "REDIS")
      .argParser(readRedisUrl)
      .default(redisUrlIn(process.env) ?? "redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
    setting("--api-threads <count>", "number of threads that answer requests", "API_THREADS")
      .argParser(orByCores("api"))
      .default(threadsByCores(availableParallelism()).api, "auto"),
    setting("--engine-threads <count>", "number of threads that evaluate events", "ENGINE_THREADS")
      .argParser(orByCores("engine"))
      .default(threadsByCores(availableParallelism()).engine, "auto"),
    setting(
      "--redis-replicas <count>",
      "replicas of Redis that must have an event before it is acknowledged",
      "REDIS_REPLICAS",
    )
      .argParser(readWholeNumber(0, 100))
      .default(0),
    setting(
      "--api-keys-file <path>",
      "file with API keys to create, change and revoke at the start; see docs/security.md",
      "API_KEYS_FILE",
    )
      .argParser((text: string) => (text === "none" ? "" : nonEmpty(text)))
      .default(null, "none"),
    setting(
      "--trust-proxy [yes]",
      "trust X-Forwarded-Host and X-Forwarded-Proto; only behind a proxy that sets them",
      "TRUST_PROXY",
    )
      .argParser(yesOrNo)
      .preset("yes")
      .default(false, "no"),
    setting(
      "--cors-origin <origins>",
      "origins whose web pages may use the API, separated by commas or repeated",
      "CORS_ORIGINS",
    )
      .argParser(readOrigins)
      .default([], "none"),
    setting(
      "--history-url <url>",
      "where to store events: sqlite:<path>, postgres://…, or off",
      "HISTORY_URL",
    )
      .argParser(readHistoryUrl)
      .default(historyUrlDefault),
    setting("--history-max-age <duration>", "how long to keep events in the history", "HISTORY_MAX_AGE")
      .argParser(orUnlimited(duration(minute)))
      .default(30 * day, formatDuration(30 * day)),
    setting("--history-max-size <size>", "maximum size of the history", "HISTORY_MAX_SIZE")
      .argParser(orUnlimited(size))
      .default(10 * gigabyte, "10GB"),
    setting(
      "--log-margin <duration>",
      "how much of the log to keep in Redis behind its readers",
      "LOG_MARGIN",
    )
      .argParser(duration(logMarginMin))
      .default(hour, formatDuration(hour)),
    setting(
      "--lateness <duration>",
      "how long a window waits for late events; a trigger can override it",
      "LATENESS",
    )
      .argParser(duration(0))
      .default(latenessDefault, formatDuration(latenessDefault)),
    setting("--shards <count>", "number of shards in the workspace, at its first start", "SHARDS")
      .argParser(readWholeNumber(1, shardCountMax))
      .default(1),
    ofMs(
      "--lease <duration>",
      "how long a shard waits for a new owner after its engine dies",
      "LEASE",
      500,
      10_000,
    ),
    ofMs(
      "--stalled-after <duration>",
      "how long a shard may stand still although something waits, before /api/ready fails",
      "STALLED_AFTER",
      500,
      30_000,
    ),
    setting(
      "--seen-max <count>",
      "maximum number of event ids to remember, so that each event counts once",
      "SEEN_MAX",
    )
      .argParser(readWholeNumber(1, 100_000_000))
      .default(seenCountMax),
    setting("--concurrency <count>", "maximum number of actions to run at the same time", "CONCURRENCY")
      .argParser(readWholeNumber(1, 10_000))
      .default(workerSettings.concurrency),
    ofMs(
      "--retry <duration>",
      "maximum wait before the second attempt; doubles with each attempt",
      "RETRY",
      1,
      workerSettings.retryMs,
    ),
    ofMs(
      "--retry-max <duration>",
      "maximum wait between two attempts",
      "RETRY_MAX",
      1,
      workerSettings.retryMsMax,
    ),
    ofMs(
      "--give-up-after <duration>",
      "how long to try a delivery before it becomes a dead letter",
      "GIVE_UP_AFTER",
      1,
      workerSettings.giveUpAfterMs,
    ),
    ofMs(
      "--worker-dead-after <duration>",
      "how long a silent worker keeps its deliveries",
      "WORKER_DEAD_AFTER",
      100,
      workerSettings.deadAfterMs,
    ),
    setting(
      "--allow-private-addresses [networks]",
      "DANGEROUS: let webhooks reach private addresses: all, or networks such as loopback,10.1.0.0/16",
      "ALLOW_PRIVATE_ADDRESSES",
    )
      .argParser(readNetworks)
      .preset("all")
      .default([], "none"),
    setting(
      "--canary <duration>",
      "how often to send an event all the way to a webhook; 0 turns it off",
      "CANARY",
    )
      .argParser(canaryInterval)
      .default(minute, formatDuration(minute)),
    setting(
      "--canary-url <url>",
      "the API as the action workers reach it, such as http://tripline:4200/api; needed if roles are apart",
      "CANARY_URL",
    )
      .argParser(readHttpUrl)
      .default(null, "none"),
    setting(
      "--heartbeat-url <url>",
      "a URL to request as often, as long as the canary comes back; see docs/observability.md",
      "HEARTBEAT_URL",
    )
      .argParser(readHttpUrl)
      .default(null, "none"),
    setting("--log-level <level>", "minimum log level", "LOG_LEVEL").choices(logLevels).default("info"),
    setting("--log-format <format>", "json for programs, text for people", "LOG_FORMAT")
      .choices(["json", "text"])
      .default("json"),
  ];
}

/** The sections of the help, as in docs/settings.md: a heading, and the first option below it. */
const sections: readonly (readonly [heading: string, firstOption: string])[] = [
  ["What runs, and where:", "roles"],
  ["History:", "historyUrl"],
  ["When triggers fire:", "lateness"],
  ["Actions:", "concurrency"],
  ["Watching itself:", "canary"],
  ["Logs:", "logLevel"],
];

export function addSettings(command: Command): Command {
  let heading = "Options:";
  for (const option of settingsOptions()) {
    heading = sections.find(([, first]) => first === option.attributeName())?.[0] ?? heading;
    command.addOption(option.helpGroup(heading));
  }
  return command;
}

function setting(flags: string, description: string, name: string): Option {
  return new Option(flags, description).env(`TRIPLINE_${name}`);
}

function ofMs(flags: string, description: string, name: string, minMs: number, defaultMs: number): Option {
  const length = defaultMs * millisecond;
  return setting(flags, description, name)
    .argParser(duration(minMs * millisecond))
    .default(length, formatDuration(length));
}

/** The items of a list that is written with commas. */
/** The items of a list; none if the text is `none`, as the defaults are documented. */
export function list(text: string): string[] {
  if (text.trim() === "none") return [];
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function readRoles(text: string): Role[] {
  if (text === "all") return [...roles];
  const named = list(text);
  const unknown = named.find((name) => !(roles as readonly string[]).includes(name));
  if (unknown !== undefined || named.length === 0) {
    throw new InvalidArgumentError(
      `${unknown === undefined ? "No role is given" : `${unknown} is not a role`}; use ${roles.join(", ")}.`,
    );
  }
  return roles.filter((role) => named.includes(role));
}

/** @param before what earlier options named @throws InvalidArgumentError */
export function readWorkspaces(text: string, before: readonly string[]): readonly string[] {
  const names = list(text).map(readWorkspace);
  if (names.length === 0) throw new InvalidArgumentError("Name a workspace, such as default.");
  return [...new Set(before === workspaceDefault ? names : [...before, ...names])];
}

/** @throws InvalidArgumentError for a text that is not the origin of a web page */
function readOrigins(text: string, before: readonly string[]): readonly string[] {
  const origins = list(text);
  for (const origin of origins) {
    const problem = originProblem(origin);
    if (problem !== null) throw new InvalidArgumentError(problem);
  }
  return [...new Set([...before, ...origins])];
}

export function isWorkspaceName(text: string): boolean {
  return /^[\w.-]{1,100}$/.test(text);
}

/** @throws InvalidArgumentError when the text is not a valid workspace name */
export function readWorkspace(text: string): string {
  // It becomes the hash tag of the workspace's keys, which ends at the first brace.
  if (isWorkspaceName(text)) return text;
  throw new InvalidArgumentError("Use letters, digits, dots, hyphens and underscores.");
}

/** @throws CommandFailure; an InvalidArgumentError would be shown with the URL, and its password */
export function readRedisUrl(text: string): string {
  try {
    parseRedisUrl(text);
    return text;
  } catch (error) {
    if (error instanceof RedisUrlInvalid) {
      throw new CommandFailure(`--redis (TRIPLINE_REDIS) is invalid. ${error.message}`, 2);
    }
    throw error;
  }
}

/** The value of REDIS_URL; undefined when it is empty or not set. */
export function redisUrlIn(env: NodeJS.ProcessEnv): string | undefined {
  return env["REDIS_URL"] === "" ? undefined : env["REDIS_URL"];
}

/** @throws InvalidArgumentError */
export function readHistoryUrl(text: string): string {
  if (/^(?:off$|sqlite:.|postgres(?:ql)?:\/\/.)/.test(text)) return text;
  throw new InvalidArgumentError("Use sqlite:path/to/file, postgres://user@host/database, or off.");
}

function readHttpUrl(text: string): string | null {
  if (text === "" || text === "none") return null;
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new InvalidArgumentError("Use a URL that begins with http:// or https://.");
}

function canaryInterval(text: string): Micros {
  const length = parseDuration(text);
  if (length === 0 || (length !== null && length >= second)) return length;
  throw new InvalidArgumentError("Use a duration of at least 1s, such as 30s or 5m, or 0 to turn it off.");
}

function nonEmpty(text: string): string | null {
  return text === "" ? null : text;
}

function yesOrNo(text: string): boolean {
  if (/^(?:yes|true|1)$/.test(text)) return true;
  if (/^(?:no|false|0)$/.test(text)) return false;
  throw new InvalidArgumentError("Use yes or no.");
}

/** A number of threads; `auto`: as many as suit the machine. */
function orByCores(role: "api" | "engine"): (text: string) => number {
  const read = readWholeNumber(1, 256);
  return (text) => (text === "auto" ? threadsByCores(availableParallelism())[role] : read(text));
}

function orUnlimited(read: (text: string) => number): (text: string) => number {
  return (text) => (text === "unlimited" ? Number.POSITIVE_INFINITY : read(text));
}

/** Bytes. */
function size(text: string): number {
  const [, amount, unit = ""] = /^(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)$/i.exec(text) ?? [];
  const power = ["kb", "mb", "gb", "tb"].indexOf(unit.toLowerCase()) + 1;
  if (amount !== undefined && Number(amount) > 0) return Number(amount) * 1_000 ** power;
  throw new InvalidArgumentError("Use a size such as 500MB or 10GB, or unlimited.");
}

function readNetworks(text: string): true | readonly string[] {
  if (text === "false") return [];
  if (text === "all" || text === "true") return true;
  const networks = list(text);
  try {
    addressPolicy(networks);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`);
  }
  return networks;
}

function duration(min: Micros): (text: string) => Micros {
  return (text) => {
    const length = parseDuration(text);
    if (length !== null && length >= min) return length;
    const atLeast = min === 0 ? "" : ` of at least ${formatDuration(min)}`;
    throw new InvalidArgumentError(`Use a duration${atLeast}, such as 90s, 30m or PT30M.`);
  };
}
