/**
 * Tenants: for which workspace a request is, and what it may do there.
 *
 * Routes take everything that belongs to a workspace from here, so that no request can reach into another one. Runs in
 * Node and in a Worker.
 */

import type { Context, MiddlewareHandler } from "hono";
import { type Scope, scopes } from "../../core/model/scope.ts";
import type { TraceContext } from "../../core/model/trace-context.ts";
import { triplineNamespace, uuid5 } from "../../core/model/uuid.ts";
import type { History } from "../../history/history.ts";
import type { Log } from "../../store/log.ts";
import type { Allowance } from "../../store/rate-limit.ts";
import { checkFromHere, checkNotCrossSite } from "./origin.ts";
import { Refusal } from "./refusal.ts";
import { traceOf } from "./trace.ts";

/** What belongs to one workspace. */
export interface Workspace {
  readonly workspace: string;
  readonly log: Log;
  /** Null where this server keeps no history. */
  readonly history: History | null;
}

export interface Tenant extends Workspace {
  readonly scopes: ReadonlySet<Scope>;
  /** The key that the request came with; null where none is asked for. */
  readonly keyId: string | null;
  /** Null when nothing limits the key. */
  readonly allowance: Allowance | null;
  /** The trace that the request belongs to; it is stored with the events that the request brings. */
  readonly trace?: TraceContext | null;
}

/** What the routes of the API find in their context. */
export interface ApiEnv {
  readonly Variables: {
    tenant: Tenant;
    /** The trace of the span that this server records for the request; unset when it records none. */
    trace?: TraceContext;
  };
}

/** Finds out for whom a request is. Every method may throw what its store of keys throws. */
export interface Tenants {
  /** The workspace that is meant where nothing says which. */
  readonly first: string;
  /**
   * @param workspace the workspace that the path names, as Prefect Cloud's paths do; null when it names none
   * @throws Refusal 401 without a valid key where one is needed, 404 for another workspace than the key's
   */
  of(headers: Headers, workspace: string | null): Promise<Tenant>;
  /** As `of`, with what a client gives as its key in another way than a header: null when it gives none. */
  authenticate(token: string | null, workspace: string | null): Promise<Tenant>;
  /** Whether requests need a key. */
  needKey(): Promise<boolean>;
  /**
   * The workspace that a path names, or the first: for a request that shows in another way than by a key who sends it.
   *
   * @throws Refusal 404 when there is none
   */
  workspaceAt(workspace: string | null): Workspace;
  /**
   * Refuses what a page of another site has made a browser send.
   *
   * @param changesState true for all but GET and HEAD, and for WebSockets, which browsers let any page open
   * @throws Refusal 403
   */
  checkOrigin(headers: Headers, changesState: boolean): Promise<void>;
}

/** A valid key. */
export interface Key extends Pick<Tenant, "scopes" | "allowance"> {
  readonly id: string;
  readonly workspace: string;
}

/** The keys that there are. */
export interface Keys {
  /** The key that a token opens; null when it is unknown, revoked or expired. */
  find(token: string): Promise<Key | null>;
  /** True as soon as a key was ever made: from then on nobody comes in without one. */
  exist(): Promise<boolean>;
}

/** A server without keys: everybody may do everything in its one workspace. */
export function openTo(workspace: Workspace): Tenants {
  return tenantsOf([workspace], { find: async () => null, exist: async () => false });
}

/**
 * @param workspaces those of this server
 * @param options.open what a request may do while there are no keys: everything, or nothing where strangers can reach us
 */
export function tenantsOf(
  workspaces: readonly [first: Workspace, ...others: Workspace[]],
  keys: Keys,
  options: { readonly open: boolean } = { open: true },
): Tenants {
  const [first] = workspaces;
  const everything: ReadonlySet<Scope> = new Set(scopes);

  const workspaceAt: Tenants["workspaceAt"] = (named) =>
    named === null ? first : (workspaces.find(({ workspace }) => names(named, workspace)) ?? notFound());

  const authenticate: Tenants["authenticate"] = async (token, named) => {
    const key = token === null ? null : await keys.find(token);
    if (key === null) {
      if (!options.open || (await keys.exist())) throw unauthorized();
      return { ...workspaceAt(named), scopes: everything, keyId: null, allowance: null };
    }
    // Whether there is another workspace of that name is no business of this key's holder.
    if (named !== null && !names(named, key.workspace)) notFound();
    const found = workspaces.find(({ workspace }) => workspace === key.workspace) ?? notFound();
    return { ...found, scopes: key.scopes, keyId: key.id, allowance: key.allowance };
  };
  const needKey = async () => !options.open || (await keys.exist());

  return {
    first: first.workspace,
    authenticate,
    needKey,
    workspaceAt,
    of: (headers, named) => authenticate(tokenOf(headers), named),
    checkOrigin: async (headers, changesState) => {
      if (await needKey()) checkNotCrossSite(headers, changesState);
      else checkFromHere(headers, changesState);
    },
  };
}

/** The id under which Prefect's clients may name a workspace, as they do in Prefect Cloud. */
export function workspaceIdOf(workspace: string): string {
  return uuid5(triplineNamespace, `workspace ${workspace}`);
}

/** True when a path's segment stands for a workspace: by its name or its id. */
function names(segment: string, workspace: string): boolean {
  return segment === workspace || segment.toLowerCase() === workspaceIdOf(workspace);
}

/**
 * The key of a request: `Bearer <key>`, or `Basic` as Prefect's client sends its auth string, which is the key or ends
 * in `:<key>`.
 */
function tokenOf(headers: Headers): string | null {
  const [, scheme = "", credentials = ""] =
    /^(\S+) +(\S+)\s*$/.exec(headers.get("authorization") ?? "") ?? [];
  switch (scheme.toLowerCase()) {
    case "bearer":
      return credentials;
    case "basic":
      try {
        return atob(credentials);
      } catch {
        return null;
      }
    default:
      return null;
  }
}

function unauthorized(): Refusal {
  const body = { exception_message: "Unauthorized" };
  return new Refusal(401, "unauthorized", body, { "WWW-Authenticate": "Bearer" });
}

function notFound(): never {
  throw new Refusal(404, "not_found", { detail: "Not Found" });
}

/** Puts the tenant of each request into its context, and takes the request from what its key is allowed. */
export function tenancy(tenants: Tenants): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const { headers, method } = context.req.raw;
    await tenants.checkOrigin(headers, method !== "GET" && method !== "HEAD");
    const tenant = await tenants.of(headers, context.req.param("workspace") ?? null);
    await admit(tenant);
    context.set("tenant", { ...tenant, trace: traceOf(context) });
    await next();
  };
}

/** @throws Refusal 429 that says when to try again */
async function admit({ allowance }: Tenant): Promise<void> {
  const wait = Math.ceil((await allowance?.admit()) ?? 0);
  if (wait === 0) return;
  const detail = `This key has used up its rate; each request and each event counts. Try again in ${wait} s`;
  throw new Refusal(429, "rate", { detail }, { "Retry-After": String(wait) });
}

/** Takes a batch of events from what the key is allowed; the request that brought them was counted as one of them. */
export async function chargeEvents({ allowance }: Tenant, eventCount: number): Promise<void> {
  if (eventCount > 1) await allowance?.charge(eventCount - 1);
}

/** Lets a request pass whose key has the scope. @throws Refusal 403 naming the scope that is missing */
export function requireScope(scope: Scope): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    checkScope(context, scope);
    await next();
  };
}

/** As `requireScope`, inside a route. */
export function checkScope(context: Context<ApiEnv>, scope: Scope): void {
  if (may(context.var.tenant, scope)) return;
  throw new Refusal(403, "forbidden", { detail: `This key lacks the scope ${scope}` });
}

/** True when a tenant has a scope. */
export function may({ scopes: granted }: Tenant, scope: Scope): boolean {
  return granted.has(scope) || granted.has("admin");
}
