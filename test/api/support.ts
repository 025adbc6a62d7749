/** The API for tests: a real server with a real Redis. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { Command } from "commander";
import { pino } from "pino";
import { createApp, routesOf } from "../../src/api/http/app.ts";
import { Metrics } from "../../src/api/http/metrics.ts";
import type { PartProblem } from "../../src/api/http/probes.ts";
import { startServer } from "../../src/api/http/server.ts";
import { openTo } from "../../src/api/http/tenant.ts";
import { createWebSockets, type WebSocketOptions } from "../../src/api/sockets/websockets.ts";
import { createRuleReader } from "../../src/cli/rule-reader.ts";
import { doctorInside, serverFacts } from "../../src/cli/serve-facts.ts";
import { addSettings, type Settings } from "../../src/cli/settings.ts";
import type { EventEntry, LogEntry } from "../../src/core/machine/log-entry.ts";
import { Messages, type MessagesOptions } from "../../src/delivery/messages.ts";
import { DeliveryQueue } from "../../src/delivery/queue.ts";
import { type History, openHistory } from "../../src/history/history.ts";
import { Recorder } from "../../src/history/recorder.ts";
import { ApiKeyChanges } from "../../src/store/api-key-changes.ts";
import { connect, type RedisConnection } from "../../src/store/connection.ts";
import { Log } from "../../src/store/log.ts";
import { checkedAgainstDocument } from "../support/documented-answers.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

export interface TestApi {
  readonly url: string;
  readonly redis: TestRedis;
  readonly connection: RedisConnection;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly history: History | null;
  /** Copies the log into the history. */
  readonly recorder: Recorder | null;
  /** What the server logged. */
  readonly logLines: string[];
  /** Why it is not ready; null when it is. */
  notReady: string | null;
  /** What is wrong with parts that it can do without. */
  problems: PartProblem[];
  post(body: string | Uint8Array<ArrayBuffer>, headers?: Record<string, string>): Promise<Response>;
  entries(): Promise<readonly LogEntry[]>;
  events(): Promise<EventEntry[]>;
  stop(): Promise<void>;
}

export interface TestApiOptions {
  /** Without it the server keeps no history. */
  readonly history?: boolean;
  readonly trustProxy?: boolean;
  /** Where test messages may go, and what each endpoint may be sent. */
  readonly messages?: MessagesOptions["settings"];
  readonly webSockets?: Partial<WebSocketOptions>;
}

export async function startApi(options: TestApiOptions = {}): Promise<TestApi> {
  const redis = await startRedis({ appendOnly: "always" });
  const connection = connect(redis.url);
  const log = new Log(connection, "default");
  const logLines: string[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logLines.push(chunk.toString());
      done();
    },
  });
  const metrics = new Metrics();
  const folder = await mkdtemp(join(tmpdir(), "tripline-api-"));
  const path = join(folder, "history.sqlite");
  const history = options.history === true ? await openHistory({ workspace: "default", path }) : null;
  const recording = log.reader();
  const recorder = history === null ? null : new Recorder(history, recording, { blockMs: 100 });
  recorder?.start();
  const tenants = openTo({ workspace: "default", log, history });
  const logger = pino(sink);
  const queue = new DeliveryQueue(redis.url, "default");
  const messages = new Messages({
    log,
    queue,
    settings: { dangerouslyAllowPrivateAddresses: ["loopback"], ...options.messages },
  });
  const ruleReader = createRuleReader(0, logger);
  const appOptions = {
    tenants,
    apiKeys: new ApiKeyChanges(connection),
    server: serverOf(redis.url, connection),
    deliveriesOf: (workspace: string) => (workspace === "default" ? queue : null),
    messagesOf: async () => messages,
    explain: { latenessDefault: 0 },
    ruleReader,
    metrics,
    metricsText: metrics,
    readiness: async () => ({ unready: api.notReady, problems: api.problems }),
    logger,
    trustProxy: options.trustProxy ?? false,
  };
  const app = checkedAgainstDocument(createApp(appOptions), routesOf(appOptions));
  const webSockets = createWebSockets({ tenants, meter: metrics, logger, ...options.webSockets });
  const server = await startServer(app, "127.0.0.1", 0, { webSockets });
  const api: TestApi = {
    url: server.url,
    redis,
    connection,
    log,
    metrics,
    history,
    recorder,
    logLines,
    notReady: null,
    problems: [],
    post: (body, headers = {}) =>
      fetch(`${server.url}/api/events`, { method: "POST", body, headers: { ...json, ...headers } }),
    entries: () => log.read("0-0", { count: 100_000 }),
    events: async () => (await api.entries()).filter((entry) => entry.kind === "event"),
    stop: async () => {
      await server.stop();
      await messages.close();
      await ruleReader.stop();
      await queue.close();
      await recorder?.stop();
      await history?.close();
      recording.close();
      log.close();
      connection.disconnect();
      await redis.stop();
      await rm(folder, { recursive: true });
    },
  };
  return api;
}

/** What a server with the default settings and this Redis tells about itself. */
function serverOf(redisUrl: string, connection: RedisConnection) {
  const command = addSettings(new Command()).exitOverride();
  const words = ["--redis", redisUrl, "--history-url", "off"];
  const settings = command.parse(words, { from: "user" }).opts<Settings>();
  return { facts: serverFacts(settings, connection), examine: doctorInside(settings, connection) };
}

const json = { "Content-Type": "application/json" };

let counter = 0;

/** A valid event of the greenhouse, with the given changes. */
export function pumpEvent(changes: Record<string, unknown> = {}): Record<string, unknown> {
  counter += 1;
  return {
    id: `00000000-0000-4000-8000-${String(counter).padStart(12, "0")}`,
    occurred: "2026-03-01T09:30:00.123456Z",
    event: "pump.stopped",
    resource: { "prefect.resource.id": "pump.1" },
    ...changes,
  };
}
