/**
 * Tenants: which workspace a request is for, and what it may do there.
 *
 * Routes get everything that belongs to a workspace from here, so no request can reach into another workspace. Runs in
 * Node and in a Worker.
 */

import type { Context } from "hono";
import type { Actor } from "../../core/model/actor.ts";
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
  /** Null when this server keeps no history. */
  readonly history: History | null;
}

export interface Tenant extends Workspace {
  readonly scopes: ReadonlySet<Scope>;
  /** Who sends the request: the holder of a key, or anyone while no key is required. */
  readonly actor: Actor;
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

/** Finds the tenant of a request. Every method may throw what its key lookup throws. */
export interface Tenants {
  /** The workspace of requests that name none. */
  readonly first: string;
  /** All workspaces of this server. */
  readonly names: readonly string[];
  /**
   * @param workspace the workspace that the path names, as Prefect Cloud's paths do; null when it names none
   * @throws Refusal 401 without a valid key where one is needed, 404 for another workspace than the key's
   */
  of(headers: Headers, workspace: string | null): Promise<Tenant>;
  /**
   * Like `of`, for a key that was not sent in a header; null if there is no key.
   *
   * @param headers of the request, whose cookie a page token belongs to
   */
  authenticate(token: string | null, workspace: string | null, headers: Headers): Promise<Tenant>;
  /** Whether requests need a key. */
  needKey(): Promise<boolean>;
  /**
   * The workspace that a path names, or the first: for a request that proves its sender some other way than with a key.
   *
   * @throws Refusal 404 when there is none
   */
  workspaceAt(workspace: string | null): Workspace;
  /**
   * Refuses requests that a page of another site made a browser send.
   *
   * @param changesState true for all methods but GET and HEAD, and for WebSockets, which browsers let any page open
   * @throws Refusal 403
   */
  checkOrigin(headers: Headers, changesState: boolean): Promise<void>;
}

/** A key that has let a request in. */
export interface ValidKey extends Pick<Tenant, "scopes" | "allowance"> {
  readonly id: string;
  readonly name: string;
  readonly workspace: string;
}

/** Looks up API keys. */
export interface KeyLookup {
  /** The key that a token belongs to; null when it is unknown, revoked or expired. */
  find(token: string): Promise<ValidKey | null>;
  /** True once a key has been created: from then on every request needs one. */
  exist(): Promise<boolean>;
}

/** Anyone, while requests need no key. */
export const nobody: Actor = { type: "no-key", name: null, id: null };

/** A server without keys: everyone may do everything in its one workspace. */
export function openTo(workspace: Workspace): Tenants {
  return tenantsOf([workspace], { find: async () => null, exist: async () => false });
}

export interface TenantOptions {
  /** What a request may do while there are no keys: everything, or nothing where strangers can reach the server. */
  readonly open: boolean;
  /** Origins of other sites whose pages may use the API; see docs/security.md. */
  readonly origins?: readonly string[];
  /** The key that a presented token stands for; null if for none. Left out, each token is a key. */
  readonly keyOf?: (token: string, headers: Headers) => string | null;
}

/** @param workspaces those of this server */
export function tenantsOf(
  workspaces: readonly [first: Workspace, ...others: Workspace[]],
  keys: KeyLookup,
  options: TenantOptions = { open: true },
): Tenants {
  const [first] = workspaces;
  const origins: ReadonlySet<string> = new Set(options.origins);
  const { keyOf = (token) => token } = options;
  const everything: ReadonlySet<Scope> = new Set(scopes);

  const workspaceAt: Tenants["workspaceAt"] = (named) =>
    named === null ? first : (workspaces.find(({ workspace }) => names(named, workspace)) ?? notFound());

  const authenticate: Tenants["authenticate"] = async (token, named, headers) => {
    const presented = token === null ? null : keyOf(token, headers);
    const key = presented === null ? null : await keys.find(presented);
    if (key === null) {
      if (!options.open || (await keys.exist())) throw unauthorized();
      return { ...workspaceAt(named), scopes: everything, actor: nobody, allowance: null };
    }
    // The holder of a key must not learn which other workspaces exist.
    if (named !== null && !names(named, key.workspace)) notFound();
    const found = workspaces.find(({ workspace }) => workspace === key.workspace) ?? notFound();
    const actor = { type: "api-key", name: key.name, id: key.id } as const;
    return { ...found, scopes: key.scopes, actor, allowance: key.allowance };
  };
  const needKey = async () => !options.open || (await keys.exist());

  return {
    first: first.workspace,
    names: workspaces.map(({ workspace }) => workspace),
    authenticate,
    needKey,
    workspaceAt,
    of: (headers, named) => authenticate(tokenOf(headers), named, headers),
    checkOrigin: async (headers, changesState) => {
      if (await needKey()) checkNotCrossSite(headers, changesState, origins);
      else checkFromHere(headers, changesState, origins);
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

/**
 * Finds the tenant of a request, counts the request against the rate of its key, and puts the tenant into the context.
 *
 * @param workspace the workspace that the request names; null when it names none
 * @throws Refusal 401, 403, 404 or 429
 */
export async function enter(
  context: Context<ApiEnv>,
  tenants: Tenants,
  workspace: string | null,
): Promise<void> {
  const { headers, method } = context.req.raw;
  await tenants.checkOrigin(headers, method !== "GET" && method !== "HEAD");
  const tenant = await tenants.of(headers, workspace);
  await admit(tenant);
  context.set("tenant", { ...tenant, trace: traceOf(context) });
}

/** @throws Refusal 429 that says when to try again */
async function admit({ allowance }: Tenant): Promise<void> {
  const wait = Math.ceil((await allowance?.admit()) ?? 0);
  if (wait === 0) return;
  const detail = `This key has used up its rate limit; each request and each event counts. Try again in ${wait} s`;
  throw new Refusal(429, "rate", { detail }, { "Retry-After": String(wait) });
}

/** Counts a batch of events against the rate of its key; the request itself was counted as one of them. */
export async function chargeEvents({ allowance }: Tenant, eventCount: number): Promise<void> {
  if (eventCount > 1) await allowance?.charge(eventCount - 1);
}

/** @throws Refusal 403 that names the scope, unless the tenant has it */
export function requireScope(tenant: Tenant, scope: Scope): void {
  if (may(tenant, scope)) return;
  throw new Refusal(403, "forbidden", { detail: `This key lacks the scope ${scope}` });
}

/** True when a tenant has a scope. */
export function may({ scopes: granted }: Tenant, scope: Scope): boolean {
  return granted.has(scope) || granted.has("admin");
}
