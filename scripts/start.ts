/**
 * `npm start`: a server for this machine, with everything it needs. It uses the Redis at REDIS_URL. If that is not set,
 * it starts a private Redis, and installs it first if necessary. It takes the options of `tripline serve`.
 */

import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { styleText } from "node:util";
import { Command, CommanderError } from "commander";
import { CommandFailure } from "../src/cli/failure.ts";
import { createLogger } from "../src/cli/logger.ts";
import { loadSecretFiles } from "../src/cli/secret-files.ts";
import { type Serving, startServing } from "../src/cli/serve.ts";
import { addSettings, redisUrlIn, type Settings } from "../src/cli/settings.ts";
import { untilStopped } from "../src/cli/stop.ts";
import { ensureDashboard } from "./ensure-dashboard.ts";
import { ensureRedisServer } from "./ensure-redis.ts";
import { type PrivateRedis, startPrivateRedis } from "./private-redis.ts";

const root = resolve(import.meta.dirname, "..");
const dataFolder = resolve(process.env["TRIPLINE_DATA"] ?? join(root, ".tripline"));

async function main(): Promise<void> {
  process.chdir(root);
  const stopped = untilStopped();
  loadSecretFiles(process.env);
  const command = addSettings(new Command("npm start --"));
  const settings = settingsOf(command);
  const logger = createLogger(settings.logLevel, settings.logFormat);
  let redis: PrivateRedis | null = null;
  // Events and secrets are in the files below the data folder.
  process.umask(0o077);
  let serving: Serving | null = null;
  // Meanwhile, the server starts. Without a dashboard it is of use, too.
  const dashboard = ensureDashboard().catch((error: Error) =>
    logger.warn({ err: error }, "There is no dashboard"),
  );
  try {
    if (command.getOptionValueSource("redis") === "default" && redisUrlIn(process.env) === undefined) {
      ensureRedisServer();
      redis = await startPrivateRedis(join(dataFolder, "redis"), (text) => logger.warn(text));
    }
    serving = await startServing(redis === null ? settings : { ...settings, redis: redis.url }, logger);
    await dashboard;
    console.log(banner(serving, settings, redis));
    await stopped;
    console.log("\nStopping. Finishing the work in progress.");
  } finally {
    try {
      await serving?.stop();
    } finally {
      await redis?.stop();
    }
  }
}

/** The given settings, with defaults for someone who tries Tripline on this machine. */
function settingsOf(command: Command): Settings {
  command.exitOverride().parse(process.argv);
  const settings = command.opts<Settings>();
  const isDefault = (name: keyof Settings) => command.getOptionValueSource(name) === "default";
  return {
    ...settings,
    ...(isDefault("rules") && existsSync("rules") ? { rules: ["rules"] } : {}),
    ...(isDefault("historyUrl") ? { historyUrl: `sqlite:${join(dataFolder, "history.sqlite")}` } : {}),
    ...(isDefault("allowPrivateAddresses") ? { allowPrivateAddresses: ["loopback"] } : {}),
    ...(isDefault("logFormat") ? { logFormat: "text" } : {}),
  };
}

function banner(serving: Serving, settings: Settings, redis: PrivateRedis | null): string {
  const bold = (text: string) => styleText("bold", text);
  const { automationCount: count, needsKey, url } = serving;
  const from = settings.rules.length > 0 ? ` from ${settings.rules.join(", ")}` : "";
  const store = redis === null ? "" : `\n  data         ${relative(root, dataFolder)} (with a private Redis)`;
  const access = needsKey
    ? "with an API key; list them: bin/tripline keys ls"
    : "from this machine only, without a key; to change that: bin/tripline keys create --help";
  // 4200 is the default of the commands.
  const api = settings.port === 4200 ? "" : ` --url ${url}/api`;
  return `
  ${bold(`Tripline is running at ${url}`)}

  automations  ${count}${from}; changes to the files apply at once${store}
  access       ${access}
  stop         Ctrl-C

  To try it, run these in two other terminals:

    bin/tripline listen
    bin/tripline emit --event job.failed --resource-id job.nightly-backup${api}
`;
}

try {
  await main();
} catch (error) {
  if (!(error instanceof CommanderError)) {
    console.error(error instanceof CommandFailure ? error.message : error);
  }
  process.exitCode = error instanceof CommanderError || error instanceof CommandFailure ? error.exitCode : 1;
}
