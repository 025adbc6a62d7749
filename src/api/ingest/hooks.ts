/**
 * What other services send, turned into events by the hooks of the rule files.
 *
 * Whoever signs a request needs no API key. Once the sender is known nothing is lost: a request of which the template
 * makes no event becomes an event that says so. Runs in Node and in a Worker.
 */

import { type Context, Hono } from "hono";
import type { WireEvent } from "../../core/model/event.ts";
import { type Hook, hookView } from "../../core/model/hook.ts";
import { formatTime, millisecond } from "../../core/model/time.ts";
import { renderHook } from "../../templates/hook-template.ts";
import { TemplateError } from "../../templates/template.ts";
import { readBytes } from "../http/body.ts";
import { Refusal } from "../http/refusal.ts";
import { type ApiEnv, checkScope, type Tenants, tenancy } from "../http/tenant.ts";
import { traceOf } from "../http/trace.ts";
import { eventsOfHook, HookFailure, type HookPlace, hookFailedEvent } from "./hook-events.ts";
import { type Delivery, readDelivery } from "./hook-request.ts";
import { checkSignature } from "./hook-signatures.ts";
import { type IngestMeter, takeIn } from "./ingest.ts";

/** The routes of hooks. They find their tenant themselves, because a signature stands for a key. */
export function hookRoutes(tenants: Tenants, meter: IngestMeter): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  const needKey = tenancy(tenants);

  routes.post("/hooks/:name", async (context) => {
    let reason: string | null = null;
    const hook = await findHook(context, tenants, context.req.param("name"));
    const { workspace } = context.var.tenant;
    const now = Date.now();
    let challenge: string | null = null;
    const events = await takeIn(context.var.tenant, meter, async (batch) => {
      const { signature } = hook;
      const bytes = await readBytes(context.req.raw);
      if (signature !== undefined) await checkSignature(signature, context.req.raw.headers, bytes, now);
      const received = formatTime(now * millisecond);
      const delivery = readDelivery(context.req.raw, bytes, signature, received);
      if (signature?.type === "slack") challenge = challengeIn(delivery);
      if (challenge !== null) return [];
      const made = makeEvents({ workspace, hook }, delivery);
      reason = made.reason;
      batch.length = made.events.length;
      return made.events;
    });
    if (challenge !== null) return context.json({ challenge });
    const ids = events.map(({ id }) => id);
    return reason === null ? context.json({ events: ids }) : context.json({ events: ids, reason }, 202);
  });

  routes.get("/hooks", needKey, async (context) => {
    checkScope(context, "automations:read");
    const hooks = await context.var.tenant.log.hooks.list();
    return context.json(hooks.map(hookView));
  });

  return routes;
}

/**
 * The hook that is meant, with its tenant put into the context: known by the signature, which is checked later, or
 * else by the key.
 *
 * @throws Refusal 404 without such a hook; 401, 403 and 429 as for any request with a key
 */
async function findHook(context: Context<ApiEnv>, tenants: Tenants, name: string): Promise<Hook> {
  const workspace = tenants.workspaceAt(context.req.param("workspace") ?? null);
  const signed = await workspace.log.hooks.get(name);
  if (signed?.signature !== undefined) {
    context.set("tenant", {
      ...workspace,
      scopes: new Set(),
      keyId: null,
      allowance: null,
      trace: traceOf(context),
    });
    return signed;
  }
  try {
    await tenancy(tenants)(context, async () => {});
  } catch (error) {
    if (signed === null && error instanceof Refusal && error.status === 401) throw noSuchHook(name);
    throw error;
  }
  checkScope(context, "events:write");
  // The key's workspace, which need not be the one looked at above.
  const hook = await context.var.tenant.log.hooks.get(name);
  if (hook === null) throw noSuchHook(name);
  return hook;
}

function noSuchHook(name: string): Refusal {
  const shown = JSON.stringify(name.slice(0, 100));
  return new Refusal(404, "not_found", { detail: `There is no hook ${shown}; add it to the rule files` });
}

/** What a template makes of a delivery: its events, or the one that tells why there are none. */
function makeEvents(place: HookPlace, delivery: Delivery): { events: WireEvent[]; reason: string | null } {
  try {
    if (delivery.problem !== null) throw new HookFailure(delivery.problem);
    const rendered = renderHook(place.hook.template, delivery.context);
    return { events: eventsOfHook(rendered, place, delivery), reason: null };
  } catch (error) {
    if (!(error instanceof HookFailure || error instanceof TemplateError)) throw error;
    return { events: [hookFailedEvent(error.message, place, delivery)], reason: error.message };
  }
}

/** Slack asks a new address to send back a text before it sends events there. */
function challengeIn({ context }: Delivery): string | null {
  const { type, challenge } = (context.body ?? {}) as Record<string, unknown>;
  return type === "url_verification" && typeof challenge === "string" ? challenge : null;
}
