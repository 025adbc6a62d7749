/** The Worker as Cloudflare runs it: bundled by wrangler from wrangler.toml, in the real workerd, without a network. */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { EdgeSettings } from "../../src/edge/worker.ts";

export interface RunningWorker {
  /** Without a trailing slash. */
  readonly url: string;
  stop(): Promise<void>;
}

/** @param settings as wrangler.toml and `wrangler secret put` would set them */
export async function startWorker(settings: EdgeSettings): Promise<RunningWorker> {
  // Wrangler reads these when it is loaded. They keep it from fetching, reporting, and writing into the home folder.
  process.env["CLOUDFLARE_CF_FETCH_ENABLED"] = "false";
  process.env["WRANGLER_SEND_METRICS"] = "false";
  process.env["WRANGLER_LOG_PATH"] ??= logFolder();
  const { unstable_startWorker } = await import("wrangler");
  const worker = await unstable_startWorker({
    config: resolve(import.meta.dirname, "../../wrangler.toml"),
    bindings: Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [name, { type: "plain_text", value }]),
    ),
    // `wrangler dev` derives this from `nodejs_compat` in wrangler.toml, but this function does not.
    build: { nodejsCompatMode: "v2" },
    dev: {
      server: { hostname: "127.0.0.1", port: 0 },
      inspector: false,
      persist: false,
      watch: false,
      remote: false,
      logLevel: "error",
    },
  });
  await worker.ready;
  return {
    url: String(await worker.url).replace(/\/$/, ""),
    stop: () => worker.dispose(),
  };
}

/** A folder for wrangler's log, which it writes to until the process ends. */
function logFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "tripline-edge-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
