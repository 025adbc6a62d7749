/**
 * Automations over HTTP, as Prefect's client and command line use them.
 *
 * They are changed through the log and acknowledged only then, so an event that is posted after an answer meets the
 * changed automation. Those from rule files are changed there; over HTTP they can only be paused and resumed.
 */

import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Automation } from "../../core/model/automation.ts";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import { type Micros, millisecond } from "../../core/model/time.ts";
import { announceChange, announceDeletions } from "../../store/announce.ts";
import type { Log } from "../../store/log.ts";
import { readJson, readOptionalJson } from "../http/body.ts";
import { invalidRequest, mistakesOf, Refusal } from "../http/refusal.ts";
import { type ApiEnv, requireScope } from "../http/tenant.ts";
import { readAutomationQuery, selectAutomations } from "./automation-filter.ts";
import { type InputContext, readAutomation } from "./automation-input.ts";
import { isPrefectClient, shownAutomation } from "./automation-view.ts";

/** The body of a PATCH. */
export const AutomationPatchSchema = z.strictObject({ enabled: z.boolean() });

export function automationRoutes(): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();
  const mayRead = requireScope("automations:read");
  const mayWrite = requireScope("automations:write");
  // Prefect's client ends this path, and no other, in a slash.
  const collection = ["/automations", "/automations/"];

  routes.on("POST", collection, mayWrite, async (context) => {
    const { log } = context.var.tenant;
    const { value } = await readJson(context.req.raw);
    const input = readAutomation(value, inputContext(context, null));
    const now = clock();
    const source = { kind: "api" } as const;
    const automation = { ...input, id: crypto.randomUUID(), source, created: now, updated: now };
    await log.putAutomations([automation], announceChange("created"));
    return shown(context, automation, 201);
  });

  routes.on("GET", collection, mayRead, async (context) => {
    const automations = await context.var.tenant.log.automations();
    const limit = Number.MAX_SAFE_INTEGER;
    return shown(context, selectAutomations(automations, { filter: {}, sort: "NAME_ASC", limit, offset: 0 }));
  });

  routes.post("/automations/filter", mayRead, async (context) => {
    const query = readAutomationQuery((await readOptionalJson(context.req.raw)).value);
    return shown(context, selectAutomations(await context.var.tenant.log.automations(), query));
  });

  routes.post("/automations/count", mayRead, async (context) => {
    const { filter } = readAutomationQuery((await readOptionalJson(context.req.raw)).value);
    const automations = await context.var.tenant.log.automations();
    const query = { filter, sort: "NAME_ASC", limit: automations.length, offset: 0 } as const;
    return context.json(selectAutomations(automations, query).length);
  });

  routes.get("/automations/related-to/:resource{.+}", mayRead, async (context) => {
    const resource = context.req.param("resource");
    const automations = await context.var.tenant.log.automations();
    const acted = actedOn(resource, automations);
    return shown(
      context,
      automations.filter((automation) => automation.owner === resource || actsOn(automation, acted)),
    );
  });

  routes.delete("/automations/owned-by/:resource{.+}", mayWrite, async (context) => {
    const resource = context.req.param("resource");
    const { log } = context.var.tenant;
    const owned = (await log.automations()).filter(({ owner }) => owner === resource);
    await log.deleteAutomations(
      owned.map(({ id }) => id),
      announceDeletions(owned),
    );
    return context.body(null, 202);
  });

  routes.get("/automations/:id", mayRead, async (context) => {
    return shown(context, await automationOf(context.var.tenant.log, context.req.param("id")));
  });

  routes.put("/automations/:id", mayWrite, async (context) => {
    const { value } = await readJson(context.req.raw);
    await change(context, (current) => {
      refuseFromFile(current);
      return readAutomation(value, inputContext(context, current));
    });
    return context.body(null, 204);
  });

  routes.patch("/automations/:id", mayWrite, async (context) => {
    const { value } = await readJson(context.req.raw);
    const parsed = AutomationPatchSchema.safeParse(value);
    if (!parsed.success) throw invalidRequest(mistakesOf(parsed.error.issues, ["body"], value), value);
    await change(context, () => parsed.data);
    return context.body(null, 204);
  });

  routes.delete("/automations/:id", mayWrite, async (context) => {
    const { log } = context.var.tenant;
    const automation = await automationOf(log, context.req.param("id"));
    refuseFromFile(automation);
    const { id } = automation;
    // It may have been deleted since it was read; then this was the second deletion.
    if ((await log.deleteAutomations([id], announceDeletions([automation]))) === 0) throw notFound();
    return context.body(null, 204);
  });

  return routes;
}

/** The automation with an id. @throws Refusal 404 when there is none */
export async function automationOf(log: Log, id: string): Promise<Automation> {
  const automation = isUuid(id) ? await log.automation(normalizeUuid(id)) : null;
  if (automation === null) throw notFound();
  return automation;
}

/** Changes the automation that the path names. @throws Refusal */
async function change(
  context: Context<ApiEnv>,
  changesTo: (current: Automation) => Partial<Automation>,
): Promise<void> {
  const id = context.req.param("id") ?? "";
  if (!isUuid(id)) throw notFound();
  const changed = await context.var.tenant.log.updateAutomation(
    normalizeUuid(id),
    // Later than before, also where the clock has stepped back: clients sort by it.
    (current) => ({ ...current, ...changesTo(current), updated: Math.max(clock(), current.updated + 1) }),
    announceChange("updated"),
  );
  if (changed === null) throw notFound();
}

function inputContext(context: Context<ApiEnv>, previous: Automation | null): InputContext {
  const { workspace } = context.var.tenant;
  return { workspace, previous, fromPrefect: isPrefectClient(context.req.raw.headers) };
}

function shown(context: Context<ApiEnv>, found: Automation | readonly Automation[], status: 200 | 201 = 200) {
  const { workspace } = context.var.tenant;
  const show = (automation: Automation) => shownAutomation(automation, workspace, context.req.raw.headers);
  return context.json("id" in found ? show(found) : found.map(show), status);
}

function notFound(): Refusal {
  return new Refusal(404, "not_found", { exception_message: "Automation not found" });
}

function refuseFromFile({ name, source }: Automation): void {
  if (source.kind !== "file") return;
  const detail = `${JSON.stringify(name)} is defined in ${source.file}; change it there`;
  throw new Refusal(409, "from_file", { detail });
}

/** The ids and names of the automations that a resource's id stands for. */
function actedOn(resource: string, automations: readonly Automation[]): ReadonlySet<string> {
  const id = /^prefect(?:-cloud)?\.automation\.(.+)$/.exec(resource)?.[1] ?? "";
  return new Set(
    automations
      .filter((automation) => automation.id === id)
      .flatMap(({ id, name }) => [`id ${id}`, `name ${name}`]),
  );
}

function actsOn(automation: Automation, acted: ReadonlySet<string>): boolean {
  const { actions, actions_on_trigger, actions_on_resolve } = automation;
  return [...actions, ...actions_on_trigger, ...actions_on_resolve].some(
    (action) =>
      (action.type === "pause-automation" || action.type === "resume-automation") &&
      (acted.has(`id ${action.automation_id}`) || acted.has(`name ${action.automation}`)),
  );
}

let last: Micros = 0;

/** Now; never the same twice in this process, so that what was created one after another can be sorted. */
function clock(): Micros {
  last = Math.max(Date.now() * millisecond, last + 1);
  return last;
}
