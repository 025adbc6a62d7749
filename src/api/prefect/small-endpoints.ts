/** The small endpoints: is it there, is it ready, what does it speak. */

import { Hono } from "hono";
import { Refusal } from "../http/refusal.ts";

/** The version of Prefect's API that this one follows. */
const apiVersion = "0.8.4";

/** The oldest version of Prefect's API whose clients are understood. */
const oldestMinor = 8;

/**
 * Prefect's clients refuse another major version than theirs and warn of an older server at each start of a program,
 * so this is of their major version and newer than any of them.
 */
const serverVersion = "3.99.0";

/** Why the process cannot do its work now, in a sentence; or null when it can. */
export type Readiness = () => Promise<string | null>;

/** Open to everybody, key or not: an orchestrator asks without one. */
export function probes(readiness: Readiness): Hono {
  const routes = new Hono();
  routes.get("/health", (context) => context.json(true));
  routes.get("/ready", async (context) => {
    const reason = await readiness();
    if (reason === null) return context.json({ message: "OK" });
    return context.json({ message: reason }, 503, { "Retry-After": "1" });
  });
  return routes;
}

export function smallEndpoints(): Hono {
  const routes = new Hono();
  routes.get("/hello", (context) => context.json("👋"));
  routes.get("/version", (context) => context.json(apiVersion));
  routes.get("/admin/version", (context) => context.json(serverVersion));
  // Prefect's client sends no CSRF token once it has read this very sentence.
  routes.get("/csrf-token", (context) => context.json({ detail: "CSRF protection is disabled." }, 422));
  return routes;
}

/**
 * Checks the version that Prefect's client says it speaks. None is fine.
 *
 * @throws Refusal 400
 */
export function checkApiVersion(spoken: string | undefined): void {
  if (spoken === undefined) return;
  const [, major, minor] = /^(\d+)\.(\d+)\.(\d+)$/.exec(spoken) ?? [];
  if (major === undefined || minor === undefined) {
    const detail = "X-PREFECT-API-VERSION should be three integers, such as 0.8.4";
    throw new Refusal(400, "api_version", { detail });
  }
  if (Number(major) === 0 && Number(minor) < oldestMinor) {
    const detail = `This client speaks API version ${spoken}; 0.${oldestMinor}.0 or newer is needed: update the client`;
    throw new Refusal(400, "api_version", { detail });
  }
}
