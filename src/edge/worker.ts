/**
 * Ingest at the edge: events, webhooks and CloudEvents, taken in by a Cloudflare Worker that appends to the same log.
 *
 * A Worker may use a connection only in the request that opened it; one kept for the next request makes that one hang.
 * So each request opens its own, and closes it when it is answered.
 */

import { Hono } from "hono";
import { Redis } from "ioredis";
import { answerErrors } from "../api/http/answer-errors.ts";
import { KeyRing } from "../api/http/key-ring.ts";
import { Refusal } from "../api/http/refusal.ts";
import { type ApiEnv, openTo, type Tenants, tenancy, tenantsOf, type Workspace } from "../api/http/tenant.ts";
import { cloudEventRoutes } from "../api/ingest/cloudevents.ts";
import { hookRoutes } from "../api/ingest/hooks.ts";
import { type IngestMeter, ingestRoutes } from "../api/ingest/ingest.ts";
import { probes } from "../api/prefect/small-endpoints.ts";
import { Log } from "../store/log.ts";

/** What wrangler.toml and `wrangler secret put` set. */
export interface EdgeSettings {
  /** The Redis that holds the log. With its password in it, it is a secret. */
  readonly TRIPLINE_REDIS?: string;
  /** By default `default`. Several are separated by commas; the first is meant where nothing says which. */
  readonly TRIPLINE_WORKSPACE?: string;
  /** `true`: events are taken from everybody, without a key. */
  readonly TRIPLINE_DANGEROUSLY_OPEN?: string;
}

/** Redis answers at once or not at all; a Worker's client waits no longer than it must. */
const redisTimeoutMs = 5_000;

export default {
  async fetch(request: Request, settings: EdgeSettings): Promise<Response> {
    const redis = connect(settings.TRIPLINE_REDIS ?? "");
    try {
      return await appOver(redis, settings).fetch(request);
    } finally {
      redis?.disconnect();
    }
  },
};

/** Null without an address. Nothing is sent, and no connection opened, before the first command. */
function connect(url: string): Redis | null {
  if (url === "") return null;
  const redis = new Redis(url, {
    connectionName: "tripline-edge",
    lazyConnect: true,
    connectTimeout: redisTimeoutMs,
    commandTimeout: redisTimeoutMs,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    // Each of these costs a round trip.
    enableReadyCheck: false,
    disableClientInfo: true,
  });
  redis.on("error", () => {}); // the command that fails says so itself
  return redis;
}

function appOver(redis: Redis | null, settings: EdgeSettings): Hono {
  const app = new Hono({ strict: false }); // as the whole API is
  answerErrors(app, console);
  const tenants = redis === null ? null : tenantsOver(redis, settings);
  const readiness = async () => {
    if (redis === null) return notSet;
    return redis.ping().then(
      () => null,
      () => "Redis cannot be reached",
    );
  };
  for (const base of ["/api/accounts/:account/workspaces/:workspace", "/api"]) {
    app.route(base, probes(readiness));
    if (tenants === null) {
      app.post(`${base}/*`, () => {
        throw new Refusal(503, "not_set", { detail: notSet });
      });
      continue;
    }
    app.route(base, hookRoutes(tenants, unmetered));
    const api = new Hono<ApiEnv>();
    api.use(tenancy(tenants));
    api.route("/", ingestRoutes(unmetered));
    api.route("/", cloudEventRoutes(unmetered));
    app.route(base, api);
  }
  return app;
}

const notSet = "TRIPLINE_REDIS is not set: wrangler secret put TRIPLINE_REDIS";

/** What passed here is seen in the log; Cloudflare counts requests and their answers itself. */
const unmetered: IngestMeter = { eventsAccepted() {}, eventsRejected() {} };

/** The keys of the servers hold here too. Without any, nobody comes in, unless that is what the settings say. */
function tenantsOver(redis: Redis, settings: EdgeSettings): Tenants {
  const [first = "default", ...others] = (settings.TRIPLINE_WORKSPACE ?? "default").split(",");
  const served = (name: string): Workspace => {
    const workspace = name.trim();
    return { workspace, log: new Log(redis, workspace), history: null };
  };
  const workspaces = [served(first), ...others.map(served)] as const;
  if (settings.TRIPLINE_DANGEROUSLY_OPEN !== "true") {
    return tenantsOf(workspaces, new KeyRing(redis), { open: false });
  }
  // The names under which everybody may come in are Cloudflare's to choose.
  return { ...openTo(workspaces[0]), checkOrigin: async () => {} };
}
