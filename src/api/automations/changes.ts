/** The latest changes of automations: the events that announce them, read as changes. */

import { z } from "zod";
import { isUuid, normalizeUuid, type ReceivedEvent } from "../../core/model/event.ts";
import { resolveFilterOfAllTime } from "../../history/filter.ts";
import { behindHeaders, recordedHistory } from "../events/recorded-history.ts";
import { IdSchema, RefusalSchema, TimeSchema } from "../http/answers.ts";
import { type Route, route } from "../http/route.ts";
import { FieldChangeSchema } from "./automation-answers.ts";

const changesMax = 100;

const ChangeActorSchema = z
  .object({
    type: z.string().meta({
      description:
        "`api-key`, `no-key` (anyone, while the server needs no key), `rule-files`, `command`, or `action` (of an automation).",
    }),
    name: z.string().nullable().meta({ description: "Of the key, the automation or the person." }),
    id: z.string().nullable().meta({ description: "Of the key or the automation." }),
  })
  .meta({ id: "ChangeActor", description: "Who changed something." });

const AutomationChangeSchema = z
  .object({
    at: TimeSchema,
    event_id: IdSchema.meta({ description: "The event that announced it." }),
    change: z.enum(["created", "changed", "paused", "resumed", "deleted"]),
    automation: z.object({ id: z.string(), name: z.string() }),
    by: ChangeActorSchema.nullable().meta({ description: "Null if the event does not say." }),
    fields: z.array(FieldChangeSchema).meta({
      description:
        "What differs, with secrets masked; at most 50. Empty for one that was created or deleted.",
    }),
  })
  .meta({ id: "AutomationChange" });

export const AutomationChangesSchema = z
  .object({ changes: z.array(AutomationChangeSchema).meta({ description: "The latest first." }) })
  .meta({ id: "AutomationChanges" });

const ChangesQuerySchema = z.object({
  limit: z.coerce
    .number()
    .pipe(z.int().min(1).max(changesMax))
    .default(20)
    .meta({ description: "How many to return at most." }),
  automation: z
    .string()
    .refine(isUuid, "automation should be the id of an automation, which is a UUID")
    .optional()
    .meta({ description: "Only those of the automation with this id." }),
});

/** What the resources of automations begin with, and the names of the events about them. */
const announced = "prefect-cloud.automation";
const announcements = ["created", "updated", "deleted"].map((change) => `${announced}.${change}`);

export function changeRoutes(): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/changes",
        id: "listChanges",
        summary: "List the latest changes of automations",
        description:
          "Who changed what: in rule files, over the API, or by an action. They are read from the history.",
        tag: "automations",
        scope: "automations:read",
        query: ChangesQuerySchema,
        answers: {
          200: { description: "The changes.", schema: AutomationChangesSchema, headers: behindHeaders },
          404: { description: "This server keeps no history.", schema: RefusalSchema },
        },
      },
      async ({ tenant, query: { limit, automation } }, context) => {
        const history = await recordedHistory(tenant, context);
        const filter = resolveFilterOfAllTime({
          event: { name: announcements },
          ...(automation === undefined
            ? {}
            : { resource: { id: [`${announced}.${normalizeUuid(automation)}`] } }),
        });
        const { events } = await history.queryEvents(filter, { limit });
        return context.json({ changes: events.map(changeIn) });
      },
    ),
  ];
}

/** Anyone may post events with these names, so nothing is taken for granted. */
function changeIn(event: ReceivedEvent): z.input<typeof AutomationChangeSchema> {
  const { id, occurred, resource, payload } = event;
  const resourceId = resource["prefect.resource.id"] ?? "";
  const fields = FieldsSchema.parse(payload["changes"]);
  return {
    at: occurred,
    event_id: id,
    change: kindOf(event.event, fields),
    automation: {
      id: resourceId.startsWith(`${announced}.`) ? resourceId.slice(announced.length + 1) : resourceId,
      name: resource["prefect.resource.name"] ?? "",
    },
    by: ActorSchema.parse(payload["changed_by"]),
    fields,
  };
}

const FieldsSchema = z.array(FieldChangeSchema).catch([]);
const ActorSchema = ChangeActorSchema.nullable().catch(null);

function kindOf(
  name: string,
  fields: z.infer<typeof FieldsSchema>,
): z.infer<typeof AutomationChangeSchema>["change"] {
  if (name.endsWith(".created")) return "created";
  if (name.endsWith(".deleted")) return "deleted";
  // What a file says of `enabled` is noted twice.
  const [first, ...others] = fields.filter(({ field }) => !field.startsWith("source."));
  if (first?.field !== "enabled" || others.length > 0) return "changed";
  return first.new === true ? "resumed" : "paused";
}
