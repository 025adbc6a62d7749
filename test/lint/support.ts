/** Warnings for rules, which must have no mistakes. */

import { lintRules } from "../../src/lint/lint.ts";
import type { Warning } from "../../src/lint/warning.ts";
import { formatDiagnostic } from "../../src/rules/diagnostic.ts";
import { readRules } from "../../src/rules/load.ts";

export function warningsIn(text: string, env: Readonly<Record<string, string>> = {}): Warning[] {
  return warningsInFiles({ "greenhouse.yaml": text }, env);
}

export function warningsInFiles(
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Warning[] {
  const texts = new Map(Object.entries(files));
  const options = { workspace: "default", env, now: 0 };
  const rules = readRules({ texts, diagnostics: [] }, options);
  const mistakes = rules.diagnostics.map(formatDiagnostic);
  if (mistakes.length > 0) throw new Error(mistakes.join("\n"));
  return lintRules(rules);
}

/** Warning codes for one automation, with its fields as in a rule file. It does nothing unless `fields` has actions. */
export function warningsFor(trigger: object, fields: object = {}): string[] {
  const automation = { name: "one", trigger, actions: [{ type: "do-nothing" }], ...fields };
  return warningsIn(JSON.stringify(automation)).map(({ code }) => code);
}
