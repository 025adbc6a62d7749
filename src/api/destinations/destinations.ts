/**
 * Destinations: named places where webhooks and notifications go.
 *
 * Their secrets are never returned. Answers hold a mask instead, and a PUT that sends the mask back keeps the stored
 * secret. It does so only while the secret goes where it went before: otherwise whoever may write destinations could
 * have every stored secret sent to an address of their own. Refusals do not quote the body.
 */

import { z } from "zod";
import { parseExactJson } from "../../core/json/exact-json.ts";
import { type ChangedThing, destinationChanges } from "../../core/model/change-events.ts";
import {
  type Destination,
  type DestinationDefinition,
  DestinationSchema,
  destinationIdOf,
  destinationSecrets,
  destinationView,
  secretsGoTo,
} from "../../core/model/destination.ts";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import { isRecord } from "../../core/model/record.ts";
import { secretMask } from "../../core/model/secret.ts";
import { millisecond } from "../../core/model/time.ts";
import { mapInSlices } from "../../retry/slices.ts";
import { announceThing } from "../../store/announce.ts";
import type { Log } from "../../store/log.ts";
import { SourceSchema } from "../automations/automation-answers.ts";
import { sentReferenceProblem } from "../automations/automation-input.ts";
import { DetailSchema, IdSchema, TimeSchema } from "../http/answers.ts";
import { invalidRequest, mistakesOf, notFound, Refusal, type RequestMistake } from "../http/refusal.ts";
import { jsonBodyForHandler, type UncheckedBody } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import { fromFile, refuseFromFile } from "../http/rule-file.ts";

const viewFields = { id: IdSchema, source: SourceSchema, created: TimeSchema, updated: TimeSchema };
const [webhook, slack, teams, discord, pagerDuty, email] = DestinationSchema.options;

export const DestinationViewSchema = z
  .discriminatedUnion("type", [
    webhook.extend(viewFields),
    slack.extend(viewFields),
    teams.extend(viewFields),
    discord.extend(viewFields),
    pagerDuty.extend(viewFields),
    email.extend(viewFields),
  ])
  .meta({ id: "DestinationView", description: "A destination as it is stored, with secrets masked." });

export const byIdOrName = z.object({ id: z.string().meta({ description: "The destination's id or name." }) });
const stored = {
  description: "The destination as it is stored, with secrets masked.",
  schema: DestinationViewSchema,
};
const examples = {
  webhook: {
    type: "webhook",
    name: "alarms",
    url: "https://ops.example.org/alarms",
    headers: { "X-Team": "greenhouse" },
    secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    timeout: "10s",
  },
  slack: {
    type: "slack",
    name: "chat",
    url: "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXX",
  },
};

export function destinationRoutes(): Route[] {
  const viewOf = (destination: Destination) => destinationView(destination, secretMask);

  return [
    route(
      {
        method: "get",
        path: "/destinations",
        id: "listDestinations",
        summary: "List destinations",
        tag: "destinations",
        scope: "automations:read",
        answers: {
          200: {
            description: "All destinations, with secrets masked.",
            schema: z.array(DestinationViewSchema),
          },
        },
      },
      async ({ tenant }, context) =>
        context.json(await mapInSlices(await tenant.log.destinations.list(), viewOf)),
    ),

    route(
      {
        method: "post",
        path: "/destinations",
        id: "createDestination",
        summary: "Create a destination",
        tag: "destinations",
        scope: "automations:write",
        body: jsonBodyForHandler(DestinationSchema, { examples }),
        answers: {
          201: stored,
          409: { description: "A destination of that name exists.", schema: DetailSchema },
        },
      },
      async ({ tenant: { log, workspace, actor }, body }, context) => {
        const definition = readDestination(body, null);
        const id = destinationIdOf(workspace, definition.name);
        const now = Date.now() * millisecond;
        const destination = { id, definition, source: { kind: "api" }, created: now, updated: now } as const;
        if (!(await log.destinations.create(destination))) {
          const detail = `A destination named ${JSON.stringify(definition.name)} already exists; change it with PUT /api/destinations/${id}`;
          throw new Refusal(409, "exists", { detail });
        }
        await log.appendEvents([announceThing(thingOf(destination), "created", [], actor)]);
        return context.json(viewOf(destination), 201);
      },
    ),

    route(
      {
        method: "get",
        path: "/destinations/:id",
        id: "readDestination",
        summary: "Read a destination",
        tag: "destinations",
        scope: "automations:read",
        params: byIdOrName,
        answers: { 200: stored },
      },
      async ({ tenant, params }, context) => context.json(viewOf(await destinationOf(tenant.log, params.id))),
    ),

    route(
      {
        method: "put",
        path: "/destinations/:id",
        id: "updateDestination",
        summary: "Update a destination",
        description:
          "Sending a mask back keeps the stored secret, unless what decides where it goes changes too (type, url, a Host header; host, port or security of a mail server): then send the secret again. The name cannot change.",
        tag: "destinations",
        scope: "automations:write",
        params: byIdOrName,
        body: jsonBodyForHandler(DestinationSchema, { examples }),
        answers: { 200: stored, 409: fromFile },
      },
      async ({ tenant: { log, actor }, params, body }, context) => {
        const current = await destinationOf(log, params.id);
        refuseFromFile(current.definition.name, current.source);
        const definition = readDestination(body, current.definition);
        if (definition.name !== current.definition.name) {
          const msg = `A destination cannot be renamed; its name is ${JSON.stringify(current.definition.name)}. Create another destination`;
          throw invalidRequest(
            [{ type: "value_error", loc: ["body", "name"], msg, input: definition.name }],
            null,
          );
        }
        const updated = Math.max(Date.now() * millisecond, current.updated + 1);
        const destination = { ...current, definition, updated };
        await log.destinations.put([destination]);
        const changes = destinationChanges(current, destination);
        if (changes.length > 0) {
          await log.appendEvents([announceThing(thingOf(destination), "updated", changes, actor)]);
        }
        return context.json(viewOf(destination));
      },
    ),

    route(
      {
        method: "delete",
        path: "/destinations/:id",
        id: "deleteDestination",
        summary: "Delete a destination",
        tag: "destinations",
        scope: "automations:write",
        params: byIdOrName,
        answers: { 204: { description: "The destination is deleted." }, 409: fromFile },
      },
      async ({ tenant: { log, actor }, params }, context) => {
        const destination = await destinationOf(log, params.id);
        refuseFromFile(destination.definition.name, destination.source);
        if ((await log.destinations.delete([destination.id])) === 0) throw unknown();
        await log.appendEvents([announceThing(thingOf(destination), "deleted", [], actor)]);
        return context.body(null, 204);
      },
    ),
  ];
}

function thingOf({ id, definition }: Destination): ChangedThing {
  return { what: "destination", id, name: definition.name };
}

/** Finds a destination by id or name. @throws Refusal 404 */
export async function destinationOf({ destinations }: Log, idOrName: string): Promise<Destination> {
  const byId = isUuid(idOrName) ? await destinations.get(normalizeUuid(idOrName)) : null;
  const found = byId ?? (await destinations.getByName(idOrName));
  if (found === null) throw unknown();
  return found;
}

/**
 * @param previous the stored destination, whose secrets replace masks
 * @throws Refusal 422
 */
function readDestination(
  { value, schema }: UncheckedBody<typeof DestinationSchema>,
  previous: DestinationDefinition | null,
): DestinationDefinition {
  const refuse = (mistakes: readonly RequestMistake[]) =>
    invalidRequest(
      mistakes.map((mistake) => ({ ...mistake, input: null })),
      null,
    );
  const { unmasked, masks } = withoutMasks(value, previous);
  if (previous !== null && masks.length > 0) {
    const { type } = value as Json;
    // Another type may show what is secret in this one.
    if (type !== previous.type) throw refuse(masks.map((path) => staleMask(path, "type")));
  }
  const parsed = schema.safeParse(unmasked);
  if (!parsed.success) throw refuse(mistakesOf(parsed.error.issues, ["body"], value));
  const { name: _name, description: _description, ...settings } = parsed.data;
  const references = referenceMistakes(settings, ["body"]);
  if (references.length > 0) throw refuse(references);
  if (previous !== null && masks.length > 0) {
    const [changed] = changedPlaces(previous, parsed.data);
    if (changed !== undefined) throw refuse(masks.map((path) => staleMask(path, changed)));
  }
  return parsed.data;
}

/** What differs in where the secrets of two definitions of one type go, such as `port`. */
function changedPlaces(before: DestinationDefinition, after: DestinationDefinition): string[] {
  const placesOf = (definition: DestinationDefinition) =>
    new Map(secretsGoTo(definition).map(({ path, value }) => [path.join("."), value]));
  const [old, now] = [placesOf(before), placesOf(after)];
  return [...new Set([...now.keys(), ...old.keys()])].filter((key) => old.get(key) !== now.get(key));
}

function staleMask(path: readonly string[], changed: string): RequestMistake {
  const msg = `The mask keeps a stored secret only while what decides where it goes is unchanged, and ${changed} changed; send the secret itself again`;
  return { type: "value_error", loc: ["body", ...path], msg, input: null };
}

/** Every text with a reference to the environment, which would be sent as it is. */
function referenceMistakes(part: unknown, loc: RequestMistake["loc"]): RequestMistake[] {
  if (typeof part === "string") {
    const msg = sentReferenceProblem(part, "send the value itself");
    return msg === null ? [] : [{ type: "value_error", loc, msg, input: null }];
  }
  if (typeof part !== "object" || part === null) return [];
  return Object.entries(part).flatMap(([key, inner]) =>
    referenceMistakes(inner, [...loc, Array.isArray(part) ? Number(key) : key]),
  );
}

type Json = Record<string, unknown>;

/** The body, with each mask replaced by the stored secret; and the places of the masks. */
function withoutMasks(
  value: unknown,
  previous: DestinationDefinition | null,
): { unmasked: unknown; masks: readonly (readonly string[])[] } {
  if (previous === null || !isRecord(value)) return { unmasked: value, masks: [] };
  const unmasked = parseExactJson(JSON.stringify(value)) as Json;
  const masks = destinationSecrets(previous).flatMap(({ path, value: secret }) => {
    const [key = "", inner] = path;
    const owner = inner === undefined ? unmasked : unmasked[key];
    if (!isRecord(owner) || owner[inner ?? key] !== secretMask) return [];
    (owner as Json)[inner ?? key] = secret;
    return [path];
  });
  return { unmasked, masks };
}

/** There is no such destination. */
function unknown(): Refusal {
  return notFound("Destination not found");
}
