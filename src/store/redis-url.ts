/**
 * The URL of Redis: one server, the nodes of a cluster, or the Sentinels that know which server is the master.
 *
 *     redis[s]://[[user]:password@]host[:port][/database]
 *     redis[s]+cluster://[[user]:password@]host[:port][,host[:port]…]
 *     redis[s]+sentinel://[[user]:password@]host[:port][,host[:port]…]/master[/database][?sentinel_password=…]
 *
 * They are the forms that Prefect, docket and others read. `rediss` stands for TLS.
 */

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

export interface RedisTarget {
  readonly kind: "single" | "cluster" | "sentinel";
  /** Of the server, of some nodes of the cluster, or of the Sentinels; at least one. */
  readonly addresses: readonly RedisAddress[];
  readonly tls: boolean;
  /** The name that certificates are checked for; null: the name of each host. */
  readonly servername: string | null;
  readonly username: string | null;
  readonly password: string | null;
  readonly database: number;
  /** The version of IP to use; null: whichever a host has. */
  readonly family: 4 | 6 | null;
  /** Null unless the addresses are those of Sentinels. */
  readonly sentinel: SentinelTarget | null;
}

export interface SentinelTarget {
  /** The name that the Sentinels know the master by. */
  readonly master: string;
  readonly username: string | null;
  readonly password: string | null;
  readonly tls: boolean;
}

/** The text is not the URL of a Redis. The message says what is wrong with it, without its password. */
export class RedisUrlInvalid extends Error {
  override readonly name = "RedisUrlInvalid";
}

export const redisUrlExample =
  "a URL such as redis://127.0.0.1:6379, rediss://…, redis+cluster://a:6379,b:6379 or redis+sentinel://a:26379,b:26379/mymaster";

const kinds = { "": "single", "+cluster": "cluster", "+sentinel": "sentinel" } as const;

const defaultPorts = { single: 6_379, cluster: 6_379, sentinel: 26_379 } as const;

/** What other programs call these forms. */
const otherSchemes: Readonly<Record<string, string>> = {
  "redis-cluster": "redis+cluster",
  "rediss-cluster": "rediss+cluster",
  "cluster+redis": "redis+cluster",
  "redis-sentinel": "redis+sentinel",
  "rediss-sentinel": "rediss+sentinel",
  sentinel: "redis+sentinel",
};

/** Options after the question mark; each may also be written as in `sentinelPassword`. */
const optionNames = [
  "username",
  "password",
  "db",
  "family",
  "servername",
  "sentinel_username",
  "sentinel_password",
  "sentinel_tls",
] as const;
type OptionName = (typeof optionNames)[number];

/** @throws RedisUrlInvalid */
export function parseRedisUrl(text: string): RedisTarget {
  const [, scheme = "", rest = ""] = /^([a-z][a-z+-]*):\/\/(\S+)$/i.exec(text) ?? [];
  const [, tlsMark, suffix] = /^redis(s?)((?:\+cluster|\+sentinel)?)$/i.exec(scheme) ?? [];
  if (suffix === undefined) {
    const known = otherSchemes[scheme.toLowerCase()];
    throw new RedisUrlInvalid(known === undefined ? `Use ${redisUrlExample}.` : `Write ${known}://…`);
  }
  const kind = kinds[suffix.toLowerCase() as keyof typeof kinds];
  const [, authority = "", path = "", query = ""] =
    /^([^/?#]*)(\/[^?#]*)?(?:\?([^#]*))?(?:#.*)?$/.exec(rest) ?? [];
  if (path.includes("@")) {
    throw new RedisUrlInvalid("Write a /, ? or # in the password as %2F, %3F or %23.");
  }
  // Up to the last @, as URLs are read: a password may hold one.
  const at = authority.lastIndexOf("@");
  const login = authority.slice(0, Math.max(0, at));
  if (kind !== "single" && login.includes("@")) {
    throw new RedisUrlInvalid(
      "Put the user and the password once, in front of the first address; write an @ in a password as %40.",
    );
  }
  const options = readOptions(query);
  const addresses = authority
    .slice(at + 1)
    .split(",")
    .map((address) => readAddress(address, kind));
  if (kind === "single" && addresses.length > 1) {
    throw new RedisUrlInvalid(
      "redis:// names one server. For the nodes of a cluster use redis+cluster://, for Sentinels redis+sentinel://…/mymaster.",
    );
  }
  const colon = login.indexOf(":");
  const user = colon === -1 ? login : login.slice(0, colon);
  const tls = tlsMark !== "";
  return {
    kind,
    addresses,
    tls,
    servername: options.get("servername") ?? null,
    username: options.get("username") ?? (user === "" ? null : decode(user, "user")),
    password:
      options.get("password") ?? (login === "" ? null : decode(login.slice(user.length + 1), "password")),
    family: readFamily(options.get("family")),
    ...readPath(path, kind, options, tls),
  };
}

function readOptions(query: string): ReadonlyMap<OptionName, string> {
  const options = new Map<OptionName, string>();
  for (const part of query.split("&")) {
    if (part === "") continue;
    const [written = "", ...value] = part.split("=");
    const name = written.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) as OptionName;
    if (!optionNames.includes(name)) {
      throw new RedisUrlInvalid(`There is no option ${written}; there are ${optionNames.join(", ")}.`);
    }
    options.set(name, decode(value.join("="), name));
  }
  return options;
}

function readAddress(text: string, kind: RedisTarget["kind"]): RedisAddress {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::(.*))?$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) {
    throw new RedisUrlInvalid(
      text === "" ? "A host is missing." : "An address should be host:port, or [::1]:port for IPv6.",
    );
  }
  if (port === undefined) return { host, port: defaultPorts[kind] };
  if (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)
    return { host, port: Number(port) };
  throw new RedisUrlInvalid(`The port of ${host} should be a number from 1 to 65535.`);
}

function readPath(
  path: string,
  kind: RedisTarget["kind"],
  options: ReadonlyMap<OptionName, string>,
  tls: boolean,
): Pick<RedisTarget, "database" | "sentinel"> {
  const parts = path.split("/").filter((part) => part !== "");
  const master = kind === "sentinel" ? parts.shift() : undefined;
  const database = readDatabase(options.get("db") ?? parts.shift(), kind);
  if (parts.length > 0) throw new RedisUrlInvalid(`The URL goes on after the database: /${parts.join("/")}`);
  const sentinelOption = [...options.keys()].find((name) => name.startsWith("sentinel_"));
  if (kind !== "sentinel") {
    if (sentinelOption === undefined) return { database, sentinel: null };
    throw new RedisUrlInvalid(`${sentinelOption} is for redis+sentinel:// URLs.`);
  }
  if (master === undefined) {
    throw new RedisUrlInvalid(
      "Name the master as the Sentinels know it, after the addresses: redis+sentinel://a:26379,b:26379/mymaster",
    );
  }
  const sentinel = {
    master: decode(master, "name of the master"),
    username: options.get("sentinel_username") ?? null,
    password: options.get("sentinel_password") ?? null,
    tls: readYesOrNo(options.get("sentinel_tls")) ?? tls,
  };
  return { database, sentinel };
}

function readDatabase(text: string | undefined, kind: RedisTarget["kind"]): number {
  if (text === undefined) return 0;
  if (!/^\d{1,9}$/.test(text))
    throw new RedisUrlInvalid(`The database should be a number, such as 0, not ${text}.`);
  const database = Number(text);
  if (kind === "cluster" && database !== 0) {
    throw new RedisUrlInvalid("A cluster has the database 0 only. Leave the number out of the URL.");
  }
  return database;
}

function readFamily(text: string | undefined): 4 | 6 | null {
  if (text === undefined || text === "0") return null;
  if (text === "4" || text === "6") return Number(text) as 4 | 6;
  throw new RedisUrlInvalid("family should be 4 or 6.");
}

function readYesOrNo(text: string | undefined): boolean | null {
  if (text === undefined) return null;
  if (/^(?:yes|true|1)$/.test(text)) return true;
  if (/^(?:no|false|0)$/.test(text)) return false;
  throw new RedisUrlInvalid("sentinel_tls should be yes or no.");
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RedisUrlInvalid(`Write a % in the ${what} as %25.`);
  }
}

export function isRedisUrl(text: string): boolean {
  try {
    parseRedisUrl(text);
    return true;
  } catch (error) {
    if (error instanceof RedisUrlInvalid) return false;
    throw error;
  }
}

/** The URL of a cluster that has the one server of a URL as its node. */
export function clusterUrlOf(url: string): string {
  return url.replace(/^(rediss?):/i, "$1+cluster:").replace(/\/\d+(?=$|[?#])/, "");
}

/** The URL of the first node of a cluster, as that of a server. */
export function nodeUrlOf(url: string): string {
  return url.replace("+cluster:", ":").replace(/,[^/?#]*/, "");
}

/** A URL of Redis, or of a database, that is safe to print. */
export function withoutPassword(url: string): string {
  return url
    .replace(/^([^:/]*:\/\/[^:/@?#]*):[^/?#]*@/, "$1:********@")
    .replaceAll(/([?&](?:sentinel_?)?password=)[^&]*/gi, "$1********");
}
