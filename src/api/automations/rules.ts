/** The rules behind the automations: how they are written, what they say in plain words, and what is wrong with them. */

import { createHash } from "node:crypto";
import type { z } from "zod";
import type { Automation } from "../../core/model/automation.ts";
import { describeRule } from "../../core/model/describe-actions.ts";
import type { RuleReport, RuleWarning } from "../../core/model/rule-report.ts";
import { definitionIdOf } from "../../core/model/rule-text.ts";
import type { Micros } from "../../core/model/time.ts";
import { breathe } from "../../retry/slices.ts";
import type { Log } from "../../store/log.ts";
import type { StoredRuleText } from "../../store/rule-notes.ts";
import type { DeepReadonly } from "../http/answers.ts";
import { type Route, route } from "../http/route.ts";
import { automationOf, byId } from "./automations.ts";
import { RuleSourceSchema, RulesSchema } from "./rule-answers.ts";

/** What only the code that knows rule files can say. Made in src/cli. */
export interface RuleReader {
  /** An automation as a rule file would define it, without secrets. */
  yamlOf(automation: Automation): Promise<string>;
  /**
   * The warnings about those automations that no watched file defines.
   *
   * @param all every automation of the workspace, since warnings are also about how they work together
   * @param texts how those are written which were applied, by id; none that is outdated
   */
  warningsOf(
    all: readonly Automation[],
    texts: ReadonlyMap<string, StoredRuleText>,
  ): Promise<{ readonly warnings: readonly RuleWarning[]; readonly leftOut: number }>;
}

export interface RuleRouteOptions {
  readonly reader: RuleReader;
  /** The server's lateness for triggers that set none. */
  readonly latenessDefault: Micros;
}

export function ruleRoutes({ reader, latenessDefault }: RuleRouteOptions): Route[] {
  const checks = new ApiRuleChecks(reader);
  return [
    route(
      {
        method: "get",
        path: "/automations/:id/rule",
        id: "readRule",
        summary: "Read the text of an automation, and what it says in plain words",
        description:
          "The text is that of the rule file, if it comes from one, whether a server watches it or `tripline apply` sent it. Otherwise it is made from the definition, with its defaults left out.",
        tag: "automations",
        scope: "automations:read",
        params: byId,
        answers: { 200: { description: "Its text and its words.", schema: RuleSourceSchema } },
      },
      async ({ tenant: { log }, params }, context) => {
        const automation = await automationOf(log, params.id);
        const { source } = automation;
        const words = describeRule(automation, { lateness: latenessDefault });
        const text =
          source.kind === "file" || source.applied !== undefined ? await log.rules.text(automation.id) : null;
        if (text !== null && isCurrent(text, automation)) {
          const { yaml, file, line } = text;
          return context.json({ yaml, origin: "file", file, line, words } satisfies RuleSourceAnswer);
        }
        const yaml = await reader.yamlOf(automation);
        const file = source.kind === "file" ? source.file : (source.applied?.file ?? null);
        return context.json({
          yaml,
          origin: "definition",
          file,
          line: null,
          words,
        } satisfies RuleSourceAnswer);
      },
    ),

    route(
      {
        method: "get",
        path: "/rules",
        id: "readRules",
        summary: "Read what is wrong with the rules: mistakes, warnings, and cases that fail",
        description:
          "A server that watches rule files checks them after each load, and runs the cases beside them. Automations that were applied or created over the API are checked on request.",
        tag: "automations",
        scope: "automations:read",
        answers: { 200: { description: "What was found.", schema: RulesSchema } },
      },
      async ({ tenant: { log } }, context) => {
        const [report, found] = await Promise.all([log.rules.report(), checks.of(log)]);
        const { left_out, warnings, ...rest } = report ?? nothingWatched;
        return context.json({
          ...rest,
          warnings: [...warnings, ...found.warnings],
          left_out: { ...left_out, warnings: left_out.warnings + found.leftOut },
        } satisfies RulesAnswer);
      },
    ),
  ];
}

type RuleSourceAnswer = DeepReadonly<z.output<typeof RuleSourceSchema>>;
type RulesAnswer = DeepReadonly<z.output<typeof RulesSchema>>;

const nothingWatched: Omit<RuleReport, "checked"> & { readonly checked: null } = {
  checked: null,
  in_effect: true,
  pending: false,
  paths: [],
  files: [],
  mistakes: [],
  warnings: [],
  tests: null,
  left_out: { files: 0, mistakes: 0, warnings: 0 },
};

type ApiRuleFindings = Awaited<ReturnType<RuleReader["warningsOf"]>>;

/** The warnings about the automations of each workspace that no watched file defines, until something changes there. */
class ApiRuleChecks {
  readonly #reader: RuleReader;
  readonly #known = new WeakMap<Log, { readonly key: string; readonly findings: Promise<ApiRuleFindings> }>();

  constructor(reader: RuleReader) {
    this.#reader = reader;
  }

  async of(log: Log): Promise<ApiRuleFindings> {
    const all = await log.automations();
    const own = all.filter(({ source }) => source.kind === "api");
    if (own.length === 0) return { warnings: [], leftOut: 0 };
    const applied = own.flatMap(({ id, source }) =>
      source.kind === "api" && source.applied !== undefined ? [id] : [],
    );
    const texts = await log.rules.texts(applied);
    const key = await keyOf(all, texts);
    const known = this.#known.get(log);
    if (known?.key === key) return known.findings;
    const findings = currentOnly(texts, own).then((current) => this.#reader.warningsOf(all, current));
    this.#known.set(log, { key, findings });
    // The next request tries again.
    findings.catch(() => this.#known.delete(log));
    return findings;
  }
}

/** What the warnings depend on. A change of an automation always changes when it was updated. */
async function keyOf(
  all: readonly Automation[],
  texts: ReadonlyMap<string, StoredRuleText>,
): Promise<string> {
  const hash = createHash("sha1");
  for (const { id, updated } of all) {
    await breathe();
    const { yaml = "", file = "", line = 0 } = texts.get(id) ?? {};
    hash.update(`${id} ${updated} ${line} ${file}\n${yaml}\n`);
  }
  return hash.digest("hex");
}

async function currentOnly(
  texts: ReadonlyMap<string, StoredRuleText>,
  automations: readonly Automation[],
): Promise<Map<string, StoredRuleText>> {
  const current = new Map<string, StoredRuleText>();
  for (const automation of automations) {
    await breathe();
    const text = texts.get(automation.id);
    if (text !== undefined && isCurrent(text, automation)) current.set(automation.id, text);
  }
  return current;
}

/** False for a text that was written for another definition. */
function isCurrent({ definition }: StoredRuleText, automation: Automation): boolean {
  return definition === definitionIdOf(automation);
}
