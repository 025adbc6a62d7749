/** What the API says of rules. It is made here, because the API does not know rule files; loaded when it is first wanted. */

import type { RuleReader } from "../api/automations/rules.ts";
import type { Automation } from "../core/model/automation.ts";
import { ruleTextLengthMax } from "../core/model/limits.ts";
import type { RuleWarning } from "../core/model/rule-report.ts";
import type { Micros } from "../core/model/time.ts";
import { breathe, finishInSlices } from "../retry/slices.ts";
import type { RuleSource } from "../rules/load.ts";
import type { RuleMapping } from "../rules/rule-tree.ts";
import type { StoredRuleText } from "../store/rule-notes.ts";
import { comparisonsMax, reportedWarningsMax } from "./threads/check-link.ts";

/** @param latenessDefault the server's lateness for triggers that set none */
export function createRuleReader(latenessDefault: Micros): RuleReader {
  return {
    async yamlOf(automation) {
      const { ruleYamlOf } = await import("../rules/write-rule.ts");
      return ruleYamlOf(automation);
    },
    warningsOf: (all, texts) => warningsOf(all, texts, latenessDefault),
  };
}

interface WrittenRule extends RuleSource {
  readonly yaml: string;
  /** Null for YAML that is made from the definition. */
  readonly text: StoredRuleText | null;
}

async function warningsOf(
  all: readonly Automation[],
  known: ReadonlyMap<string, StoredRuleText>,
  latenessDefault: Micros,
): Promise<{ warnings: RuleWarning[]; leftOut: number }> {
  const { lintInSteps } = await import("../lint/lint.ts");
  const written = new Map<string, WrittenRule>();
  for (const automation of all) {
    if (automation.source.kind !== "api") continue;
    await breathe();
    const rule = await writtenRuleOf(automation, known.get(automation.id) ?? null);
    if (rule !== null) written.set(automation.id, rule);
  }
  const rules = {
    automations: all,
    hooks: [],
    destinations: [],
    diagnostics: [],
    files: [...written.keys()],
    sources: written,
    texts: new Map([...written].map(([id, { yaml }]) => [id, yaml])),
  };
  const found = await finishInSlices(lintInSteps(rules, { latenessDefault, comparisonsMax }));
  const names = new Map(all.map(({ id, name }) => [id, name]));
  const warnings = found
    .slice(0, reportedWarningsMax)
    .map(({ file: id, line, column, code, reason, fix }) => {
      const text = written.get(id)?.text ?? null;
      const place = text === null ? { file: null, line } : { file: text.file, line: text.line + line - 1 };
      return { ...place, column, code, reason, fix, automation: { id, name: names.get(id) ?? "" } };
    });
  return { warnings, leftOut: found.length - warnings.length };
}

/**
 * How an automation is written, and the tree in which its parts have places. Null if it is so long that reading it would
 * keep the server from everything else.
 */
async function writtenRuleOf(
  automation: Automation,
  text: StoredRuleText | null,
): Promise<WrittenRule | null> {
  const [{ parseRuleText }, { ruleYamlOf }] = await Promise.all([
    import("../rules/rule-tree.ts"),
    import("../rules/write-rule.ts"),
  ]);
  const treeIn = (yaml: string): RuleMapping | null => {
    if (yaml.length > ruleTextLengthMax) return null;
    const { documents, mistakes } = parseRuleText(yaml);
    const [tree] = documents;
    return mistakes.length === 0 && tree?.kind === "mapping" ? tree : null;
  };
  // The automation's own id stands for the file, so that no two are confused.
  const file = automation.id;
  // Its text may refer to an anchor in another part of the file. Then it cannot be read alone.
  const tree = text === null ? null : treeIn(text.yaml);
  if (text !== null && tree !== null) return { file, tree, yaml: text.yaml, text };
  const yaml = ruleYamlOf(automation);
  const made = treeIn(yaml);
  return made === null ? null : { file, tree: made, yaml, text: null };
}
