/** Loads rule files: automations, hooks and destinations, with every mistake in them. */

import type { Automation } from "../core/model/automation.ts";
import type { Destination } from "../core/model/destination.ts";
import type { Hook } from "../core/model/hook.ts";
import { finishAtOnce } from "../core/model/steps.ts";
import type { Micros } from "../core/model/time.ts";
import { finishInSlices } from "../retry/slices.ts";
import type { Environment } from "../templates/environment.ts";
import { type Diagnostic, diagnosticAt, inReadingOrder, type Place } from "./diagnostic.ts";
import { type NamedPlace, type ReadContext, readAutomation } from "./read-automation.ts";
import { readDestination } from "./read-destination.ts";
import { readHook } from "./read-hook.ts";
import { type RuleTexts, readRuleFiles } from "./rule-files.ts";
import { readRuleParts } from "./rule-parts.ts";
import type { RuleMapping } from "./rule-tree.ts";

export interface LoadOptions {
  readonly workspace: string;
  /** The values of `${env.NAME}`. */
  readonly env: Environment;
  /** Becomes `created` and `updated` of each automation. */
  readonly now: Micros;
  /** The directory that paths are relative to. Default: the working directory. */
  readonly cwd?: string;
}

export interface LoadedRules {
  /** The automations without mistakes. Do not apply them while there are diagnostics: the others would be deleted. */
  readonly automations: readonly Automation[];
  /** The hooks without mistakes. */
  readonly hooks: readonly Hook[];
  /** The destinations without mistakes. */
  readonly destinations: readonly Destination[];
  /** Every mistake, in reading order. */
  readonly diagnostics: readonly Diagnostic[];
  /** The names of the files that were read. */
  readonly files: readonly string[];
  /** Where each automation is written, by its id. */
  readonly sources: ReadonlyMap<string, RuleSource>;
  /** The text of each file that was read, by its name. */
  readonly texts: ReadonlyMap<string, string>;
}

/** The text of an automation as a tree in which every part knows its place. */
export interface RuleSource {
  readonly file: string;
  readonly tree: RuleMapping;
}

/** Loads the rule files that `paths` (files and directories) name. Mistakes are returned, never thrown. */
export function loadRules(paths: readonly string[], options: LoadOptions): LoadedRules {
  return readRules(readRuleFiles(paths, options.cwd ?? process.cwd()), options);
}

/** Like `loadRules`, from texts that have been read already. */
export function readRules(texts: RuleTexts, options: LoadOptions): LoadedRules {
  return finishAtOnce(readInSteps(texts, options));
}

/** Like `readRules`, in slices: thousands of rules take seconds, and a server has other work. */
export function readRulesInSlices(texts: RuleTexts, options: LoadOptions): Promise<LoadedRules> {
  return finishInSlices(readInSteps(texts, options));
}

function* readInSteps(
  { texts, diagnostics: fileDiagnostics }: RuleTexts,
  options: LoadOptions,
): Generator<void, LoadedRules> {
  const automations: Automation[] = [];
  const hooks: Hook[] = [];
  const destinations: Destination[] = [];
  const sources = new Map<string, RuleSource>();
  const diagnostics = [...fileDiagnostics];
  const places = new Map<string, { file: string; place: Place }>();
  for (const [file, text] of texts) {
    const report = (place: Place, message: string): void => {
      diagnostics.push(diagnosticAt(file, place, message));
    };
    const { workspace, env, now } = options;
    const context: ReadContext = { workspace, env, now, file };
    const isTaken = (list: string, name: NamedPlace): boolean => {
      const other = places.get(`${list} ${name.text}`);
      if (other === undefined) {
        places.set(`${list} ${name.text}`, { file, place: name.place });
        return false;
      }
      const where = `${other.file}:${other.place.line}:${other.place.column}`;
      report(
        name.place,
        `name ${JSON.stringify(name.text)} is taken by ${where}; give one of them another name`,
      );
      return true;
    };
    for (const { list, tree } of readRuleParts(text, report)) {
      yield;
      if (list === "hooks") {
        const { hook, mistakes, name } = readHook(tree, context);
        for (const { place, message } of mistakes) report(place, message);
        if (name !== null && isTaken(list, name)) continue;
        if (hook !== null) hooks.push(hook);
        continue;
      }
      if (list === "destinations") {
        const { destination, mistakes, name } = readDestination(tree, context);
        for (const { place, message } of mistakes) report(place, message);
        if (name !== null && isTaken(list, name)) continue;
        if (destination !== null) destinations.push(destination);
        continue;
      }
      const { automation, mistakes, name, resolved } = readAutomation(tree, context);
      for (const { place, message } of mistakes) report(place, message);
      if (name !== null && isTaken(list, name)) continue;
      if (automation === null) continue;
      automations.push(automation);
      sources.set(automation.id, { file, tree: resolved });
    }
  }
  const files = [...texts.keys()];
  return {
    automations,
    hooks,
    destinations,
    diagnostics: inReadingOrder(diagnostics),
    files,
    sources,
    texts,
  };
}
