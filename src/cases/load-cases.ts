/** Loads `*.test.yaml` files: cases that are ready to run, and every mistake in them and in their rules. */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { latenessDefault } from "../core/model/limits.ts";
import type { Micros } from "../core/model/time.ts";
import { type Diagnostic, diagnosticAt, inReadingOrder, type Place } from "../rules/diagnostic.ts";
import { shown } from "../rules/mistake-message.ts";
import { type FileKind, isDirectory, readRuleFiles } from "../rules/rule-files.ts";
import { parseRuleText, type RuleNode } from "../rules/rule-tree.ts";
import { validate } from "../rules/validate.ts";
import type { Case } from "./case.ts";
import {
  type CaseDefinition,
  type CaseFileDefinition,
  CaseFileSchema,
  CaseSchema,
  microsOf,
  startDefault,
} from "./case-schema.ts";
import { planCase, unknownNameMessage } from "./plan-case.ts";
import { RuleLibrary } from "./rule-library.ts";

export interface LoadCasesOptions {
  /** The directory that paths are relative to. Default: the working directory. */
  readonly cwd?: string;
  /** The lateness if neither the trigger nor the case sets one. Default: the server's default. */
  readonly lateness?: Micros;
}

export interface LoadedCases {
  /** The cases without mistakes. */
  readonly cases: readonly Case[];
  /** Every mistake, in reading order. */
  readonly diagnostics: readonly Diagnostic[];
  readonly files: readonly string[];
}

const isCaseFile = (name: string): boolean => /\.test\.ya?ml$/i.test(name);

const caseFiles: FileKind = {
  noun: "case file",
  isOne: isCaseFile,
  mayBeOne: isCaseFile,
  names: ".test.yaml file",
};

/** The case files beside rules: in their directories, and with the name of a rule file that is named itself. */
export function caseFilesBeside(rulePaths: readonly string[], cwd: string): string[] {
  const paths = rulePaths.flatMap((path) => {
    if (isDirectory(resolve(cwd, path))) return [path];
    const stem = path.replace(/\.(?:ya?ml|json)$/i, "");
    return [`${stem}.test.yaml`, `${stem}.test.yml`].filter((name) => existsSync(resolve(cwd, name)));
  });
  const { texts, diagnostics } = readRuleFiles(paths, cwd, caseFiles);
  // What cannot be read is reported when it is loaded. That a directory has no cases is not a mistake here.
  const unreadable = diagnostics.map(({ file }) => file).filter(isCaseFile);
  return [...new Set([...texts.keys(), ...unreadable])].sort();
}

/** Loads the cases that `paths` (files and directories) name. Mistakes are returned, never thrown. */
export function loadCases(paths: readonly string[], options: LoadCasesOptions): LoadedCases {
  const { cwd = process.cwd() } = options;
  const { texts, diagnostics } = readRuleFiles(paths, cwd, caseFiles);
  const library = new RuleLibrary({ cwd });
  const loader = new CaseLoader(library, options.lateness ?? latenessDefault);
  for (const [file, text] of texts) loader.load(file, text);
  return {
    cases: loader.cases,
    diagnostics: inReadingOrder([...diagnostics, ...loader.diagnostics, ...library.diagnostics]),
    files: [...texts.keys()],
  };
}

class CaseLoader {
  readonly cases: Case[] = [];
  readonly diagnostics: Diagnostic[] = [];
  readonly #library: RuleLibrary;
  readonly #lateness: Micros;

  constructor(library: RuleLibrary, lateness: Micros) {
    this.#library = library;
    this.#lateness = lateness;
  }

  load(file: string, text: string): void {
    const report: Report = (place, message) => this.diagnostics.push(diagnosticAt(file, place, message));
    const { documents, mistakes } = parseRuleText(text);
    for (const { place, message } of mistakes) report(place, message);
    if (documents.length === 0 && mistakes.length === 0) {
      report({ line: 1, column: 1 }, "this file is empty; add cases:, or remove the file");
    }
    const places = new Map<string, Place>();
    for (const document of documents) {
      if (document.kind !== "mapping") {
        report(document.place, `cases should be a list under cases:; found ${shown(document)}`);
        continue;
      }
      const { value: shared, mistakes: inShared } = validate(CaseFileSchema, document);
      for (const { place, message } of inShared) report(place, message);
      const list = document.entries.get("cases")?.node;
      for (const root of list?.kind === "list" ? list.items : []) {
        const definition = this.#definition(root, report);
        if (definition === null) continue;
        const place = placeAt(root, ["name"]);
        const other = places.get(definition.name);
        if (other !== undefined) {
          const where = `${other.line}:${other.column}`;
          report(place, `the case at ${where} has the same name; rename one of them`);
        }
        places.set(definition.name, place);
        if (shared !== null) this.#plan(file, definition, root, shared, document, report);
      }
    }
  }

  #definition(root: RuleNode, report: Report): CaseDefinition | null {
    if (root.kind !== "mapping") {
      report(root.place, `a case should be a mapping; found ${shown(root)}; write name:, steps: and expect:`);
      return null;
    }
    const { value, mistakes } = validate(CaseSchema, root);
    for (const { place, message } of mistakes) report(place, message);
    return value;
  }

  /** @param shared the keys that the file sets for all its cases */
  #plan(
    file: string,
    definition: CaseDefinition,
    root: RuleNode,
    shared: CaseFileDefinition,
    document: RuleNode,
    report: Report,
  ): void {
    /** The place of a key in the case, or else in its file. */
    const placeOf = (key: "rules" | "automations"): Place =>
      definition[key] === undefined && shared[key] !== undefined
        ? placeAt(document, [key])
        : placeAt(root, [key]);

    const mistakeCount = (): number => this.diagnostics.length + this.#library.diagnostics.length;
    const countBefore = mistakeCount();
    const paths = definition.rules ?? shared.rules ?? null;
    const { automations, problems } = this.#library.find(file, paths, { ...shared.env, ...definition.env });
    const remedy =
      paths === null ? "; the default is the rule file of the same name: name others with rules:" : "";
    for (const problem of problems) report(placeOf("rules"), `${problem}${remedy}`);
    const chosen = definition.automations ?? shared.automations;
    const known = automations.map(({ name }) => name);
    for (const name of chosen ?? []) {
      if (known.length > 0 && !known.includes(name))
        report(placeOf("automations"), unknownNameMessage("automation", name, known));
    }
    const lateness = definition.lateness ?? shared.lateness;
    const planned = planCase(definition, {
      file,
      start: definition.start ?? shared.start ?? startDefault,
      lateness: lateness === undefined ? this.#lateness : microsOf(lateness),
      automations: automations.filter(({ name }) => chosen?.includes(name) ?? true),
      placeOf: (path) => placeAt(root, path),
      report: (path, message) => report(placeAt(root, path), message),
    });
    if (mistakeCount() === countBefore) this.cases.push(planned);
  }
}

type Report = (place: Place, message: string) => void;

/** The place of the value at a path, or of the nearest value around it that exists. */
function placeAt(root: RuleNode, path: readonly (string | number)[]): Place {
  let current: RuleNode = root;
  for (const step of path) {
    const child: RuleNode | undefined =
      current.kind === "mapping"
        ? current.entries.get(String(step))?.node
        : current.kind === "list"
          ? current.items[Number(step)]
          : undefined;
    if (child === undefined) break;
    current = child;
  }
  return current.place;
}
