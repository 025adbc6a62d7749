/**
 * Automations over HTTP, as Prefect's client and command line use them.
 *
 * A change is acknowledged once it is in the log, so an event posted after the answer is evaluated against the changed
 * automation. Automations from rule files are changed in their files; over HTTP they can only be
 * paused and resumed.
 */

import type { Context } from "hono";
import { z } from "zod";
import { type Automation, actionLists } from "../../core/model/automation.ts";
import { automationView } from "../../core/model/automation-view.ts";
import { isCanary } from "../../core/model/canary.ts";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import { type Micros, millisecond } from "../../core/model/time.ts";
import { announceChange, announceDeletions } from "../../store/announce.ts";
import type { Log } from "../../store/log.ts";
import { DetailSchema } from "../http/answers.ts";
import { jsonHeaders, jsonList } from "../http/long-list.ts";
import { notFound, Refusal } from "../http/refusal.ts";
import { jsonBody, jsonBodyForHandler } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import { fromFile, refuseFromFile } from "../http/rule-file.ts";
import type { ApiEnv, Tenant } from "../http/tenant.ts";
import { isPrefectClient, prefectView } from "../prefect/action-stand-ins.ts";
import { AutomationViewSchema } from "./automation-answers.ts";
import { failuresExample, silenceExample } from "./automation-examples.ts";
import {
  AutomationQuerySchema,
  automationQueryOf,
  automationsPerPageMax,
  selectAutomations,
} from "./automation-filter.ts";
import {
  AutomationCreateSchema,
  AutomationUpdateSchema,
  depthMax,
  type InputContext,
  readAutomation,
} from "./automation-input.ts";

const AutomationPatchSchema = z.strictObject({ enabled: z.boolean() }).meta({ id: "AutomationPatch" });

const AutomationsSchema = z.array(AutomationViewSchema);
export const byId = z.object({ id: z.string().meta({ description: "The automation's id." }) });
const byResource = z.object({
  resource: z.string().meta({ description: "The id of a resource. It may contain slashes." }),
});
const stored = { description: "The automation as it is stored.", schema: AutomationViewSchema };
const queryExamples = {
  everything: {},
  byTag: {
    automations: { tags: { any_: ["greenhouse"] } },
    sort: "UPDATED_DESC",
    limit: 10,
    offset: 0,
  },
};

export function automationRoutes(): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/automations",
        id: "createAutomation",
        summary: "Create an automation",
        description:
          "Events that are posted after the answer are evaluated against it. Unknown keys inside a trigger or an action are ignored.",
        tag: "automations",
        scope: "automations:write",
        body: jsonBodyForHandler(AutomationCreateSchema, {
          limits: { depthMax },
          examples: { failures: failuresExample, silence: silenceExample },
        }),
        answers: { 201: stored },
      },
      async ({ tenant: { log, actor }, body }, context) => {
        const input = readAutomation(body, inputContext(context, null));
        const now = clock();
        const source = { kind: "api" } as const;
        const automation = { ...input, id: crypto.randomUUID(), source, created: now, updated: now };
        await log.putAutomations([automation], announceChange("created", actor));
        return answer(context, automation, 201);
      },
    ),

    route(
      {
        method: "get",
        path: "/automations",
        id: "listAutomations",
        summary: "List all automations, by name",
        tag: "automations",
        scope: "automations:read",
        answers: { 200: { description: "All automations.", schema: AutomationsSchema } },
      },
      async ({ tenant }, context) => {
        const automations = await tenant.log.automations();
        const limit = Number.MAX_SAFE_INTEGER;
        return answerAll(
          context,
          await selectAutomations(automations, { filter: {}, sort: "NAME_ASC", limit, offset: 0 }),
        );
      },
    ),

    route(
      {
        method: "post",
        path: "/automations/filter",
        id: "filterAutomations",
        summary: "Find automations",
        tag: "automations",
        scope: "automations:read",
        body: jsonBody(AutomationQuerySchema, { optional: true, examples: queryExamples }),
        answers: {
          200: { description: `At most ${automationsPerPageMax} automations.`, schema: AutomationsSchema },
        },
      },
      async ({ tenant, body }, context) => {
        const query = automationQueryOf(body);
        return answerAll(context, await selectAutomations(await tenant.log.automations(), query));
      },
    ),

    route(
      {
        method: "post",
        path: "/automations/count",
        id: "countAutomations",
        summary: "Count automations",
        tag: "automations",
        scope: "automations:read",
        body: jsonBody(AutomationQuerySchema, { optional: true, examples: queryExamples }),
        answers: { 200: { description: "How many there are.", schema: z.int() } },
      },
      async ({ tenant, body }, context) => {
        const { filter } = automationQueryOf(body);
        const automations = await tenant.log.automations();
        const query = { filter, sort: "NAME_ASC", limit: automations.length, offset: 0 } as const;
        return context.json((await selectAutomations(automations, query)).length);
      },
    ),

    route(
      {
        method: "get",
        path: "/automations/related-to/:resource{.+}",
        id: "automationsRelatedTo",
        summary: "List the automations that a resource owns or that act on it",
        tag: "automations",
        scope: "automations:read",
        params: byResource,
        answers: { 200: { description: "Those automations.", schema: AutomationsSchema } },
      },
      async ({ tenant, params: { resource } }, context) => {
        const automations = await tenant.log.automations();
        const targets = targetsOf(resource, automations);
        return answerAll(
          context,
          automations.filter((automation) => automation.owner === resource || actsOn(automation, targets)),
        );
      },
    ),

    route(
      {
        method: "delete",
        path: "/automations/owned-by/:resource{.+}",
        id: "deleteAutomationsOwnedBy",
        summary: "Delete the automations that a resource owns",
        tag: "automations",
        scope: "automations:write",
        params: byResource,
        answers: { 202: { description: "They are deleted." } },
      },
      async ({ tenant: { log, actor }, params: { resource } }, context) => {
        const owned = (await log.automations()).filter(({ owner }) => owner === resource);
        await log.deleteAutomations(
          owned.map(({ id }) => id),
          announceDeletions(owned, actor),
        );
        return context.body(null, 202);
      },
    ),

    route(
      {
        method: "get",
        path: "/automations/:id",
        id: "readAutomation",
        summary: "Read an automation",
        tag: "automations",
        scope: "automations:read",
        params: byId,
        answers: { 200: stored },
      },
      async ({ tenant, params }, context) => answer(context, await automationOf(tenant.log, params.id)),
    ),

    route(
      {
        method: "put",
        path: "/automations/:id",
        id: "updateAutomation",
        summary: "Update an automation",
        description:
          "Fields that are left out keep their values. Windows are kept unless the trigger's meaning changes.",
        tag: "automations",
        scope: "automations:write",
        params: byId,
        body: jsonBodyForHandler(AutomationUpdateSchema, {
          limits: { depthMax },
          examples: {
            failures: { ...failuresExample, description: "Three failures of one pump in ten minutes." },
          },
        }),
        answers: { 204: { description: "The automation is updated." }, 409: fromFile },
      },
      async ({ tenant, params, body }, context) => {
        await change(tenant, params.id, (current) => {
          refuseFromFile(current.name, current.source);
          return readAutomation(body, inputContext(context, current));
        });
        return context.body(null, 204);
      },
    ),

    route(
      {
        method: "patch",
        path: "/automations/:id",
        id: "pauseOrResumeAutomation",
        summary: "Pause or resume an automation",
        tag: "automations",
        scope: "automations:write",
        params: byId,
        body: jsonBody(AutomationPatchSchema, { examples: { pause: { enabled: false } } }),
        answers: { 204: { description: "The automation is paused or resumed." }, 409: ofServer },
      },
      async ({ tenant, params, body }, context) => {
        await change(tenant, params.id, () => body);
        return context.body(null, 204);
      },
    ),

    route(
      {
        method: "delete",
        path: "/automations/:id",
        id: "deleteAutomation",
        summary: "Delete an automation",
        tag: "automations",
        scope: "automations:write",
        params: byId,
        answers: { 204: { description: "The automation is deleted." }, 409: fromFile },
      },
      async ({ tenant: { log, actor }, params }, context) => {
        const automation = await automationOf(log, params.id);
        refuseFromFile(automation.name, automation.source);
        const { id } = automation;
        refuseCanary(id);
        // Someone else may have deleted it since it was read.
        if ((await log.deleteAutomations([id], announceDeletions([automation], actor))) === 0)
          throw unknownAutomation();
        return context.body(null, 204);
      },
    ),
  ];
}

/** Finds the automation with an id. @throws Refusal 404 */
export async function automationOf(log: Log, id: string): Promise<Automation> {
  const automation = isUuid(id) ? await log.automation(normalizeUuid(id)) : null;
  if (automation === null) throw unknownAutomation();
  return automation;
}

/** Changes the automation with an id. @throws Refusal */
async function change(
  { log, actor }: Tenant,
  id: string,
  changesTo: (current: Automation) => Partial<Automation>,
): Promise<void> {
  if (!isUuid(id)) throw unknownAutomation();
  refuseCanary(normalizeUuid(id));
  const changed = await log.updateAutomation(
    normalizeUuid(id),
    // Later than before, even if the clock has stepped back: clients sort by it.
    (current) => ({ ...current, ...changesTo(current), updated: Math.max(clock(), current.updated + 1) }),
    announceChange("updated", actor),
  );
  if (changed === null) throw unknownAutomation();
}

const ofServer = { description: "It belongs to the server, as the canary does.", schema: DetailSchema };

/** @throws Refusal 409 if the automation is the server's own */
function refuseCanary(id: string): void {
  if (!isCanary(id)) return;
  const detail = "The canary belongs to the server. To turn it off, start the server with --canary 0";
  throw new Refusal(409, "of_server", { detail });
}

function inputContext(context: Context<ApiEnv>, previous: Automation | null): InputContext {
  const { workspace } = context.var.tenant;
  return { workspace, previous, fromPrefect: isPrefectClient(context.req.raw.headers) };
}

function answer(context: Context<ApiEnv>, found: Automation, status: 200 | 201 = 200) {
  return context.json(viewsFor(context)(found), status);
}

async function answerAll(context: Context<ApiEnv>, found: readonly Automation[]) {
  return context.body(await jsonList(found, viewsFor(context)), 200, jsonHeaders);
}

function viewsFor(context: Context<ApiEnv>) {
  const { workspace } = context.var.tenant;
  const isPrefect = isPrefectClient(context.req.raw.headers);
  return (automation: Automation) => {
    const view = automationView(automation);
    return isPrefect ? prefectView(view, workspace) : view;
  };
}

export function unknownAutomation(): Refusal {
  return notFound("Automation not found");
}

/** The id and name of the automation that a resource id refers to, if it refers to one. */
function targetsOf(resource: string, automations: readonly Automation[]): ReadonlySet<string> {
  const id = /^prefect(?:-cloud)?\.automation\.(.+)$/.exec(resource)?.[1] ?? "";
  return new Set(
    automations
      .filter((automation) => automation.id === id)
      .flatMap(({ id, name }) => [`id ${id}`, `name ${name}`]),
  );
}

function actsOn(automation: Automation, targets: ReadonlySet<string>): boolean {
  return actionLists
    .flatMap((list) => automation[list])
    .some(
      (action) =>
        (action.type === "pause-automation" || action.type === "resume-automation") &&
        (targets.has(`id ${action.automation_id}`) || targets.has(`name ${action.automation}`)),
    );
}

let lastTime: Micros = 0;

/** The current time, never the same twice in this process, so that automations sort in the order of creation. */
function clock(): Micros {
  lastTime = Math.max(Date.now() * millisecond, lastTime + 1);
  return lastTime;
}
