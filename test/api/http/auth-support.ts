/** A complete server in this process, with a real Redis, and keys for it. */

import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { pino } from "pino";
import { type Serving, startServing } from "../../../src/cli/serve.ts";
import { addSettings, type Settings } from "../../../src/cli/settings.ts";
import { type Scope, scopes } from "../../../src/core/model/scope.ts";
import { type ApiKey, makeKey, type NewApiKey } from "../../../src/store/api-key.ts";
import { ApiKeyStore } from "../../../src/store/api-key-store.ts";
import { connect } from "../../../src/store/connection.ts";

export const allScopes: readonly Scope[] = scopes;

export interface KeyedServer {
  readonly url: string;
  readonly warnings: string[];
  /** Creates a key. The server accepts it at once, because it looks up unknown keys in Redis. */
  key(wanted?: Partial<NewApiKey>): Promise<{ key: ApiKey; token: string }>;
  readonly keys: ApiKeyStore;
  stop(): Promise<void>;
}

/** Starts a server with the options of `tripline serve`. */
export async function serve(redisUrl: string, options: readonly string[] = []): Promise<KeyedServer> {
  const folder = mkdtempSync(join(tmpdir(), "tripline-auth-"));
  const command = addSettings(new Command()).exitOverride();
  const history = `sqlite:${join(folder, "history.sqlite")}`;
  const args = ["--redis", redisUrl, "--history-url", history, "--port", "0", "--lateness", "0", ...options];
  const settings = command.parse(args, { from: "user" }).opts<Settings>();
  const warnings: string[] = [];
  const logger = pino({ level: "warn" }, { write: (line: string) => void warnings.push(line) });
  const redis = connect(redisUrl);
  const keys = new ApiKeyStore(redis);
  const stopRedis = () => {
    redis.disconnect();
    rmSync(folder, { recursive: true, force: true });
  };
  let serving: Serving;
  try {
    serving = await startServing(settings, logger);
  } catch (error) {
    stopRedis();
    throw error;
  }
  return {
    url: serving.url ?? "",
    warnings,
    keys,
    key: async (wanted = {}) => {
      const defaults = { name: "test", workspace: "default", scopes: [...scopes], expires: null, rate: null };
      const made = makeKey({ ...defaults, ...wanted }, new Date());
      await keys.put(made.key);
      return made;
    },
    stop: async () => {
      await serving.stop();
      stopRedis();
    },
  };
}

export const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
export const basic = (text: string) => ({ Authorization: `Basic ${Buffer.from(text).toString("base64")}` });

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Sends a request with exactly these headers, including Host, which `fetch` does not allow. */
export function send(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { method = "GET", headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    sent.on("error", reject);
    if (body !== undefined) sent.setHeader("Content-Length", Buffer.byteLength(body));
    sent.end(body);
  });
}

/** Waits until `holds` returns true. @throws Error if that takes longer than `withinMs` */
export async function until(holds: () => Promise<boolean>, withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`The condition was not met within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

let eventCount = 0;

export function pumpEvents(count: number, name = "pump.stopped"): string {
  const events = Array.from({ length: count }, () => {
    eventCount += 1;
    return {
      id: `00000000-0000-4000-8000-${String(eventCount).padStart(12, "0")}`,
      occurred: new Date().toISOString(),
      event: name,
      resource: { "prefect.resource.id": "pump.1" },
    };
  });
  return JSON.stringify(events);
}
