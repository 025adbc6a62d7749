/**
 * Applies rules over the API: makes a workspace's automations and destinations match what is sent, and reports the
 * changes. Applying the same rules again changes nothing.
 *
 * The automations belong to the API: they can be paused and changed there, and the next application reports that. Their
 * ids are derived from their names, as with rule files. The values of references to the environment are sent apart from
 * the definitions, and are never returned.
 */

import { z } from "zod";
import { type ActionText, fieldKind, textsOf } from "../../core/model/action.ts";
import { type Automation, AutomationSchema, actionLists } from "../../core/model/automation.ts";
import { automationIdOf, triggerIdOf } from "../../core/model/automation-ids.ts";
import { automationChanges } from "../../core/model/automation-view.ts";
import { destinationChanges } from "../../core/model/change-events.ts";
import {
  type Destination,
  type DestinationDefinition,
  DestinationSchema,
  destinationIdOf,
} from "../../core/model/destination.ts";
import {
  appliedAutomationsMax,
  appliedBytesMax,
  appliedDestinationsMax,
  appliedValuesMax,
  requestBytesMax,
  requestValuesMax,
  ruleTextLengthMax,
} from "../../core/model/limits.ts";
import {
  malformedReferenceIn,
  malformedReferenceProblem,
  referencedValue,
  referencesIn,
  soleReferenceIn,
} from "../../core/model/reference.ts";
import { definitionIdOf, withoutSecretTexts } from "../../core/model/rule-text.ts";
import { millisecond } from "../../core/model/time.ts";
import { withTriggerIds } from "../../core/model/trigger.ts";
import { affectedWindows } from "../../reconcile/affected-windows.ts";
import { carryOut, readStored } from "../../reconcile/carry-out.ts";
import { type AutomationChange, type DestinationChange, planChanges } from "../../reconcile/plan.ts";
import { breathe, mapInSlices } from "../../retry/slices.ts";
import type { Log } from "../../store/log.ts";
import type { StoredRuleText } from "../../store/rule-notes.ts";
import { actionTextProblem } from "../../templates/action-checks.ts";
import type { ExplainSettings } from "../explain/replay.ts";
import { DetailSchema } from "../http/answers.ts";
import { jsonHeaders, jsonList, jsonWithLists } from "../http/long-list.ts";
import { invalidRequest, Refusal, type RequestMistake } from "../http/refusal.ts";
import { jsonBodyOfLists } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";
import { type AppliedChange, type AppliedRules, AppliedRulesSchema } from "./automation-answers.ts";
import { applyExample } from "./automation-examples.ts";
import { depthMax } from "./automation-input.ts";

const RuleSchema = z.strictObject({
  definition: AutomationSchema,
  file: z.string().min(1).max(1_000).meta({ description: "The rule file that defines it." }),
  secrets: z.record(z.string(), z.string()).default({}).meta({
    description: "The values of `${env.NAME}` in its actions, by NAME. Never returned.",
  }),
  text: z
    .strictObject({
      yaml: z.string().max(ruleTextLengthMax).meta({ description: "Without secrets." }),
      line: z.int().min(1).meta({ description: "The line of the file with which it begins." }),
    })
    .optional()
    .meta({
      description:
        "How the file writes the automation, for people who look at it. It changes nothing else: another line or comment is no change of the automation.",
    }),
});

export const ApplySchema = z
  .strictObject({
    automations: z.array(RuleSchema).max(appliedAutomationsMax),
    destinations: z
      .array(DestinationSchema)
      .max(appliedDestinationsMax)
      .default([])
      .meta({ description: "Stored before the automations, which may refer to them. Never deleted." }),
    prune: z.boolean().default(false).meta({
      description:
        "Whether to delete automations that were applied to this workspace before and are missing now.",
    }),
    dry_run: z.boolean().default(false).meta({ description: "Whether to only report what would change." }),
  })
  .meta({ id: "Application" });

type Rule = z.infer<typeof RuleSchema>;

export function applyRoutes(settings: ExplainSettings): Route[] {
  return [
    route(
      {
        method: "post",
        path: "/automations/apply",
        id: "applyAutomations",
        summary: "Apply rules: make the automations match, or report what would change",
        description:
          "Automations are identified by name. Those that differ are created or changed; with `prune`, those that were applied before and are missing now are deleted. Applying the same rules again changes nothing.",
        tag: "automations",
        scope: "automations:write",
        body: jsonBodyOfLists(
          ApplySchema,
          { automations: RuleSchema, destinations: DestinationSchema },
          {
            limits: {
              bytesMax: appliedBytesMax,
              valuesMax: appliedValuesMax,
              depthMax: depthMax + 3, // an automation is three levels deep in the body
              // As when each is the whole request.
              innerItems: { valuesMax: requestValuesMax, lengthMax: requestBytesMax },
            },
            examples: { dryRun: applyExample },
          },
        ),
        answers: {
          200: { description: "What changed, or would change.", schema: AppliedRulesSchema },
          409: {
            description: "A name belongs to another automation. Nothing was changed.",
            schema: DetailSchema,
          },
        },
      },
      async ({ tenant: { log, workspace, actor }, body }, context) => {
        await checkApplication(body);
        const { automations, destinations, prune, dry_run } = body;
        const desired = {
          automations: await mapInSlices(automations, (rule) => automationOf(rule, workspace)),
          destinations: await mapInSlices(destinations, (definition) => destinationOf(definition, workspace)),
        };
        const plan = await planChanges(await readStored(log), desired, { from: "apply", prune });
        if (plan.refusals.length > 0) {
          throw new Refusal(409, "taken", { detail: `${plan.refusals.join("; ")}. Nothing was changed` });
        }
        const changes = await mapInSlices(plan.destinations, destinationChangeView);
        // Read first: applying the change may reset the windows.
        for (const change of plan.automations) {
          await breathe();
          changes.push(await automationChangeView(change, log, settings));
        }
        if (!dry_run) {
          await carryOut(plan, log, actor);
          await log.rules.putTexts(await ruleTextsIn(automations, desired.automations));
        }
        const list = await jsonList(changes satisfies AppliedRules["changes"], (change) => change);
        return context.body(jsonWithLists({ dry_run }, { changes: list }), 200, jsonHeaders);
      },
    ),
  ];
}

/** @throws Refusal 422 that lists every mistake, and quotes nothing, because the body may hold secrets */
async function checkApplication({ automations, destinations }: z.infer<typeof ApplySchema>): Promise<void> {
  const mistakes: RequestMistake[] = [];
  for (const { field, list, countMax } of [
    { field: "automations", list: automations, countMax: appliedAutomationsMax },
    { field: "destinations", list: destinations, countMax: appliedDestinationsMax },
  ]) {
    if (list.length <= countMax) continue;
    const msg = `${field} should hold at most ${countMax} items; apply them in several steps`;
    mistakes.push({ type: "too_long", loc: ["body", field], msg, input: null });
  }
  if (mistakes.length > 0) throw invalidRequest(mistakes, null);
  const names = new Set<string>();
  for (const [index, rule] of automations.entries()) {
    await breathe();
    const loc = ["body", "automations", index, "definition"];
    const { name } = rule.definition;
    const isTaken = names.has(name);
    names.add(name);
    if (isTaken)
      mistakes.push({ type: "value_error", loc: [...loc, "name"], msg: takenName(name), input: null });
    mistakes.push(...actionMistakes(rule, loc));
  }
  const destinationNames = new Set<string>();
  for (const [index, { name }] of destinations.entries()) {
    const loc = ["body", "destinations", index, "name"];
    if (destinationNames.has(name))
      mistakes.push({ type: "value_error", loc, msg: takenName(name), input: null });
    destinationNames.add(name);
  }
  if (mistakes.length > 0) throw invalidRequest(mistakes, null);
}

function takenName(name: string): string {
  return `The name ${JSON.stringify(name)} is used twice; rename one of them`;
}

function actionMistakes({ definition, secrets }: Rule, loc: RequestMistake["loc"]): RequestMistake[] {
  return actionLists.flatMap((list) =>
    definition[list].flatMap((action, index) =>
      textsOf(action).flatMap((found): RequestMistake[] => {
        const msg = referenceProblem(found, secrets) ?? actionTextProblem(action.type, found, secrets);
        if (msg === null) return [];
        return [{ type: "value_error", loc: [...loc, list, index, ...found.path], msg, input: null }];
      }),
    ),
  );
}

/** Each reference needs a value in `secrets`, and a secret must be a reference and nothing else. */
function referenceProblem({ path, text }: ActionText, secrets: Rule["secrets"]): string | null {
  const malformed = malformedReferenceIn(text);
  if (malformed !== null) return malformedReferenceProblem(malformed);
  const missing = referencesIn(text).find((reference) => referencedValue(reference, secrets) === undefined);
  if (missing !== undefined) return `secrets has no value for ${missing.name}; add it`;
  if (fieldKind(String(path[0])) !== "secret") return null;
  const sole = soleReferenceIn(text);
  return sole !== null && sole.fallback === undefined
    ? null
    : "A secret must not be in the definition: put it into secrets and refer to it as ${env.NAME}";
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

/** The texts of the rules that came with one, by automation id. */
async function ruleTextsIn(
  rules: readonly Rule[],
  automations: readonly Automation[],
): Promise<Map<string, StoredRuleText>> {
  const found = await mapInSlices(automations.entries(), ([index, automation]) => {
    const { text, file, secrets } = rules[index] as Rule;
    if (text === undefined) return [];
    const yaml = withoutSecretTexts(text.yaml, Object.values(secrets));
    const stored = { yaml, line: text.line, file, definition: definitionIdOf(automation) };
    return [[automation.id, stored] as const];
  });
  return new Map(found.flat());
}

function destinationOf(definition: DestinationDefinition, workspace: string): Destination {
  const now = Date.now() * millisecond;
  const id = destinationIdOf(workspace, definition.name);
  return { id, definition, source: { kind: "api" }, created: now, updated: now };
}

function destinationChangeView(change: DestinationChange): AppliedChange {
  const { id, definition } = change.kind === "delete" ? change.before : change.after;
  const common = { what: "destination", change: change.kind, id, name: definition.name } as const;
  const changes = change.kind === "change" ? destinationChanges(change.before, change.after) : [];
  return { ...common, file: null, fields: [], changes, windows: [] };
}

async function automationChangeView(
  change: AutomationChange,
  log: Log,
  settings: ExplainSettings,
): Promise<AppliedChange> {
  const { source, id, name } = change.kind === "delete" ? change.before : change.after;
  const file = source.kind === "api" ? (source.applied?.file ?? null) : source.file;
  const fields = change.kind === "change" ? [...change.fields] : [];
  const changes = change.kind === "change" ? automationChanges(change.before, change.after) : [];
  const windows = await affectedWindows(change, log, settings);
  return { what: "automation", change: change.kind, id, name, file, fields, changes, windows };
}
