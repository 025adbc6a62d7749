/**
 * Ingest at the edge: a Cloudflare Worker that takes events, hooks and CloudEvents and appends them to the same log.
 *
 * A Worker may use a connection only in the request that opened it; a connection kept for the next request would make
 * that request hang. So each request opens a connection, and closes it once the request is answered.
 */

import { Hono } from "hono";
import { answerErrors } from "../api/http/answer-errors.ts";
import { KeyRing } from "../api/http/key-ring.ts";
import { probes } from "../api/http/probes.ts";
import { Refusal } from "../api/http/refusal.ts";
import { mountAll } from "../api/http/route.ts";
import { openTo, type Tenants, tenantsOf, type Workspace } from "../api/http/tenant.ts";
import { cloudEventRoutes } from "../api/ingest/cloudevents.ts";
import { hookRoutes } from "../api/ingest/hooks.ts";
import { type IngestMeter, ingestRoutes } from "../api/ingest/ingest.ts";
import { checkApiVersion } from "../api/prefect/api-version.ts";
import { turnOffSlices } from "../retry/slices.ts";
import { connectOnce, type RedisConnection } from "../store/connection.ts";
import { Log } from "../store/log.ts";
import { RedisUrlInvalid } from "../store/redis-url.ts";
import { SecretBox, SecretKeyInvalid } from "../store/secret-box.ts";

turnOffSlices();

/** What wrangler.toml and `wrangler secret put` set. */
export interface EdgeSettings {
  /** The Redis that holds the log. With its password in it, it is a secret. */
  readonly TRIPLINE_REDIS?: string;
  /** The servers' key for stored secrets; a secret. */
  readonly TRIPLINE_SECRET_KEY?: string;
  /** As the servers' `--redis-replicas`. */
  readonly TRIPLINE_REDIS_REPLICAS?: string;
  /** By default `default`. Several are separated by commas; requests that name none are for the first. */
  readonly TRIPLINE_WORKSPACE?: string;
  /** `true`: events are accepted from everyone, without a key. */
  readonly TRIPLINE_DANGEROUSLY_OPEN?: string;
}

/** Why nothing can be served until a setting is changed. */
interface Unusable {
  readonly problem: string;
}

export default {
  async fetch(request: Request, settings: EdgeSettings): Promise<Response> {
    const redis = connect(settings.TRIPLINE_REDIS ?? "");
    try {
      return await appOver(redis, settings).fetch(request);
    } finally {
      if (!("problem" in redis)) redis.disconnect();
    }
  },
};

/** Nothing is sent, and no connection opened, before the first command. */
function connect(url: string): RedisConnection | Unusable {
  if (url === "") return { problem: "TRIPLINE_REDIS is not set: wrangler secret put TRIPLINE_REDIS" };
  try {
    return connectOnce(url, "tripline-edge");
  } catch (error) {
    if (error instanceof RedisUrlInvalid) return { problem: `TRIPLINE_REDIS is invalid. ${error.message}` };
    throw error;
  }
}

function appOver(redis: RedisConnection | Unusable, settings: EdgeSettings): Hono {
  const app = new Hono({ strict: false }); // as the whole API is
  answerErrors(app, console);
  const served = "problem" in redis ? redis : tenantsOver(redis, settings);
  const readiness = async () => {
    if ("problem" in redis) return { unready: redis.problem };
    if ("problem" in served) return { unready: served.problem };
    return redis.ping().then(
      () => ({ unready: null }),
      () => ({ unready: "Redis is unavailable" }),
    );
  };
  for (const base of ["/api/accounts/:account/workspaces/:workspace", "/api"]) {
    mountAll(app, base, probes(readiness), { tenants: null });
    if ("problem" in served) {
      app.post(`${base}/*`, () => {
        throw new Refusal(503, "not_set", { detail: served.problem });
      });
      continue;
    }
    const tenants = served;
    const routes = [
      ...ingestRoutes(unmetered),
      ...hookRoutes(tenants, unmetered),
      ...cloudEventRoutes(unmetered),
    ];
    mountAll(app, base, routes, { tenants, check: checkApiVersion });
  }
  return app;
}

/** The log holds what passed here; Cloudflare counts requests and their answers itself. */
const unmetered: IngestMeter = { eventsAccepted() {}, eventsRejected() {} };

/** The API keys of the servers are valid here too. Without any, no one gets in, unless the settings say so. */
function tenantsOver(redis: RedisConnection, settings: EdgeSettings): Tenants | Unusable {
  let secretBox: SecretBox;
  try {
    secretBox = SecretBox.of(settings.TRIPLINE_SECRET_KEY);
  } catch (error) {
    if (error instanceof SecretKeyInvalid) return { problem: error.message };
    throw error;
  }
  const replicaCount = Number(settings.TRIPLINE_REDIS_REPLICAS ?? 0);
  if (!Number.isInteger(replicaCount) || replicaCount < 0) {
    return { problem: "TRIPLINE_REDIS_REPLICAS should be a whole number, such as 1" };
  }
  const [first = "default", ...others] = (settings.TRIPLINE_WORKSPACE ?? "default").split(",");
  const served = (name: string): Workspace => {
    const workspace = name.trim();
    return {
      workspace,
      log: new Log(redis, workspace, { secretBox, replicaCount, beatsWithEvents: true }),
      history: null,
    };
  };
  const workspaces = [served(first), ...others.map(served)] as const;
  if (settings.TRIPLINE_DANGEROUSLY_OPEN !== "true") {
    return tenantsOf(workspaces, new KeyRing(redis), { open: false });
  }
  // Host and Origin are not checked: Cloudflare chooses the names of a Worker.
  return { ...openTo(workspaces[0]), checkOrigin: async () => {} };
}
