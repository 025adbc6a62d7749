/**
 * `tripline completion-values`: the names that a shell completes. The scripts of `tripline completion` call it.
 *
 * A person waits with the finger on the Tab key, so it answers soon or not at all, and says nothing about failures.
 */

import { Argument, Command } from "commander";
import { isRedisUrl } from "../store/redis-url.ts";
import { type ValueKind, valueKinds } from "./completable.ts";
import { connectTo } from "./connection.ts";

const timeoutMs = 1_500;

export function completionValuesCommand(): Command {
  return new Command("completion-values")
    .description("Print names for the completion of a shell, one per line.")
    .addArgument(new Argument("<kind>", "what to list").choices(valueKinds))
    .argument("[line]", "the command line so far, which may name a server")
    .action(async (kind: ValueKind, line = "") => {
      const names = await Promise.race([namesOf(kind, line).catch(() => []), patienceEnds()]);
      const listed = [...new Set(names)].filter((name) => !/\p{Cc}/u.test(name));
      if (listed.length > 0) console.log(listed.join("\n"));
      // Whatever still waits for a server or for Redis does so in vain.
      process.exit(0);
    });
}

async function patienceEnds(): Promise<string[]> {
  await new Promise((resolve) => setTimeout(resolve, timeoutMs));
  return [];
}

async function namesOf(kind: ValueKind, line: string): Promise<string[]> {
  if (kind === "keys") return keyIds(valueIn(line, "--redis"));
  const url = valueIn(line, "--url", "-u");
  const workspace = valueIn(line, "--workspace");
  const tripline = connectTo(
    { ...(url === undefined ? {} : { url }), ...(workspace === undefined ? {} : { workspace }) },
    { patienceMs: 0, awayPatienceMs: 0, timeoutMs },
  );
  switch (kind) {
    case "automations":
      return (await tripline.automations.list()).map(({ name }) => name);
    case "deliveries":
      return (await tripline.deliveries.list()).deliveries.map(({ id }) => id);
    case "endpoints":
      return (await tripline.endpoints.list()).map(({ id, destination }) => destination ?? id);
    case "event-names":
      return (await tripline.events.count("event")).map(({ value }) => value);
    case "resources":
      return (await tripline.events.count("resource")).map(({ value }) => value);
  }
}

async function keyIds(given: string | undefined): Promise<string[]> {
  const { withKeys } = await import("./keys.ts");
  const redis = given !== undefined && isRedisUrl(given) ? given : undefined;
  let ids: string[] = [];
  await withKeys(redis, async ({ store }) => {
    ids = (await store.all()).map(({ id }) => id);
  });
  return ids;
}

/** The value of an option in a command line: `--url URL` or `--url=URL`. */
function valueIn(line: string, ...flags: readonly string[]): string | undefined {
  const words = line.split(/\s+/);
  for (const [index, word] of words.entries()) {
    const [flag = "", ...value] = word.split("=");
    if (!flags.includes(flag)) continue;
    return value.length > 0 ? value.join("=") : words[index + 1];
  }
  return undefined;
}
