/**
 * Destinations: where webhooks and notifications may go, by name.
 *
 * Their secrets come in and never out: a mask stands for each, and a PUT that repeats the mask keeps what is stored.
 * What was sent is not repeated in refusals either.
 */

import { Hono } from "hono";
import {
  type Destination,
  type DestinationDefinition,
  DestinationSchema,
  destinationIdOf,
  destinationSecrets,
  destinationView,
} from "../../core/model/destination.ts";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import { millisecond } from "../../core/model/time.ts";
import type { Log } from "../../store/log.ts";
import { readJson } from "../http/body.ts";
import { invalidRequest, type Mistake, mistakesOf, Refusal } from "../http/refusal.ts";
import { type ApiEnv, requireScope } from "../http/tenant.ts";
import { secretMask } from "./automation-view.ts";

export function destinationRoutes(): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  const mayRead = requireScope("automations:read");
  const mayWrite = requireScope("automations:write");
  const shown = (destination: Destination) => destinationView(destination, secretMask);

  routes.get("/destinations", mayRead, async (context) => {
    return context.json((await context.var.tenant.log.destinations.list()).map(shown));
  });

  routes.post("/destinations", mayWrite, async (context) => {
    const { log, workspace } = context.var.tenant;
    const definition = readDestination((await readJson(context.req.raw)).value, null);
    const id = destinationIdOf(workspace, definition.name);
    const now = Date.now() * millisecond;
    const destination = { id, definition, source: { kind: "api" }, created: now, updated: now } as const;
    if (!(await log.destinations.create(destination))) {
      const detail = `There is a destination called ${JSON.stringify(definition.name)} already; change it by PUT /api/destinations/${id}`;
      throw new Refusal(409, "exists", { detail });
    }
    return context.json(shown(destination), 201);
  });

  routes.get("/destinations/:id", mayRead, async (context) => {
    return context.json(shown(await destinationOf(context.var.tenant.log, context.req.param("id"))));
  });

  routes.put("/destinations/:id", mayWrite, async (context) => {
    const { log } = context.var.tenant;
    const { value } = await readJson(context.req.raw);
    const current = await destinationOf(log, context.req.param("id"));
    refuseFromFile(current);
    const definition = readDestination(value, current.definition);
    if (definition.name !== current.definition.name) {
      const msg = `The name is part of the identity and stays ${JSON.stringify(current.definition.name)}; create another destination`;
      throw invalidRequest(
        [{ type: "value_error", loc: ["body", "name"], msg, input: definition.name }],
        null,
      );
    }
    const updated = Math.max(Date.now() * millisecond, current.updated + 1);
    const destination = { ...current, definition, updated };
    await log.destinations.put([destination]);
    return context.json(shown(destination));
  });

  routes.delete("/destinations/:id", mayWrite, async (context) => {
    const { log } = context.var.tenant;
    const destination = await destinationOf(log, context.req.param("id"));
    refuseFromFile(destination);
    if ((await log.destinations.delete([destination.id])) === 0) throw notFound();
    return context.body(null, 204);
  });

  return routes;
}

/** By its id, or by its name. @throws Refusal 404 */
async function destinationOf({ destinations }: Log, idOrName: string): Promise<Destination> {
  const byId = isUuid(idOrName) ? await destinations.get(normalizeUuid(idOrName)) : null;
  const found = byId ?? (await destinations.named(idOrName));
  if (found === null) throw notFound();
  return found;
}

/**
 * @param previous its secrets take the place of masks
 * @throws Refusal 422
 */
function readDestination(value: unknown, previous: DestinationDefinition | null): DestinationDefinition {
  const parsed = DestinationSchema.safeParse(withoutMasks(value, previous));
  const refuse = (mistakes: readonly Mistake[]) =>
    invalidRequest(
      mistakes.map((mistake) => ({ ...mistake, input: null })),
      null,
    );
  if (!parsed.success) throw refuse(mistakesOf(parsed.error.issues, ["body"], value));
  const masked = destinationSecrets(parsed.data).filter((secret) => secret.value === secretMask);
  if (masked.length === 0) return parsed.data;
  const msg = "The mask stands for a stored secret, and there is none; send the secret itself";
  throw refuse(
    masked.map(({ path }) => ({ type: "value_error", loc: ["body", ...path], msg, input: secretMask })),
  );
}

/** What was sent, with the stored secrets in the place of their masks. */
function withoutMasks(value: unknown, previous: DestinationDefinition | null): unknown {
  if (previous === null || typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const meant = structuredClone(value) as Record<string, unknown>;
  for (const { path, value: secret } of destinationSecrets(previous)) {
    const [key = "", inner] = path;
    const owner = inner === undefined ? meant : meant[key];
    if (typeof owner !== "object" || owner === null) continue;
    const fields = owner as Record<string, unknown>;
    if (fields[inner ?? key] === secretMask) fields[inner ?? key] = secret;
  }
  return meant;
}

function refuseFromFile({ definition, source }: Destination): void {
  if (source.kind !== "file") return;
  const detail = `${JSON.stringify(definition.name)} is defined in ${source.file}; change it there`;
  throw new Refusal(409, "from_file", { detail });
}

function notFound(): Refusal {
  return new Refusal(404, "not_found", { exception_message: "Destination not found" });
}
