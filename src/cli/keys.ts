/** `tripline keys`: makes, lists and revokes API keys. It needs nothing but Redis, so it also makes the first one. */

import { Command, InvalidArgumentError, Option } from "commander";
import { type Scope, scopes } from "../core/model/scope.ts";
import { millisecond, parseDuration } from "../core/model/time.ts";
import { type ApiKey, formatRate, makeKey, parseRate, type Rate, stateOf } from "../store/api-key.ts";
import { KeyStore } from "../store/api-key-store.ts";
import { connect, RedisUnreachable } from "../store/connection.ts";
import { CommandFailure } from "./failure.ts";
import { findRedis } from "./find-redis.ts";
import { addOutput, type OutputOptions, print, table } from "./output.ts";
import { list, readRedisUrl, readWorkspace, withoutPassword } from "./settings.ts";

interface CreateOptions {
  readonly name: string;
  readonly scope: readonly Scope[];
  readonly workspace: string;
  readonly rate?: Rate;
  /** In milliseconds. */
  readonly expires?: number;
  readonly redis?: string;
}

interface ListOptions extends OutputOptions {
  readonly redis?: string;
}

export function keysCommand(): Command {
  return new Command("keys")
    .description(
      "Make, list and revoke API keys. They are kept in Redis, which is found by --redis, TRIPLINE_REDIS or REDIS_URL; " +
        "without these, the private one of an `npm start` in this folder. See docs/security.md.",
    )
    .addCommand(createCommand())
    .addCommand(newTokenCommand())
    .addCommand(listCommand())
    .addCommand(
      changeCommand("revoke", "make a key useless, within seconds everywhere", async (keys, key) => {
        await keys.update(key.id, (current) =>
          current === null || current.revokedBy === "command"
            ? null
            : { ...current, revoked: current.revoked ?? new Date().toISOString(), revokedBy: "command" },
        );
        console.error(`The key ${key.id} (${key.name}) opens nothing any more.`);
      }),
    )
    .addCommand(
      changeCommand("forget", "remove a revoked or expired key from the list", async (keys, key) => {
        if (stateOf(key, Date.now()) === "active") {
          throw new CommandFailure(
            `The key ${key.id} (${key.name}) is in use. First: tripline keys revoke ${key.id}`,
          );
        }
        await keys.remove(key.id);
        const last = (await keys.any())
          ? ""
          : " It was the last one: without keys, this machine alone is served.";
        console.error(`The key ${key.id} (${key.name}) is forgotten.${last}`);
      }),
    );
}

function createCommand(): Command {
  return new Command("create")
    .description("Make a key. It is printed once, on standard output, and only its hash is kept.")
    .requiredOption("-n, --name <name>", "who or what will use it")
    .addOption(
      new Option("-s, --scope <scopes>", `what it may do (may be repeated): ${scopes.join(", ")}`)
        .argParser(readScopes)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("-w, --workspace <name>", "the workspace that it opens")
        .argParser(readWorkspace)
        .default("default"),
    )
    .addOption(
      new Option(
        "--rate <rate>",
        "how many requests and events it may send, such as 100/s or 5000/h",
      ).argParser(readRate),
    )
    .addOption(
      new Option("--expires <duration>", "how long it is good for, such as 90d").argParser(readExpiry),
    )
    .addOption(redisOption())
    .action(async ({ name, scope, workspace, rate, expires, redis }: CreateOptions) => {
      const now = new Date();
      const { key, token } = makeKey(
        {
          name,
          workspace,
          scopes: [...scope],
          rate: rate ?? null,
          expires: expires === undefined ? null : new Date(now.getTime() + expires).toISOString(),
        },
        now,
      );
      await withKeys(redis, async (keys) => {
        const isFirst = !(await keys.any());
        await keys.put(key);
        console.error(`${describe(key)}\nThis is the only time that it is shown:\n`);
        console.log(token);
        console.error(
          "\nSet TRIPLINE_API_KEY or PREFECT_API_AUTH_STRING to it, or send Authorization: Bearer <key>.",
        );
        if (isFirst) console.error("It is the first key: within seconds nobody is answered without one.");
      });
    });
}

/** For a key file, which an operator fills before there is a Redis. */
function newTokenCommand(): Command {
  return new Command("new-token")
    .description(
      "Print a fresh token for a key file (TRIPLINE_API_KEYS_FILE). It needs no Redis and creates no key.",
    )
    .action(() => {
      const unused = { name: "", workspace: "default", scopes: [], expires: null, rate: null };
      const { key, token } = makeKey(unused, new Date());
      console.log(token);
      console.error(
        `\nIn the key file, write  token: <the line above>\n` +
          `or, so that the file opens nothing:\n\n  id: "${key.id}"\n  sha256: "${key.hash}"`,
      );
    });
}

function listCommand(): Command {
  return addOutput(new Command("ls").description("List the keys, the oldest first."))
    .addOption(redisOption())
    .action(async ({ output, redis }: ListOptions) => {
      await withKeys(redis, async (keys) => {
        const now = Date.now();
        const all = await keys.all();
        const shown = all.map(({ hash: _, ...key }) => ({ ...key, state: stateOf(key, now) }));
        print(shown, output, () => {
          if (all.length === 0) return "There are no keys: this machine alone is served, and asked for none.";
          const heading = [
            "ID",
            "NAME",
            "WORKSPACE",
            "SCOPES",
            "RATE",
            "CREATED",
            "EXPIRES",
            "SOURCE",
            "STATE",
          ];
          return table(
            heading,
            all.map((key) => rowOf(key, now)),
          );
        });
      });
    });
}

function changeCommand(
  name: string,
  does: string,
  change: (keys: KeyStore, key: ApiKey) => Promise<void>,
): Command {
  return new Command(name)
    .description(`${does[0]?.toUpperCase()}${does.slice(1)}.`)
    .argument("<id>", "as tripline keys ls shows it; also the key itself")
    .addOption(redisOption())
    .action(async (id: string, { redis }: { redis?: string }) => {
      await withKeys(redis, async (keys) => {
        const key = await keys.find(/^tripline_([0-9a-f]+)_/.exec(id)?.[1] ?? id);
        if (key === null) throw new CommandFailure("There is no such key. Its id is in: tripline keys ls");
        await change(keys, key);
      });
    });
}

function redisOption(): Option {
  return new Option("--redis <url>", "the Redis of the server").env("TRIPLINE_REDIS").argParser(readRedisUrl);
}

async function withKeys(given: string | undefined, use: (keys: KeyStore) => Promise<void>): Promise<void> {
  const url = findRedis(given);
  const redis = connect(url, { name: "tripline-keys" });
  try {
    await use(new KeyStore(redis));
  } catch (error) {
    if (!(error instanceof RedisUnreachable)) throw error;
    throw new CommandFailure(
      `${error.message}\nKeys are kept in the server's Redis, and it was looked for at ${withoutPassword(url)}.\n` +
        "Name another with --redis or REDIS_URL; for the private one of `npm start`, run this in the same folder.",
      1,
      { cause: error },
    );
  } finally {
    redis.disconnect();
  }
}

function describe({ id, name, workspace, scopes: granted, rate, expires }: ApiKey): string {
  const limits = [
    ...(rate === null ? [] : [`, ${formatRate(rate)}`]),
    ...(expires === null ? [] : [`, until ${expires}`]),
  ];
  return `The key ${id} (${name}) opens workspace ${workspace}: ${granted.join(", ")}${limits.join("")}.`;
}

function rowOf(key: ApiKey, now: number): string[] {
  const { id, name, workspace, scopes: granted, rate, created, expires, source } = key;
  const limit = rate === null ? "-" : formatRate(rate);
  const state = stateOf(key, now);
  return [id, name, workspace, granted.join(","), limit, day(created), day(expires), source, state];
}

function day(time: string | null): string {
  return time?.slice(0, 10) ?? "-";
}

function readScopes(text: string, before: readonly Scope[] = []): readonly Scope[] {
  const named = list(text).map((name) => {
    const scope = scopes.find((known) => known === name);
    if (scope !== undefined) return scope;
    throw new InvalidArgumentError(`${name} is no scope; the scopes are ${scopes.join(", ")}.`);
  });
  return [...new Set([...before, ...named])];
}

function readRate(text: string): Rate {
  const rate = parseRate(text);
  if (rate !== null) return rate;
  throw new InvalidArgumentError("It should be a count per time, such as 100/s, 5000/h or 10/30s.");
}

function readExpiry(text: string): number {
  const length = parseDuration(text);
  if (length !== null && length > 0) return length / millisecond;
  throw new InvalidArgumentError("It should be a duration, such as 90d or 12h.");
}
