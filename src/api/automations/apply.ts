/**
 * Rules applied over the API: a workspace's automations and destinations are brought to what was sent, as a whole, and the answer says
 * what was done, or would be. Applying the same again changes nothing.
 *
 * The automations are the API's own: they can be paused and changed there, and the next application says so. Their
 * ids come from their names, as those of rule files do. The values of references to the environment come apart from
 * the definitions, and are shown to nobody.
 */

import { Hono } from "hono";
import { z } from "zod";
import { Core } from "../../core/machine/core.ts";
import { showWindow } from "../../core/machine/explain.ts";
import type { ActionDefinition } from "../../core/model/action.ts";
import {
  type Automation,
  type AutomationDefinition,
  AutomationSchema,
  canonicalJson,
  sameTrigger,
} from "../../core/model/automation.ts";
import { automationIdOf, triggerIdOf } from "../../core/model/automation-ids.ts";
import {
  type Destination,
  type DestinationDefinition,
  DestinationSchema,
  destinationIdOf,
} from "../../core/model/destination.ts";
import { millisecond } from "../../core/model/time.ts";
import { withTriggerIds } from "../../core/model/trigger.ts";
import type { Log } from "../../store/log.ts";
import { readJson } from "../http/body.ts";
import { invalidRequest, type Mistake, mistakesOf, Refusal } from "../http/refusal.ts";
import { type ApiEnv, requireScope } from "../http/tenant.ts";
import type { AppliedChange, AppliedRules } from "../openapi/operations/applied.ts";
import { type ActionChecks, depthMax, nestsDeeper, textsIn } from "./automation-input.ts";
import { told } from "./automations.ts";
import type { ExplainSettings } from "./explain.ts";

const automationsMax = 10_000;

const RuleSchema = z.strictObject({
  definition: AutomationSchema,
  file: z.string().min(1).max(1_000).meta({ description: "The rule file that defines it." }),
  secrets: z.record(z.string(), z.string()).default({}).meta({
    description: "What `${env.NAME}` in its actions stands for, by NAME. Never shown again.",
  }),
});

export const ApplySchema = z
  .strictObject({
    automations: z.array(RuleSchema).max(automationsMax),
    destinations: z
      .array(DestinationSchema)
      .max(automationsMax)
      .default([])
      .meta({ description: "Put before the automations, which may refer to them. None is ever deleted." }),
    prune: z.boolean().default(false).meta({
      description: "Also delete what was applied to this workspace before and is not sent now.",
    }),
    dry_run: z.boolean().default(false).meta({ description: "Only say what would be done." }),
  })
  .meta({ id: "Application" });

type Rule = z.infer<typeof RuleSchema>;

export function applyRoutes(checks: ActionChecks, settings: ExplainSettings): Hono<ApiEnv> {
  const routes = new Hono<ApiEnv>();

  routes.post("/automations/apply", requireScope("automations:write"), async (context) => {
    const { value } = await readJson(context.req.raw);
    const { automations, destinations, prune, dry_run } = readApplication(value, checks);
    const { log, workspace } = context.var.tenant;
    const wanted = automations.map((rule) => automationOf(rule, workspace));
    const stored = await log.automations();
    refuseTaken(wanted, stored);
    const changes = changesTo(stored, wanted, prune);
    const places = await destinationChanges(destinations, log, workspace);
    const shown: AppliedChange[] = places.map((place) => place.shown);
    for (const change of changes) shown.push(await shownChange(change, log, settings));
    if (!dry_run) {
      await log.destinations.put(places.flatMap(({ put }) => put));
      await carryOut(changes, log);
    }
    return context.json({ dry_run, changes: shown } satisfies AppliedRules);
  });

  return routes;
}

/** @throws Refusal 422 that names every mistake and repeats nothing of what was sent: it may hold secrets */
function readApplication(value: unknown, checks: ActionChecks): z.infer<typeof ApplySchema> {
  const refuse = (mistakes: readonly Mistake[]) => invalidRequest(mistakes, null);
  if (nestsDeeper(value, depthMax + 3)) {
    const msg = `An automation nests at most ${depthMax} levels deep`;
    throw refuse([{ type: "too_deep", loc: ["body"], msg, input: null }]);
  }
  const parsed = ApplySchema.safeParse(value);
  if (!parsed.success) throw refuse(mistakesOf(parsed.error.issues, ["body"], null));
  const names = new Set<string>();
  const mistakes = parsed.data.automations.flatMap((rule, index): Mistake[] => {
    const loc = ["body", "automations", index, "definition"];
    const { name } = rule.definition;
    const isTaken = names.has(name);
    names.add(name);
    const msg = `The name ${JSON.stringify(name)} is taken by another one; give one of them another name`;
    return [
      ...(isTaken ? [{ type: "value_error", loc: [...loc, "name"], msg, input: null }] : []),
      ...actionMistakes(rule, loc, checks),
    ];
  });
  if (mistakes.length > 0) throw refuse(mistakes);
  return parsed.data;
}

const actionLists = ["actions", "actions_on_trigger", "actions_on_resolve"] as const;

function actionMistakes({ definition, secrets }: Rule, loc: Mistake["loc"], checks: ActionChecks): Mistake[] {
  return actionLists.flatMap((list) =>
    definition[list].flatMap((action, index) => {
      const mistake = (path: Mistake["loc"], msg: string): Mistake => ({
        type: "value_error",
        loc: [...loc, list, index, ...path],
        msg,
        input: null,
      });
      const inTexts = textsIn(action).flatMap(([path, text]) => {
        const problem = textProblem(path, text, secrets, checks);
        return problem === null ? [] : [mistake(path, problem)];
      });
      if (inTexts.length > 0) return inTexts;
      const problem = checks.action(withUrlFilled(action, secrets));
      return problem === null ? [] : [mistake([], problem)];
    }),
  );
}

const reference = /(?<!\$)\$\{env\.([^}]*)\}/g;

function textProblem(
  path: readonly (string | number)[],
  text: string,
  secrets: Readonly<Record<string, string>>,
  checks: ActionChecks,
): string | null {
  for (const [, name = ""] of text.matchAll(reference)) {
    if (!Object.hasOwn(secrets, name)) return `secrets holds no ${name}; send its value there`;
  }
  if (path[0] !== "secret") return checks.template(text);
  return /^\$\{env\.\w+\}$/.test(text)
    ? null
    : "A secret should be sent apart: put it into secrets and refer to it as ${env.NAME}";
}

function withUrlFilled(
  action: ActionDefinition,
  secrets: Readonly<Record<string, string>>,
): ActionDefinition {
  if (action.type !== "call-webhook" || action.url === undefined) return action;
  return { ...action, url: action.url.replaceAll(reference, (_found, name: string) => secrets[name] ?? "") };
}

function automationOf({ definition, file, secrets }: Rule, workspace: string): Automation {
  const id = automationIdOf(workspace, definition.name);
  const now = Date.now() * millisecond;
  return {
    ...definition,
    trigger: withTriggerIds(definition.trigger, (path) => triggerIdOf(id, path)),
    id,
    source: { kind: "api", applied: { file, enabled: definition.enabled } },
    secrets,
    created: now,
    updated: now,
  };
}

/** @throws Refusal 409 when a name belongs to somebody else: two automations of a name would both fire */
function refuseTaken(wanted: readonly Automation[], stored: readonly Automation[]): void {
  const names = new Map(wanted.map(({ name, id }) => [name, id]));
  const reasons = stored.flatMap(({ name, id, source }) => {
    if (!names.has(name)) return [];
    if (source.kind === "file")
      return [`${JSON.stringify(name)} is defined in ${source.file}, which the server reads`];
    if (names.get(name) === id) return [];
    return [
      `${JSON.stringify(name)} is the name of ${id}, which was created over the API: delete or rename that one`,
    ];
  });
  if (reasons.length > 0) throw taken(reasons);
}

function taken(reasons: readonly string[]): Refusal {
  return new Refusal(409, "taken", { detail: `${reasons.join("; ")}. Nothing was changed` });
}

type Change =
  | { readonly kind: "create"; readonly after: Automation }
  | { readonly kind: "change" | "unchanged"; readonly before: Automation; readonly after: Automation }
  | { readonly kind: "delete"; readonly before: Automation };

function changesTo(stored: readonly Automation[], wanted: readonly Automation[], prune: boolean): Change[] {
  const known = new Map(stored.map((automation) => [automation.id, automation]));
  const wantedIds = new Set(wanted.map(({ id }) => id));
  const changes = wanted.map((rule): Change => {
    const before = known.get(rule.id);
    if (before === undefined) return { kind: "create", after: rule };
    const after = merged(before, rule);
    return { kind: after === before ? "unchanged" : "change", before, after };
  });
  const leftOver = stored.filter(({ id, source }) => isApplied(source) && !wantedIds.has(id));
  const deletions = prune ? leftOver.map((before): Change => ({ kind: "delete", before })) : [];
  return [...changes, ...deletions].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
}

function isApplied(source: Automation["source"]): boolean {
  return source.kind === "api" && source.applied !== undefined;
}

function nameOf(change: Change): string {
  return change.kind === "delete" ? change.before.name : change.after.name;
}

/**
 * The rule in the life of the stored automation, or that one itself when nothing differs. Pausing or resuming lasts
 * until the file itself says something else about `enabled` than before.
 */
function merged(current: Automation, rule: Automation): Automation {
  const filesWord = current.source.kind === "api" ? current.source.applied?.enabled : undefined;
  const enabled = filesWord === rule.enabled ? current.enabled : rule.enabled;
  const { owner } = current;
  const after = { ...rule, enabled, created: current.created, ...(owner === undefined ? {} : { owner }) };
  const isEqual = canonicalJson({ ...after, updated: 0 }) === canonicalJson({ ...current, updated: 0 });
  return isEqual ? current : { ...after, updated: Math.max(rule.updated, current.updated + 1) };
}

/** @throws Refusal 409 when one of them is defined in a file that the server reads */
async function destinationChanges(
  wanted: readonly DestinationDefinition[],
  { destinations }: Log,
  workspace: string,
): Promise<{ readonly put: Destination[]; readonly shown: AppliedChange }[]> {
  const stored = new Map((await destinations.list()).map((destination) => [destination.id, destination]));
  const now = Date.now() * millisecond;
  return wanted.map((definition) => {
    const { name } = definition;
    const id = destinationIdOf(workspace, name);
    const before = stored.get(id);
    if (before?.source.kind === "file") {
      const { file } = before.source;
      throw taken([`The destination ${JSON.stringify(name)} is defined in ${file}, which the server reads`]);
    }
    const isEqual = before !== undefined && canonicalJson(before.definition) === canonicalJson(definition);
    const change = before === undefined ? "create" : isEqual ? "unchanged" : "change";
    const created = before?.created ?? now;
    const after = { id, definition, source: { kind: "api" }, created, updated: now } as const;
    const shown = { what: "destination", change, id, name, file: null } as const;
    return { put: isEqual ? [] : [after], shown: { ...shown, fields: [], windows: [] } };
  });
}

async function carryOut(changes: readonly Change[], log: Log): Promise<void> {
  const created = changes.flatMap((change) => (change.kind === "create" ? [change.after] : []));
  if (created.length > 0) await log.putAutomations(created, told("created"));
  for (const change of changes) {
    if (change.kind !== "change") continue;
    const { after } = change;
    // Compared with what is stored at that moment: somebody may be pausing it just now.
    const updated = await log.updateAutomation(
      after.id,
      (current) => merged(current, ruleOf(after)),
      told("updated"),
    );
    if (updated === null) await log.putAutomations([after], told("created"));
  }
  const deleted = changes.flatMap((change) => (change.kind === "delete" ? [change.before] : []));
  const events = new Map(deleted.map((automation) => [automation.id, told("deleted")(automation)]));
  if (deleted.length > 0) await log.deleteAutomations([...events.keys()], events);
}

/** What the file says, without the life that it was merged into. */
function ruleOf(after: Automation): Automation {
  const enabled =
    after.source.kind === "api" ? (after.source.applied?.enabled ?? after.enabled) : after.enabled;
  return { ...after, enabled };
}

const shownFields = [
  "description",
  "enabled",
  "tags",
  "trigger",
  "actions",
  "actions_on_trigger",
  "actions_on_resolve",
  "secrets",
  "source",
] as const satisfies readonly (keyof AutomationDefinition | "secrets" | "source")[];

async function shownChange(change: Change, log: Log, settings: ExplainSettings): Promise<AppliedChange> {
  const { source, id, name } = change.kind === "delete" ? change.before : change.after;
  const file = source.kind === "api" ? (source.applied?.file ?? null) : source.file;
  const common = { what: "automation", change: change.kind, id, name, file } as const;
  switch (change.kind) {
    case "create":
    case "unchanged":
      return { ...common, fields: [], windows: [] };
    case "delete":
      return { ...common, fields: [], windows: await windowsOf(change.before, "reset", log, settings) };
    case "change": {
      const { before, after } = change;
      const fields = shownFields.filter(
        (field) => canonicalJson(before[field]) !== canonicalJson(after[field]),
      );
      // As the core decides when the change comes to it.
      const keeps = before.enabled === after.enabled && sameTrigger(before.trigger, after.trigger);
      return { ...common, fields, windows: await windowsOf(before, keeps ? "kept" : "reset", log, settings) };
    }
  }
}

async function windowsOf(
  { id }: Automation,
  becomes: "kept" | "reset",
  log: Log,
  settings: ExplainSettings,
): Promise<AppliedChange["windows"]> {
  const state = await log.automationState(id);
  if (state === null) return [];
  const core = Core.restore(state, { ...settings, stored: false });
  return [...core.windowsOf(id)].map((window) => ({ ...showWindow(window), becomes }));
}
