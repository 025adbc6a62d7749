/** `*.test.yaml` → cases ready to run, with every mistake in them and in the rules that they name. */

import { latenessDefault } from "../core/model/limits.ts";
import type { Micros } from "../core/model/time.ts";
import { type Diagnostic, diagnosticAt, inReadingOrder, type Place } from "../rules/diagnostic.ts";
import { shown } from "../rules/mistake-message.ts";
import { type FileKind, readRuleFiles } from "../rules/rule-files.ts";
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
  /** Where relative paths begin; by default the working directory. */
  readonly cwd?: string;
  /** Of triggers that name none, in cases that name none; by default the server's. */
  readonly lateness?: Micros;
}

export interface LoadedCases {
  /** Those without mistakes. */
  readonly cases: readonly Case[];
  /** Every mistake, in reading order; empty when all is well. */
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
      report({ line: 1, column: 1 }, "this file is empty; write cases:, or remove the file");
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
          report(place, `the case at ${where} has this name too; give one of them another`);
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

  /** @param shared what the file says for all its cases */
  #plan(
    file: string,
    one: CaseDefinition,
    root: RuleNode,
    shared: CaseFileDefinition,
    document: RuleNode,
    report: Report,
  ): void {
    /** Where the case, or else its file, says something. */
    const said = (key: "rules" | "automations"): Place =>
      one[key] === undefined && shared[key] !== undefined ? placeAt(document, [key]) : placeAt(root, [key]);

    const mistakeCount = (): number => this.diagnostics.length + this.#library.diagnostics.length;
    const countBefore = mistakeCount();
    const paths = one.rules ?? shared.rules ?? null;
    const { automations, problems } = this.#library.find(file, paths, { ...shared.env, ...one.env });
    const remedy = paths === null ? "; cases are for the rules beside them: name others with rules:" : "";
    for (const problem of problems) report(said("rules"), `${problem}${remedy}`);
    const chosen = one.automations ?? shared.automations;
    const known = automations.map(({ name }) => name);
    for (const name of chosen ?? []) {
      if (known.length > 0 && !known.includes(name))
        report(said("automations"), unknownNameMessage("automation", name, known));
    }
    const lateness = one.lateness ?? shared.lateness;
    const planned = planCase(one, {
      file,
      start: one.start ?? shared.start ?? startDefault,
      lateness: lateness === undefined ? this.#lateness : microsOf(lateness),
      automations: automations.filter(({ name }) => chosen?.includes(name) ?? true),
      placeOf: (path) => placeAt(root, path),
      report: (path, message) => report(placeAt(root, path), message),
    });
    if (mistakeCount() === countBefore) this.cases.push(planned);
  }
}

type Report = (place: Place, message: string) => void;

/** The place of what stands at the path; of the last step of the way to it that exists. */
function placeAt(root: RuleNode, path: readonly (string | number)[]): Place {
  let at: RuleNode = root;
  for (const step of path) {
    const child: RuleNode | undefined =
      at.kind === "mapping"
        ? at.entries.get(String(step))?.node
        : at.kind === "list"
          ? at.items[Number(step)]
          : undefined;
    if (child === undefined) break;
    at = child;
  }
  return at.place;
}
