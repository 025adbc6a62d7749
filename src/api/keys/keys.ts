/**
 * API keys over HTTP: those of one workspace, by the holder of a key there with the scope `admin`.
 *
 * Two changes would shut people out. The first key closes an open server for everyone without one, so it must have the
 * scope `admin`, and it must belong to the first workspace, whose keys may do what concerns all. It is made as any
 * change of an open server is: from this machine. And the last active key with `admin` cannot be revoked here; another must
 * be made before. Neither binds `tripline keys`, which needs Redis only, and so repairs what a key that expired left
 * behind. Revoking never opens a server: revoked keys count as keys.
 */

import { z } from "zod";
import { nameLengthMax } from "../../core/model/limits.ts";
import { formatRate, parseRate, rateProblem } from "../../core/model/rate.ts";
import { scopes } from "../../core/model/scope.ts";
import { formatTime, millisecond, parseTime } from "../../core/model/time.ts";
import { WrittenTimeSchema } from "../../history/filter.ts";
import { type ApiKey, stateOf } from "../../store/api-key.ts";
import { type ApiKeyChanges, apiKeysMax } from "../../store/api-key-changes.ts";
import { DetailSchema, TimeSchema } from "../http/answers.ts";
import { conflict, notFound, Refusal } from "../http/refusal.ts";
import { jsonBody } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import type { Tenants } from "../http/tenant.ts";

const ScopesSchema = z.array(z.enum(scopes));

const ApiKeyViewSchema = z
  .object({
    id: z.string().meta({ description: "The part of the key that names it: tripline_<id>_…" }),
    name: z.string().meta({ description: "Who or what uses it." }),
    workspace: z.string().meta({ description: "The only workspace that it gives access to." }),
    scopes: ScopesSchema.meta({ description: "What it may do." }),
    rate: z
      .string()
      .nullable()
      .meta({ description: "The limit on its requests and events, such as `100/s`; null if there is none." }),
    created: TimeSchema,
    expires: TimeSchema.nullable().meta({ description: "Null if it never expires." }),
    revoked: TimeSchema.nullable().meta({ description: "When it was revoked; null if it was not." }),
    state: z.enum(["active", "revoked", "expired"]),
    source: z
      .enum(["command", "file"])
      .meta({ description: "`file`: the key file of a server names it. `command`: it was made by hand." }),
    last_used: TimeSchema.nullable().meta({
      description: "When it last let a request in, to the minute; null if that is not known.",
    }),
  })
  .meta({ id: "ApiKeyView", description: "An API key, without its secret." });

export const ApiKeysSchema = z
  .object({ keys: z.array(ApiKeyViewSchema).meta({ description: "The oldest first." }) })
  .meta({ id: "ApiKeys" });

export const NewApiKeySchema = z
  .strictObject({
    name: z.string().min(1, "name should not be empty").max(nameLengthMax).meta({
      description: "Who or what will use it.",
    }),
    scopes: ScopesSchema.min(1, "scopes should name at least one scope")
      .max(scopes.length, "scopes should name each scope once")
      .meta({ description: "What it may do. `admin` may do everything in its workspace." }),
    expires: WrittenTimeSchema.nullish().meta({
      description: "Until when it is valid, RFC 3339. Left out, it never expires.",
    }),
    rate: z
      .string()
      .superRefine((text, context) => {
        const problem = rateProblem(text);
        if (problem !== null) context.addIssue({ code: "custom", message: problem });
      })
      .nullish()
      .meta({ description: "A limit on its requests and events, such as `100/s` or `5000/h`." }),
  })
  .meta({ id: "NewApiKey" });

export const CreatedApiKeySchema = z
  .object({
    key: ApiKeyViewSchema,
    token: z.string().meta({
      description: "What requests are sent with: `Authorization: Bearer <token>`. It is shown this once.",
    }),
  })
  .meta({ id: "CreatedApiKey" });

const byId = z.object({
  id: z.string().max(100).meta({ description: "The key's id: 12 hexadecimal digits." }),
});

/** @param keys those of all workspaces; a request sees and changes only those of its own */
export function keyRoutes(keys: ApiKeyChanges, tenants: Tenants): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/keys",
        id: "listKeys",
        summary: "List the API keys of the workspace",
        description: "Revoked and expired ones as well, until they are removed with `tripline keys forget`.",
        tag: "server",
        scope: "admin",
        answers: { 200: { description: "The keys, without their secrets.", schema: ApiKeysSchema } },
      },
      async ({ tenant: { workspace } }, context) => {
        const own = (await keys.store.all()).filter((key) => key.workspace === workspace);
        const uses = await keys.store.lastUses(own.map(({ id }) => id));
        const now = Date.now();
        return context.json({ keys: own.map((key, index) => viewOf(key, uses[index] ?? null, now)) });
      },
    ),

    route(
      {
        method: "post",
        path: "/keys",
        id: "createKey",
        summary: "Create an API key for the workspace",
        description:
          "The first key closes the server: within seconds, every request needs one. So it must have the scope `admin`, and " +
          "belong to the server's first workspace. It is created without a key, from the machine of the server, and only " +
          "while there is none.",
        tag: "server",
        scope: "admin",
        body: jsonBody(NewApiKeySchema, {
          examples: {
            dashboard: { name: "dashboard", scopes: ["admin"], expires: "2099-01-01T00:00:00Z" },
          },
        }),
        answers: {
          201: {
            description: "The key, and its token, which is shown this once.",
            schema: CreatedApiKeySchema,
          },
          409: {
            description: "It would be the first key and shut people out, or there are too many keys.",
            schema: DetailSchema,
          },
        },
      },
      async ({ tenant: { workspace, actor }, body }, context) => {
        const { name, expires: expiry = null, rate = null } = body;
        const expires = expiry === null ? null : parseTime(expiry);
        if (expires !== null && expires <= Date.now() * millisecond) {
          throw new Refusal(422, "invalid", { detail: "expires should be in the future; it has passed" });
        }
        const onlyAsFirst = actor.type === "no-key";
        if (onlyAsFirst) checkFirst(body.scopes, workspace, tenants.first);
        const wanted = {
          name,
          workspace,
          scopes: [...new Set(body.scopes)],
          expires: expires === null ? null : formatTime(expires),
          rate: rate === null ? null : parseRate(rate),
        };
        const created = await keys.create(wanted, actor, { onlyAsFirst });
        if (created === null) throw conflict(onlyAsFirst ? anotherWasFirst : tooMany);
        const { key, token } = created;
        // A cache must not keep it either.
        context.header("Cache-Control", "no-store");
        return context.json({ key: viewOf(key, null, Date.now()), token }, 201);
      },
    ),

    route(
      {
        method: "delete",
        path: "/keys/:id",
        id: "revokeKey",
        summary: "Revoke an API key of the workspace",
        description:
          "Servers refuse it within seconds. It stays in the list. The last active key with the scope `admin` is not revoked: " +
          "create another one before. (`tripline keys revoke` does it nevertheless.)",
        tag: "server",
        scope: "admin",
        params: byId,
        answers: {
          204: { description: "The key is revoked." },
          409: { description: "It is the last active key with the scope admin.", schema: DetailSchema },
        },
      },
      async ({ tenant: { workspace, actor }, params: { id } }, context) => {
        const outcome = await keys.revokeUnlessLastAdmin(id, workspace, actor);
        if (outcome === "unknown") {
          throw notFound("Key not found in this workspace");
        }
        if (outcome === "last admin") throw conflict(lastAdmin);
        return context.body(null, 204);
      },
    ),
  ];
}

const anotherWasFirst =
  "Another key was created in the meantime, so the server requires one. Send it, or create one with tripline keys create";
const tooMany = `There are ${apiKeysMax} keys, which is the most there may be. Remove some: tripline keys forget <id>`;
const lastAdmin =
  "This is the last active key of the workspace with the scope admin: without it, no one could manage keys over the " +
  "API. Create another one with the scope admin before";

/** @throws Refusal 409 if the first key of a server would shut people out */
function checkFirst(wanted: readonly string[], workspace: string, first: string): void {
  if (!wanted.includes("admin")) {
    throw conflict(
      "The first key should have the scope admin: once it exists, every request needs a key, and only one with admin can create others",
    );
  }
  if (workspace === first) return;
  throw conflict(
    `The first key should belong to the workspace ${first}, the first of this server: once it exists, every request needs a key`,
  );
}

function viewOf(key: ApiKey, lastUsedMs: number | null, now: number): z.input<typeof ApiKeyViewSchema> {
  const { id, name, workspace, scopes: granted, rate, created, expires, revoked, source } = key;
  return {
    id,
    name,
    workspace,
    scopes: granted,
    rate: rate === null ? null : formatRate(rate),
    created,
    expires,
    revoked,
    state: stateOf(key, now),
    source,
    last_used: lastUsedMs === null ? null : formatTime(lastUsedMs * millisecond),
  };
}
