/** Starts a server for the demo, with everything that it needs. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { Command } from "commander";
import { createLogger } from "../../src/cli/logger.ts";
import { startServing } from "../../src/cli/serve.ts";
import { addSettings, type Settings } from "../../src/cli/settings.ts";
import { Tripline } from "../../src/client/index.ts";
import { ensureDashboard } from "../ensure-dashboard.ts";
import { ensureRedisServer } from "../ensure-redis.ts";
import { startPrivateRedis } from "../private-redis.ts";
import { live, startReceivers } from "./world.ts";

export interface Demo {
  readonly url: string;
  readonly tripline: Tripline;
  stop(): Promise<void>;
}

/**
 * @param options as for `tripline serve`
 * @param perSecond how many events to post each second besides those of the shop
 */
export async function startDemo(options: readonly string[], perSecond: number): Promise<Demo> {
  ensureRedisServer();
  const dashboard = ensureDashboard();
  const folder = mkdtempSync(join(tmpdir(), "tripline-demo-"));
  const redis = await startPrivateRedis(join(folder, "redis"), (text) => console.error(text));
  const receivers = await startReceivers();
  process.env["DEMO_RECEIVER"] = receivers.url;
  process.env["DEMO_TOKEN"] = "a-secret-of-the-demo";
  const command = addSettings(new Command()).exitOverride();
  const rules = relative(process.cwd(), join(import.meta.dirname, "rules"));
  const own = [
    "--redis",
    redis.url,
    "--history-url",
    `sqlite:${join(folder, "history.sqlite")}`,
    "--rules",
    rules,
  ];
  const more = ["--allow-private-addresses", "loopback", "--log-format", "text", "--log-level", "error"];
  const settings = command.parse([...own, ...more, ...options], { from: "user" }).opts<Settings>();
  const serving = await startServing(settings, createLogger(settings.logLevel, settings.logFormat));
  await dashboard;
  const url = serving.url ?? "";
  const tripline = new Tripline({ url: `${url}/api` });
  const leaving = new AbortController();
  const living = live(tripline, { perSecond, signal: leaving.signal });
  return {
    url,
    tripline,
    stop: async () => {
      leaving.abort();
      await living;
      await serving.stop();
      await receivers.stop();
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
