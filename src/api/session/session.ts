/** Signing in to the dashboard with an API key, and what a request may do. See `http/page-token.ts`. */

import type { Context } from "hono";
import { type CookieOptions, serialize } from "hono/utils/cookie";
import { z } from "zod";
import { scopes } from "../../core/model/scope.ts";
import { version } from "../../version.ts";
import { DetailSchema } from "../http/answers.ts";
import { cookieName, keyInCookie, pageTokenOf } from "../http/page-token.ts";
import { Refusal } from "../http/refusal.ts";
import { jsonBody } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import type { Tenant, Tenants } from "../http/tenant.ts";

export const SessionSchema = z
  .object({
    key_required: z.boolean().meta({ description: "Whether requests need an API key." }),
    allowed: z.boolean().meta({ description: "Whether this request was allowed in." }),
    key: z
      .object({ id: z.string(), name: z.string() })
      .nullable()
      .meta({ description: "The API key of the request; null if it has none." }),
    scopes: z.array(z.enum(scopes)).meta({ description: "What the request may do." }),
    workspace: z.string().nullable().meta({ description: "The workspace that the request is for." }),
    workspaces: z.array(z.string()).meta({ description: "Those that the request could name." }),
    page_token: z
      .string()
      .nullable()
      .meta({ description: "What pages send as a bearer token beside the cookie; null without the cookie." }),
    version: z.string().nullable().meta({ description: "The version of Tripline." }),
  })
  .meta({ id: "Session", description: "Who the request comes from, and what it may do." });

type Session = z.infer<typeof SessionSchema>;

const SignInSchema = z
  .strictObject({ key: z.string().min(1).max(500).meta({ description: "An API key." }) })
  .meta({ id: "SignIn" });

/** How long a browser keeps the key. The key itself may expire or be revoked before. */
const cookieSeconds = 30 * 86_400;

export function sessionRoutes(tenants: Tenants): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/session",
        id: "readSession",
        summary: "Read who you are and what you may do",
        description:
          "Answers requests without a valid key too, and says then that one is needed. Pages call it with the cookie " +
          "alone to get their page token.",
        tag: "server",
        scope: null,
        answers: { 200: { description: "As of now.", schema: SessionSchema } },
      },
      async (_input, context) => {
        const { headers } = context.req.raw;
        await tenants.checkOrigin(headers, false);
        context.header("Cache-Control", "no-store");
        const named = context.req.param("workspace") ?? null;
        const cookie = headers.has("authorization") ? null : keyInCookie(headers);
        const tenant = await admitted(
          cookie === null ? tenants.of(headers, named) : tenants.authenticate(cookie, named, headers),
        );
        // A cookie that opens nothing any more must not stand in the way of an open server.
        if (tenant === null && cookie !== null) context.header("Set-Cookie", cookieWith("", context, 0));
        return context.json(await sessionOf(tenants, tenant, cookie));
      },
    ),

    route(
      {
        method: "post",
        path: "/session",
        id: "signIn",
        summary: "Sign in with an API key",
        description:
          "Puts the key into a cookie (HttpOnly, SameSite=Strict) for the dashboard. Programs send their key in " +
          "`Authorization` instead.",
        tag: "server",
        scope: null,
        body: jsonBody(SignInSchema, { examples: { key: { key: "tripline_…" } }, holdsSecrets: true }),
        answers: {
          200: { description: "Signed in.", schema: SessionSchema, headers: { "Set-Cookie": "The key." } },
          401: { description: "The key is not valid.", schema: DetailSchema },
          403: { description: "A page of another site sent the request.", schema: DetailSchema },
        },
      },
      async ({ body: { key } }, context) => {
        const { headers } = context.req.raw;
        await tenants.checkOrigin(headers, true);
        context.header("Cache-Control", "no-store");
        const tenant = await admitted(tenants.authenticate(key.trim(), null, headers));
        if (tenant === null || tenant.actor.type !== "api-key") {
          const detail =
            "This is not a valid API key of this server: it is misspelled, has expired, or was revoked. " +
            "tripline keys ls lists the keys, and tripline keys create makes one";
          throw new Refusal(401, "unauthorized", { detail });
        }
        context.header("Set-Cookie", cookieWith(key.trim(), context, cookieSeconds));
        return context.json(await sessionOf(tenants, tenant, key.trim()));
      },
    ),

    route(
      {
        method: "delete",
        path: "/session",
        id: "signOut",
        summary: "Sign out",
        tag: "server",
        scope: null,
        answers: {
          204: { description: "The cookie is deleted." },
          403: { description: "A page of another site sent the request.", schema: DetailSchema },
        },
      },
      async (_input, context) => {
        await tenants.checkOrigin(context.req.raw.headers, true);
        context.header("Set-Cookie", cookieWith("", context, 0));
        return context.body(null, 204);
      },
    ),
  ];
}

/** The tenant; null if the request may not enter. */
async function admitted(entering: Promise<Tenant>): Promise<Tenant | null> {
  try {
    return await entering;
  } catch (error) {
    if (error instanceof Refusal && (error.status === 401 || error.status === 404)) return null;
    throw error;
  }
}

async function sessionOf(tenants: Tenants, tenant: Tenant | null, cookie: string | null): Promise<Session> {
  const { id = null, name = null } = tenant?.actor ?? {};
  const key = id === null || name === null ? null : { id, name };
  return {
    key_required: await tenants.needKey(),
    allowed: tenant !== null,
    key,
    scopes: tenant === null ? [] : scopes.filter((scope) => tenant.scopes.has(scope)),
    workspace: tenant?.workspace ?? null,
    // A key gives access to one workspace, and its holder must not learn which others exist.
    workspaces: tenant === null ? [] : key === null ? [...tenants.names] : [tenant.workspace],
    page_token: key === null || cookie === null ? null : pageTokenOf(cookie),
    // The version tells strangers which faults to try.
    version: tenant === null ? null : version,
  };
}

/**
 * The header that sets the cookie. It names no path, so the browser sends the cookie to what lies beside this operation:
 * the API, also where a proxy has put it below another path.
 */
function cookieWith(key: string, { req }: Context, maxAge: number): string {
  // What is between browser and server may end TLS, but the browser says what it sees.
  const isSecure = req.header("origin")?.startsWith("https:") ?? false;
  const options: CookieOptions = { httpOnly: true, sameSite: "Strict", maxAge, secure: isSecure };
  return serialize(cookieName, key, options);
}
