/**
 * A route: one operation of the API, declared together with the handler that answers it.
 *
 * The check of the key, the check of the request and the OpenAPI document are all made from the declaration, so they
 * cannot disagree, and an undeclared handler cannot be registered. Runs in Node and in a Worker.
 *
 * ```ts
 * route(
 *   { method: "get", path: "/vents/:id", id: "readVent", summary: "Read a vent", tag: "events", scope: "events:read",
 *     params: z.object({ id: z.string() }), answers: { 200: { description: "The vent.", schema: VentSchema } } },
 *   async ({ params, tenant }, context) => context.json(await ventOf(tenant, params.id)),
 * );
 * ```
 */

import type { Context, Hono } from "hono";
import type { z } from "zod";
import { assert } from "../../core/model/assert.ts";
import type { Scope } from "../../core/model/scope.ts";
import { invalidRequest, mistakesOf } from "./refusal.ts";
import type { RequestBody } from "./request-body.ts";
import type { Tag } from "./tags.ts";
import { type ApiEnv, enter, requireScope, type Tenant, type Tenants } from "./tenant.ts";

/** What an operation requires: a key with this scope, any valid key (`any`), or no key (null). */
export type Access = Scope | "any" | null;

export interface Answer {
  readonly description: string;
  /** The schema of the body. Omit it if there is no body. */
  readonly schema?: z.ZodType;
  /** Default `application/json`. */
  readonly type?: string;
  /** Headers with their descriptions. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Operation<A extends Access = Access, P = unknown, Q = unknown, B = unknown> {
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** In Hono's notation (`/automations/:id`), relative to the base of the API. */
  readonly path: string;
  /** True for a path beside the API, such as `/metrics`. */
  readonly outside?: boolean;
  /** Unique. Generated clients name their methods after it. */
  readonly id: string;
  readonly summary: string;
  readonly description?: string;
  readonly tag: Tag;
  readonly scope: A;
  /** `first`: it takes a key of the server's first workspace, because it concerns all of them. */
  readonly workspace?: "first";
  /** The parameters in the path; texts by default. */
  readonly params?: z.ZodObject & z.ZodType<P>;
  readonly query?: z.ZodObject & z.ZodType<Q>;
  readonly body?: RequestBody<B>;
  /** By status. Answers that many operations share are added in answers.ts. */
  readonly answers: Readonly<Record<number, Answer>>;
}

/** The checked input of a handler. */
export interface Input<A extends Access, P, Q, B> {
  /** The workspace of the request, and its rights there. */
  readonly tenant: A extends null ? null : Tenant;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
}

export interface Route {
  readonly operation: Operation;
  /** Registers the route below a base. */
  mount(app: Hono, base: string, options: MountOptions): void;
}

export interface MountOptions {
  /** May be null if no mounted route takes a key. */
  readonly tenants: Tenants | null;
  /** Checks requests that passed the key check, before they are read. @throws Refusal */
  readonly check?: (headers: Headers) => void;
}

/** Declares an operation and its handler. */
export function route<const A extends Access, P = Record<string, string>, Q = undefined, B = undefined>(
  operation: Operation<A, P, Q, B>,
  handler: (input: Input<A, P, Q, B>, context: Context<ApiEnv>) => Response | Promise<Response>,
): Route {
  return {
    operation,
    mount(app, base, { tenants, check }) {
      const { method, path, scope, workspace } = operation;
      (app as unknown as Hono<ApiEnv>).on(method.toUpperCase(), `${base}${path}`, async (context) => {
        if (scope !== null) {
          assert(tenants !== null, `${method} ${path} takes a key, so it needs tenants`);
          const named = workspace === "first" ? tenants.first : (context.req.param("workspace") ?? null);
          await enter(context, tenants, named);
          if (scope !== "any") {
            check?.(context.req.raw.headers);
            requireScope(context.var.tenant, scope);
          }
        }
        return handler(await inputOf(operation, context), context);
      });
    },
  };
}

/** Registers routes, in this order. */
export function mountAll(app: Hono, base: string, routes: readonly Route[], options: MountOptions): void {
  for (const each of routes) each.mount(app, base, options);
}

async function inputOf<A extends Access, P, Q, B>(
  { scope, params, query, body }: Operation<A, P, Q, B>,
  context: Context<ApiEnv>,
): Promise<Input<A, P, Q, B>> {
  const { req } = context;
  return {
    tenant: (scope === null ? null : context.var.tenant) as Input<A, P, Q, B>["tenant"],
    params: params === undefined ? (req.param() as P) : checked(params, req.param(), "path"),
    query: query === undefined ? (undefined as Q) : checked(query, req.query(), "query"),
    body: body === undefined ? (undefined as B) : await body.read(req.raw),
  };
}

/** @throws Refusal 422 */
function checked<T>(schema: z.ZodType<T>, value: unknown, place: "path" | "query"): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidRequest(mistakesOf(parsed.error.issues, [place], value), null);
}
