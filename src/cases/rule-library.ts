/** The rules under test. Each file is read once, no matter how many cases use it. */

import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { Automation } from "../core/model/automation.ts";
import type { Diagnostic } from "../rules/diagnostic.ts";
import { type LoadedRules, readRules } from "../rules/load.ts";
import { type RuleTexts, readRuleFiles } from "../rules/rule-files.ts";
import { standIn } from "../templates/environment.ts";
import { placeholderFor } from "./placeholders.ts";

export interface RuleLibraryOptions {
  readonly cwd: string;
}

export interface FoundRules {
  /** Empty if anything is wrong with the rules. */
  readonly automations: readonly Automation[];
  /** What is wrong with the paths, to be reported where the case names them. */
  readonly problems: readonly string[];
}

export class RuleLibrary {
  /** Mistakes in the rules themselves. */
  readonly diagnostics: Diagnostic[] = [];
  readonly #options: RuleLibraryOptions;
  readonly #texts = new Map<string, RuleTexts>();
  readonly #loaded = new Map<string, LoadedRules>();

  constructor(options: RuleLibraryOptions) {
    this.#options = options;
  }

  /**
   * @param paths relative to the case file; null for the rule file of the same name next to it
   * @param env what the rules see of the environment; for every other name they see a placeholder
   */
  find(caseFile: string, paths: readonly string[] | null, env: Readonly<Record<string, string>>): FoundRules {
    const names = paths?.map((path) => join(dirname(caseFile), path)) ?? this.#beside(caseFile);
    const key = JSON.stringify(names);
    const texts = this.#texts.get(key) ?? readRuleFiles(names, this.#options.cwd);
    this.#texts.set(key, texts);
    const problems = texts.diagnostics.map(({ file, message }) => `${file}: ${message}`);
    const found = { texts: texts.texts, diagnostics: [] };
    const keyWithEnv = JSON.stringify([names, env]);
    let rules = this.#loaded.get(keyWithEnv);
    if (rules === undefined) {
      const { cwd } = this.#options;
      const contents = [...texts.texts.values()];
      const complete = { ...env, [standIn]: (name: string) => placeholderFor(name, contents) };
      rules = readRules(found, { workspace: "default", env: complete, now: 0, cwd });
      this.#loaded.set(keyWithEnv, rules);
      this.diagnostics.push(...rules.diagnostics);
    }
    const isGood = problems.length === 0 && rules.diagnostics.length === 0;
    return { automations: isGood ? rules.automations : [], problems };
  }

  #beside(caseFile: string): string[] {
    const stem = join(dirname(caseFile), basename(caseFile).replace(/\.test\.ya?ml$/i, ""));
    const candidates = [".yaml", ".yml", ".json"].map((extension) => `${stem}${extension}`);
    return [candidates.find((name) => existsSync(resolve(this.#options.cwd, name))) ?? candidates[0]!];
  }
}
