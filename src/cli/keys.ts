/** `tripline keys`: creates, lists and revokes API keys. It needs only Redis, so it can also create the first key. */

import { hostname, userInfo } from "node:os";
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import type { Actor } from "../core/model/actor.ts";
import { formatRate, parseRate, type Rate } from "../core/model/rate.ts";
import { type Scope, scopes } from "../core/model/scope.ts";
import { millisecond, parseDuration } from "../core/model/time.ts";
import { type ApiKey, makeKey, stateOf } from "../store/api-key.ts";
import { ApiKeyChanges, apiKeysMax } from "../store/api-key-changes.ts";
import { completeWith } from "./completable.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { type TableColumn, table } from "./output/table.ts";
import { printable } from "./output/text.ts";
import { dayText } from "./output/times.ts";
import type { View } from "./output/view.ts";
import { list, readWorkspace } from "./settings.ts";
import { redisOption, withRedis } from "./with-redis.ts";

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
      "Create, list and revoke API keys. Keys are kept in Redis, so no server is needed, and the first key is made the " +
        "same way.\n\nRedis is found by --redis, TRIPLINE_REDIS or REDIS_URL, else the private one of an `npm start` in " +
        "this folder, else on this machine. See docs/security.md.",
    )
    .addCommand(createCommand())
    .addCommand(newTokenCommand())
    .addCommand(listCommand())
    .addCommand(
      changeCommand("revoke", "Revoke a key. Servers refuse it within seconds.", async (keys, key, actor) => {
        await keys.revoke(key.id, actor);
        console.error(printable(`Revoked the key ${key.id} (${key.name}).`));
      }),
    )
    .addCommand(
      changeCommand("forget", "Remove a revoked or expired key from the list.", async (keys, key, actor) => {
        if (stateOf(key, Date.now()) === "active") {
          throw new CommandFailure(
            `The key ${key.id} (${key.name}) is active. Revoke it first: tripline keys revoke ${key.id}`,
          );
        }
        await keys.forget(key, actor);
        const last = (await keys.store.hasKeys())
          ? ""
          : " It was the last one. Without keys, the server answers this machine only.";
        console.error(printable(`Removed the key ${key.id} (${key.name}).${last}`));
      }),
    );
}

function createCommand(): Command {
  const command = new Command("create")
    .description("Create a key. It is printed once, to standard output; only its hash is kept.")
    .requiredOption("-n, --name <name>", "who or what will use it")
    .addOption(
      new Option("-s, --scope <scopes>", `what it may do (may be repeated): ${scopes.join(", ")}`)
        .argParser(readScopes)
        .makeOptionMandatory(),
    )
    .addOption(
      new Option("-w, --workspace <name>", "the workspace it gives access to")
        .argParser(readWorkspace)
        .default("default"),
    )
    .option("--rate <rate>", "limit on its requests and events, such as 100/s or 5000/h", readRate)
    .option("--expires <duration>", "how long it is valid, such as 90d", readExpiry)
    .addOption(redisOption());
  addExamples(command, [
    ["tripline keys create -n admin -s admin", "may do everything"],
    [
      "tripline keys create -n billing -s events:write --rate 100/s --expires 90d",
      "a program that posts events",
    ],
  ]);
  return command.action(async ({ name, scope, workspace, rate, expires, redis }: CreateOptions) => {
    const now = new Date();
    const wanted = {
      name,
      workspace,
      scopes: [...scope],
      rate: rate ?? null,
      expires: expires === undefined ? null : new Date(now.getTime() + expires).toISOString(),
    };
    await withKeys(redis, async (keys, actor) => {
      const created = await keys.create(wanted, actor, { now });
      if (created === null) {
        throw new CommandFailure(
          `There are ${apiKeysMax} keys, which is the most there may be. Remove some: tripline keys forget <id>`,
        );
      }
      const { key, token, isFirst } = created;
      console.error(`${describe(key)}\nThis is the only time it is shown:\n`);
      console.log(token);
      console.error(
        "\nSet TRIPLINE_API_KEY or PREFECT_API_AUTH_STRING to it, or send Authorization: Bearer <key>.",
      );
      if (isFirst) {
        console.error("This is the first key. Within seconds, servers refuse requests without a key.");
      }
    });
  });
}

/** For a key file, which an operator fills before there is a Redis. */
function newTokenCommand(): Command {
  const command = new Command("new-token").description(
    "Print a fresh token for a key file (TRIPLINE_API_KEYS_FILE). It needs no Redis and creates no key.",
  );
  addExamples(command, [["tripline keys new-token", "the token, and the hash that can stand for it"]]);
  return command.action(() => {
    const unused = { name: "", workspace: "default", scopes: [], expires: null, rate: null };
    const { key, token } = makeKey(unused, new Date());
    console.log(token);
    console.error(
      "\nIn the key file, write  token: <the line above>\n" +
        `or, to keep the token itself out of the file:\n\n  id: "${key.id}"\n  sha256: "${key.hash}"`,
    );
  });
}

function listCommand(): Command {
  const command = addOutput(new Command("ls").description("List the keys, the oldest first.")).addOption(
    redisOption(),
  );
  addExamples(command, [["tripline keys ls", "who may do what, and until when"]]);
  return command.action(async (options: ListOptions) => {
    await withKeys(options.redis, async ({ store }) => {
      const now = Date.now();
      const all = await store.all();
      const listed = all.map(({ hash: _, ...key }) => ({ ...key, state: stateOf(key, now) }));
      print(listed, options, (view) =>
        listed.length === 0
          ? "There are no keys. The server answers this machine only, without a key."
          : table(keyColumns(view), listed, view),
      );
    });
  });
}

type ListedKey = Omit<ApiKey, "hash"> & { readonly state: ReturnType<typeof stateOf> };

function keyColumns(view: View): TableColumn<ListedKey>[] {
  return [
    { heading: "ID", cell: ({ id }) => id },
    { heading: "NAME", cell: ({ name }) => name, widthMin: 12 },
    { heading: "WORKSPACE", cell: ({ workspace }) => workspace, widthMin: 9 },
    { heading: "SCOPES", cell: ({ scopes: granted }) => granted.join(","), widthMin: 12 },
    { heading: "RATE", cell: ({ rate }) => (rate === null ? "-" : formatRate(rate)) },
    { heading: "CREATED", cell: ({ created }) => dayText(created, view) },
    { heading: "EXPIRES", cell: ({ expires }) => dayText(expires, view) },
    { heading: "SOURCE", cell: ({ source }) => source },
    {
      heading: "STATE",
      cell: ({ state }) => state,
      style: ({ state }) => (state === "active" ? "green" : "dim"),
    },
  ];
}

function changeCommand(
  name: string,
  description: string,
  change: (keys: ApiKeyChanges, key: ApiKey, actor: Actor) => Promise<void>,
): Command {
  const command = new Command(name)
    .description(description)
    .addArgument(
      completeWith("keys", new Argument("<key>", "its id, as in tripline keys ls; or the key itself")),
    )
    .addOption(redisOption());
  addExamples(command, [[`tripline keys ${name} 3f9c1d2e4b5a`, "by id"]]);
  return command.action(async (idOrToken: string, { redis }: { redis?: string }) => {
    await withKeys(redis, async (keys, actor) => {
      const key = await keys.store.find(/^tripline_([0-9a-f]+)_/.exec(idOrToken)?.[1] ?? idOrToken);
      if (key === null) throw new CommandFailure("There is no such key. List keys with: tripline keys ls");
      await change(keys, key, actor);
    });
  });
}

export async function withKeys(
  given: string | undefined,
  use: (keys: ApiKeyChanges, actor: Actor) => Promise<void>,
): Promise<void> {
  const actor = { type: "command", name: personHere(), id: null } as const;
  await withRedis(given, { name: "tripline-keys", what: "Keys" }, (redis) =>
    use(new ApiKeyChanges(redis), actor),
  );
}

/** These commands need no key: who may reach Redis may do everything. So the events name the user and the machine. */
function personHere(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return hostname(); // a container may have no name for its user
  }
}

function describe({ id, name, workspace, scopes: granted, rate, expires }: ApiKey): string {
  const limits = [
    ...(rate === null ? [] : [`, at most ${formatRate(rate)}`]),
    ...(expires === null ? [] : [`, until ${expires}`]),
  ];
  return `The key ${id} (${name}) gives access to workspace ${workspace}: ${granted.join(", ")}${limits.join("")}.`;
}

function readScopes(text: string, before: readonly Scope[] = []): readonly Scope[] {
  const named = list(text).map((name) => {
    const scope = scopes.find((known) => known === name);
    if (scope !== undefined) return scope;
    throw new InvalidArgumentError(`${name} is not a scope. The scopes are ${scopes.join(", ")}.`);
  });
  return [...new Set([...before, ...named])];
}

function readRate(text: string): Rate {
  const rate = parseRate(text);
  if (rate !== null) return rate;
  throw new InvalidArgumentError("Expected a count per time, such as 100/s, 5000/h or 10/30s.");
}

function readExpiry(text: string): number {
  const length = parseDuration(text);
  if (length !== null && length > 0) return length / millisecond;
  throw new InvalidArgumentError("Expected a duration such as 90d or 12h.");
}
